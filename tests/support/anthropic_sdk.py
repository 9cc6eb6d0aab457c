"""Ways to ask through the `anthropic` SDK, and stand-ins for its server."""

import asyncio
import importlib
import json

import anthropic
from anthropic.types import Message

# The HTTP library that the SDK was made for: newer ones bring another.
_BASE = anthropic.DefaultHttpxClient.__mro__[1]
http = importlib.import_module(_BASE.__module__.partition(".")[0])

MODEL = "claude-sonnet-5-5"
LONG = "word " * 800


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


def standing_in_async(cache, handler):
    client = http.AsyncClient(transport=http.MockTransport(handler))
    return cache.attach(
        anthropic.AsyncAnthropic(
            api_key="any", base_url="http://stand-in", http_client=client, max_retries=0
        )
    )


def kept(client):
    """Return how many failed requests the seam of a client still holds."""
    return len(client.middleware[-1]._waiting)
