"""Nothing of ours blocks an event loop, as LangGraph's servers forbid."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faulty_subjects import NAMED, SUBJECTS, is_async
from faulty_twins import ended

from langchain_promptcache import PromptCacheCallbackHandler, prompt_cached
from llamaindex_promptcache import PromptCacheHandler
from promptcache import JsonlReceipts, PromptCache, options
from promptcache.receipts.events import CacheCreated, PlanningFailed, Settled
from promptcache.state.probed import path_of_answers, remember

pytest.importorskip("blockbuster", reason="what tells of blocking calls is missing")

from places_blocking import no_blocking

TALK = ["Who built it?"]
ASYNC = [
    pytest.param(subject, way, store, id=f"{subject.name}.{way}-{store}")
    for subject in SUBJECTS
    for way in subject.ways
    # What only Gemini uses while a request waits for nothing is its store.
    for store in (("memory", "sqlite") if "google" in subject.name else ("memory",))
    if is_async(way)
]


@pytest.fixture
def probed():
    """Let there be a file of what a probe has found out."""
    remember(("anthropic", "claude-sonnet-4-6", "anthropic"), keeps=True, at=0.0)
    yield
    path_of_answers().unlink()


def watched(make, times=1):
    """Run a coroutine function where nothing may block; return what it returns."""

    async def main():
        with no_blocking() as told:
            results = [await make() for _ in range(times)]
        return results, told

    results, told = asyncio.run(main())
    assert told == []
    return results


def test_what_blocks_is_told():
    """The watching itself works: a listener of the cache that sleeps is told of."""
    cache = PromptCache(store="memory:")
    cache.listen(lambda event: time.sleep(0.001))

    async def main():
        with no_blocking() as told:
            cache.step_aside("anthropic", "a test")
        return told

    assert asyncio.run(main()) == ["time.sleep"]


@pytest.mark.parametrize(("subject", "way", "store"), ASYNC)
def test_calls(make, emulator, probed, events, subject, way, store):
    """Made, asked and answered in a loop, with a cached content created on the way."""
    cache = make(store)

    async def call():
        model = subject.make(emulator.url, "w", cache, 60.0, 0)
        ends = []
        for number in range(4 if "google" in subject.name else 2):
            ends.append(await ended(subject.ways[way], model, [f"Question {number}"]))
            if cache._holdings.has_keeper:
                await asyncio.to_thread(cache.keeper.idle)
            emulator.clock.advance(10)
        await subject.close(model)
        return ends

    (ends,) = watched(call)
    assert {kind for kind, *_ in ends} == {"answer"}
    assert len([it for it in events if isinstance(it, Settled)]) == len(ends)
    assert not [it for it in events if isinstance(it, PlanningFailed)]
    if "google" in subject.name:
        assert [it for it in events if isinstance(it, CacheCreated)]


def test_batches_sequences_and_handlers(make, emulator, tmp_path):
    """A batch that fans out, a chain, a handler, a twin, and receipts in a file."""
    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    cache = make("sqlite", listeners=[receipts])
    handler = PromptCacheCallbackHandler()
    subject, other = NAMED["langchain.anthropic"], NAMED["llamaindex.openai"]

    async def call():
        plain = subject.make(emulator.url, "w", None, 60.0, 0)
        model = prompt_cached(plain, cache)
        texts = await model.abatch(["One?", "Two?", "Three?"])
        with options(tenant="acme", conversation="42"):
            texts.append(await plain.ainvoke("Hi", config={"callbacks": [handler]}))
        async for event in model.astream_events("Go on", version="v2"):
            del event
        llm = other.make(emulator.url, "w", None, 60.0, 0)
        with PromptCacheHandler(cache) as watching:
            await ended(other.ways["achat"], llm, TALK)
        assert len(watching.calls) == 1
        await other.close(llm)
        await subject.close(plain)
        return [it.text for it in texts]

    (texts,) = watched(call)
    receipts.close()
    assert all(texts)
    assert len(handler.calls) == 1
    assert len(receipts.path.read_bytes().splitlines()) == 5


def test_receipts_of_a_loop_are_in_their_order(make, emulator, tmp_path):
    """What is written aside is written once, in order, and whole at the end."""
    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    events = []
    cache = make("memory", listeners=[receipts, events.append])
    subject = NAMED["sdk.anthropic"]

    async def call():
        clients = subject.make(emulator.url, "w", cache, 60.0, 0)
        for number in range(20):
            await ended(subject.ways["acreate"], clients, [f"Question {number}"])
        await subject.close(clients)

    watched(call)
    receipts.close()
    ids = [it.receipt.id for it in events if isinstance(it, Settled)]
    lines = receipts.path.read_text().splitlines()
    assert len(ids) == len(lines) == 20
    assert [line for line, id_ in zip(lines, ids, strict=True) if id_ not in line] == []


FIRST = """
import asyncio, sys, threading
sys.path.insert(0, sys.argv[2])
from faulty_subjects import NAMED
from faulty_twins import ended
from places_blocking import no_blocking
from promptcache import PromptCache

events = []
cache = PromptCache(store="memory:", listeners=[events.append])

async def main():
    with no_blocking() as told:
        for name in ("sdk.anthropic", "sdk.openai"):
            fresh = PromptCache(store="memory:", listeners=[events.append])
            subject = NAMED[name]
            clients = subject.make(sys.argv[1], "w", fresh, 60.0, 0)
            way = next(it for it in subject.ways if it.startswith("a"))
            assert (await ended(subject.ways[way], clients, ["Hi"]))[0] == "answer"
            await subject.close(clients)
            # The next one finds it as at the first request of a process.
            for module in [it for it in sys.modules if it.startswith("genai_prices")]:
                del sys.modules[module]
            from promptcache.receipts import prices
            prices._bands.cache_clear()
    return told

told = asyncio.run(main())
costs = [it.receipt.cost_usd for it in events if hasattr(it, "receipt")]
print(told, len(costs), all(costs), len(events))
"""


def test_the_first_answer_of_a_process(emulator):
    """No loop stands still until the price list is read; its receipts have a cost."""
    support = Path(__file__).parents[1] / "support"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST, emulator.url, str(support)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[] 2 True 2"]
