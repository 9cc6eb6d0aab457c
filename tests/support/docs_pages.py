"""The pages of the documentation as text: their blocks, headings and links."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {path.name: path for path in sorted(DOCS.glob("*.md"))}
FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(\$ )?(make|pip|promptcache|python3?) ")
TABLE = re.compile(r"\[[a-z][a-z0-9.-]*\]\n[a-z_]+ = ")
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")
IMAGE = re.compile(r"!\[[^]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """What stands between fences, or is indented."""

    line: int
    language: str
    """As the fence says; "" for an indented block."""
    text: str


def read(page):
    return PAGES[page].read_text(encoding="utf-8")


def blocks(text):
    """Return the blocks of a page, in their order."""
    found, lines, at = [], text.split("\n"), 0
    while at < len(lines):
        end, language, held = at + 1, "", []
        if lines[at].startswith("```"):
            language = lines[at].strip("`").strip()
            while not lines[end].startswith("```"):
                end += 1
            held, end = lines[at + 1 : end], end + 1
        elif lines[at].startswith("    ") and not (at and lines[at - 1].strip()):
            while end < len(lines) and (
                not lines[end].strip() or lines[end].startswith("    ")
            ):
                end += 1
            held = [line[4:] for line in lines[at:end]]
        if held:
            found.append(Block(at + 1, language, "\n".join(held).rstrip() + "\n"))
        at = end
    return found


def parts(block):
    """Yield what kinds of thing a block has: `command`, `toml`, `python`, or `text`."""
    if block.language not in {"", "python", "console", "bash"}:
        yield "text", block.text
    elif block.language == "" and TABLE.match(block.text):
        yield "toml", block.text
    elif block.language in {"console", "bash"}:
        yield "command", block.text
    else:
        lines = block.text.splitlines(keepends=True)
        commands = [line for line in lines if COMMAND.match(line)]
        if commands:
            yield "command", "".join(commands)
        rest = "".join(line for line in lines if line not in commands)
        if rest.strip():
            yield ("python" if is_python(rest) else "text"), rest


def is_python(text):
    """Say whether a text parses, and does more than name or reckon something."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    kinds = ast.Call | ast.Import | ast.ImportFrom
    calls = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return any(not _reckons(node) for node in calls)


def _reckons(node):
    """Say whether it is a formula's function, as in `h(k)` and `log2(tokens)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"h", "log2", "max", "sqrt"}
    )


def prose(text):
    """Return a page without its blocks and its code spans."""
    text = FENCE.sub("", text)
    kept, before = [], ""
    for line in text.split("\n"):
        is_code = line.startswith("    ") and not before.strip().startswith(("*", "-"))
        if not is_code:
            kept.append(re.sub(r"`[^`]*`", "", line))
            before = line or before
    return "\n".join(kept)


def anchors(text):
    """Return what a link to a page may name behind `#`, as its site has it."""
    found, bare = set(re.findall(r'<a id="([^"]+)"', text)), FENCE.sub("", text)
    for title in re.findall(r"^#+ (.+)$", bare, re.MULTILINE):
        slug = re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", title)).strip().lower()
        slug, number = re.sub(r"[-\s]+", "-", slug), 1
        plain = slug
        while slug in found:
            slug, number = f"{plain}_{number}", number + 1
        found.add(slug)
    return found
