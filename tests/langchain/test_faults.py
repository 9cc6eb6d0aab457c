"""What goes wrong on the way: the caller sees what a stock model would have shown."""

import anthropic
import pytest
from langchain_asking import STREAMS, WAYS
from langchain_leaving import LEAVING, collected_by_python

from promptcache import PromptCache, PromptCacheError, Receipt
from promptcache.emulator import Fault
from promptcache.receipts.events import RetriedUnplanned, Settled, UsageMissing
from promptcache.state.history import History

OPTION = "prompt_cache"
FORBIDDEN = "messages.0.content.0.text.cache_control: Extra inputs are not permitted"


@pytest.fixture
def patient(make_cached):
    """Return a cached model whose SDK tries again, without any pause."""
    return make_cached(max_retries=2)


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
    """Return a function that gives what a stock model raises for a fault."""

    async def by(fault, way):
        emulator.faults.push(fault)
        with pytest.raises(Exception) as info:  # noqa: PT011 - this is how it is found
            await way(plain, prompt())
        return info.value

    return by


@pytest.mark.parametrize("way", WAYS)
async def test_refused_markers(
    way, cached, cache, prompt, emulator, events, markers, rows_of
):
    """Where our markers are refused, they are left out at once and from then on."""
    emulator.faults.push(
        Fault(status=400, message=FORBIDDEN, match="cache_control", times=99)
    )
    with cache.collect() as collected:
        first = await way(cached, prompt())
        second = await way(cached, prompt())
    rows = rows_of("cached")

    assert (
        first.content == second.content == "Understood. This is the emulator's answer."
    )
    assert [row.status for row in rows] == [400, 200, 200]
    assert [bool(markers(row.body)) for row in rows] == [True, False, False]
    assert isinstance(rows[1].body["system"], str)
    assert [receipt.attempts for receipt in collected] == [2, 1]
    assert [receipt.breakpoints for receipt in collected] == [(), ()]
    assert "refused" in collected[0].notes
    assert sum(isinstance(event, RetriedUnplanned) for event in events) == 1
    emulator.clock.advance(24 * 3600 + 1)
    emulator.faults.clear()
    await way(cached, prompt())
    assert markers(rows_of("cached")[-1].body)


async def test_refusal_is_for_one_model(make_cached, prompt, emulator, markers):
    """A model that refused our markers says nothing about another one."""
    emulator.faults.push(Fault(status=400, message=FORBIDDEN, match="cache_control"))
    make_cached().invoke(prompt())
    make_cached(model="claude-sonnet-4-6-20260101").invoke(prompt())
    make_cached(model="claude-opus-5-5").invoke(prompt())

    assert [bool(markers(row.body)) for row in emulator.ledger] == [
        True,
        False,
        True,
        True,
    ]


FAULTS = [
    pytest.param(Fault(status=400, message="prompt is too long"), id="too_long"),
    pytest.param(Fault(status=400, message="max_tokens: too large"), id="400"),
    pytest.param(Fault(status=401), id="401"),
    pytest.param(Fault(status=403), id="403"),
    pytest.param(Fault(status=404), id="404"),
    pytest.param(Fault(status=413), id="413"),
    pytest.param(Fault(status=429, retry_after=7), id="429"),
    pytest.param(Fault(status=500), id="500"),
    pytest.param(Fault(status=529), id="529"),
    pytest.param(Fault(status=500, body={"detail": "cache_control"}), id="other_body"),
    pytest.param(Fault(close=True), id="closed"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_other_failures(fault, way, cached, cache, prompt, emulator, failed):
    """Any other failure is the stock one, after one request and with no receipt."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with (
        cache.collect() as collected,
        pytest.raises(type(expected)) as info,
    ):
        await way(cached, prompt())

    assert without_id(info.value) == without_id(expected)
    assert type(info.value.__cause__) is type(expected.__cause__)
    assert getattr(info.value, "status_code", 0) == getattr(expected, "status_code", 0)
    assert len(emulator.ledger) == 2
    assert collected == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(status=500), id="500"),
        pytest.param(Fault(status=529), id="529"),
        pytest.param(Fault(close=True), id="closed"),
        pytest.param(Fault(status=529, times=2), id="twice"),
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
async def test_refused_after_a_retry(way, patient, cache, prompt, emulator, markers):
    """A refusal that follows an overload adds an attempt to the same request."""
    emulator.faults.push(Fault(status=529))
    emulator.faults.push(Fault(status=400, message=FORBIDDEN))
    with cache.collect() as collected:
        await way(patient, prompt())

    assert [row.status for row in emulator.ledger] == [529, 400, 200]
    assert [receipt.attempts for receipt in collected] == [3]


@pytest.mark.parametrize("way", WAYS)
async def test_overload_after_a_refusal(way, patient, cache, prompt, emulator, markers):
    """What is sent without markers stays without them when the SDK tries again."""
    emulator.faults.push(Fault(status=400, message=FORBIDDEN))
    emulator.faults.push(Fault(status=529))
    with cache.collect() as collected:
        await way(patient, prompt())

    assert [row.status for row in emulator.ledger] == [400, 529, 200]
    assert [bool(markers(row.body)) for row in emulator.ledger] == [True, False, False]
    assert [receipt.attempts for receipt in collected] == [3]


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(after_events=4), id="dropped"),
        pytest.param(Fault(after_events=4, status=529), id="error_event"),
        pytest.param(Fault(after_events=1, status=500), id="at_once"),
    ],
)
async def test_broken_stream(fault, way, cached, cache, prompt, emulator, failed):
    """A stream that breaks raises what it raises in a stock model, and is settled."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with cache.collect() as collected, pytest.raises(type(expected)) as info:
        await way(cached, prompt())
    (receipt,) = collected
    row = emulator.ledger[-1]

    assert without_id(info.value) == without_id(expected)
    assert receipt.usage.input_tokens == row.total_input_tokens
    assert receipt.usage.written_tokens == row.cache_creation_input_tokens > 0


@pytest.mark.parametrize("way", WAYS)
async def test_dropped_usage(way, cached, cache, prompt, emulator, events, rows_of):
    """Where a gateway drops the cache's figures they are unknown, not zero."""
    emulator.faults.push(Fault(drop_usage=True))
    with cache.collect() as collected:
        answer = await way(cached, prompt())
    (receipt,) = collected

    assert receipt.usage.read_tokens is None
    assert receipt.usage.written_tokens is None
    assert receipt.usage.input_tokens is None
    assert receipt.cost_usd is None
    assert receipt.usage.output_tokens == rows_of("cached")[0].output_tokens
    assert answer.response_metadata[OPTION]["read_tokens"] is None
    assert [type(event) for event in events] == [UsageMissing, Settled]


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, cached, cache, prompt, rows_of):
    """A stream that is not read to its end is settled, with what is known by then."""
    with cache.collect() as collected:
        await leave(cached, prompt())
    await collected_by_python(collected)
    (receipt,) = collected
    row = rows_of("cached")[0]

    assert receipt.usage.input_tokens == row.total_input_tokens
    assert receipt.usage.written_tokens == row.cache_creation_input_tokens > 0


def test_failed_listener_fails_no_call(cached, cache, prompt):
    """A listener that raises costs the caller nothing."""

    def failing(event):
        raise ZeroDivisionError

    cache.listen(failing)

    assert OPTION in cached.invoke(prompt()).response_metadata


def test_error_of_ours(make_cached, emulator, prompt, monkeypatch, markers, events):
    """A request that we fail to plan goes out as it was; a strict cache raises."""

    def failing(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(History, "past", failing)
    lenient = PromptCache(clock=emulator.clock, listeners=[events.append])
    answer = make_cached(prompt_cache=lenient).invoke(prompt())

    assert isinstance(emulator.ledger[0].body["system"], str)
    assert answer.response_metadata[OPTION]["read_tokens"] == 0
    assert [type(event).__name__ for event in events] == ["PlanningFailed", "Settled"]
    with pytest.raises(PromptCacheError, match="ZeroDivisionError"):
        make_cached().invoke(prompt())
    assert len(emulator.ledger) == 1


def without_id(error):
    """Return what an error says, but for the number of its request."""
    return str(error).partition("req_emulated_")[0]
