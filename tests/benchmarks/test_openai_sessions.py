"""The script on OpenAI sessions, on a few of its own."""

import gzip
import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("langchain_openai")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "openai_sessions.py"
if not SCRIPT.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

KEYS = ["case", "api", "model", "plan", "requests", "input_tokens", "read_share"]
QUESTIONS = 6
TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Finds a flight. " * 20,
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    },
}


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("openai_sessions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.QUESTIONS = QUESTIONS
    return module


@pytest.fixture
def data(tmp_path):
    """Return a folder of two sessions of three requests each."""
    (tmp_path / "tools.json").write_text(json.dumps([TOOL]))
    lines = [json.dumps({"messages": session(number)}) for number in range(2)]
    packed = gzip.compress("\n".join(lines).encode())
    (tmp_path / "trajectories.jsonl.gz").write_bytes(packed)
    return tmp_path


def session(number):
    call = {"name": "find", "arguments": '{"to": "SEA"}'}
    named = {"id": f"c{number}", "type": "function", "function": call}
    return [
        {"role": "system", "content": "You book flights. " * 300},
        {"role": "user", "content": f"{number} Hello. " * 20},
        {"role": "assistant", "content": "Where to?"},
        {"role": "user", "content": "To Seattle."},
        {"role": "assistant", "content": None, "tool_calls": [named]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": "None. " * 50},
        {"role": "assistant", "content": "There is none."},
    ]


@pytest.fixture
def rows(script, data, capsys):
    script.main(["--data", str(data), "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_rows(rows):
    """Each plan has a row a case, of all requests that there are."""
    assert [(row["case"], row["plan"], row["requests"]) for row in rows] == [
        ("sessions", "promptcache", 6),
        ("sessions", "stock", 6),
        ("questions", "promptcache", QUESTIONS),
        ("questions", "stock", QUESTIONS),
        ("busy", "promptcache", 6),
        ("busy", "stock", 6),
        ("busy", "one key", 6),
    ]
    assert {tuple(row) for row in rows} == {(*KEYS, "bill")}
    assert {row["api"] for row in rows[:2]} == {"responses"}


def test_the_figures(rows):
    """Plans send the same prompts, and the bill follows from what is read."""
    sessions, questions = rows[:2], rows[2:4]

    for ours, theirs in (sessions, questions):
        assert ours["input_tokens"] == theirs["input_tokens"]
        assert ours["read_share"] > theirs["read_share"]
        assert ours["bill"] < theirs["bill"]
    # Heads are shared only where a breakpoint is set on them.
    assert questions[0]["read_share"] > 0.2
    assert questions[1]["read_share"] == 0
    assert questions[1]["bill"] == round(1.25 * questions[1]["input_tokens"])


def test_the_table(script, data, capsys):
    """People get a line a row, and its figures with units."""
    script.main(["--data", str(data)])
    head, *lines = capsys.readouterr().out.splitlines()

    assert head.split()[:4] == ["case", "api", "model", "plan"]
    assert len(lines) == 7
    assert all("%" in line for line in lines)
