"""The cases of the retrieval benchmark in LangChain, on a few documents."""

import importlib
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

# The table has cases of both frameworks.
for _package in (
    "langchain",
    "langchain_google_genai",
    "llama_index.llms.google_genai",
):
    pytest.importorskip(_package)

from promptcache.emulator import Emulator

FOLDER = Path(__file__).parents[2] / "benchmarks"
if not (FOLDER / "rag_langchain.py").exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

CASES = [
    "retrieval_chain",
    "agent_with_retriever",
    "dynamic_system",
    "shuffled_tools",
    "map_reduce",
]
REQUESTS = {
    "retrieval_chain": 6,
    "agent_with_retriever": 12,
    "dynamic_system": 12,
    "shuffled_tools": 12,
    "map_reduce": 7,
}
OURS = {"cache_control", "type", "role", "id", "call_id", "tool_use_id"}
"""What is no text of a prompt, or has ids that are made anew."""

WORDS = [
    *("rail", "wagon", "brake", "boiler", "signal", "tender"),
    *("axle", "points", "bogie", "guard", "shed", "coal"),
]


@pytest.fixture(scope="module")
def modules():
    """Yield the module of the cases, and that of the table."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("rag_langchain"), importlib.import_module("rag")
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if name.startswith("rag"):
                del sys.modules[name]


@pytest.fixture(scope="module")
def collection(modules):
    """Two chats of three questions each; the instructions alone can be cached."""
    data = importlib.import_module("rag_data")
    chance = random.Random(3)
    passages = [
        data.Passage(f"p{n}", f"Sheet {n}", " ".join(chance.choices(WORDS, k=60)))
        for n in range(28)
    ]
    turns = [
        data.Turn(f"What of {one} and {other}?", f"See {one}. " * 20)
        for one, other in zip(WORDS[:6], WORDS[6:], strict=True)
    ]
    return data.Collection(
        "Answer as a clerk of a railway museum answers. " * 160,
        passages,
        [data.Chat(tuple(turns[:3])), data.Chat(tuple(turns[3:]))],
    )


@pytest.fixture(autouse=True)
def _soon(modules, monkeypatch):
    """Let a clock that runs do so faster, and batches be small."""
    cases, _ = modules
    monkeypatch.setattr(cases.CASES["map_reduce"], "speed", 10.0)
    monkeypatch.setattr(cases, "_MAPPED", 6)


@pytest.fixture
def ledgers(modules, monkeypatch):
    """Return what each way of playing has sent, once it is over."""
    ledgers = []

    class Kept(Emulator):
        def __exit__(self, *error):
            ledgers.append(self.ledger)
            super().__exit__(*error)

    _, rag = modules
    monkeypatch.setattr(rag, "Emulator", Kept)
    return ledgers


def words_of(value):
    """Return the words of a request, whatever stands before which."""
    if isinstance(value, str):
        return Counter(value.split())
    if isinstance(value, dict):
        value = [
            it
            for key, it in value.items()
            if key not in OURS and not key.startswith("prompt_cache")
        ]
    if isinstance(value, list):
        return sum((words_of(it) for it in value), Counter())
    return Counter()


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("name", CASES)
def test_remedied(modules, collection, ledgers, name, provider):
    """It sends the same texts, reads what is to be read, and costs no more."""
    cases, rag = modules
    assert tuple(cases.CASES) == tuple(CASES)
    played = [
        rag._played(cases.CASES[name], collection, provider, how) for how in rag.HOWS
    ]
    row = {key: value for columns in played for key, value in columns.items()}

    assert [it["requests"] for it in played] == [REQUESTS[name]] * len(rag.HOWS)
    # Requests that are sent at once come in any order.
    words = [
        sorted(sorted(words_of(it.body).items()) for it in rows) for rows in ledgers
    ]
    assert words[0] == words[1] == words[2]
    assert rag._verdict(row) == ""
    assert row["remedied_read_share"] >= row["stock_read_share"]
    if name != "agent_with_retriever":
        assert row["stock_read_share"] < 0.15 or name == "shuffled_tools"
        assert row["remedied_cost_usd"] < 0.9 * row["stock_cost_usd"]
