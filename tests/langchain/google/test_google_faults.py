"""What goes wrong on the way: the caller sees what a stock model would have shown."""

import gc
import json

import pytest
from google.genai.types import HttpOptions, HttpRetryOptions
from langchain_asking import STREAMS, WAYS
from langchain_leaving import LEAVING, collected_by_python
from langchain_servers import serving

from langchain_promptcache import prompt_cached
from promptcache import PromptCache, PromptCacheError, Receipt
from promptcache.emulator import Fault
from promptcache.receipts.events import Settled, UsageMissing
from promptcache.state.history import History

OPTION = "prompt_cache"
AT_ONCE = HttpOptions(
    retry_options=HttpRetryOptions(attempts=3, initial_delay=0, max_delay=0, jitter=0)
)

pytestmark = [
    # What the SDK's own way of making a session is told of by aiohttp.
    pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp"),
    # LangChain asks for the words of an error without waiting for them.
    pytest.mark.filterwarnings("ignore:coroutine 'ClientResponse.json' was never"),
    # The SDK leaves the connection of a broken stream to Python.
    pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning"),
]


@pytest.fixture
def kind():
    return "developer"


@pytest.fixture(autouse=True, scope="module")
def collected_here():
    """Have what others leave open collected here, where their warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture
def failed(plain, prompt, emulator):
    """Return a function that gives what a stock model raises for a fault."""

    async def by(fault, way):
        emulator.faults.push(fault)
        with pytest.raises(Exception) as info:  # noqa: PT011 - this is how it is found
            await way(plain, prompt())
        return info.value

    return by


FAULTS = [
    pytest.param(Fault(status=400, message="a token limit is exceeded"), id="too_long"),
    pytest.param(Fault(status=401), id="401"),
    pytest.param(Fault(status=403, message="CachedContent not found"), id="403"),
    pytest.param(Fault(status=404), id="404"),
    pytest.param(Fault(status=429, retry_after=7), id="429"),
    pytest.param(Fault(status=500), id="500"),
    pytest.param(Fault(status=500, body={"detail": "cachedContent"}), id="body"),
    pytest.param(Fault(close=True), id="closed"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_failures(fault, way, cached, cache, prompt, emulator, failed):
    """A failure is the stock one, after one request and with no receipt."""
    expected = await failed(fault, way)
    before = len(emulator.ledger)
    emulator.faults.push(fault)
    with cache.collect() as collected, pytest.raises(type(expected)) as info:
        await way(cached, prompt())

    assert str(info.value) == str(expected)
    assert type(info.value.__cause__) is type(expected.__cause__)
    assert getattr(info.value, "code", 0) == getattr(expected, "code", 0)
    assert len(emulator.ledger) == 2 * before
    assert collected == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(status=503, times=2), id="twice"),
    ],
)
async def test_retries(fault, way, cached, cache, prompt, emulator):
    """All attempts of one request send one body, and have one receipt."""
    emulator.faults.push(fault)
    with cache.collect() as collected:
        answer = await way(cached.bind(http_options=AT_ONCE), prompt())
    rows = emulator.ledger
    (receipt,) = collected

    assert len(rows) == fault.times + 1
    assert all(row.body == rows[0].body for row in rows)
    assert receipt.attempts == fault.times + 1
    assert receipt.usage.output_tokens == rows[-1].output_tokens
    assert Receipt.from_metadata(answer.response_metadata[OPTION]).attempts == len(rows)


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(after_events=1), id="dropped"),
        pytest.param(Fault(after_events=1, status=500), id="error_event"),
    ],
)
async def test_broken_stream(fault, way, cached, cache, prompt, emulator, failed):
    """A stream that breaks raises what it raises in a stock model, and is settled."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with cache.collect() as collected, pytest.raises(type(expected)) as info:
        await way(cached, prompt())

    assert str(info.value) == str(expected)
    assert [receipt.requests for receipt in collected] == [1]


UNCOUNTED = {
    "candidates": [
        {
            "content": {"parts": [{"text": "A tender."}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "modelVersion": "gemini-3.8-flash",
}


def uncounted(path, _):
    """Answer as a gateway that keeps the usage for itself."""
    text = json.dumps(UNCOUNTED)
    if "stream" in path:
        return 200, "text/event-stream", f"data: {text}\n\n"
    return 200, "application/json", text


@pytest.mark.parametrize("way", WAYS)
async def test_dropped_usage(way, make_cached, cache, prompt, events):
    """Where a gateway drops the usage it is unknown, not zero.

    That a stream never says it is known behind its last chunk, which has no receipt.
    """
    with serving(uncounted) as name, cache.collect() as collected:
        answer = await way(make_cached(base_url=f"http://{name}"), prompt())
    (receipt,) = collected

    assert answer.text == "A tender."
    assert receipt.usage.input_tokens is None
    assert receipt.usage.read_tokens is None
    assert receipt.cost_usd is None
    is_whole = way in [whole.values[0] for whole in WAYS[:2]]
    assert (OPTION in answer.response_metadata) is is_whole
    assert [type(event) for event in events] == [UsageMissing, Settled]


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, cached, cache, prompt, events, emulator):
    """A stream that is not read to its end is settled once, with what it had said."""
    emulator.answers.push("It was built in 1911. " * 20)
    with cache.collect() as collected:
        await leave(cached, prompt())
    await collected_by_python(collected)
    (receipt,) = collected

    assert receipt.usage.input_tokens in (None, emulator.ledger[0].total_input_tokens)
    assert [type(event) for event in events][-1:] == [Settled]
    assert {type(event) for event in events} <= {UsageMissing, Settled}


def test_error_of_ours(make_cached, plain, emulator, prompt, monkeypatch, events):
    """A request that we fail to plan goes out as it was; a strict cache raises."""

    def failing(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(History, "past", failing)
    lenient = PromptCache(clock=emulator.clock, listeners=[events.append])
    answer = make_cached(prompt_cache=lenient).invoke(prompt())
    plain.invoke(prompt())

    assert emulator.ledger[0].body == emulator.ledger[1].body
    assert answer.response_metadata[OPTION]["requests"] == 1
    assert [type(event).__name__ for event in events] == ["PlanningFailed", "Settled"]
    with pytest.raises(PromptCacheError, match="ZeroDivisionError"):
        make_cached().invoke(prompt())
    assert len(emulator.ledger) == 2


def test_retries_of_langchain(plain, cache, prompt, emulator):
    """A retry of LangChain's is a request of its own; the answer has its receipt."""
    emulator.faults.push(Fault(status=500))
    twin = prompt_cached(plain.with_retry(wait_exponential_jitter=False), cache)
    with cache.collect() as collected:
        answer = twin.invoke(prompt())

    assert [row.status for row in emulator.ledger] == [500, 200]
    assert len(collected) == 1
    assert answer.response_metadata[OPTION]["requests"] == 1
