"""One plan for all attempts at a request, and one more without our fields."""

import anthropic
import pytest
from anthropic.types import Message
from anthropic_sdk import (
    LONG,
    MODEL,
    agent,
    astream,
    beta,
    create,
    helper,
    kept,
    raw,
    stream,
    streaming,
)

from promptcache import PromptCache
from promptcache.emulator import Fault
from promptcache.errors import UnreadableBodyError
from promptcache.providers.anthropic.seam import _WAIT_SECONDS
from promptcache.receipts.events import RetriedUnplanned

NOW = 0.001
"""Seconds that a test waits for a retry; zero would mean the SDK's own choice."""


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=NOW), id="rate-limit"),
        pytest.param(Fault(status=529, retry_after=NOW), id="overloaded"),
        pytest.param(Fault(close=True), id="connection"),
    ],
)
@pytest.mark.parametrize("ask", [create, stream, streaming])
def test_retries(client, cache, emulator, ask, fault, no_waiting):
    """A request that is retried has one plan and one receipt with its attempts."""
    emulator.faults.push(fault)
    with cache.collect() as collected:
        ask(client, agent())
    (receipt,) = collected
    failed, answered = emulator.ledger

    assert receipt.attempts == 2
    assert failed.body == answered.body
    assert len(answered.breakpoints) == 3
    assert kept(client) == 0


async def test_asynchronous_retries(async_client, cache, emulator):
    """The same holds for the asynchronous client."""
    emulator.faults.push(Fault(status=429, retry_after=NOW, times=2))
    with cache.collect() as collected:
        await async_client.messages.create(**agent())

    assert [receipt.attempts for receipt in collected] == [3]
    assert emulator.ledger[0].body == emulator.ledger[2].body


@pytest.fixture
def no_waiting(monkeypatch):
    """Let retries follow at once, where no answer says when."""
    monkeypatch.setattr("anthropic._base_client.INITIAL_RETRY_DELAY", NOW)
    monkeypatch.setattr("anthropic._base_client.MAX_RETRY_DELAY", NOW)


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        pytest.param(Fault(status=400), 0, id="bad-request"),
        pytest.param(Fault(status=401), 0, id="no-key"),
        pytest.param(Fault(status=413), 0, id="too-large"),
        pytest.param(Fault(status=529), 1, id="overloaded"),
        pytest.param(Fault(close=True), 1, id="connection"),
    ],
)
def test_what_fails_leaves_nothing_behind(client, cache, emulator, fault, left):
    """A failure that is not retried is not kept; any other only for a while."""
    client = client.with_options(max_retries=0)
    with cache.collect() as collected:
        emulator.faults.push(fault)
        with pytest.raises(anthropic.APIError):
            client.messages.create(**agent())
        assert kept(client) == left
        emulator.clock.advance(_WAIT_SECONDS)
        emulator.faults.push(fault)
        with pytest.raises(anthropic.APIError):
            client.messages.create(**agent())

    assert kept(client) == left
    assert collected == []


def test_failures_kept_are_bounded(client, emulator, monkeypatch):
    """However many requests fail at once, few are kept."""
    monkeypatch.setattr("promptcache.providers.anthropic.seam._MAX_WAITING", 3)
    client = client.with_options(max_retries=0)
    emulator.faults.push(Fault(status=529, times=9))
    for _ in range(9):
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**agent())

    assert kept(client) == 3


def test_a_middleware_that_changes_the_model(plain, cache, emulator):
    """A retry is the same request only if its body is the same."""

    def falling_back(request, call_next):
        response = call_next(request)
        if response.status_code < 500:
            return response
        return call_next(request.copy(body={**request.json, "model": "claude-opus-5"}))

    client = cache.attach(plain.with_middleware(falling_back))
    emulator.faults.push(Fault(status=529, times=2, retry_after=NOW))
    with cache.collect() as collected:
        client.messages.create(**agent())

    assert [row.model for row in emulator.ledger] == [MODEL, "claude-opus-5", MODEL]
    assert [receipt.model for receipt in collected] == [MODEL]


REFUSAL = "messages.0.content.0.cache_control: Extra inputs are not permitted"


@pytest.mark.parametrize("ask", [create, stream, helper, raw, streaming, beta])
def test_a_refusal_of_our_fields(client, cache, events, emulator, ask):
    """What names our fields is sent once more without them, and remembered."""
    emulator.faults.push(Fault(status=400, message=REFUSAL))
    with cache.collect() as collected:
        ask(client, agent())
        ask(client, agent())
    refused, again, later = emulator.ledger

    assert len(str(refused.body).split("cache_control")) == 4
    for row in (again, later):
        assert row.body["messages"] == agent()["messages"]
        assert row.body["system"] == agent()["system"]
        assert row.body["tools"] == agent()["tools"]
    assert [receipt.attempts for receipt in collected] == [2, 1]
    assert [receipt.notes for receipt in collected] == [("refused",), ()]
    assert [type(event) for event in events].count(RetriedUnplanned) == 1


async def test_an_asynchronous_refusal(async_client, cache, emulator):
    """The same holds for the asynchronous client."""
    emulator.faults.push(Fault(status=400, message=REFUSAL))
    with cache.collect() as collected:
        await astream(async_client, agent())

    assert emulator.ledger[1].body["messages"] == agent()["messages"]
    assert [receipt.attempts for receipt in collected] == [2]


def test_a_refusal_then_a_retry(client, cache, emulator):
    """Retries of what was refused stay without our fields."""
    emulator.faults.push(Fault(status=400, message=REFUSAL))
    emulator.faults.push(Fault(status=529, retry_after=NOW))
    with cache.collect() as collected:
        client.messages.create(**agent())

    assert [row.body["system"] == LONG for row in emulator.ledger] == [
        False,
        True,
        True,
    ]
    assert [receipt.attempts for receipt in collected] == [3]


def test_a_refusal_again(client, events, emulator):
    """What is refused without our fields too is the caller's error."""
    emulator.faults.push(Fault(status=400, message=REFUSAL, times=9))

    with pytest.raises(anthropic.BadRequestError, match="cache_control"):
        client.messages.create(**agent())
    assert len(emulator.ledger) == 2
    assert [type(event) for event in events] == [RetriedUnplanned]


@pytest.mark.parametrize("ask", [create, stream, streaming])
def test_errors_of_the_caller(client, cache, events, emulator, ask):
    """Another error reaches the caller as the SDK raises it, with no second try."""
    emulator.faults.push(Fault(status=400, message="max_tokens: too large"))

    with (
        cache.collect() as collected,
        pytest.raises(anthropic.BadRequestError, match="too large"),
    ):
        ask(client, agent())
    assert len(emulator.ledger) == 1
    assert (collected, events) == ([], [])


def test_a_strict_cache_raises_through_the_sdk(plain):
    """Our own error is raised as it is, and nothing is sent."""
    client = PromptCache(strict=True).attach(plain)

    with pytest.raises(UnreadableBodyError):
        client.post("/v1/messages", body={"messages": 5}, cast_to=Message)
