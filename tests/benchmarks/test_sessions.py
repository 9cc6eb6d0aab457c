"""The script on sessions of agents, on a few of its own."""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("langchain_anthropic")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sessions.py"
if not SCRIPT.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

POLICIES = [
    "auto",
    "5m tail",
    "1h everywhere",
    "1h head, 5m tail",
    "system and tools",
    "none",
]
KEYS = {"workload", "reading", "policy", "requests", "read_share", "bill", "refused"}
MINUTE = 60


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("sessions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look for themselves there.
    monkeypatch.setitem(sys.modules, "sessions", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Return folders of two sessions each, the second of which has no tool's answer."""
    gaps = "quantile,after_tool_use_s,after_end_turn_s\n0,10,1200\n1,10,1200\n"
    _write(tmp_path / "claude_code" / "gap_quantiles.csv", gaps.encode())
    called = {"name": "find", "arguments": '{"to": "SEA"}'}
    call = {"id": "c1", "type": "function", "function": called}
    said = {"role": "tool", "tool_call_id": "c1", "content": "None. " * 50}
    told = {
        "name": "find",
        "description": "Finds a flight. " * 200,
        "parameters": {"type": "dict", "properties": {"to": {"type": "string"}}},
    }
    talk = [
        {"role": "user", "content": "To Seattle. " * 200},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        said,
        # The same id once more, as some recordings have it.
        {"role": "assistant", "content": None, "tool_calls": [call]},
        said,
        {"role": "assistant", "content": "There is none."},
        {"role": "user", "content": "And tomorrow?"},
        {"role": "assistant", "content": "None either."},
    ]
    talks = [talk, talk[-2:]]
    schema = {**told, "parameters": {**told["parameters"], "type": "object"}}
    tools = [{"type": "function", "function": schema}]
    airline = tmp_path / "tau_bench_airline"
    _write(airline / "tools.json", json.dumps(tools).encode())
    _write(airline / "trajectories.jsonl.gz", _packed({"messages": it} for it in talks))
    lists = {"Flights": [{**told, "response": {}}], "Trains": []}
    _write(tmp_path / "bfcl" / "tools.json", json.dumps(lists).encode())
    named = {"involved_classes": ["Flights"]}
    unique = [[*talk[:3], *talk[5:]], talk[-2:]]
    lines = _packed({"messages": it} | named for it in unique)
    _write(tmp_path / "bfcl" / "base.jsonl.gz", lines)
    return tmp_path


def _write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _packed(lines):
    return gzip.compress("\n".join(map(json.dumps, lines)).encode())


@pytest.fixture
def rows(script, data, capsys):
    script.main(["--data", str(data), "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_rows(rows):
    """Each policy has a row a workload and reading, of the same requests."""
    assert [(row["workload"], row["reading"], row["policy"]) for row in rows] == [
        (workload, reading, policy)
        for workload in ("tau_bench_airline", "bfcl")
        for reading in ("seg", "ent")
        for policy in POLICIES
    ]
    assert {row["requests"] for row in rows[:12]} == {5}
    assert {row["requests"] for row in rows[12:]} == {4}
    assert all(set(row) == KEYS for row in rows)
    assert {row["refused"] for row in rows} == {0}


def test_the_figures(rows):
    """The bill follows from lifetimes and pauses: here people pause for 20 minutes."""
    bills = {row["policy"]: row["bill"] for row in rows[:6]}
    shares = {row["policy"]: row["read_share"] for row in rows[:6]}

    assert bills["none"] == 1
    assert shares["none"] == 0
    assert shares["5m tail"] < shares["1h everywhere"]
    assert shares["system and tools"] < shares["1h head, 5m tail"]
    # What is not read is written.
    read = shares["1h everywhere"]
    assert bills["1h everywhere"] == pytest.approx(2 - 1.95 * read, abs=0.01)
    read = shares["5m tail"]
    assert bills["5m tail"] == pytest.approx(1.25 - 1.2 * read, abs=0.01)


def test_gaps(script, data):
    """A gap is drawn by what ended the answer, between the quantiles around it."""
    table = data / "claude_code" / "gap_quantiles.csv"
    table.write_text("q,a,b\n0,0,1000\n0.5,10,2000\n1,10,2000\n")
    gaps = script.Gaps(table)
    rng = script.random.Random(1)
    tools = [gaps.drawn(rng, ends_turn=False) for _ in range(400)]
    turns = [gaps.drawn(rng, ends_turn=True) for _ in range(400)]

    assert min(tools) >= 0
    assert max(tools) == 10
    assert 150 < tools.count(10) < 250
    assert any(2 < gap < 8 for gap in tools)
    assert min(turns) >= 1000
    assert max(turns) == 2000


def test_steps(script, data):
    """Requests come in order, each session's own too, and alike on every run."""
    sessions = script.airline(data / "tau_bench_airline")
    gaps = script.Gaps(data / "claude_code" / "gap_quantiles.csv")
    made = [*script.steps(sessions, gaps, at_once=2, seed=1)]
    start = 20 * MINUTE

    assert made == [*script.steps(sessions, gaps, at_once=2, seed=1)]
    assert [(step.at - start, step.session, step.length) for step in made] == [
        (0, 0, 1),
        (0, 1, 1),
        (10, 0, 3),
        (20, 0, 5),
        (start + 20, 0, 7),
    ]
    one = [*script.steps(sessions, gaps, at_once=1, seed=1)]
    assert [step.session for step in one] == [0, 0, 0, 0, 1]
    assert one[-1].at == 4 * start - start + 20


def test_ids_come_once(script, data):
    """Calls that share an id in a recording get ids of their own."""
    session, _ = script.airline(data / "tau_bench_airline")
    called = [m["tool_calls"][0]["id"] for m in session.messages if "tool_calls" in m]
    said = [m["tool_call_id"] for m in session.messages if m["role"] == "tool"]

    assert called == said
    assert len(set(called)) == 2


def test_schemas(script, data):
    """Types of other names become those of JSON Schema."""
    session, _ = script.bfcl(data / "bfcl")
    parameters = session.tools[0]["function"]["parameters"]

    assert parameters["type"] == "object"
    assert parameters["properties"]["to"] == {"type": "string"}


def test_the_table(script, data, capsys):
    """People get a line a row."""
    script.main(["--data", str(data), "--at-once", "1"])
    head, *lines = capsys.readouterr().out.splitlines()

    assert head.split()[:3] == ["workload", "reading", "policy"]
    assert len(lines) == 24
