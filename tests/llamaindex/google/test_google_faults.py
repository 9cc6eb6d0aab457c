"""What goes wrong on the way: the caller sees what a stock LLM would have shown."""

import pytest
from llama_index.core.query_engine import RetrieverQueryEngine
from llamaindex_google import CHATS, COMPLETIONS, IGNORED_HERE, STREAMS

from llamaindex_promptcache.errors import CallError
from promptcache import (
    OptionError,
    PlanningError,
    Policy,
    PromptCache,
    PromptCacheError,
    options,
)
from promptcache.emulator import Fault
from promptcache.providers.gemini import wire

pytestmark = IGNORED_HERE


@pytest.fixture
def failed(plain, prompt, emulator):
    """Return a function that gives what a stock LLM raises for a fault."""

    async def by(fault, way):
        emulator.faults.push(fault)
        with pytest.raises(Exception) as info:  # noqa: PT011 - this is how it is found
            await way(plain, prompt())
        return info.value

    return by


FAULTS = [
    pytest.param(Fault(status=400, message="Invalid argument."), id="400"),
    pytest.param(Fault(status=403, message="No permission."), id="403"),
    pytest.param(Fault(status=429, retry_after=7), id="429"),
    pytest.param(Fault(status=500), id="500"),
]
CLOSED = Fault(close=True)


@pytest.mark.parametrize(
    ("fault", "way"),
    [
        *(
            pytest.param(*fault.values, *way.values, id=f"{way.id}-{fault.id}")
            for way in CHATS
            for fault in FAULTS
        ),
        # The asynchronous client opens a closed connection again, after seconds.
        *(pytest.param(CLOSED, *it.values, id=f"{it.id}-closed") for it in CHATS[::2]),
    ],
)
async def test_failures(
    fault, way, cached, collecting, prompt, emulator, failed, opened
):
    """A failure is the stock one: its type, its words, one request, no receipt."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with collecting() as receipts, pytest.raises(type(expected)) as info:
        await way(cached, prompt())
    stock, ours = emulator.ledger

    assert str(info.value) == str(expected)
    assert type(info.value.__cause__) is type(expected.__cause__)
    assert ours.body == stock.body
    assert receipts == []
    assert not opened.open


@pytest.mark.parametrize("way", STREAMS)
async def test_broken_stream(way, cached, collecting, prompt, emulator, failed, told):
    """A stream that breaks ends as it ends in a stock LLM, and is settled.

    The answer is longer than what is sent of it.
    """
    text = "It is a wagon of coal and water, coupled to the engine."
    fault = Fault(after_events=2)
    emulator.answers.push(text)
    expected = await failed(fault, way)
    stock = [type(event).__name__ for event in told]
    told.clear()
    emulator.answers.push(text)
    emulator.faults.push(fault)
    with collecting() as receipts, pytest.raises(type(expected)):
        await way(cached, prompt())
    (receipt,) = receipts
    ours = [type(event).__name__ for event in told]

    assert receipt.usage.input_tokens > 4096
    assert sorted(ours) == sorted([*stock, "PromptCacheEvent"])


@pytest.mark.parametrize("way", CHATS)
async def test_error_of_ours(way, make_cached, emulator, prompt, monkeypatch, plain):
    """When planning fails, the request goes out as it was; a strict cache raises."""

    def failing(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(wire, "outline", failing)
    lenient = PromptCache(store="memory:", clock=emulator.clock)
    await way(make_cached(prompt_cache=lenient), prompt())
    await way(plain, prompt())
    first, second = emulator.ledger

    assert first.body == second.body
    with pytest.raises(PromptCacheError, match="ZeroDivisionError"):
        await way(make_cached(), prompt())
    assert len(emulator.ledger) == 2


WRONG = [
    pytest.param("auto", "a dict of tenant, conversation", id="policy"),
    pytest.param(Policy.off(), "a dict of tenant, conversation", id="Policy"),
    pytest.param({"policy": "off"}, "tenant, conversation, ttl, enabled", id="dict"),
    pytest.param({"ttl": "2h"}, "5m, 30m, 1h, 12h", id="ttl"),
    pytest.param({"ttl": "12h"}, "allowed: 1h, 30m, 5m", id="ttl_of_others"),
    pytest.param({"gemini_caches": "no"}, "True or False", id="gemini_caches"),
]


@pytest.mark.parametrize("way", [*CHATS, *COMPLETIONS[1:3]])
@pytest.mark.parametrize(("said", "words"), WRONG)
async def test_wrong_option_of_a_call(said, words, way, cached, prompt, emulator):
    """A wrong option is refused before anything is sent, by no `ValueError`."""
    with pytest.raises(CallError, match=words) as info:
        await way(cached, prompt(), prompt_cache=said)

    assert emulator.ledger == []
    assert not isinstance(info.value, (ValueError, TypeError))
    assert isinstance(info.value.__cause__, OptionError)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_refine_does_not_answer_for_us(streaming, cached, shelf, emulator):
    """An error of ours leaves a query engine as one, never as an empty response."""
    engine = RetrieverQueryEngine.from_args(shelf, llm=cached, streaming=streaming)
    # A lifetime that others have, asked for where only the strict cache can tell.
    with options(ttl="12h"), pytest.raises(PlanningError, match="allowed: 1h, 30m"):
        str(engine.query("Who built it?"))

    assert emulator.ledger == []
