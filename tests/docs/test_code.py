"""Every block of code in the docs and the README runs, on the emulator.

Blocks of a page run one after the other, as a reader would type them. What they take
for granted is in `docs_scenes`. Commands are looked up; those whose output is shown are
run elsewhere. What is neither is named here, so that no block is left out unseen.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise

import pytest
from docs_pages import PAGES, ROOT, blocks
from docs_run import PATIENCE, README, of_kind, run, text_of
from docs_scenes import Made

from promptcache import PromptCache
from promptcache.cli import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest.importorskip("langchain", reason="needs LangChain")
pytest.importorskip("llama_index.core", reason="needs LlamaIndex")

RUN_ELSEWHERE = {
    "migrate.md": "tests/migrate",
}
"""Pages whose blocks have tests of their own, which also compare what they cost."""
COMPARED = (
    "index.md",
    "best-practices.md",
    "production.md",
    "troubleshooting.md",
)
"""Pages whose blocks of text are what the code above them prints."""
NOT_CODE = {
    "gemini.md": ("no cached content: 6787",),
    "how-it-decides.md": (
        "0.4 - 0.053",
        "p = (came",
        "worth =",
        "n0 * bill",
        "(w_long",
        "h(k) *",
        "excess = ",
        "excess + ",
    ),
    "opentelemetry.md": ("sum by (",),
    "prompts-chains.md": ("system:  Use", "tools changed within"),
    "reports.md": ("model             reqs",),
}
"""Blocks that are formulas, outputs, queries of other programs, or drawings."""

TEXTS = [*PAGES, README]
OWN = [page for page in TEXTS if page not in RUN_ELSEWHERE]
# All pages share one process, which the first test waits for.
pytestmark = pytest.mark.timeout(PATIENCE + 50)
WITH_PYTHON = [page for page in OWN if of_kind(page, "python")]


@pytest.fixture(scope="module")
def results():
    """Return what each page printed, or where and how it failed."""
    paths = [str(ROOT), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH")]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "docs_run.py", *WITH_PYTHON],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python(page, results):
    """The Python of a page runs."""
    result = results[page]

    assert "error" not in result, f"{page}:{result['line']}\n{result['error']}"


@pytest.mark.parametrize("page", COMPARED)
def test_output(page, results):
    """Code prints what stands under it."""
    found = blocks(text_of(page))
    below = {one.line: two for one, two in pairwise(found)}
    shown = [
        (printed, below[line].text)
        for line, printed in results[page]["printed"]
        if line in below and below[line].language == "text"
    ]

    assert shown
    assert [it for it in shown if it[0] != it[1]] == []


@pytest.mark.parametrize("page", OWN)
def test_commands(page):
    """A command of a page is one that there is."""
    lines = [
        line.removeprefix("$ ")
        for block, text in of_kind(page, "command")
        for line in text.splitlines()
        if block.language != "console" or line.startswith("$ ")
    ]
    for line in filter(None, (it.partition("&&")[0] for it in lines)):
        assert exists(shlex.split(line, comments=True)), line


def exists(words):
    match words:
        case ["promptcache", name, *_]:
            return name in COMMANDS
        case ["pip", "install", asked]:
            extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            named = re.fullmatch(r"promptcache\[([a-z,-]+)\]", asked)[1].split(",")
            return all(f"\n{extra} = [" in extras for extra in named)
        case ["python" | "python3", script, *_] if script.endswith(".py"):
            return (ROOT / script).is_file()
        case ["python3", "-m", "venv", *_]:
            return True
    return False


TABLES = [pytest.param(page, id=page) for page in OWN if of_kind(page, "toml")]


@pytest.mark.parametrize("page", TABLES)
def test_tables(page):
    """A table of facts is one that a cache takes."""
    for _, text in of_kind(page, "toml"):
        assert PromptCache(facts=tomllib.loads(text))


@pytest.mark.parametrize("page", OWN)
def test_nothing_is_left_out(page):
    """What is neither Python nor a command is known not to be code."""
    unknown = [
        text
        for block, text in of_kind(page, "text")
        if block.language not in {"text", "mermaid"}
        and not text.startswith(NOT_CODE.get(page, ()) or "\0")
    ]

    assert unknown == []


def test_known_texts_are_there():
    """No page is excused from what it does not say any more."""
    assert [
        (page, start)
        for page, starts in NOT_CODE.items()
        for start in starts
        if not any(text.startswith(start) for _, text in of_kind(page, "text"))
    ] == []


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_run_elsewhere(page):
    """A page that is not run here has tests that name it."""
    folder = ROOT / RUN_ELSEWHERE[page]
    tests = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]

    assert any(page in text for text in tests)


def test_a_block_that_fails():
    """An example with a mistake is found."""
    with pytest.raises(AttributeError):
        run("cache.reports()", "langchain.md", Made("langchain.md", None))


def test_dots_that_nobody_explains():
    """What `...` stands for has to be said."""
    with pytest.raises(KeyError, match="frobnicate"):
        run("frobnicate(...)", "langchain.md", Made("langchain.md", None))
