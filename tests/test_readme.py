"""The README's commands exist, its code runs and its output is real.

Marks that the README carries, each on a line above a fenced block:
`<!-- demo-command -->`, `<!-- demo-output -->`, `<!-- test-command -->`, and
`<!-- run -->` over Python that is executed as it stands.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from promptcache.cli import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = (
    "langchain_promptcache",
    "llamaindex_promptcache",
    "promptcache",
    "promptcache.emulator",
)
ENTRY_POINT = "from promptcache.cli import main; main()"
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[a-z-]+) -->\n+)?```(?P<language>[a-z]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    mark: str | None
    language: str
    text: str


def blocks(readme):
    return [
        Block(*found.group("mark", "language", "text"))
        for found in FENCE.finditer(readme)
    ]


BLOCKS = blocks(README)
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language in {"bash", "console", "sh"}]


def marked(mark):
    (block,) = (block for block in BLOCKS if block.mark == mark)
    return block.text


def words(text):
    """Return each command line of a block as its words."""
    lines = text.replace("\\\n", " ").replace("&&", "\n").splitlines()
    split = (shlex.split(line.removeprefix("$ "), comments=True) for line in lines)
    return [[Path(line[0]).name, *line[1:]] for line in split if line]


def test_marks():
    """The README has the three blocks that scripts and tests read."""
    marks = [block.mark for block in BLOCKS if block.mark and block.mark != "run"]

    assert sorted(marks) == ["demo-command", "demo-output", "test-command"]


COMMAND_LINES = [line for block in SHELL for line in words(block.text)]


@pytest.mark.parametrize("line", COMMAND_LINES, ids=" ".join)
def test_command(line):
    """A command of the README is one that this project has."""
    match line:
        case ["promptcache", name, *_]:
            assert name in {*COMMANDS, "--help", "--version"}
        case ["make", *targets]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert [it for it in targets if f"\n{it}:" not in makefile] == []
        case ["python" | "python3", script, *_] if script.endswith(".py"):
            assert (ROOT / script).is_file()
        case ["pip", "install", *_]:
            named = re.findall(r"\[([a-z,-]+)\]", " ".join(line))
            extras = {extra for group in named for extra in group.split(",")}
            assert extras <= PROJECT["project"]["optional-dependencies"].keys()


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.text[:30])
def test_python_compiles(block):
    """Every Python block is Python."""
    ast.parse(block.text)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.text[:30])
def test_python_names(block):
    """Every name that a Python block imports from here is public."""
    imported = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.ImportFrom) and node.module in PACKAGES
        for alias in node.names
    ]

    assert [it for it in imported if it[1] not in import_module(it[0]).__all__] == []


def test_python_runs(tmp_path):
    """A block marked `run` ends without an error."""
    marked = [block.text for block in PYTHON if block.mark == "run"]
    done = [run([sys.executable, "-c", text], cwd=tmp_path) for text in marked]

    assert [it.stderr for it in done if it.returncode] == []


def test_links():
    """Every page that the README leads to is there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)

    assert [link for link in links if not (ROOT / link).is_file()] == []


@pytest.mark.timeout(400)  # it runs at the emulator's pace, beside whatever else runs
def test_demo_output():
    """The README shows the shape and the very amounts that the demo prints."""
    *_, command = words(marked("demo-command"))
    assert command[0] == "promptcache"

    printed = run([sys.executable, "-c", ENTRY_POINT, *command[1:]])

    assert printed.returncode == 0, printed.stderr
    assert shape(marked("demo-output")) == shape(printed.stdout)
    assert amounts(marked("demo-output")) == amounts(printed.stdout)


def shape(output):
    """Return the lines of a table without what differs from run to run."""
    lines = (re.sub(r"\d[\d.,]*", "#", line) for line in output.splitlines())
    lines = (re.sub(r"([─━═=-])\1+", r"\1", line) for line in lines)
    return [" ".join(line.split()) for line in lines if line.strip()]


def amounts(output):
    """Return what was paid and saved, in reading order."""
    return re.findall(r"\$[\d.,]*\d|[\d.]+ ?%", output)


def run(command, cwd=None):
    # The widths and colors of the README are those of a plain pipe.
    hidden = {"COLUMNS", "FORCE_COLOR", "LINES"}
    environment = {name: it for name, it in os.environ.items() if name not in hidden}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "<!-- run -->\n```python\nx = 1\n```\n",
            [Block("run", "python", "x = 1\n")],
            id="marked",
        ),
        pytest.param(
            "```bash\nmake\n```\n", [Block(None, "bash", "make\n")], id="plain"
        ),
        pytest.param("<!-- run -->\ntext\n", [], id="no block"),
    ],
)
def test_blocks(text, expected):
    """A mark belongs to the block right under it."""
    assert blocks(text) == expected


def test_shape_tells_columns_apart():
    """Other numbers are the same shape; another column is not."""
    assert shape("a  12 $0.5\n---\n") == shape("a 3,400   $1.25\n-----")
    assert shape("a 12") != shape("a 12 s")
