"""The examples of the docs run, and print what stands under them.

A block of Python with a block of text under it is run, after those above it on the same
page, and has to print just that; a `$ promptcache` command likewise.
"""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from promptcache import cli

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("estimate.md", "how-it-decides.md", "prices.md")
FENCE = re.compile(r"^```([a-z]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    return FENCE.findall((DOCS / page).read_text(encoding="utf-8"))


def printed(page):
    """Yield what stands under each example, and what that prints."""
    names, found = {}, blocks(page)
    for (language, text), (below, said) in zip(
        found, [*found[1:], ("", "")], strict=True
    ):
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, page, "exec"), names)
            assert below == "text", f"{page}: nothing stands under {text}"
            yield said, out.getvalue()


@pytest.mark.parametrize("page", PAGES)
def test_python(page):
    """Each example prints what stands under it."""
    pairs = [*printed(page)]

    assert pairs
    assert [said for said, _ in pairs] == [out for _, out in pairs]


COMMANDS = [
    pytest.param(*text.split("\n", 1), id=text.split("\n", 1)[0][2:60])
    for page in PAGES
    for language, text in blocks(page)
    if language == "console"
]


@pytest.mark.parametrize(("command", "said"), COMMANDS)
def test_command(command, said, monkeypatch, capsys):
    """Each command prints what stands under it."""
    words = shlex.split(command.removeprefix("$ "))
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as exit_info:
        cli.main()

    assert words[0] == "promptcache"
    assert not exit_info.value.code
    assert capsys.readouterr().out == said
