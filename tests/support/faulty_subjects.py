"""Every class that sends requests, stock and cached, and each way to ask it.

A subject makes a model in a workspace; a way asks it and returns its answer's text.
"""

import asyncio
import ssl
import warnings
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import anthropic
import openai
from google import genai as google_genai
from google.genai import types
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai import OpenAI, OpenAIResponses

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)
from llamaindex_promptcache import (
    PromptCachedAnthropic,
    PromptCachedGoogleGenAI,
    PromptCachedOpenAI,
    PromptCachedOpenAIResponses,
)

try:
    with warnings.catch_warnings():
        # It says on import that its support has ended.
        warnings.simplefilter("ignore")
        import google.generativeai as legacy_genai
        from google.ai import generativelanguage
except ImportError:  # google-genai 3 and the newest protobuf leave no room for it
    legacy_genai = None

__all__ = ["NAMED", "SUBJECTS", "Subject", "is_async", "is_stream"]

# Some 2,000 tokens, and 6,000 for Gemini, whose minimum is 4,096.
SYSTEM = "You are a careful clerk of a railway museum. " * 180
LONG_SYSTEM = "You are a careful clerk of a railway museum. " * 560
CLAUDE, GPT, GEMINI = "claude-sonnet-4-6", "gpt-6.1-sol", "gemini-3.8-flash"


_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Subject:
    """A class, or an SDK with its client attached, and what it is asked by."""

    name: str
    provider: str
    make: Any
    """Takes a URL, a workspace, a cache or None, the seconds of the time-out and the
    number of retries; returns a model."""
    ways: Any
    """Functions of a model and questions and answers so far, by their names."""
    close: Any
    """Closes a model's connections; awaited."""


@cache
def _trusted():
    """Return what each client would read from disk again."""
    return {"verify": ssl.create_default_context()}


def _key(workspace):
    return f"ws-{workspace}-key"


# LangChain


def _lc_messages(talk, system):
    kinds = (HumanMessage, lambda text: ("ai", text))
    said = [kinds[number % 2](text) for number, text in enumerate(talk)]
    return [SystemMessage(system), *said]


def _langchain(system):
    async def invoke(model, talk):
        return model.invoke(_lc_messages(talk, system)).text

    async def ainvoke(model, talk):
        return (await model.ainvoke(_lc_messages(talk, system))).text

    async def stream(model, talk):
        return "".join(it.text for it in model.stream(_lc_messages(talk, system)))

    async def astream(model, talk):
        chunks = model.astream(_lc_messages(talk, system))
        return "".join([it.text async for it in chunks])

    return _named(invoke, ainvoke, stream, astream)


def _lc_anthropic(url, workspace, cache, seconds, retries):
    given = {"model": CLAUDE, "api_key": _key(workspace), "base_url": url}
    # Models with the same time-out share connections, and could not be closed alone.
    alone = seconds + next(_NUMBERS) * 1e-6
    given |= {"max_tokens": 256, "max_retries": retries, "timeout": alone}
    if cache is None:
        return ChatAnthropic(**given)
    return PromptCachedChatAnthropic(prompt_cache=cache, **given)


async def _lc_anthropic_close(model):
    model._client.close()
    await model._async_client.close()


def _lc_openai(stock, cached, **more):
    def make(url, workspace, cache, seconds, retries):
        given = {"model": GPT, "api_key": _key(workspace), "max_tokens": 256}
        given |= {"max_retries": retries, "timeout": seconds, **more}
        # Else LangChain shares clients among all models, which nobody closes.
        given["http_client"] = openai.DefaultHttpxClient(**_trusted())
        given["http_async_client"] = openai.DefaultAsyncHttpxClient(**_trusted())
        if stock is AzureChatOpenAI:
            given |= {"azure_endpoint": url, "azure_deployment": GPT}
            given["api_version"] = "2026-10-01-preview"
        else:
            given["base_url"] = f"{url}/v1"
        if cache is None:
            return stock(**given)
        return cached(prompt_cache=cache, **given)

    return make


async def _lc_openai_close(model):
    model.http_client.close()
    await model.http_async_client.aclose()


def _lc_google(url, workspace, cache, seconds, retries):
    given = {"model": GEMINI, "api_key": _key(workspace), "base_url": url}
    given |= {"max_tokens": 256, "timeout": seconds, "client_args": _trusted()}
    # It counts attempts.
    given["max_retries"] = retries + 1
    if cache is None:
        return ChatGoogleGenerativeAI(**given)
    return PromptCachedChatGoogleGenerativeAI(prompt_cache=cache, **given)


async def _lc_google_close(model):
    await model.client.aio.aclose()
    model.client.close()


# LlamaIndex


def _li_messages(talk, system):
    roles = ("user", "assistant")
    said = [ChatMessage(role=roles[at % 2], content=it) for at, it in enumerate(talk)]
    return [ChatMessage(role="system", content=system), *said]


def _llamaindex(system, *, threads=False):
    async def chat(llm, talk):
        return llm.chat(_li_messages(talk, system)).message.content

    async def achat(llm, talk):
        return (await llm.achat(_li_messages(talk, system))).message.content

    async def stream_chat(llm, talk):
        return "".join(
            it.delta or "" for it in llm.stream_chat(_li_messages(talk, system))
        )

    async def astream_chat(llm, talk):
        stream = await llm.astream_chat(_li_messages(talk, system))
        return "".join([it.delta or "" async for it in stream])

    if threads:
        # Synchronous calls of `GoogleGenAI` fail where an event loop runs.
        return _named(_threaded(chat), achat, _threaded(stream_chat), astream_chat)
    return _named(chat, achat, stream_chat, astream_chat)


def _threaded(way):
    async def asked(model, talk):
        return await asyncio.to_thread(_finished, way(model, talk))

    asked.__name__ = way.__name__
    return asked


def _finished(coroutine):
    """Return what a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError(coroutine)


def _li_anthropic(url, workspace, cache, seconds, retries):
    given = {"model": CLAUDE, "api_key": _key(workspace), "base_url": url}
    given |= {"max_tokens": 256, "max_retries": retries, "timeout": seconds}
    if cache is None:
        return Anthropic(**given)
    return PromptCachedAnthropic(prompt_cache=cache, **given)


def _li_openai(stock, cached):
    def make(url, workspace, cache, seconds, retries):
        given = {"model": GPT, "api_key": _key(workspace), "api_base": f"{url}/v1"}
        # LlamaIndex's own retries are counted by the same number, and wait for seconds.
        given |= {"max_retries": 0, "timeout": seconds}
        del retries
        if cache is None:
            return stock(**given)
        return cached(prompt_cache=cache, **given)

    return make


async def _li_close(llm):
    if llm._client is not None:
        llm._client.close()
    if llm._aclient is not None:
        await llm._aclient.close()


def _li_google(url, workspace, cache, seconds, retries):
    options = {"base_url": url, "timeout": int(seconds * 1000)}
    options |= {"client_args": _trusted(), "async_client_args": _trusted()}
    given = {"model": GEMINI, "api_key": _key(workspace), "http_options": options}
    given |= {"max_tokens": 256, "context_window": 1_000_000, "max_retries": 0}
    del retries
    if cache is None:
        return GoogleGenAI(**given)
    return PromptCachedGoogleGenAI(prompt_cache=cache, **given)


async def _li_google_close(llm):
    await llm._client.aio.aclose()
    llm._client.close()


# The SDKs alone


@dataclass(slots=True)
class Clients:
    """A synchronous client and an asynchronous one."""

    sync: Any
    other: Any


def _turns(talk, roles, part):
    return [
        {"role": roles[number % 2], **part(text)} for number, text in enumerate(talk)
    ]


def _content(text):
    return {"content": text}


def _sdk_pair(kinds, url, workspace, cache, seconds, retries):
    given = {"api_key": _key(workspace), "base_url": url, "timeout": seconds}
    made = Clients(*(kind(**given, max_retries=retries) for kind in kinds))
    if cache is None:
        return made
    return Clients(cache.attach(made.sync), cache.attach(made.other))


def _sdk_anthropic(*given):
    return _sdk_pair((anthropic.Anthropic, anthropic.AsyncAnthropic), *given)


def _sdk_openai(url, *given):
    return _sdk_pair((openai.OpenAI, openai.AsyncOpenAI), f"{url}/v1", *given)


async def _sdk_close(clients):
    clients.sync.close()
    await clients.other.close()


def _claude(talk):
    turns = _turns(talk, ("user", "assistant"), _content)
    return {"model": CLAUDE, "max_tokens": 256, "system": SYSTEM, "messages": turns}


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
    turns = _turns(talk, ("user", "assistant"), _content)
    return {"model": GPT, field: [{"role": "system", "content": SYSTEM}, *turns]}


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


def _sdk_google(url, workspace, cache, seconds, retries):
    retrying = types.HttpRetryOptions(
        attempts=retries + 1, initial_delay=0, max_delay=0, jitter=0
    )
    options = types.HttpOptions(
        base_url=url,
        timeout=int(seconds * 1000),
        client_args=_trusted(),
        async_client_args=_trusted(),
        retry_options=retrying,
    )
    made = google_genai.Client(api_key=_key(workspace), http_options=options)
    return made if cache is None else cache.attach(made)


def _gemini(talk):
    turns = _turns(talk, ("user", "model"), lambda text: {"parts": [{"text": text}]})
    config = types.GenerateContentConfig(
        system_instruction=LONG_SYSTEM, max_output_tokens=256
    )
    return {"model": GEMINI, "contents": turns, "config": config}


async def _generate(client, talk):
    return client.models.generate_content(**_gemini(talk)).text


async def _agenerate(client, talk):
    return (await client.aio.models.generate_content(**_gemini(talk))).text


async def _generate_stream(client, talk):
    chunks = client.models.generate_content_stream(**_gemini(talk))
    return "".join(chunk.text or "" for chunk in chunks)


async def _agenerate_stream(client, talk):
    chunks = await client.aio.models.generate_content_stream(**_gemini(talk))
    return "".join([chunk.text or "" async for chunk in chunks])


async def _sdk_google_close(client):
    await client.aio.aclose()
    client.close()


def _legacy(url, workspace, cache, seconds, retries):
    del retries
    options = {"api_endpoint": url, "api_key": _key(workspace)}
    model = legacy_genai.GenerativeModel(GEMINI, system_instruction=LONG_SYSTEM)
    model._client = generativelanguage.GenerativeServiceClient(
        transport="rest", client_options=options
    )
    made = model if cache is None else cache.attach(model)
    made.seconds = seconds
    return made


def _legacy_ask(model, talk, **how):
    turns = _turns(talk, ("user", "model"), lambda text: {"parts": [text]})
    # Its own retries wait for seconds.
    how["request_options"] = {"timeout": model.seconds, "retry": None}
    return model.generate_content(turns, **how)


async def _legacy_generate(model, talk):
    return _legacy_ask(model, talk).text


async def _legacy_stream(model, talk):
    return "".join(chunk.text for chunk in _legacy_ask(model, talk, stream=True))


async def _legacy_close(model):
    model._client.transport.close()


def _named(*ways):
    return {way.__name__.lstrip("_"): way for way in ways}


SUBJECTS = [
    Subject(
        "langchain.anthropic",
        "anthropic",
        _lc_anthropic,
        _langchain(SYSTEM),
        _lc_anthropic_close,
    ),
    Subject(
        "langchain.openai",
        "openai",
        _lc_openai(ChatOpenAI, PromptCachedChatOpenAI, stream_usage=True),
        _langchain(SYSTEM),
        _lc_openai_close,
    ),
    Subject(
        "langchain.responses",
        "responses",
        _lc_openai(ChatOpenAI, PromptCachedChatOpenAI, use_responses_api=True),
        _langchain(SYSTEM),
        _lc_openai_close,
    ),
    Subject(
        "langchain.azure",
        "openai",
        _lc_openai(AzureChatOpenAI, PromptCachedAzureChatOpenAI, stream_usage=True),
        _langchain(SYSTEM),
        _lc_openai_close,
    ),
    Subject(
        "langchain.google",
        "google",
        _lc_google,
        _langchain(LONG_SYSTEM),
        _lc_google_close,
    ),
    Subject(
        "llamaindex.anthropic",
        "anthropic",
        _li_anthropic,
        _llamaindex(SYSTEM),
        _li_close,
    ),
    Subject(
        "llamaindex.openai",
        "openai",
        _li_openai(OpenAI, PromptCachedOpenAI),
        _llamaindex(SYSTEM),
        _li_close,
    ),
    Subject(
        "llamaindex.responses",
        "responses",
        _li_openai(OpenAIResponses, PromptCachedOpenAIResponses),
        _llamaindex(SYSTEM),
        _li_close,
    ),
    Subject(
        "llamaindex.google",
        "google",
        _li_google,
        _llamaindex(LONG_SYSTEM, threads=True),
        _li_google_close,
    ),
    Subject(
        "sdk.anthropic",
        "anthropic",
        _sdk_anthropic,
        _named(_create, _acreate, _stream_helper, _astream_helper),
        _sdk_close,
    ),
    Subject(
        "sdk.openai",
        "openai",
        _sdk_openai,
        _named(_chat, _achat, _chat_stream, _achat_stream),
        _sdk_close,
    ),
    Subject(
        "sdk.responses",
        "responses",
        _sdk_openai,
        _named(_response, _aresponse, _response_stream, _aresponse_stream),
        _sdk_close,
    ),
    Subject(
        "sdk.google",
        "google",
        _sdk_google,
        _named(_generate, _agenerate, _generate_stream, _agenerate_stream),
        _sdk_google_close,
    ),
]
if legacy_genai is not None:
    SUBJECTS.append(
        Subject(
            "sdk.generativeai",
            "google",
            _legacy,
            _named(_legacy_generate, _legacy_stream),
            _legacy_close,
        )
    )
NAMED = {subject.name: subject for subject in SUBJECTS}


def is_stream(way):
    """Tell from its name whether a way streams."""
    return "stream" in way


def is_async(way):
    """Tell from its name whether a way is asynchronous."""
    return way.startswith("a")
