"""The script on contextual retrieval, on a few documents of its own."""

import gzip
import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("langchain_anthropic")
pytest.importorskip("llama_index.llms.anthropic")

from llama_index.core import Settings

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "contextual_retrieval.py"
if not SCRIPT.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

KEYS = {
    "case",
    "framework",
    "provider",
    "requests",
    "input_tokens",
    "read_tokens",
    "written_tokens",
    "read_share",
    "bound",
    "cost_usd",
    "first_byte_seconds",
    "seconds",
}
LONG, CHUNKS = 3, 6
"""Documents that can be cached, and the chunks of each; one more is too short."""


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("contextual_retrieval", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.QUIET_SECONDS = dict.fromkeys(module.QUIET_SECONDS, 0.1)
    return module


@pytest.fixture
def data(tmp_path):
    """Return a folder of long documents and a short one."""
    documents = [document(number, 600) for number in range(LONG)]
    packed = json.dumps([*documents, document(LONG, 20)]).encode()
    (tmp_path / "codebase_chunks.json.gz").write_bytes(gzip.compress(packed))
    return tmp_path


def document(number, sentences):
    chunks = [
        {"content": f"T {number} had its boiler changed for the time {it}."}
        for it in range(CHUNKS)
    ]
    content = f"Report {number}. " + "It ran on time. " * sentences
    return {"doc_id": f"doc_{number}", "content": content, "chunks": chunks}


@pytest.fixture
def corpus(data):
    with gzip.open(data / "codebase_chunks.json.gz") as packed:
        return json.load(packed)


def plain(rows):
    return [row for row in rows if row["case"] == "plain"]


def fan_out(rows):
    return [row for row in rows if row["case"] == "fan_out"]


def test_the_figures(script, data, capsys, monkeypatch):
    """Fan-out sends the same tokens and writes each long document once."""
    monkeypatch.setattr(Settings, "_tokenizer", None)

    script.main(["--data", str(data), "--json"])
    rows = json.loads(capsys.readouterr().out)

    assert all(set(row) == KEYS for row in rows)
    assert {row["requests"] for row in rows} == {(LONG + 1) * CHUNKS}
    assert len({row["first_byte_seconds"] for row in rows}) == 1
    for rows_of in (plain, fan_out):
        names = [row["framework"] for row in rows_of(rows)]
        assert names == ["langchain", "llamaindex"]
    for before, after in zip(plain(rows), fan_out(rows), strict=True):
        once = after["written_tokens"]
        assert before["input_tokens"] == after["input_tokens"]
        assert before["read_tokens"] + before["written_tokens"] == CHUNKS * once
        assert before["written_tokens"] >= 2 * once
        assert after["read_tokens"] == (CHUNKS - 1) * once
        assert after["read_share"] == after["bound"] == before["bound"]
        assert after["cost_usd"] < before["cost_usd"]


def test_the_time_to_the_first_byte(script, corpus):
    """The later answers begin, the more requests miss until then."""
    early = script.run(corpus, "langchain", "plain", 0.0)
    late = script.run(corpus, "langchain", "plain", 3.0)

    assert early["read_share"] > late["read_share"]
    assert early["seconds"] < late["seconds"]


def test_calibrating(script, data, corpus, capsys):
    """The search ends at a time at which as much is read as is looked for."""
    found = script.run(corpus, "langchain", "plain", script.MOST_SECONDS / 4)
    script.PUBLISHED_READ_SHARE = found["read_share"]

    script.main(["--data", str(data), "--calibrate"])
    head, *lines = capsys.readouterr().out.splitlines()

    assert head.split()[:2] == ["framework", "case"]
    assert 1 <= len(lines) < script.STEPS
    assert f"{found['read_share']:.1%}" in lines[-1]
