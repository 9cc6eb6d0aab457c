"""`promptcache report`: what it prints, writes and refuses."""

import json
import os
import sys

import pytest

pytest.importorskip("typer", reason="the `cli` extra is not installed")

from receipt_files import example, write

from promptcache import cli
from promptcache.receipts.lines import to_line
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "receipts.jsonl", example(900))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; return its exit code and both outputs."""

    def run(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["promptcache", "report", *map(str, arguments)]
        )
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        printed = capsys.readouterr()
        return exit_info.value.code or 0, printed.out, printed.err

    return run


def test_table(run, path):
    """The table is that of `Report`, with misses and advice."""
    code, out, err = run(path)
    words = " ".join(out.split())

    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[:5]] == [
        "model",
        "claude-sonnet-5-5",
        "gpt-6.1-sol",
        "gemini-3.8-flash",
        "total",
    ]
    assert "misses: prefix_changed" in words
    assert "1. prefix_changed, mostly in system: The system prompt was" in words
    assert max(map(len, out.splitlines())) <= 100


def test_terminal(run, path, monkeypatch):
    """A terminal has its own width and colors."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    _, out, _ = run(path)

    assert "\x1b[" in out
    assert max(map(len, out.splitlines())) > 110


def test_json(run, path):
    """`--json` is a list with a row per model that adds up to the file."""
    code, out, _ = run(path, "--json")
    rows = json.loads(out)
    receipts = list(example(900))

    assert code == 0
    assert {(row["provider"], row["model"]) for row in rows} == {
        (it.provider, it.model) for it in receipts
    }
    assert sum(row["requests"] for row in rows) == len(receipts)
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(
        sum(it.cost_usd for it in receipts)
    )
    assert sum(it["misses"] for row in rows for it in row["misses"]) == sum(
        len(it.misses) for it in receipts
    )


def test_unknown_is_no_zero(run, tmp_path):
    """What no receipt told is null in JSON and `?` in the table."""
    path = write(
        tmp_path / "receipts.jsonl",
        [
            Receipt(
                provider="openai", model="m", at=0.0, policy="auto", usage=Usage(9, 0)
            )
        ],
    )
    (row,) = json.loads(run(path, "--json")[1])
    cells = run(path)[1].splitlines()[1].split()

    assert (row["cost_usd"], row["read_tokens"], row["written_tokens"]) == (
        None,
        0,
        None,
    )
    assert cells == ["m", "1", "9", "0", "0.0", *"????????"]


@pytest.mark.parametrize(
    ("junk", "sentence"),
    [
        pytest.param(b"{\n", "1 line was no receipt and left out.\n", id="one"),
        pytest.param(b"{\n" * 1234, "1,234 lines were no receipt", id="many"),
    ],
)
def test_damaged_lines_are_said(run, path, junk, sentence):
    """Damage is counted on standard error, and the rest reported."""
    path.write_bytes(junk + path.read_bytes())
    code, out, err = run(path, "--json")

    assert code == 0
    assert err.startswith(sentence)
    assert json.loads(out)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(None, "There is no file {path}.\n", id="no file"),
        pytest.param(b"", "There is no receipt in {path}.\n", id="empty"),
        pytest.param(b"\n\n", "There is no receipt in {path}.\n", id="blank"),
        pytest.param(
            b"name,age\nsue,9\n", "No line of {path} is a receipt.\n", id="others"
        ),
        pytest.param(
            os.urandom(4000), "No line of {path} is a receipt.\n", id="no text"
        ),
    ],
)
@pytest.mark.parametrize("option", [[], ["--json"], ["--html", "page.html"]])
def test_nothing_to_report(run, tmp_path, content, sentence, option, monkeypatch):
    """What cannot be reported on is one sentence, exit code 1, and no page."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "receipts.jsonl"
    if content is not None:
        path.write_bytes(content)

    assert run(path, *option) == (1, "", sentence.format(path=path))
    assert not (tmp_path / "page.html").exists()


def test_folder(run, path):
    """A folder is all of its files."""
    write(path.with_name("more.jsonl"), example(900))
    rows = json.loads(run(path.parent, "--json")[1])

    assert sum(row["requests"] for row in rows) == 2 * len(list(example(900)))


def test_page(run, path, tmp_path):
    """`--html` writes a page beside what is printed anyway."""
    target = tmp_path / "page.html"
    code, out, err = run(path, "--html", target)

    assert (code, err) == (0, f"The page is in {target}.\n")
    assert out.startswith("model")
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_page_that_cannot_be_written(run, path, tmp_path):
    """A folder that is not there is one sentence."""
    target = tmp_path / "missing" / "page.html"
    code, _, err = run(path, "--html", target)

    assert (code, err) == (
        1,
        f"{target} cannot be written: No such file or directory.\n",
    )


def test_hostile_names_steer_no_terminal(run, tmp_path):
    """Escape sequences in a name do not reach the terminal."""
    path = tmp_path / "receipts.jsonl"
    hostile = Receipt(provider="a", model="m\x1b[2J[red]\r\nx", at=0.0, policy="auto")
    path.write_bytes(to_line(hostile))
    _, out, _ = run(path)

    assert "\x1b" not in out
    assert "[red]" in out
    assert len(out.splitlines()) == 4
