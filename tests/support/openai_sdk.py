"""Ways to ask through the `openai` SDK, and stand-ins for its server."""

import asyncio
import importlib
import json

import openai
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

# The HTTP library that the SDK was made for: newer ones bring another.
_BASE = openai.DefaultHttpxClient.__mro__[1]
http = importlib.import_module(_BASE.__module__.partition(".")[0])

MODEL = "gpt-6.1-sol"
LONG = "word " * 1600
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


class Weather(BaseModel):
    city: str


def chat(*turns, **fields):
    """Return a body of Chat Completions with a long head."""
    return {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": LONG},
            *(turns or [{"role": "user", "content": "hello"}]),
        ],
        **fields,
    }


def response(*turns, **fields):
    """Return a body of Responses with a long head."""
    return {
        "model": MODEL,
        "input": [
            {"role": "developer", "content": LONG},
            *(turns or [{"role": "user", "content": "hello"}]),
        ],
        **fields,
    }


def is_like(receipt, row):
    """Tell whether a receipt says what the emulator billed."""
    usage = receipt.usage
    return (
        usage.input_tokens,
        usage.read_tokens,
        usage.written_tokens,
        usage.output_tokens,
    ) == (
        row.total_input_tokens,
        row.cache_read_input_tokens,
        row.cache_creation_input_tokens,
        row.output_tokens,
    )


def bodies(emulator):
    """Return what was sent, oldest first."""
    return [row.body for row in emulator.ledger]


def is_planned(body):
    """Tell whether a body carries anything of ours."""
    return "prompt_cache" in json.dumps(body)


# Every way to ask, each as a function that returns what the SDK handed out.


def create(client):
    return client.chat.completions.create(**chat())


def stream(client):
    with client.chat.completions.create(**chat(**WITH_USAGE)) as chunks:
        return list(chunks)


def helper(client):
    options = {"stream_options": {"include_usage": True}}
    with client.chat.completions.stream(**chat(**options)) as events:
        return events.get_final_completion()


def parse(client):
    return client.chat.completions.parse(**chat(response_format=Weather))


def raw(client):
    return client.chat.completions.with_raw_response.create(**chat()).parse()


def raw_unparsed(client):
    return client.chat.completions.with_raw_response.create(**chat()).text


def raw_stream(client):
    send = client.chat.completions.with_raw_response.create
    answer = send(**chat(**WITH_USAGE))
    assert answer.headers["x-request-id"]
    assert answer.parse() is answer.parse()
    return list(answer.parse())


def raw_stream_of_another_kind(client):
    send = client.chat.completions.with_raw_response.create
    answer = send(**chat(**WITH_USAGE))
    answer.parse()
    return list(answer.parse(to=openai.Stream[object]))


def raw_parse(client):
    send = client.chat.completions.with_raw_response.parse
    return send(**chat(response_format=Weather)).parse()


def streaming(client):
    send = client.chat.completions.with_streaming_response.create
    with send(**chat()) as answer:
        return answer.parse()


def streaming_json(client):
    send = client.chat.completions.with_streaming_response.create
    with send(**chat()) as answer:
        return answer.json()


def streaming_stream(client):
    send = client.chat.completions.with_streaming_response.create
    with send(**chat(**WITH_USAGE)) as answer:
        return list(answer.parse())


def copied(client):
    return client.copy().chat.completions.create(**chat())


def with_options(client):
    derived = client.with_options(max_retries=0).with_options(timeout=9)
    return derived.chat.completions.create(**chat())


def posted(client):
    return client.post("/chat/completions", body=chat(), cast_to=ChatCompletion)


def posted_for_a_dict(client):
    return client.post("/chat/completions", body=chat(), cast_to=object)


def posted_for_text(client):
    return client.post("/chat/completions", body=chat(), cast_to=str)


def posted_for_http(client):
    return client.post("/chat/completions", body=chat(), cast_to=http.Response)


def responses(client):
    return client.responses.create(**response())


def responses_stream(client):
    with client.responses.create(**response(), stream=True) as events:
        return list(events)


def responses_helper(client):
    with client.responses.stream(**response()) as events:
        return events.get_final_response()


def responses_parse(client):
    return client.responses.parse(**response(), text_format=Weather)


def responses_raw(client):
    return client.responses.with_raw_response.create(**response()).parse()


def responses_raw_stream(client):
    answer = client.responses.with_raw_response.create(**response(), stream=True)
    return list(answer.parse())


def responses_streaming(client):
    with client.responses.with_streaming_response.create(**response()) as answer:
        return answer.parse()


def responses_with_options(client):
    return client.with_options(max_retries=0).responses.create(**response())


def responses_beta(client):
    return client.beta.responses.create(**response())


def responses_posted(client):
    return client.post("/responses?x=1", body=response(), cast_to=Response)


WAYS = [
    create,
    stream,
    helper,
    parse,
    raw,
    raw_unparsed,
    raw_stream,
    raw_stream_of_another_kind,
    raw_parse,
    streaming,
    streaming_json,
    streaming_stream,
    copied,
    with_options,
    posted,
    posted_for_a_dict,
    posted_for_text,
    posted_for_http,
    responses,
    responses_stream,
    responses_helper,
    responses_parse,
    responses_raw,
    responses_raw_stream,
    responses_streaming,
    responses_with_options,
    responses_beta,
    responses_posted,
]


async def acreate(client):
    return await client.chat.completions.create(**chat())


async def astream(client):
    async with await client.chat.completions.create(**chat(**WITH_USAGE)) as chunks:
        return [chunk async for chunk in chunks]


async def ahelper(client):
    options = {"stream_options": {"include_usage": True}}
    async with client.chat.completions.stream(**chat(**options)) as events:
        return await events.get_final_completion()


async def aparse(client):
    return await client.chat.completions.parse(**chat(response_format=Weather))


async def araw(client):
    answer = await client.chat.completions.with_raw_response.create(**chat())
    return answer.parse()


async def araw_stream(client):
    send = client.chat.completions.with_raw_response.create
    answer = await send(**chat(**WITH_USAGE))
    assert answer.parse() is answer.parse()
    return [chunk async for chunk in answer.parse()]


async def astreaming(client):
    send = client.chat.completions.with_streaming_response.create
    async with send(**chat()) as answer:
        return await answer.parse()


async def astreaming_stream(client):
    send = client.chat.completions.with_streaming_response.create
    async with send(**chat(**WITH_USAGE)) as answer:
        return [chunk async for chunk in await answer.parse()]


async def awith_options(client):
    derived = client.with_options(max_retries=0)
    return await derived.chat.completions.create(**chat())


async def aresponses(client):
    return await client.responses.create(**response())


async def aresponses_stream(client):
    async with await client.responses.create(**response(), stream=True) as events:
        return [event async for event in events]


async def aresponses_helper(client):
    async with client.responses.stream(**response()) as events:
        return await events.get_final_response()


async def aresponses_raw(client):
    return (await client.responses.with_raw_response.create(**response())).parse()


async def aresponses_copied(client):
    return await client.copy().responses.create(**response())


ASYNC_WAYS = [
    acreate,
    astream,
    ahelper,
    aparse,
    araw,
    araw_stream,
    astreaming,
    astreaming_stream,
    awith_options,
    aresponses,
    aresponses_stream,
    aresponses_helper,
    aresponses_raw,
    aresponses_copied,
]


# Answers that are not what the emulator would send.


def answer(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http.Response(
        status, content=content, headers={"content-type": "application/json", **headers}
    )


class Body(http.SyncByteStream):
    """A body that comes in one piece, and then ends."""

    def __init__(self, content):
        self._content = content

    def __iter__(self):
        yield self._content


def encoded(*events, ending="\n\n"):
    """Return the events of a stream as they are sent."""
    sent = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return sent.removesuffix("\n\n").encode() + ending.encode()


def lines(*events, ending="\n\n"):
    """Return an answer that is a stream of events."""
    return http.Response(
        200,
        stream=Body(encoded(*events, ending=ending)),
        headers={"content-type": "text/event-stream"},
    )


def standing_in(cache, handler, kind=openai.OpenAI, **fields):
    """Return an attached client whose requests go to a function."""
    is_async = issubclass(kind, openai.AsyncOpenAI)
    client = http.AsyncClient if is_async else http.Client
    fields = {"base_url": "http://localhost/v1", "max_retries": 0, **fields}
    transport = http.MockTransport(handler)
    return cache.attach(
        kind(api_key="any", http_client=client(transport=transport), **fields)
    )


COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "hi", "refusal": None},
        }
    ],
}
USAGE = {
    "prompt_tokens": 23,
    "completion_tokens": 5,
    "total_tokens": 28,
    "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 11},
}


class Endless(http.AsyncByteStream):
    """A stream that begins and never goes on."""

    def __init__(self, *events):
        self._events = events
        self.begun = asyncio.Event()
        self.is_closed = False

    async def __aiter__(self):
        yield encoded(*self._events)
        self.begun.set()
        await asyncio.Event().wait()

    async def aclose(self):
        self.is_closed = True
