"""`promptcache replay`: its rows, its table and its errors."""

import json
import sys

import pytest
from recorded_traces import runs

from promptcache import cli

KEYS = [
    *("policy", "sessions", "requests", "bill"),
    *("optimum", "regret", "read_share", "worse_share"),
]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command, and return its exit code and what it printed."""

    def ran(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["promptcache", "replay", *map(str, arguments)]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return ran


@pytest.fixture
def trace(write):
    """Return a file with two sessions of a coding agent."""
    return write([runs((0, 0, 40), (60, 40, 10), (90, 50, 5)), runs((0, 0, 40))])


def test_rows_for_machines(run, trace):
    """The keys of a row stay as they are, in their order."""
    code, out, _ = run(
        *(trace, "--format", "claude-code", "--read-price", 0.1, "--json"),
        *("--policy", "auto", "--policy", "none"),
    )

    auto, none = json.loads(out)
    assert not code
    assert list(auto) == list(none) == KEYS
    assert (auto["policy"], none["policy"]) == ("auto", "none")
    assert none["bill"] == 1
    assert auto["requests"] == 4
    assert auto["regret"] == pytest.approx(auto["bill"] - auto["optimum"], abs=2e-6)


def test_every_option_is_taken(run, trace):
    """All that the table of figures names can be said."""
    code, out, _ = run(
        *(trace, "--format", "claude-code", "--model", "claude-sonnet-5-5"),
        *("--policy", "auto", "--reading", "ent", "--policy-knows-reading"),
        *("--keep-warm", "--warmup", 1, "--pace", "machine"),
        *("--mix", "recorded:machine", "--tenant-key", "--slice", "even", "--json"),
    )

    (row,) = json.loads(out)
    assert not code
    assert (row["sessions"], row["requests"]) == (1, 2)


def test_a_table_for_people(run, trace):
    """Without `--json` there is a line for each policy."""
    code, out, _ = run(trace, "--format", "claude-code", "--read-price", 0.1)

    assert not code
    for word in ("Policy", "auto", "hindsight", "optimum", "1.0000", "0.0%"):
        assert word in out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--read-price", 2), 2, "0 to 1"),
        ((), 2, "--read-price"),
        (("--read-price", 0.1, "--policy", "best"), 2, "hindsight"),
        (("--read-price", 0.1, "--mix", "slow"), 2, "recorded:machine"),
        (("--read-price", 0.1, "--tenant-key"), 2, "--mix"),
    ],
)
def test_what_is_not_allowed_is_said_with_the_choices(run, trace, options, code, said):
    """An option that is none ends with the usage code and a sentence."""
    ended, out, err = run(trace, "--format", "claude-code", *options)

    assert (ended, out) == (code, "")
    assert said in err


def test_a_file_that_is_none(run, tmp_path):
    """A trace that cannot be read is one sentence, and no traceback."""
    ended, out, err = run(
        tmp_path / "none.jsonl", "--format", "mooncake", "--read-price", 0.1
    )

    assert (ended, out) == (1, "")
    assert "none.jsonl" in err
    assert "Traceback" not in err


def test_an_unknown_model_is_said(run, trace):
    """The most cautious rules stand in, and that is said beside the rows."""
    _, out, err = run(
        *(trace, "--format", "claude-code", "--model", "claude-next-9", "--json"),
        *("--policy", "5m"),
    )

    assert json.loads(out)
    assert "claude-next-9 is not known" in err
