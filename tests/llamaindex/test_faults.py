"""What goes wrong on the way: the caller sees what a stock LLM would have shown."""

import anthropic
import pytest
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llamaindex_ways import CHATS

from llamaindex_promptcache.errors import CallError
from promptcache import (
    OptionError,
    PlanningError,
    Policy,
    PromptCache,
    PromptCacheError,
    Receipt,
    options,
)
from promptcache.emulator import Fault
from promptcache.receipts.events import RetriedUnplanned
from promptcache.state.history import History

OPTION = "prompt_cache"
FORBIDDEN = "messages.0.content.0.text.cache_control: Extra inputs are not permitted"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Let the SDK try again at once."""
    monkeypatch.setattr(
        anthropic._base_client.BaseClient,
        "_calculate_retry_timeout",
        lambda *args, **kwargs: 0.0,
    )


@pytest.fixture
def failed(plain, prompt, emulator):
    """Return a function that gives what a stock LLM raises for a fault."""

    async def by(fault, way):
        emulator.faults.push(fault)
        with pytest.raises(Exception) as info:  # noqa: PT011 - this is how it is found
            await way(plain, prompt())
        return info.value

    return by


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=400, message="max_tokens: too large"), id="400"),
        pytest.param(Fault(status=401), id="401"),
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(status=500), id="500"),
        pytest.param(Fault(status=529), id="529"),
        pytest.param(Fault(close=True), id="closed"),
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

    assert without_id(info.value) == without_id(expected)
    assert type(info.value.__cause__) is type(expected.__cause__)
    assert len(emulator.ledger) == 2
    assert receipts == []
    assert not opened.open


@pytest.mark.parametrize("way", CHATS[2:])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(after_events=4), id="dropped"),
        pytest.param(Fault(after_events=4, status=529), id="error_event"),
        pytest.param(Fault(after_events=1, status=500), id="at_once"),
    ],
)
async def test_broken_stream(
    fault, way, cached, collecting, prompt, emulator, failed, told
):
    """A stream that breaks raises what it raises in a stock LLM, and is settled."""
    expected = await failed(fault, way)
    stock = [type(event).__name__ for event in told]
    told.clear()
    emulator.faults.push(fault)
    with collecting() as receipts, pytest.raises(type(expected)) as info:
        await way(cached, prompt())
    (receipt,) = receipts
    row = emulator.ledger[-1]
    ours = [type(event).__name__ for event in told]

    assert without_id(info.value) == without_id(expected)
    assert receipt.usage.input_tokens == row.total_input_tokens
    assert receipt.usage.written_tokens == row.cache_creation_input_tokens > 0
    assert sorted(ours) == sorted([*stock, "PromptCacheEvent"])


@pytest.mark.parametrize("way", CHATS)
async def test_refused_markers(way, cached, collecting, prompt, emulator, events):
    """A provider that refuses our markers is asked once more without."""
    emulator.faults.push(Fault(status=400, message=FORBIDDEN, match="cache_control"))
    with collecting() as receipts:
        answer = await way(cached, prompt())
    (receipt,) = receipts

    assert [row.status for row in emulator.ledger] == [400, 200]
    assert isinstance(emulator.ledger[-1].body["system"], str)
    assert receipt.attempts == 2
    assert Receipt.from_metadata(answer.additional_kwargs[OPTION]).attempts == 2
    assert sum(isinstance(event, RetriedUnplanned) for event in events) == 1


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(status=529, times=2), id="twice"),
        pytest.param(Fault(close=True), id="closed"),
    ],
)
async def test_retries(fault, way, make_cached, collecting, prompt, emulator):
    """All attempts of one request send one plan, and have one receipt."""
    emulator.faults.push(fault)
    with collecting() as receipts:
        await way(make_cached(max_retries=2), prompt())

    assert len(emulator.ledger) == fault.times + 1
    assert [receipt.attempts for receipt in receipts] == [fault.times + 1]


@pytest.mark.parametrize("way", CHATS)
async def test_dropped_usage(way, cached, prompt, emulator):
    """Where a gateway drops the cache's figures they are unknown, not zero."""
    emulator.faults.push(Fault(drop_usage=True))
    answer = await way(cached, prompt())
    usage = answer.message.additional_kwargs.get("usage", {})

    assert answer.additional_kwargs[OPTION]["read_tokens"] is None
    assert "cache_read_input_tokens" not in usage


@pytest.mark.parametrize("way", CHATS)
async def test_error_of_ours(way, make_cached, emulator, prompt, monkeypatch):
    """When planning fails, the request goes out as it was; a strict cache raises."""

    def failing(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(History, "past", failing)
    lenient = PromptCache(clock=emulator.clock)
    answer = await way(make_cached(prompt_cache=lenient), prompt())

    assert isinstance(emulator.ledger[0].body["system"], str)
    assert answer.additional_kwargs[OPTION]["read_tokens"] == 0
    with pytest.raises(PromptCacheError, match="ZeroDivisionError"):
        await way(make_cached(), prompt())
    assert len(emulator.ledger) == 1


WRONG = [
    pytest.param("auto", "a dict of tenant, conversation", id="policy"),
    pytest.param(Policy.off(), "a dict of tenant, conversation", id="Policy"),
    pytest.param({"policy": "off"}, "tenant, conversation, ttl, enabled", id="dict"),
    pytest.param({"ttl": "2h"}, "5m, 30m, 1h, 12h", id="ttl"),
    pytest.param({"ttl": "30m"}, "allowed: 5m, 1h", id="ttl_of_others"),
]


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize(("said", "words"), WRONG)
async def test_wrong_option_of_a_call(said, words, way, cached, prompt, emulator):
    """A wrong option is refused before anything is sent, by no `ValueError`."""
    with pytest.raises(CallError, match=words) as info:
        await way(cached, prompt(), prompt_cache=said)

    assert emulator.ledger == []
    assert not isinstance(info.value, (ValueError, TypeError))
    assert isinstance(info.value.__cause__, OptionError)


@pytest.mark.parametrize("mode", [ResponseMode.COMPACT, ResponseMode.REFINE])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_refine_does_not_answer_for_us(mode, streaming, cached, shelf, emulator):
    """An error of ours leaves a query engine as one, never as an empty response."""
    engine = RetrieverQueryEngine.from_args(
        shelf, llm=cached, response_mode=mode, streaming=streaming
    )
    # A lifetime that others have, asked for where only the strict cache can tell.
    with options(ttl="30m"), pytest.raises(PlanningError, match="allowed: 5m, 1h"):
        str(engine.query("Who built it?"))

    assert emulator.ledger == []


async def test_refine_does_not_answer_for_us_either(cached, shelf, emulator):
    """The same holds for asynchronous queries."""
    engine = RetrieverQueryEngine.from_args(shelf, llm=cached)
    with options(ttl="30m"), pytest.raises(PlanningError, match="allowed: 5m, 1h"):
        await engine.aquery("Who built it?")

    assert emulator.ledger == []


def without_id(error):
    """Return what an error says, but for the number of its request."""
    return str(error).partition("req_emulated_")[0]
