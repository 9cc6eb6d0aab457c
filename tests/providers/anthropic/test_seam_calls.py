"""Every way to call the SDK has a plan and a receipt, and is else as it was."""

import json

import anthropic
import pytest
from anthropic.lib.streaming import AsyncMessageStream, MessageStream
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from anthropic_sdk import (
    ASYNC_WAYS,
    LONG,
    WAYS,
    agent,
    answer,
    beta,
    create,
    is_like,
    raw,
    standing_in,
    stream,
    streaming,
)

from promptcache import Policy, PromptCache, attach
from promptcache.emulator import ToolCall
from promptcache.errors import AttachedError, OptionError


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
