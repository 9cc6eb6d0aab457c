"""LlamaIndex's classes, stock and cached, and each way to ask them."""

import asyncio

from faulty_asked import (
    CLAUDE,
    GEMINI,
    GPT,
    LONG_SYSTEM,
    SYSTEM,
    Subject,
    by_name,
    key,
    trusted,
)
from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llamaindex_promptcache import (
    PromptCachedAnthropic,
    PromptCachedGoogleGenAI,
    PromptCachedOpenAI,
    PromptCachedOpenAIResponses,
)

__all__ = ["LLAMAINDEX"]


def _messages(talk, system):
    roles = ("user", "assistant")
    said = [ChatMessage(role=roles[at % 2], content=it) for at, it in enumerate(talk)]
    return [ChatMessage(role="system", content=system), *said]


def _llamaindex(system, *, threads=False):
    async def chat(llm, talk):
        return llm.chat(_messages(talk, system)).message.content

    async def achat(llm, talk):
        return (await llm.achat(_messages(talk, system))).message.content

    async def stream_chat(llm, talk):
        return "".join(
            it.delta or "" for it in llm.stream_chat(_messages(talk, system))
        )

    async def astream_chat(llm, talk):
        stream = await llm.astream_chat(_messages(talk, system))
        return "".join([it.delta or "" async for it in stream])

    if threads:
        # Synchronous calls of `GoogleGenAI` fail where an event loop runs.
        return by_name(_threaded(chat), achat, _threaded(stream_chat), astream_chat)
    return by_name(chat, achat, stream_chat, astream_chat)


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


def _anthropic(url, workspace, cache, seconds, retries):
    given = {"model": CLAUDE, "api_key": key(workspace), "base_url": url}
    given |= {"max_tokens": 256, "max_retries": retries, "timeout": seconds}
    if cache is None:
        return Anthropic(**given)
    return PromptCachedAnthropic(prompt_cache=cache, **given)


def _openai(stock, cached):
    def make(url, workspace, cache, seconds, retries):
        given = {"model": GPT, "api_key": key(workspace), "api_base": f"{url}/v1"}
        # LlamaIndex's own retries are counted by the same number, and wait for seconds.
        given |= {"max_retries": 0, "timeout": seconds}
        del retries
        if cache is None:
            return stock(**given)
        return cached(prompt_cache=cache, **given)

    return make


async def _close(llm):
    if llm._client is not None:
        llm._client.close()
    if llm._aclient is not None:
        await llm._aclient.close()


def _google(url, workspace, cache, seconds, retries):
    options = {"base_url": url, "timeout": int(seconds * 1000)}
    options |= {"client_args": trusted(), "async_client_args": trusted()}
    given = {"model": GEMINI, "api_key": key(workspace), "http_options": options}
    given |= {"max_tokens": 256, "context_window": 1_000_000, "max_retries": 0}
    del retries
    if cache is None:
        return GoogleGenAI(**given)
    return PromptCachedGoogleGenAI(prompt_cache=cache, **given)


async def _google_close(llm):
    await llm._client.aio.aclose()
    llm._client.close()


LLAMAINDEX = [
    Subject(
        "llamaindex.anthropic",
        "anthropic",
        _anthropic,
        _llamaindex(SYSTEM),
        _close,
    ),
    Subject(
        "llamaindex.openai",
        "openai",
        _openai(OpenAI, PromptCachedOpenAI),
        _llamaindex(SYSTEM),
        _close,
    ),
    Subject(
        "llamaindex.responses",
        "responses",
        _openai(OpenAIResponses, PromptCachedOpenAIResponses),
        _llamaindex(SYSTEM),
        _close,
    ),
    Subject(
        "llamaindex.google",
        "google",
        _google,
        _llamaindex(LONG_SYSTEM, threads=True),
        _google_close,
    ),
]
