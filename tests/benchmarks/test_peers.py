"""The script that compares tools, on few requests."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not (BENCHMARKS / "peers.py").exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

pytest.importorskip("langchain_anthropic")

# Types of LiteLLM's, as it makes them.
pytestmark = pytest.mark.filterwarnings("ignore:Item .* on TypedDict:UserWarning")

MODULES = ("peers", "peers_langchain", "peers_litellm", "peers_llamaindex")
OURS = "promptcache"
KEYS = ["workload", "peer", "version", "bill", "refused_requests"]


@pytest.fixture
def modules(monkeypatch):
    """Find the scripts; what they import of each other is forgotten again."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in (*MODULES, "peers_work", "sessions"):
        sys.modules.pop(name, None)


@pytest.fixture
def work(modules):
    return importlib.import_module("peers_work")


@pytest.fixture
def script(modules, monkeypatch):
    # LiteLLM asks the network as soon as it is imported, unless told not to.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    for package in ("langchain", "litellm", "llama_index.llms.anthropic"):
        pytest.importorskip(package)
    return importlib.import_module("peers")


@pytest.fixture
def few(work, monkeypatch):
    """Make all workloads small."""
    for name, number in {
        "_SESSIONS": 1,
        "_STEPS": 3,
        "_TALKS": 1,
        "_TURNS": 5,
        "_QUESTIONS": 3,
        "_AT_ONCE": 2,
    }.items():
        monkeypatch.setattr(work, name, number)
    return work


def test_workloads(work):
    """Each is the same on every run, in order, and about as large as the others."""
    for name, timed in work.WORKLOADS.items():
        first, again = [*timed()], [*timed()]
        moments = [at for at, _ in first]

        assert first == again, name
        assert moments == sorted(moments), name
        assert 12 <= len(first) <= 100, name


def test_spaces(work):
    """What a request waits for is the time since the one before."""
    asks = [(5.0, work.Ask([])), (5.0, work.Ask([])), (9.5, work.Ask([]))]

    assert [ask.gap for ask in work.spaced(iter(asks))] == [5.0, 0.0, 4.5]


def test_what_workloads_are_named_for(work):
    """Tools change places, one block changes each time, and markers are as told."""
    tools = [ask.tools for _, ask in work.WORKLOADS["rotated tools"]()]
    names = [[tool["function"]["name"] for tool in it] for it in tools]
    assert len({tuple(it) for it in names}) == len(names)
    assert len({frozenset(it) for it in names}) == 1

    volatile = work.WORKLOADS["volatile system block"]()
    heads = [ask.messages[0]["content"] for _, ask in volatile]
    assert len({head[0]["text"] for head in heads}) == 1
    assert len({head[1]["text"] for head in heads}) == len(heads)

    counts = {
        name: max(json.dumps(ask.messages).count("cache_control") for _, ask in timed())
        for name, timed in work.WORKLOADS.items()
        if name.startswith("own markers")
    }
    assert counts == {
        "own markers": 2,
        "own markers, all four": 4,
        "own markers, 1h at the end": 1,
        "own markers, too many": 8,
    }


def test_the_rows(script, few, capsys):
    """Each tool has a row a workload, with its own package's version."""
    script.main(["--json"])
    rows = json.loads(capsys.readouterr().out)

    assert [(row["workload"], row["peer"]) for row in rows] == [
        (workload, peer) for workload in few.WORKLOADS for peer in script.PEERS
    ]
    assert all([*row] == KEYS for row in rows)
    assert not any(row["refused_requests"] for row in rows if row["peer"] == OURS)
    versions = {row["peer"]: row["version"] for row in rows}
    assert versions["llama-index"] == versions["llama-index cache_idx"]
    assert versions["litellm"] == script.version("litellm")


def test_refused_requests(script, few, capsys):
    """What is refused is counted, and a tool that got no answer has no bill."""
    script.main(["--json", "--only", "own markers, 1h at the end"])
    rows = {row["peer"]: row for row in json.loads(capsys.readouterr().out)}

    # Its own breakpoint before the caller's has the shorter lifetime.
    assert rows["langchain"]["refused_requests"] == 5
    assert rows["langchain"]["bill"] is None
    # A breakpoint in each message is one too many from the third question on.
    assert rows["llama-index cache_idx"]["refused_requests"] == 3
    assert rows["llama-index cache_idx"]["bill"] is not None
    assert rows[OURS]["refused_requests"] == 0


def test_bills(script, few, capsys):
    """Tools that mark the same places pay the same, and each reads what it wrote."""
    script.main(["--json", "--only", "chat"])
    bills = {row["peer"]: row["bill"] for row in json.loads(capsys.readouterr().out)}

    assert bills["langchain"] == pytest.approx(bills["litellm"], abs=0.001)
    assert 0.05 < bills["langchain"] < 0.7
    assert 0.05 < bills["promptcache"] < 0.7


def test_an_error_is_no_refusal(script, few):
    """Only a refusal may be gone over; what a tool cannot do ends the run."""

    def prepared(emulator):
        def send(ask):
            raise ValueError("not mine")

        return send

    with pytest.raises(ValueError, match="not mine"):
        script._ledger([few.Ask([])], prepared, "ent")


def test_the_table(script, few, capsys):
    """People get a line a row, with a dash for a bill that there is not."""
    script.main(["--only", "own markers, 1h at the end"])
    head, *lines = capsys.readouterr().out.splitlines()

    assert head.split() == ["workload", "peer", "version", "bill", "refused"]
    assert len(lines) == len(script.PEERS)
    assert lines[1].split()[-2:] == ["-", "5"]


def test_a_workload_that_there_is_not(script, capsys):
    """An unknown name is refused with those that there are."""
    with pytest.raises(SystemExit):
        script.main(["--only", "nothing"])

    assert "agent loop" in capsys.readouterr().err
