"""Through the SDK, over HTTP, to the emulator and to stand-ins for it."""

import asyncio
import gc
import importlib
import json
import subprocess
import sys
import threading
import warnings
import weakref

import anthropic
import pytest
from anthropic.lib.streaming import AsyncMessageStream, MessageStream
from anthropic.types import Message
from anthropic.types.beta import BetaMessage

from promptcache import Policy, PromptCache, attach, options
from promptcache.emulator import Emulator, Fault, ToolCall
from promptcache.errors import AttachedError, OptionError, UnreadableBodyError
from promptcache.providers.anthropic.seam import _WAIT_SECONDS, Seam, _host
from promptcache.receipts.events import (
    BodyUnreadable,
    RetriedUnplanned,
    Settled,
    SteppedAside,
    UsageMissing,
)

# The HTTP library that the SDK was made for: newer ones bring another.
_BASE = anthropic.DefaultHttpxClient.__mro__[1]
http = importlib.import_module(_BASE.__module__.partition(".")[0])

MODEL = "claude-sonnet-5-5"
LONG = "word " * 800
MARK = {"type": "ephemeral"}
NOW = 0.001
"""Seconds that a test waits for a retry; zero would mean the SDK's own choice."""


def agent(*turns, **fields):
    return {
        "model": MODEL,
        "max_tokens": 16,
        "tools": [
            {"name": "f", "description": LONG, "input_schema": {"type": "object"}}
        ],
        "system": LONG,
        "messages": list(turns) or [{"role": "user", "content": "hello"}],
        **fields,
    }


@pytest.fixture(scope="module")
def server():
    with Emulator() as running:
        yield running


@pytest.fixture
def emulator(server):
    server.reset()
    return server


@pytest.fixture
def events():
    return []


@pytest.fixture
def cache(emulator, events):
    return PromptCache(clock=emulator.clock, listeners=[events.append])


@pytest.fixture
def plain(emulator):
    with anthropic.Anthropic(base_url=emulator.url, api_key="any") as client:
        yield client


@pytest.fixture
def client(plain, cache):
    return cache.attach(plain)


@pytest.fixture
async def plain_async(emulator):
    async with anthropic.AsyncAnthropic(base_url=emulator.url, api_key="any") as client:
        yield client


@pytest.fixture
def async_client(plain_async, cache):
    return cache.attach(plain_async)


def is_like(receipt, row):
    """Tell whether a receipt says what the emulator billed."""
    usage = receipt.usage
    return (usage.input_tokens, usage.read_tokens, usage.written_tokens) == (
        row.total_input_tokens,
        row.cache_read_input_tokens,
        row.cache_creation_input_tokens,
    ) and usage.output_tokens == row.output_tokens


# Every way to ask, each as a function that returns what the SDK handed out.


def create(client, body):
    return client.messages.create(**body)


def stream(client, body):
    with client.messages.create(**body, stream=True) as events:
        return list(events)


def helper(client, body):
    with client.messages.stream(**body) as events:
        return events.get_final_message()


def helper_texts(client, body):
    with client.messages.stream(**body) as events:
        return list(events.text_stream)


def raw(client, body):
    return client.messages.with_raw_response.create(**body).parse()


def raw_stream(client, body):
    response = client.messages.with_raw_response.create(**body, stream=True)
    assert response.headers["request-id"]
    return list(response.parse())


def streaming(client, body):
    with client.messages.with_streaming_response.create(**body) as response:
        return response.parse()


def streaming_json(client, body):
    with client.messages.with_streaming_response.create(**body) as response:
        return response.json()


def beta(client, body):
    return client.beta.messages.create(**body)


def beta_stream(client, body):
    with client.beta.messages.stream(**body) as events:
        return events.get_final_message()


def copied(client, body):
    return client.copy().messages.create(**body)


def with_options(client, body):
    return client.with_options(max_retries=0, timeout=9).messages.create(**body)


def posted(client, body):
    return client.post("/v1/messages", body=body, cast_to=Message)


WAYS = [
    create,
    stream,
    helper,
    helper_texts,
    raw,
    raw_stream,
    streaming,
    streaming_json,
    beta,
    beta_stream,
    copied,
    with_options,
    posted,
]


@pytest.mark.parametrize("ask", WAYS)
def test_every_way_to_ask(client, cache, emulator, ask):
    """Each way sends one planned request and has one receipt, equal to the bill."""
    with cache.collect() as collected:
        ask(client, agent())
        ask(client, agent())
    first, second = emulator.ledger

    assert [
        is_like(*pair) for pair in zip(collected, emulator.ledger, strict=True)
    ] == [
        True,
        True,
    ]
    assert len(first.breakpoints) == 3
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 0


async def acreate(client, body):
    return await client.messages.create(**body)


async def astream(client, body):
    async with await client.messages.create(**body, stream=True) as events:
        return [event async for event in events]


async def ahelper(client, body):
    async with client.messages.stream(**body) as events:
        return await events.get_final_message()


async def araw(client, body):
    response = await client.messages.with_raw_response.create(**body)
    parsed = response.parse()
    return parsed if isinstance(parsed, Message) else await parsed


async def araw_stream(client, body):
    response = await client.messages.with_raw_response.create(**body, stream=True)
    parsed = response.parse()
    events = await parsed if asyncio.iscoroutine(parsed) else parsed
    return [event async for event in events]


async def astreaming(client, body):
    async with client.messages.with_streaming_response.create(**body) as response:
        return await response.parse()


async def abeta(client, body):
    return await client.beta.messages.create(**body)


async def abeta_stream(client, body):
    async with client.beta.messages.stream(**body) as events:
        return await events.get_final_message()


async def awith_options(client, body):
    return await client.with_options(max_retries=0).messages.create(**body)


ASYNC_WAYS = [
    acreate,
    astream,
    ahelper,
    araw,
    araw_stream,
    astreaming,
    abeta,
    abeta_stream,
    awith_options,
]


@pytest.mark.parametrize("ask", ASYNC_WAYS)
async def test_every_asynchronous_way_to_ask(async_client, cache, emulator, ask):
    """The same holds for the asynchronous client."""
    with cache.collect() as collected:
        await ask(async_client, agent())
        await ask(async_client, agent())
    first, second = emulator.ledger

    assert [
        is_like(*pair) for pair in zip(collected, emulator.ledger, strict=True)
    ] == [
        True,
        True,
    ]
    assert len(first.breakpoints) == 3
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 0


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        pytest.param(create, Message, id="create"),
        pytest.param(raw, Message, id="raw"),
        pytest.param(streaming, Message, id="streaming"),
        pytest.param(beta, BetaMessage, id="beta"),
        pytest.param(
            lambda client, body: client.messages.create(**body, stream=True),
            anthropic.Stream,
            id="stream",
        ),
        pytest.param(
            lambda client, body: client.messages.stream(**body).__enter__(),
            MessageStream,
            id="helper",
        ),
    ],
)
def test_types_are_the_sdks_own(client, plain, ask, kind):
    """What the SDK would have returned is what is returned."""
    with_us, without_us = ask(client, agent()), ask(plain, agent())

    assert type(with_us) is type(without_us)
    assert isinstance(with_us, kind)
    for given in (with_us, without_us):
        getattr(given, "close", lambda: None)()


async def test_asynchronous_types_are_the_sdks_own(async_client):
    """The same holds for the asynchronous client."""
    events = await async_client.messages.create(**agent(), stream=True)
    assert type(events) is anthropic.AsyncStream
    await events.close()
    async with async_client.messages.stream(**agent()) as events:
        assert isinstance(events, AsyncMessageStream)


def test_events_are_the_same(client, plain):
    """A stream hands on the events that came, in their order."""
    ours = [event.type for event in stream(client, agent())]

    assert ours == [event.type for event in stream(plain, agent())]


def test_the_client_that_was_passed_in(client, plain, cache, emulator):
    """The original client stays as it is, and shares its pool with ours."""
    assert client is not plain
    assert type(client) is type(plain)
    assert client._client is plain._client
    assert plain.middleware == ()
    with cache.collect() as collected:
        plain.messages.create(**agent())
    assert emulator.ledger[0].breakpoints == ()
    assert collected == []


def test_attaching_twice(client, cache):
    """The same cache again changes nothing, and another one is an error."""
    assert cache.attach(client) is client
    assert attach(client.copy(), cache).middleware == client.middleware
    with pytest.raises(AttachedError):
        PromptCache().attach(client)
    with pytest.raises(AttachedError):
        attach(client)


def test_a_policy_of_another_provider(plain):
    """A lifetime that Anthropic lacks is refused when a client is attached."""
    with pytest.raises(OptionError, match="5m, 1h"):
        PromptCache(Policy.fixed(tools="12h")).attach(plain)


def test_other_middleware_stays(plain, cache):
    """Ours is added to the middleware that a client has."""
    seen = []

    def note(request, call_next):
        seen.append(request.url)
        return call_next(request)

    client = cache.attach(plain.with_middleware(note))
    client.messages.create(**agent())

    assert len(client.middleware) == 2
    assert seen == ["/v1/messages"]


def test_other_endpoints_pass(client, cache, events, emulator):
    """Counting tokens is no message: no plan, no receipt, not a word changed."""
    body = {name: value for name, value in agent().items() if name != "max_tokens"}
    with cache.collect() as collected:
        client.messages.count_tokens(**body)
        client.beta.messages.count_tokens(**body)

    assert [row.body["messages"] for row in emulator.ledger] == [body["messages"]] * 2
    assert collected == []
    assert events == []


def test_batches_pass(cache, events):
    """A batch is sent as it is."""
    sent = []
    client = standing_in(
        cache, lambda request: sent.append(request.content) or answer({})
    )
    params = agent()
    client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])

    assert json.loads(sent[0])["requests"][0]["params"] == params
    assert events == []


def test_extra_body_is_part_of_the_body(client, cache, emulator):
    """What `extra_body` adds or replaces is planned with the rest."""
    hour = {"type": "ephemeral", "ttl": "1h"}
    with cache.collect() as collected:
        client.messages.create(
            **agent(), extra_body={"cache_control": hour, "system": LONG + "more"}
        )
    (row,), (receipt,) = emulator.ledger, collected

    assert row.body["cache_control"] == hour
    assert row.body["system"][0]["text"] == LONG + "more"
    assert receipt.breakpoints[-1] == "automatic 1h fixed"
    assert {point.split()[1] for point in receipt.breakpoints} == {"1h"}


def test_extra_body_may_leave_a_field_out(client, emulator):
    """A field that `extra_body` omits is not sent."""
    client.messages.create(
        **agent(stop_sequences=["x"]), extra_body={"stop_sequences": anthropic.Omit()}
    )

    assert "stop_sequences" not in emulator.ledger[0].body
    assert len(emulator.ledger[0].breakpoints) == 3


def test_answers_passed_back(client, emulator):
    """The SDK's own blocks as content are read as what they are sent as."""
    emulator.answers.push([ToolCall("f", {"b": 1, "a": 2}), ToolCall("f", {"c": 3})])
    first = client.messages.create(**agent())
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "r"}
        for block in first.content
        if block.type == "tool_use"
    ]
    client.messages.create(
        **agent(
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": results},
        )
    )
    before, after = emulator.ledger

    assert after.cache_read_input_tokens == before.cache_creation_input_tokens > 0
    assert after.error is None


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


def kept(client):
    """Return how many failed requests the seam of a client still holds."""
    return len(client.middleware[-1]._waiting)


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


# Streams that do not come to their end.


def test_the_receipt_is_there_with_the_last_event(client, cache):
    """Settled is before the event with the final usage is handed on, and once."""
    with cache.collect() as collected:
        seen = [
            (event.type, len(collected))
            for event in client.messages.create(**agent(), stream=True)
        ]

    assert dict(seen)["message_delta"] == 1
    assert seen[-1] == ("message_stop", 1)
    assert {count for kind, count in seen if kind.startswith("content")} == {0}


async def test_the_receipt_is_there_with_the_last_asynchronous_event(
    async_client, cache
):
    """The same holds for the asynchronous client."""
    with cache.collect() as collected:
        async for event in await async_client.messages.create(**agent(), stream=True):
            if event.type == "message_delta":
                assert len(collected) == 1


def leave(events):
    del events
    gc.collect()


def leave_loop(events):
    for _ in events:
        break
    del events
    gc.collect()


def leave_with(events):
    with events:
        next(iter(events))


def leave_generator(events):
    iterator = iter(events)
    next(iterator)
    iterator.close()
    events.close()


@pytest.mark.parametrize(
    ("end", "known"),
    [
        pytest.param(lambda events: events.close(), False, id="closed-unread"),
        pytest.param(leave_with, True, id="left-with"),
        pytest.param(leave_generator, True, id="iterator-closed"),
    ],
)
def test_a_stream_that_is_closed_early(client, cache, emulator, end, known):
    """A stream that is closed is settled then, with what is known."""
    with cache.collect() as collected:
        opened = client.messages.create(**agent(), stream=True)
        end(opened)
        settled = list(collected)
    (receipt,) = settled

    assert opened.response.is_closed
    assert receipt.usage.input_tokens == (
        emulator.ledger[0].total_input_tokens if known else None
    )


@pytest.mark.parametrize(
    ("end", "known"),
    [
        pytest.param(lambda client: leave(opened(client)), False, id="unread"),
        pytest.param(lambda client: leave_loop(opened(client)), True, id="left-loop"),
    ],
)
def test_a_stream_that_is_dropped(client, cache, end, known):
    """A stream that nobody holds any more is settled when Python notices."""
    with cache.collect() as collected:
        end(client)
    (receipt,) = collected

    assert (receipt.usage.input_tokens is not None) is known


def opened(client):
    return client.messages.create(**agent(), stream=True)


def test_a_dropped_stream_forms_no_cycle(client, plain):
    """A stream that is dropped is gone as soon as it would be without us."""

    def is_gone(asked):
        events = opened(asked)
        next(events)
        dropped = weakref.ref(events)
        del events
        return dropped() is None

    gc.disable()
    try:
        with_us, without_us = is_gone(client), is_gone(plain)
    finally:
        gc.enable()
    gc.collect()

    assert with_us is without_us


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda events: events.close(), id="closed"),
        pytest.param(lambda events: next(iter(events)), id="left"),
        pytest.param(lambda events: next(events.text_stream), id="text-left"),
    ],
)
def test_a_helper_that_is_left_early(client, cache, emulator, end):
    """The helper's `with` settles a stream that was not read to its end."""
    with cache.collect() as collected:
        with client.messages.stream(**agent()) as events:
            end(events)
        settled = list(collected)

    assert len(settled) == 1


async def test_an_asynchronous_stream_that_is_closed_early(async_client, cache):
    """The same holds for the asynchronous client."""
    with cache.collect() as collected:
        stream = await async_client.messages.create(**agent(), stream=True)
        await anext(stream)
        await stream.close()
        async with async_client.messages.stream(**agent()) as events:
            await anext(events)
        settled = list(collected)

    assert stream.response.is_closed
    assert [receipt.usage.input_tokens is None for receipt in settled] == [False, False]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=529, after_events=3), id="error-event"),
        pytest.param(Fault(after_events=3), id="connection"),
    ],
)
def test_a_stream_that_breaks(client, cache, emulator, fault):
    """An error in the middle reaches the caller, and settles with what is known."""
    emulator.faults.push(fault)
    with (
        cache.collect() as collected,
        pytest.raises((anthropic.APIError, http.HTTPError)),
    ):
        stream(client, agent())
    (receipt,) = collected

    assert receipt.usage.input_tokens == emulator.ledger[0].total_input_tokens
    assert receipt.attempts == 1


async def test_an_asynchronous_stream_that_breaks(async_client, cache, emulator):
    """The same holds for the asynchronous client."""
    emulator.faults.push(Fault(status=529, after_events=3))
    with cache.collect() as collected, pytest.raises(anthropic.APIError):
        await astream(async_client, agent())

    assert len(collected) == 1


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda response: None, id="unread"),
        pytest.param(lambda response: list(response.iter_bytes()), id="bytes"),
    ],
)
def test_a_body_that_its_caller_reads(client, cache, events, ask):
    """A response that is not kept in memory has a receipt that knows no tokens."""
    with cache.collect() as collected:
        with client.messages.with_streaming_response.create(**agent()) as response:
            ask(response)
        settled = list(collected)

    assert [receipt.usage.input_tokens for receipt in settled] == [None]
    assert [type(event) for event in events] == [UsageMissing, Settled]


async def test_an_asynchronous_body_that_its_caller_reads(async_client, cache):
    """The same holds for the asynchronous client; what was read by then is known."""
    send = async_client.messages.with_streaming_response.create
    with cache.collect() as collected:
        async with send(**agent()) as response:
            async for _ in response.iter_bytes():
                pass
        async with send(**agent()) as response:
            await response.read()
        settled = list(collected)

    assert [receipt.usage.input_tokens is None for receipt in settled] == [True, False]


# Answers that are not what the emulator would send.


def answer(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http.Response(
        status, content=content, headers={"content-type": "application/json", **headers}
    )


def standing_in(cache, handler):
    """Return an attached client whose requests go to a function."""
    client = http.Client(transport=http.MockTransport(handler))
    return cache.attach(
        anthropic.Anthropic(
            api_key="any", base_url="http://stand-in", http_client=client, max_retries=0
        )
    )


WHOLE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(WHOLE, id="no-usage"),
        pytest.param({**WHOLE, "usage": None}, id="usage-null"),
        pytest.param({**WHOLE, "usage": "5"}, id="usage-a-string"),
        pytest.param({**WHOLE, "usage": {}}, id="usage-empty"),
        pytest.param({**WHOLE, "usage": {"input_tokens": None}}, id="tokens-null"),
        pytest.param({**WHOLE, "model": 5, "id": ["m"]}, id="model-a-number"),
        pytest.param([WHOLE], id="a-list"),
        pytest.param(None, id="null"),
        pytest.param({}, id="nothing"),
    ],
)
def test_odd_answers(cache, events, body):
    """An answer of another shape reaches the caller; its receipt knows no tokens."""
    client = standing_in(cache, lambda _: answer(body))
    with cache.collect() as collected:
        response = client.messages.with_raw_response.create(**agent())
    (receipt,) = collected

    assert json.loads(response.http_response.content) == body
    assert receipt.usage.input_tokens is None
    assert receipt.model == MODEL
    assert [type(event) for event in events] == [UsageMissing, Settled]


def test_an_answer_that_is_no_json(cache, plain):
    """Invalid JSON fails as it does without us."""
    client = standing_in(cache, lambda _: answer(b"{"))

    with cache.collect() as collected, pytest.raises(json.JSONDecodeError):
        client.messages.create(**agent())
    assert len(collected) == 1


def lines(*events):
    """Return the events of a stream as they are sent."""
    sent = "".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events
    )
    return http.Response(
        200, content=sent.encode(), headers={"content-type": "text/event-stream"}
    )


USAGE = {
    "input_tokens": 5,
    "output_tokens": 1,
    "cache_read_input_tokens": 7,
    "cache_creation_input_tokens": 11,
    "cache_creation": {
        "ephemeral_5m_input_tokens": 11,
        "ephemeral_1h_input_tokens": 0,
    },
}
START = {"type": "message_start", "message": {**WHOLE, "content": [], "usage": USAGE}}
STOP = {"stop_reason": "end_turn", "stop_sequence": None}


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        pytest.param(
            [
                START,
                {"type": "message_delta", "delta": STOP, "usage": {"output_tokens": 9}},
            ],
            (23, 9),
            id="later-report",
        ),
        pytest.param(
            [
                START,
                {
                    "type": "message_delta",
                    "delta": STOP,
                    "usage": {
                        "output_tokens": 9,
                        "input_tokens": None,
                        "cache_read_input_tokens": 100,
                    },
                },
            ],
            (116, 9),
            id="cumulative-and-null",
        ),
        pytest.param([START], (23, 1), id="no-end"),
        pytest.param(
            [START, {"type": "message_delta", "delta": STOP, "usage": None}],
            (23, 1),
            id="usage-null",
        ),
        pytest.param(
            [START, {"type": "message_delta", "delta": {"stop_reason": None}}],
            (23, 1),
            id="no-usage",
        ),
        pytest.param(
            [{"type": "ping"}, {"type": "new_event"}], (None, None), id="other"
        ),
        pytest.param([], (None, None), id="nothing"),
        pytest.param(
            [{"type": "message_start", "message": {"id": 5}}], (None, None), id="odd"
        ),
    ],
)
def test_odd_streams(cache, events, sent, tokens):
    """A stream of any events is handed on and settled with what they say."""
    client = standing_in(cache, lambda _: lines(*sent))
    with cache.collect() as collected:
        list(client.messages.create(**agent(), stream=True))
    (receipt,) = collected

    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == tokens
    assert [type(event) for event in events if type(event) is Settled] == [Settled]


def test_a_large_body_is_sent_unchanged(cache, events):
    """A body of 50 MB is not held up: it goes out as it is, with one event."""
    sent = []

    def note(request):
        sent.append(request.content)
        return answer({**WHOLE, "usage": USAGE})

    turns = [{"role": "user", "content": "x" * 10_000_000} for _ in range(5)]
    with cache.collect() as collected:
        standing_in(cache, note).messages.create(**agent(*turns))

    assert json.loads(sent[0]) == agent(*turns)
    assert [type(event) for event in events] == [BodyUnreadable, Settled]
    assert collected[0].usage.input_tokens == 23


# Tasks and threads.


class Endless(http.AsyncByteStream):
    """A stream that begins and never goes on."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.is_closed = False

    async def __aiter__(self):
        yield lines(START).content
        self.begun.set()
        await asyncio.Event().wait()

    async def aclose(self):
        self.is_closed = True


def standing_in_async(cache, handler):
    client = http.AsyncClient(transport=http.MockTransport(handler))
    return cache.attach(
        anthropic.AsyncAnthropic(
            api_key="any", base_url="http://stand-in", http_client=client, max_retries=0
        )
    )


async def test_a_task_that_is_cancelled_in_a_stream(cache):
    """A cancelled reader gets its cancellation; the stream is settled and closed."""
    endless = Endless()

    async def handler(_):
        return http.Response(
            200, stream=endless, headers={"content-type": "text/event-stream"}
        )

    client = standing_in_async(cache, handler)

    async def work():
        async for _ in await client.messages.create(**agent(), stream=True):
            pass

    with cache.collect() as collected:
        task = asyncio.create_task(work())
    await endless.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [receipt.usage.input_tokens for receipt in collected] == [23]
    assert endless.is_closed


async def test_a_task_that_is_cancelled_before_its_answer(cache):
    """A cancelled request is kept nowhere and has no receipt."""
    asked = asyncio.Event()

    async def handler(_):
        asked.set()
        await asyncio.Event().wait()

    client = standing_in_async(cache, handler)
    with cache.collect() as collected:
        task = asyncio.create_task(client.messages.create(**agent()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert collected == []
    assert kept(client) == 0


async def test_many_tasks(async_client, cache, emulator):
    """Tasks that interleave get their own receipts, under their own options."""

    async def ask(name):
        with cache.collect() as collected, options(conversation=name, tenant="acme"):
            await (astream if int(name) % 2 else acreate)(
                async_client, agent({"role": "user", "content": name})
            )
        return [receipt.conversation for receipt in collected]

    seen = await asyncio.gather(*[ask(str(number)) for number in range(32)])

    assert seen == [[str(number)] for number in range(32)]
    assert len(emulator.ledger) == 32


def test_64_threads(client, cache, emulator):
    """64 threads on one client get their own receipts."""
    seen, gate = [], threading.Barrier(64)

    def ask(name):
        gate.wait()
        with cache.collect() as collected, options(conversation=name):
            create(client, agent({"role": "user", "content": name}))
            stream(client, agent({"role": "user", "content": name}))
        seen.append([receipt.conversation for receipt in collected] == [name] * 2)

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 64
    assert len(emulator.ledger) == 128
    assert all(row.error is None for row in emulator.ledger)


# The SDK that is installed.


def test_an_sdk_without_middleware():
    """A client that lacks what we rely on is returned as it is, with one warning."""
    kind = type("Anthropic", (), {"__module__": "anthropic._client"})
    client = kind()

    with pytest.warns(UserWarning, match="with_middleware.*tested with") as warned:
        assert attach(client, PromptCache()) is client
    assert len(warned) == 1


NO_MIDDLEWARE = """
import warnings
import anthropic
del anthropic.Middleware
from promptcache import PromptCache
class Old(anthropic.Anthropic):
    with_middleware = None
client = Old(api_key="any")
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    assert PromptCache().attach(client) is client
print(len(warned), "steps aside" in str(warned[0].message))
"""


def test_an_sdk_that_knows_no_middleware():
    """An SDK from before middleware can be imported, and is left alone."""
    done = subprocess.run(
        [sys.executable, "-c", NO_MIDDLEWARE],
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("1 True\n", "")


def test_an_sdk_without_the_iterator(plain, cache, events, monkeypatch):
    """A stream that cannot be watched is a reason to step aside, which is told."""

    class Bare:
        def __init__(self):
            pass

    monkeypatch.setattr(anthropic, "Stream", Bare)
    with pytest.warns(UserWarning, match="_iterator"):
        assert cache.attach(plain) is plain
    (event,) = events
    assert isinstance(event, SteppedAside)
    assert "_iterator" in event.why


def test_attaching_warns_of_nothing(plain, cache):
    """The installed SDK has all that is relied on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attached = cache.attach(plain)

    assert isinstance(attached.middleware[-1], Seam)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        pytest.param("Anthropic", "anthropic", id="direct"),
        pytest.param("AsyncAnthropic", "anthropic", id="direct-async"),
        pytest.param("AnthropicBedrock", "bedrock", id="bedrock"),
        pytest.param("AsyncAnthropicBedrock", "bedrock", id="bedrock-async"),
        pytest.param("AnthropicBedrockMantle", "bedrock-mantle", id="mantle"),
        pytest.param("AnthropicVertex", "vertex", id="vertex"),
        pytest.param("AnthropicFoundry", "foundry", id="foundry"),
        pytest.param("AnthropicAWS", "aws", id="aws"),
    ],
)
def test_hosts(name, host):
    """The platform is told from the client's class, and from that of its base."""
    kind = getattr(anthropic, name, None)
    if kind is None:
        kind = type(name, (), {})
    derived = type("Mine", (kind,), {})

    assert _host(derived.__new__(derived)) == host
