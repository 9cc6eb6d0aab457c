"""Streams and bodies that are left, closed or dropped, and ones that break."""

import gc
import weakref

import anthropic
import pytest
from anthropic_sdk import agent, astream, http, stream

from promptcache.emulator import Fault
from promptcache.receipts.events import Settled, UsageMissing


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
