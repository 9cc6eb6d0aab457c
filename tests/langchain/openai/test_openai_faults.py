"""What goes wrong on the way: the caller sees what a stock model would have shown."""

import json

import openai
import pytest
from langchain_asking import STREAMS, WAYS
from langchain_leaving import LEAVING, collected_by_python
from langchain_openai import ChatOpenAI
from langchain_servers import serving

from langchain_promptcache import PromptCachedChatOpenAI, prompt_cached
from promptcache import PromptCache, PromptCacheError, Receipt
from promptcache.emulator import Fault
from promptcache.receipts.events import RetriedUnplanned, Settled, UsageMissing
from promptcache.state.history import History

OPTION = "prompt_cache"
REFUSED = "prompt_cache_options is not supported on this model"


@pytest.fixture
def patient(make_cached):
    """Return a cached model whose SDK tries again, without any pause."""
    return make_cached(max_retries=2)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Let the SDK try again at once."""
    monkeypatch.setattr(
        openai._base_client.BaseClient,
        "_calculate_retry_timeout",
        lambda *args, **kwargs: 0.0,
    )


@pytest.fixture
def failed(make_plain, prompt, emulator):
    """Return a function that gives what a stock model raises for a fault."""

    async def by(fault, way):
        emulator.faults.push(fault)
        with pytest.raises(Exception) as info:  # noqa: PT011 - this is how it is found
            await way(make_plain(stream_usage=True), prompt())
        return info.value

    return by


@pytest.mark.parametrize("way", WAYS)
async def test_refused_fields(
    way, cached, cache, prompt, emulator, events, is_planned, rows_of
):
    """Where our fields are refused, they are left out at once and from then on."""
    emulator.faults.push(Fault(status=400, message=REFUSED))
    with cache.collect() as collected:
        first = await way(cached, prompt())
        second = await way(cached, prompt())
    rows = rows_of("cached")

    assert first.text == second.text == "Understood. This is the emulator's answer."
    assert [row.status for row in rows] == [400, 200, 200]
    assert [is_planned(row.body) for row in rows] == [True, False, False]
    assert [receipt.attempts for receipt in collected] == [2, 1]
    assert [receipt.breakpoints for receipt in collected] == [(), ()]
    assert "refused" in collected[0].notes
    assert sum(isinstance(event, RetriedUnplanned) for event in events) == 1
    emulator.clock.advance(24 * 3600 + 1)
    await way(cached, prompt())
    assert is_planned(rows_of("cached")[-1].body)


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_refusal_is_for_one_model(make_cached, prompt, emulator, is_planned):
    """A model that refused our fields says nothing about another one."""
    emulator.faults.push(Fault(status=400, message=REFUSED))
    make_cached().invoke(prompt())
    make_cached().invoke(prompt())
    make_cached(model="gpt-6-sol").invoke(prompt())

    assert [is_planned(row.body) for row in emulator.ledger] == [
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("kind", ["chat"])
def test_refusal_of_the_callers_own(cached, prompt, emulator, events):
    """A refusal of what the caller said is the caller's to see."""
    emulator.faults.push(Fault(status=400, message="bad prompt_cache_key"))
    with pytest.raises(openai.BadRequestError, match="bad prompt_cache_key"):
        cached.invoke(prompt(), prompt_cache_key="mine")

    assert [row.status for row in emulator.ledger] == [400]
    assert events == []


FAULTS = [
    pytest.param(Fault(status=400, message="maximum context length"), id="too_long"),
    pytest.param(Fault(status=401), id="401"),
    pytest.param(Fault(status=404), id="404"),
    pytest.param(Fault(status=429, retry_after=7), id="429"),
    pytest.param(Fault(status=500), id="500"),
    pytest.param(Fault(status=500, body={"detail": "prompt_cache_key"}), id="body"),
    pytest.param(Fault(close=True), id="closed"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_other_failures(fault, way, cached, cache, prompt, emulator, failed):
    """Any other failure is the stock one, after one request and with no receipt."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with cache.collect() as collected, pytest.raises(type(expected)) as info:
        await way(cached, prompt())

    assert str(info.value) == str(expected)
    assert type(info.value.__cause__) is type(expected.__cause__)
    assert getattr(info.value, "status_code", 0) == getattr(expected, "status_code", 0)
    assert len(emulator.ledger) == 2
    assert collected == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(close=True), id="closed"),
        pytest.param(Fault(status=503, times=2), id="twice"),
    ],
)
async def test_retries(fault, way, patient, cache, prompt, emulator):
    """All attempts of one request send one plan, and have one receipt."""
    emulator.faults.push(fault)
    with cache.collect() as collected:
        answer = await way(patient, prompt())
    rows = emulator.ledger
    (receipt,) = collected

    assert len(rows) == fault.times + 1
    assert all(row.body == rows[0].body for row in rows)
    assert receipt.attempts == fault.times + 1
    assert receipt.usage.written_tokens == rows[-1].cache_creation_input_tokens > 0
    assert Receipt.from_metadata(answer.response_metadata[OPTION]).attempts == len(rows)


@pytest.mark.parametrize("way", WAYS)
async def test_refused_after_a_retry(way, patient, cache, prompt, emulator, is_planned):
    """A refusal that follows an overload adds an attempt to the same request."""
    emulator.faults.push(Fault(status=503))
    emulator.faults.push(Fault(status=400, message=REFUSED))
    emulator.faults.push(Fault(status=503))
    with cache.collect() as collected:
        await way(patient, prompt())

    rows = emulator.ledger
    assert [row.status for row in rows] == [503, 400, 503, 200]
    assert [is_planned(row.body) for row in rows] == [True, True, False, False]
    assert [receipt.attempts for receipt in collected] == [4]


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(after_events=2), id="dropped"),
        pytest.param(Fault(after_events=2, status=500), id="error_event"),
    ],
)
async def test_broken_stream(fault, way, cached, cache, prompt, emulator, failed):
    """A stream that breaks raises what it raises in a stock model, and is settled."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with cache.collect() as collected, pytest.raises(type(expected)) as info:
        await way(cached, prompt())
    (receipt,) = collected

    assert str(info.value) == str(expected)
    assert receipt.usage.read_tokens is None
    assert receipt.cost_usd is None


@pytest.mark.parametrize("way", WAYS)
async def test_dropped_usage(way, cached, cache, prompt, emulator, rows_of):
    """Where a gateway drops the cache's figures they are unknown, not zero."""
    emulator.faults.push(Fault(drop_usage=True))
    with cache.collect() as collected:
        answer = await way(cached, prompt())
    (receipt,) = collected

    assert receipt.usage.read_tokens is None
    assert receipt.usage.written_tokens is None
    assert receipt.cost_usd is None
    assert receipt.usage.output_tokens == rows_of("cached")[0].output_tokens
    assert answer.response_metadata[OPTION]["read_tokens"] is None


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, cached, cache, prompt, events):
    """A stream that is not read to its end is settled once; its usage is unknown."""
    with cache.collect() as collected:
        await leave(cached, prompt())
    await collected_by_python(collected)
    (receipt,) = collected

    assert receipt.usage.input_tokens is None
    assert receipt.breakpoints
    assert [type(event) for event in events] == [UsageMissing, Settled]


KNOWN = {"max_completion_tokens", "messages", "model", "stream"}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-6.1-sol",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "A tender."},
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
DELTA = {"index": 0, "finish_reason": None, "delta": {"content": "A tender."}}
CHUNK = {
    **COMPLETION,
    "object": "chat.completion.chunk",
    "choices": [DELTA],
    "usage": None,
}


@pytest.fixture
def strict_server():
    """Return a server that takes the fields it knows, and what it was sent."""
    bodies = []

    def answer(_, body):
        bodies.append(body)
        unknown = sorted(body.keys() - KNOWN)
        if unknown:
            told = {"type": "extra_forbidden", "loc": ["body", unknown[0]]}
            return 422, "application/json", json.dumps({"detail": [told]})
        if body.get("stream"):
            events = f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n"
            return 200, "text/event-stream", events
        return 200, "application/json", json.dumps(COMPLETION)

    with serving(answer) as name:
        yield name, bodies


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", ["local", "compatible"])
async def test_server_that_knows_no_caching(
    way, host, strict_server, prompt, events, pool, async_pool
):
    """A server that refuses each field of ours is asked once more, and never again."""
    name, bodies = strict_server
    cache = PromptCache(
        strict=True, listeners=[events.append], facts={name: {"host": host}}
    )
    given = {"model": "gpt-6.1-sol", "api_key": "k", "max_retries": 0}
    given |= {"http_client": pool, "http_async_client": async_pool}
    given |= {"base_url": f"http://{name}/v1"}
    cached = PromptCachedChatOpenAI(**given, prompt_cache=cache)
    answers = [await way(cached, prompt()) for _ in range(3)]
    stock = await way(ChatOpenAI(**given), prompt())
    built = bodies[-1]

    assert [answer.text for answer in answers] == [stock.text] * 3 == ["A tender."] * 3
    assert "prompt_cache_key" in bodies[0]
    assert bodies[1:] == [built] * 4
    assert sum(isinstance(event, RetriedUnplanned) for event in events) == 1


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


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_retries_of_langchain(plain, cache, prompt, emulator):
    """A retry of LangChain's is a request of its own; the answer has its receipt."""
    emulator.faults.push(Fault(status=500))
    twin = prompt_cached(plain.with_retry(wait_exponential_jitter=False), cache)
    with cache.collect() as collected:
        answer = twin.invoke(prompt())

    assert [row.status for row in emulator.ledger] == [500, 200]
    assert len(collected) == 1
    assert answer.response_metadata[OPTION]["requests"] == 1
