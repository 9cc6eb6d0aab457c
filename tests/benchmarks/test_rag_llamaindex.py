"""LlamaIndex's cases of the retrieval benchmark, on a few documents made up here."""

import gc
import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from promptcache import PromptCache
from promptcache.emulator import Emulator

pytest.importorskip("llama_index.llms.google_genai")

FOLDER = Path(__file__).parents[2] / "benchmarks"
if not (FOLDER / "rag_llamaindex.py").exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

# LlamaIndex's memory has no way to close the database that it opens.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

CASES = (
    "context_chat_engine",
    "condense_plus_context",
    "changing_order",
    "full_memory",
)
WAYS = ("plain", "stock", "remedied")
KINDS = ("tender", "boiler", "whistle", "bogie", "buffer", "coupling")
TOKENS = 1_800
"""Of the memory that is full soon: the instructions, and two turns or so."""


@pytest.fixture(scope="module")
def bench():
    """Return the benchmark's modules, which import each other by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        cases = import_module("rag_llamaindex")
        patch.setattr(cases, "TOKEN_LIMIT", TOKENS)
        yield SimpleNamespace(
            cases=cases.CASES,
            data=import_module("rag_data"),
            scene=import_module("rag_scene"),
        )


@pytest.fixture(scope="module")
def collection(bench):
    """Return twelve documents, and two chats of three questions."""
    data = bench.data
    passages = [
        data.Passage(
            f"{kind}-{at}", kind, f"Sheet {at}: each {kind} has a number. " * 20
        )
        for kind in KINDS
        for at in (1, 2)
    ]
    turns = [
        data.Turn(
            f"What number has the {kind}, and what the {other}?",
            f"The {kind} has the number that its sheet says. " * 24,
        )
        for kind, other in zip(KINDS, reversed(KINDS), strict=True)
    ]
    chats = [data.Chat(tuple(turns[:3])), data.Chat(tuple(turns[3:]))]
    return data.Collection("You are a careful clerk. " * 180, passages, chats)


@pytest.fixture(params=CASES)
def case(request, bench):
    """Return a case."""
    return bench.cases[request.param]


@pytest.fixture(params=["anthropic", "openai"])
def played(request, bench, collection, case):
    """Return the ledger's rows and the costs of a case, by the way to play it."""
    rows, costs = {}, {}
    for how in WAYS:
        with Emulator() as emulator:
            choice = "off" if how == "plain" else "auto"
            cache = PromptCache(
                choice, store="memory://", clock=emulator.clock, strict=True
            )
            case(bench.scene.Scene(collection, request.param, how, emulator, cache))
            cache.close()
            rows[how] = list(emulator.ledger)
            costs[how] = cache.report().to_dict()["total"]["cost_usd"]
    gc.collect()
    return rows, costs


def test_every_case_is_named(bench):
    """The cases are those that are listed here."""
    assert tuple(bench.cases) == CASES


def test_remedies(played, collection):
    """As many requests with the same documents read more, and none costs more."""
    rows, costs = played
    read = {how: _read_share(rows[how]) for how in WAYS}
    said = {how: [_keys(row, collection) for row in rows[how]] for how in WAYS}

    assert {row.status for how in WAYS for row in rows[how]} == {200}
    assert said["plain"] == said["stock"] == said["remedied"]
    assert read["remedied"] > read["stock"]
    assert read["remedied"] > 0.2
    assert costs["remedied"] <= min(costs["stock"], costs["plain"])


def _keys(row, collection):
    """Return which documents a request holds."""
    body = json.dumps(row.body)
    return {it.key for it in collection.passages if it.text.strip() in body}


def _read_share(rows):
    total = sum(row.total_input_tokens for row in rows)
    return sum(row.cache_read_input_tokens for row in rows) / total
