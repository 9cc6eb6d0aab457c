"""Streams and bodies that are left, closed or dropped, and ones that break."""

import gc
import weakref

import openai
import pytest
from openai_sdk import (
    LONG,
    MODEL,
    WITH_USAGE,
    astream,
    chat,
    http,
    response,
    responses_stream,
    stream,
)

from promptcache.emulator import Fault
from promptcache.receipts.events import Settled, UsageMissing


def opened(client):
    return client.chat.completions.create(**chat(**WITH_USAGE))


def opened_responses(client):
    return client.responses.create(**response(), stream=True)


OPENED = [opened, opened_responses]


@pytest.mark.parametrize(
    ("ask", "last"),
    [
        pytest.param(opened, lambda event: event.usage is not None, id="chat"),
        pytest.param(
            opened_responses,
            lambda event: event.type == "response.completed",
            id="responses",
        ),
    ],
)
def test_the_receipt_is_there_with_the_last_event(client, cache, ask, last):
    """Settled is before the event with the final usage is handed on, and once."""
    with cache.collect() as collected:
        seen = [(last(event), len(collected)) for event in ask(client)]

    assert seen[-1] == (True, 1)
    assert set(seen[:-1]) == {(False, 0)}
    assert len(collected) == 1


async def test_the_receipt_is_there_with_the_last_asynchronous_event(
    async_client, cache
):
    """The same holds for the asynchronous client."""
    with cache.collect() as collected:
        async for chunk in await opened(async_client):
            assert len(collected) == (chunk.usage is not None)


@pytest.mark.parametrize("ask", OPENED)
def test_the_first_token(client, cache, emulator, ask):
    """The time to the first token ends where the answer begins, not the stream."""
    with cache.collect() as collected:
        begun = 0
        for event in ask(client):
            said = getattr(event, "type", "").endswith(".delta") or any(
                choice.delta.content for choice in getattr(event, "choices", ())
            )
            begun += said
            if not begun:
                emulator.clock.advance(1)
            elif begun == 1:
                late = 1000.0
                emulator.clock.advance(late)
    (receipt,) = collected

    assert begun > 1
    assert 0 < receipt.first_token_s < late
    assert receipt.total_s >= late


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


@pytest.mark.parametrize("ask", OPENED)
@pytest.mark.parametrize(
    ("end", "known"),
    [
        pytest.param(lambda events: events.close(), False, id="closed-unread"),
        pytest.param(lambda events: events.response.close(), False, id="response"),
        pytest.param(leave_with, True, id="left-with"),
        pytest.param(leave_generator, True, id="iterator-closed"),
    ],
)
def test_a_stream_that_is_closed_early(client, cache, ask, end, known):
    """A stream that is closed is settled then, with what is known: perhaps its id."""
    with cache.collect() as collected:
        events = ask(client)
        end(events)
        settled = list(collected)
    (receipt,) = settled

    assert events.response.is_closed
    assert receipt.usage.input_tokens is None
    assert (receipt.id is not None) is known


@pytest.mark.parametrize("ask", OPENED)
@pytest.mark.parametrize(
    ("end", "known"),
    [
        pytest.param(leave, False, id="unread"),
        pytest.param(leave_loop, True, id="left"),
    ],
)
def test_a_stream_that_is_dropped(client, cache, ask, end, known):
    """A stream that nobody holds any more is settled when Python notices."""
    with cache.collect() as collected:
        end(ask(client))
        gc.collect()
    (receipt,) = collected

    assert (receipt.id is not None) is known


@pytest.mark.parametrize("ask", OPENED)
def test_a_dropped_stream_forms_no_cycle(client, plain, ask):
    """A stream that is dropped is gone as soon as it would be without us."""

    def is_gone(asked):
        events = ask(asked)
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


@pytest.mark.parametrize("api", ["chat.completions", "responses"])
@pytest.mark.parametrize("parsed", [False, True])
def test_a_raw_stream_that_is_dropped(client, cache, api, parsed):
    """A raw answer that nobody reads is settled when Python notices."""
    resource = client.responses if api == "responses" else client.chat.completions
    body = response() if api == "responses" else chat()
    with cache.collect() as collected:
        answer = resource.with_raw_response.create(**body, stream=True)
        if parsed:
            answer.parse()
        gc.collect()
        assert collected == []
        del answer
        gc.collect()

    assert [receipt.usage.input_tokens for receipt in collected] == [None]


def test_a_raw_stream_outlives_its_answer(client, cache, emulator):
    """The stream of a raw answer is settled by its events, though that is dropped."""
    send = client.chat.completions.with_raw_response.create
    with cache.collect() as collected:
        answer = send(**chat(**WITH_USAGE))
        chunks = answer.parse()
        del answer
        gc.collect()
        assert collected == []
        list(chunks)
    (receipt,) = collected

    assert receipt.usage.input_tokens == emulator.ledger[0].total_input_tokens


def test_a_stream_that_is_read_as_text(client, cache):
    """A stream whose lines its caller reads is settled when that is closed."""
    send = client.chat.completions.with_streaming_response.create
    with cache.collect() as collected:
        with send(**chat(**WITH_USAGE)) as answer:
            assert len(list(answer.iter_lines())) > 3
            assert collected == []
        settled = list(collected)

    assert [receipt.usage.input_tokens for receipt in settled] == [None]


HELPERS = [
    pytest.param(lambda client: client.chat.completions.stream(**chat()), id="chat"),
    pytest.param(lambda client: client.responses.stream(**response()), id="responses"),
]


@pytest.mark.parametrize("ask", HELPERS)
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda events: events.close(), id="closed"),
        pytest.param(lambda events: next(iter(events)), id="left"),
    ],
)
def test_a_helper_that_is_left_early(client, cache, ask, end):
    """The helper's `with` settles a stream that was not read to its end."""
    with cache.collect() as collected:
        with ask(client) as events:
            end(events)
        settled = list(collected)

    assert len(settled) == 1


@pytest.mark.parametrize("ask", HELPERS)
async def test_an_asynchronous_stream_that_is_closed_early(async_client, cache, ask):
    """The same holds for the asynchronous client."""
    with cache.collect() as collected:
        events = await opened(async_client)
        await anext(events)
        await events.close()
        async with ask(async_client) as helped:
            await anext(helped)
        settled = list(collected)

    assert events.response.is_closed
    assert len(settled) == 2


@pytest.mark.parametrize("ask", [stream, responses_stream])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=500, after_events=2), id="error-event"),
        pytest.param(Fault(after_events=2), id="connection"),
    ],
)
def test_a_stream_that_breaks(client, plain, cache, emulator, ask, fault):
    """An error in the middle is what it is without us, and settles the request."""

    def end(asked):
        emulator.faults.push(fault)
        try:
            return type(ask(asked)[-1])
        except (openai.APIError, http.HTTPError) as error:
            return type(error)

    with cache.collect() as collected:
        ended = end(client)
    (receipt,) = collected

    assert ended is end(plain)
    assert receipt.id is not None
    assert receipt.usage.input_tokens is None
    assert receipt.attempts == 1


async def test_an_asynchronous_stream_that_breaks(async_client, cache, emulator):
    """The same holds for the asynchronous client."""
    emulator.faults.push(Fault(status=500, after_events=3))
    with cache.collect() as collected, pytest.raises(openai.APIError):
        await astream(async_client)

    assert len(collected) == 1


@pytest.mark.parametrize(
    ("ask", "known"),
    [
        pytest.param(lambda answer: None, False, id="unread"),
        pytest.param(lambda answer: list(answer.iter_bytes()), False, id="bytes"),
        pytest.param(lambda answer: answer.read(), True, id="read"),
        pytest.param(lambda answer: answer.json(), True, id="json"),
        pytest.param(lambda answer: answer.text(), True, id="text"),
        pytest.param(lambda answer: answer.parse(), True, id="parsed"),
        pytest.param(lambda answer: answer.parse(to=object), True, id="parsed-to"),
    ],
)
def test_a_body_that_its_caller_reads(client, cache, emulator, events, ask, known):
    """What is read settles then; what is not kept has a receipt without tokens."""
    send = client.chat.completions.with_streaming_response.create
    with cache.collect() as collected:
        with send(**chat()) as answer:
            ask(answer)
            assert len(collected) == known
        settled = list(collected)
    (receipt,), (row,) = settled, emulator.ledger

    assert receipt.usage.input_tokens == (row.total_input_tokens if known else None)
    assert [type(event) for event in events] == [
        *([] if known else [UsageMissing]),
        Settled,
    ]


async def test_an_asynchronous_body_that_its_caller_reads(async_client, cache):
    """The same holds for the asynchronous client."""
    send = async_client.responses.with_streaming_response.create
    with cache.collect() as collected:
        async with send(**response()) as answer:
            async for _ in answer.iter_bytes():
                pass
        async with send(**response()) as answer:
            assert "id" in await answer.json()
            assert len(collected) == 2
        settled = list(collected)

    assert [receipt.usage.input_tokens is None for receipt in settled] == [True, False]


def test_an_http_response_that_its_caller_reads(client, cache, emulator):
    """A body that the caller takes from the HTTP library is read there, or dropped."""
    given = {
        "cast_to": http.Response,
        "body": chat(),
        "options": {"headers": {"X-Stainless-Raw-Response": "stream"}},
    }
    with cache.collect() as collected:
        answer = client.post("/chat/completions", **given)
        assert collected == []
        answer.read()
        assert len(collected) == 1
        answer = client.post("/chat/completions", **given)
        answer.close()
        del answer
        gc.collect()
    read, dropped = collected

    assert read.usage.input_tokens == emulator.ledger[0].total_input_tokens
    assert dropped.usage.input_tokens is None


def test_a_cut_answer_of_the_parse_helper(client, cache, emulator):
    """An answer that the SDK refuses to parse was billed, so it has a receipt."""
    emulator.answers.push("no JSON at all, and far more than fits")
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": LONG}],
        "max_completion_tokens": 1,
    }
    with cache.collect() as collected, pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**body, response_format={"type": "json_object"})

    assert len(emulator.ledger) == 1
    assert collected[0].usage.input_tokens == emulator.ledger[0].total_input_tokens
