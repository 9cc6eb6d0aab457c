"""What a handler makes of plain LLMs of Gemini's."""

import asyncio

import pytest
from llama_index.core.llms import ChatMessage
from llamaindex_google import IGNORED_HERE

from llamaindex_promptcache import PromptCacheHandler
from promptcache.emulator import Emulator, GeminiSettings

pytestmark = IGNORED_HERE

TURNS = 12
PAUSE_SECONDS = 20


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky):
    """Return one where implicit caching never has luck."""
    unlucky.reset()
    return unlucky


@pytest.fixture
def talk(emulator, head):
    """Return a function that holds a conversation and lets a keeper do its work."""

    async def held(llm, cache):
        messages = [head]
        for number in range(TURNS):
            messages.append(ChatMessage(f"What is number {number}?"))
            messages.append((await llm.achat(messages)).message)
            cache.keeper.idle()
            emulator.clock.advance(PAUSE_SECONDS)
            cache.keeper.tend()
        cache.close()
        return cache.report().to_dict()["total"]

    return held


async def test_bill(talk, make_in, make_cached, make_cache):
    """With cached contents, a conversation costs what it costs with our own class."""
    own, planning, bare = make_cache(), make_cache(), make_cache()
    ours = await talk(make_cached(prompt_cache=own, gemini_caches=True), own)
    with PromptCacheHandler(planning, insert=True):
        planned = await talk(make_in("planned"), planning)
    with PromptCacheHandler(bare):
        watched = await talk(make_in("bare"), bare)

    bill = planned["cost_usd"] + planned["storage_usd"]
    assert bill == pytest.approx(ours["cost_usd"] + ours["storage_usd"], rel=0.05)
    assert planned["requests"] == watched["requests"] == TURNS
    assert planned["read_tokens"] > 0.5 * planned["input_tokens"]
    assert watched["read_tokens"] == 0
    assert bill < watched["cost_usd"]


async def test_no_cached_contents(talk, make_in, emulator, make_cache):
    """Who wants none says so to the handler."""
    cache = make_cache()
    said = {"gemini_caches": False}
    with PromptCacheHandler(said, insert=True) as handler:
        await talk(make_in("planned"), cache)

    assert len(handler.calls) == TURNS
    assert all("enerateContent" in row.path for row in emulator.ledger)


def test_streams_read_in_turn(make_in, head, make_cache, emulator, opened):
    """Each of two streams has its own request, in whatever order they are read."""
    llm = make_in("plain")
    with PromptCacheHandler(make_cache()) as handler:
        streams = [llm.stream_chat([head, ChatMessage("Well. " * n)]) for n in (5, 9)]
        spans = [*opened.names]
        for stream in reversed(streams):
            list(stream)
    tokens = {row.total_input_tokens for row in emulator.ledger}
    found = {it.span_id: it.receipt.usage.input_tokens for it in handler.calls}

    assert sorted(found, key=found.get) == spans
    assert set(found.values()) == tokens


async def test_streams_read_in_tasks(make_in, head, make_cache, emulator, opened):
    """A stream has its request, in whatever task it is read."""
    llm = make_in("plain")

    async def read(stream):
        return [chunk async for chunk in stream]

    with PromptCacheHandler(make_cache(), insert=True) as handler:
        streams = [
            await llm.astream_chat([head, ChatMessage("Well. " * n)])
            for n in range(1, 9, 2)
        ]
        spans = [*opened.names]
        await asyncio.gather(*map(read, reversed(streams)))
    found = {it.span_id: it.receipt.usage.input_tokens for it in handler.calls}

    assert sorted(found, key=found.get) == spans
    assert handler._watch._open == {}
