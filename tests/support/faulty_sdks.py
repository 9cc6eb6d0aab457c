"""The SDKs of Anthropic and OpenAI alone, and each way to ask them."""

from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from faulty_asked import CLAUDE, GPT, SYSTEM, Subject, by_name, key, turns

__all__ = ["SDKS"]


@dataclass(slots=True)
class Clients:
    """A synchronous client and an asynchronous one."""

    sync: Any
    other: Any


def _content(text):
    return {"content": text}


def _pair(kinds, url, workspace, cache, seconds, retries):
    given = {"api_key": key(workspace), "base_url": url, "timeout": seconds}
    made = Clients(*(kind(**given, max_retries=retries) for kind in kinds))
    if cache is None:
        return made
    return Clients(cache.attach(made.sync), cache.attach(made.other))


def _anthropic(*given):
    return _pair((anthropic.Anthropic, anthropic.AsyncAnthropic), *given)


def _openai(url, *given):
    return _pair((openai.OpenAI, openai.AsyncOpenAI), f"{url}/v1", *given)


async def _close(clients):
    clients.sync.close()
    await clients.other.close()


def _claude(talk):
    said = turns(talk, ("user", "assistant"), _content)
    return {"model": CLAUDE, "max_tokens": 256, "system": SYSTEM, "messages": said}


def _claude_text(message):
    return "".join(block.text for block in message.content)


async def _create(clients, talk):
    return _claude_text(clients.sync.messages.create(**_claude(talk)))


async def _acreate(clients, talk):
    return _claude_text(await clients.other.messages.create(**_claude(talk)))


async def _stream_helper(clients, talk):
    with clients.sync.messages.stream(**_claude(talk)) as stream:
        return "".join(stream.text_stream)


async def _astream_helper(clients, talk):
    async with clients.other.messages.stream(**_claude(talk)) as stream:
        return "".join([text async for text in stream.text_stream])


def _gpt(talk, field):
    said = turns(talk, ("user", "assistant"), _content)
    return {"model": GPT, field: [{"role": "system", "content": SYSTEM}, *said]}


def _chunk_text(chunk):
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


async def _chat(clients, talk):
    answer = clients.sync.chat.completions.create(**_gpt(talk, "messages"))
    return answer.choices[0].message.content


async def _achat(clients, talk):
    answer = await clients.other.chat.completions.create(**_gpt(talk, "messages"))
    return answer.choices[0].message.content


async def _chat_stream(clients, talk):
    asked = {**_gpt(talk, "messages"), "stream": True}
    with clients.sync.chat.completions.create(**asked) as stream:
        return "".join(map(_chunk_text, stream))


async def _achat_stream(clients, talk):
    asked = {**_gpt(talk, "messages"), "stream": True}
    async with await clients.other.chat.completions.create(**asked) as stream:
        return "".join([_chunk_text(it) async for it in stream])


def _event_text(event):
    return event.delta if event.type == "response.output_text.delta" else ""


async def _response(clients, talk):
    return clients.sync.responses.create(**_gpt(talk, "input")).output_text


async def _aresponse(clients, talk):
    return (await clients.other.responses.create(**_gpt(talk, "input"))).output_text


async def _response_stream(clients, talk):
    with clients.sync.responses.create(**_gpt(talk, "input"), stream=True) as stream:
        return "".join(map(_event_text, stream))


async def _aresponse_stream(clients, talk):
    asked = {**_gpt(talk, "input"), "stream": True}
    async with await clients.other.responses.create(**asked) as stream:
        return "".join([_event_text(it) async for it in stream])


SDKS = [
    Subject(
        "sdk.anthropic",
        "anthropic",
        _anthropic,
        by_name(_create, _acreate, _stream_helper, _astream_helper),
        _close,
    ),
    Subject(
        "sdk.openai",
        "openai",
        _openai,
        by_name(_chat, _achat, _chat_stream, _achat_stream),
        _close,
    ),
    Subject(
        "sdk.responses",
        "responses",
        _openai,
        by_name(_response, _aresponse, _response_stream, _aresponse_stream),
        _close,
    ),
]
