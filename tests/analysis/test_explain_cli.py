"""The `explain` command: its files, its output and its errors."""

import json
import sys

import pytest

from promptcache import Policy, cli, explain

MODEL = "claude-sonnet-5-5"
BODY = {
    "model": MODEL,
    "max_tokens": 16,
    "system": "Be kind. " * 400,
    "messages": [{"role": "user", "content": "hello " * 300}],
}


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process; return its exit code and both outputs."""

    def run(*arguments):
        words = ["promptcache", "explain", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        printed = capsys.readouterr()
        return exit_info.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def file(tmp_path):
    def file(*rows):
        path = tmp_path / "requests.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    return file


def test_a_body(run, file):
    """A body is told in words, as the function tells it."""
    code, out, err = run(file(BODY))

    assert (code, err) == (0, "")
    assert out == f"{explain(BODY)}\n"
    assert out.startswith(f"Request 1 of 1, at 0 s: {MODEL} on anthropic, about ")


def test_a_body_over_several_lines(run, tmp_path):
    """A body may be written over several lines."""
    path = tmp_path / "body.json"
    path.write_text(json.dumps(BODY, indent=2))

    assert run(path)[1] == f"{explain(BODY)}\n"


def test_lines(run, file):
    """Each line is a request; with `--json` a row each, of what the function says."""
    rows = [BODY, {**BODY, "at": 400}]
    code, out, _ = run(file(*rows), "--json")
    found = json.loads(out)

    assert code == 0
    assert found == explain(rows).as_dicts()
    assert [row["at"] for row in found] == [0, 400]
    assert [*found[0]] == [
        "at",
        "provider",
        "model",
        "host",
        "facts",
        "tokens",
        "blocks",
        "read_tokens",
        "cost_tokens",
        "cost_usd",
        "way",
        "breakpoints",
        "options",
        "parts",
        "choices",
        "books",
        "notes",
    ]


def test_options(run, file):
    """Model, host, lifetime and text are those of the function."""
    path = file(BODY, BODY)
    options = ("--model", "claude-opus-5", "--host", "vertex", "--ttl", "1h", "--text")
    said = explain(
        [BODY, BODY], model="claude-opus-5", host="vertex", ttl="1h", text=True
    )

    assert run(path, *options)[1] == f"{said}\n"
    assert "Be kind." in str(said)


def test_the_longest_lifetime(run, file):
    """It is that of the policy."""
    said = explain([BODY, BODY], policy=Policy.auto("5m"))

    assert run(file(BODY, BODY), "--max-ttl", "5m")[1] == f"{said}\n"
    assert str(said) != str(explain([BODY, BODY]))


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        pytest.param("{oops", (), "line 1", id="no JSON"),
        pytest.param('{"model": "m"}\n\nno', (), "line 3", id="a line that is none"),
        pytest.param("", (), "at least one request", id="empty"),
        pytest.param('{"messages": []}', (), "name of a model", id="model"),
        pytest.param(json.dumps(BODY), ("--ttl", "2h"), "`ttl`", id="ttl"),
        pytest.param(json.dumps(BODY), ("--ttl", "30m"), "5m, 1h", id="not on offer"),
        pytest.param(json.dumps(BODY), ("--max-ttl", "2h"), "`max_ttl`", id="max"),
        pytest.param(json.dumps(BODY), ("--host", "moon"), "`host`", id="host"),
        pytest.param("[" * 5_000, (), "JSON", id="nested"),
    ],
)
def test_wrong_input(run, tmp_path, content, options, says):
    """What is wrong is one line, with exit code 2."""
    path = tmp_path / "requests.jsonl"
    path.write_text(content)
    code, out, err = run(path, *options)

    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_no_file(run, tmp_path):
    """So is a file that is not there."""
    code, _, err = run(tmp_path / "none.json")

    assert (code, err.count("\n")) == (2, 1)
    assert "none.json" in err
