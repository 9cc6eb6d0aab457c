"""One plan for all attempts at a request, and one more without our fields."""

import json

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai_sdk import (
    COMPLETION,
    USAGE,
    acreate,
    answer,
    astream,
    bodies,
    chat,
    create,
    helper,
    http,
    is_planned,
    parse,
    raw,
    response,
    responses,
    responses_stream,
    standing_in,
    stream,
    streaming,
    with_options,
)

from promptcache import PromptCache
from promptcache.emulator import Fault
from promptcache.errors import UnreadableBodyError
from promptcache.receipts.events import PlanningFailed, RetriedUnplanned, Settled

NOW = 0.001
"""Seconds that a test waits for a retry; zero would mean the SDK's own choice."""

REFUSED = {
    "error": {
        "message": "prompt_cache_options is not supported on this model",
        "type": "invalid_request_error",
        "param": "prompt_cache_options",
        "code": "invalid_parameter",
    }
}
REFUSAL = Fault(status=400, body=REFUSED)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=NOW), id="rate-limit"),
        pytest.param(Fault(status=503, retry_after=NOW), id="overloaded"),
        pytest.param(Fault(close=True), id="connection"),
    ],
)
@pytest.mark.parametrize("ask", [create, stream, streaming, responses])
def test_retries(client, cache, emulator, ask, fault, no_waiting):
    """A request that is retried has one plan and one receipt with its attempts."""
    emulator.faults.push(fault)
    with cache.collect() as collected:
        ask(client)
    (receipt,) = collected
    failed, answered = bodies(emulator)

    assert receipt.attempts == 2
    assert failed == answered
    assert is_planned(answered)


async def test_asynchronous_retries(async_client, cache, emulator):
    """The same holds for the asynchronous client."""
    emulator.faults.push(Fault(status=429, retry_after=NOW, times=2))
    with cache.collect() as collected:
        await acreate(async_client)

    assert [receipt.attempts for receipt in collected] == [3]
    assert bodies(emulator)[0] == bodies(emulator)[2]


@pytest.mark.parametrize("status", [400, 401, 413, 500])
def test_a_request_that_fails(client, cache, events, emulator, status):
    """A failure reaches the caller as the SDK raises it, and has no receipt."""
    client = client.with_options(max_retries=0)
    emulator.faults.push(Fault(status=status, message="it is too large"))

    with (
        cache.collect() as collected,
        pytest.raises(openai.APIStatusError, match="too large") as raised,
    ):
        create(client)
    assert raised.value.status_code == status
    assert (len(emulator.ledger), collected, events) == (1, [], [])


def test_a_connection_that_fails(client, cache, emulator):
    """A request that never reached its server has no receipt."""
    emulator.faults.push(Fault(close=True))

    with cache.collect() as collected, pytest.raises(openai.APIConnectionError):
        with_options(client)
    assert collected == []


WAYS = [create, stream, helper, parse, raw, streaming, responses, responses_stream]


@pytest.mark.parametrize("ask", WAYS)
def test_a_refusal_of_our_fields(client, plain, cache, events, emulator, ask):
    """What names our fields is sent once more without them, and remembered."""
    ask(plain)
    emulator.faults.push(REFUSAL)
    with cache.collect() as collected:
        ask(client)
        ask(client)
    built, refused, again, later = bodies(emulator)

    assert is_planned(refused)
    assert again == later == built
    assert [receipt.attempts for receipt in collected] == [2, 1]
    assert [receipt.notes for receipt in collected] == [("refused",), ()]
    assert [type(event) for event in events].count(RetriedUnplanned) == 1


async def test_an_asynchronous_refusal(async_client, cache, emulator):
    """The same holds for the asynchronous client."""
    emulator.faults.push(REFUSAL)
    with cache.collect() as collected:
        await astream(async_client)

    assert not is_planned(bodies(emulator)[1])
    assert [receipt.attempts for receipt in collected] == [2]


def test_a_refusal_of_what_came_with_extras(client, emulator):
    """What is sent once more is what was given, in the parts that it was given in."""
    emulator.faults.push(REFUSAL)
    client.chat.completions.create(
        **chat(stop=["x"]), extra_body={"seed": 1, "stop": openai.Omit()}
    )

    assert bodies(emulator)[1] == chat(seed=1)


def test_a_refusal_then_a_retry(client, cache, emulator):
    """Retries of what was refused stay without our fields."""
    emulator.faults.push(Fault(status=429, retry_after=NOW))
    emulator.faults.push(REFUSAL)
    emulator.faults.push(Fault(status=429, retry_after=NOW))
    with cache.collect() as collected:
        create(client)

    assert [is_planned(body) for body in bodies(emulator)] == [True, True, False, False]
    assert [receipt.attempts for receipt in collected] == [4]


def test_a_refusal_again(client, events, emulator):
    """What is refused without our fields too is the caller's error."""
    emulator.faults.push(Fault(status=400, body=REFUSED, times=9))

    with pytest.raises(openai.BadRequestError, match="prompt_cache_options") as raised:
        create(client)
    assert not isinstance(raised.value.__context__, openai.APIError)
    assert [is_planned(body) for body in bodies(emulator)] == [True, False]
    assert [type(event) for event in events] == [RetriedUnplanned]


@pytest.mark.parametrize(("api", "body"), [("chat", chat), ("responses", response)])
def test_a_key_of_the_callers_that_is_too_long(client, events, emulator, api, body):
    """The caller's own mistake is the provider's to name, and is not remembered."""
    send = getattr(client, api)
    send = getattr(send, "completions", send).create

    with pytest.raises(openai.BadRequestError, match="prompt_cache_key"):
        send(**body(prompt_cache_key="k" * 65))
    assert len(emulator.ledger) == 1
    send(**body(prompt_cache_key="k" * 64))
    assert "prompt_cache_options" in bodies(emulator)[1]
    assert [type(event) for event in events] == [Settled]


class Gone(http.SyncByteStream):
    """A body that nobody may read."""

    def __iter__(self):
        raise AssertionError


def test_a_refusal_whose_text_is_gone(cache, events):
    """A refusal that cannot be read is the SDK's error, as it is without us."""

    def closed(request):
        refused = http.Response(400, stream=Gone())
        refused.close()
        return refused

    with pytest.raises(openai.BadRequestError):
        stream(standing_in(cache, closed))
    assert events == []


def test_a_strict_cache_raises_through_the_sdk(plain, emulator):
    """Our own error is raised as it is, and nothing is sent."""
    client = PromptCache(strict=True).attach(plain)

    with pytest.raises(UnreadableBodyError):
        client.post("/chat/completions", body={"messages": 5}, cast_to=ChatCompletion)
    assert emulator.ledger == []


def test_an_error_of_ours(client, cache, events, emulator, monkeypatch):
    """A request that we fail to plan is sent as it was built, and has its receipt."""
    monkeypatch.setattr("promptcache.planner.plan", lambda *_, **__: 1 / 0)
    with cache.collect() as collected:
        create(client)

    assert bodies(emulator) == [chat()]
    assert len(collected) == 1
    assert [type(event) for event in events] == [PlanningFailed, Settled]


def test_an_attempt_has_its_own_options(cache):
    """What the SDK puts into the options of one attempt is in no other."""
    tokens, sent = iter("abc"), []

    def note(request):
        sent.append((request.headers["authorization"], json.loads(request.content)))
        failed = len(sent) < 3
        headers = {"retry-after-ms": "1"}
        body = {} if failed else {**COMPLETION, "usage": USAGE}
        return answer(body, status=429 if failed else 200, **headers)

    client = standing_in(cache, note).copy(api_key=lambda: next(tokens), max_retries=2)
    with cache.collect() as collected:
        create(client)

    assert [header for header, _ in sent] == ["Bearer a", "Bearer b", "Bearer c"]
    assert sent[0][1] == sent[2][1]
    assert [receipt.attempts for receipt in collected] == [3]
