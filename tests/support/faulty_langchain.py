"""LangChain's classes, stock and cached, and each way to ask them."""

from itertools import count

import openai
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
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI, ChatOpenAI

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)

__all__ = ["LANGCHAIN"]

_NUMBERS = count(1)


def _messages(talk, system):
    kinds = (HumanMessage, lambda text: ("ai", text))
    said = [kinds[number % 2](text) for number, text in enumerate(talk)]
    return [SystemMessage(system), *said]


def _langchain(system):
    async def invoke(model, talk):
        return model.invoke(_messages(talk, system)).text

    async def ainvoke(model, talk):
        return (await model.ainvoke(_messages(talk, system))).text

    async def stream(model, talk):
        return "".join(it.text for it in model.stream(_messages(talk, system)))

    async def astream(model, talk):
        chunks = model.astream(_messages(talk, system))
        return "".join([it.text async for it in chunks])

    return by_name(invoke, ainvoke, stream, astream)


def _anthropic(url, workspace, cache, seconds, retries):
    given = {"model": CLAUDE, "api_key": key(workspace), "base_url": url}
    # Models with the same time-out share connections, and could not be closed alone.
    alone = seconds + next(_NUMBERS) * 1e-6
    given |= {"max_tokens": 256, "max_retries": retries, "timeout": alone}
    if cache is None:
        return ChatAnthropic(**given)
    return PromptCachedChatAnthropic(prompt_cache=cache, **given)


async def _anthropic_close(model):
    model._client.close()
    await model._async_client.close()


def _openai(stock, cached, **more):
    def make(url, workspace, cache, seconds, retries):
        given = {"model": GPT, "api_key": key(workspace), "max_tokens": 256}
        given |= {"max_retries": retries, "timeout": seconds, **more}
        # Else LangChain shares clients among all models, which nobody closes.
        given["http_client"] = openai.DefaultHttpxClient(**trusted())
        given["http_async_client"] = openai.DefaultAsyncHttpxClient(**trusted())
        if stock is AzureChatOpenAI:
            given |= {"azure_endpoint": url, "azure_deployment": GPT}
            given["api_version"] = "2026-10-01-preview"
        else:
            given["base_url"] = f"{url}/v1"
        if cache is None:
            return stock(**given)
        return cached(prompt_cache=cache, **given)

    return make


async def _openai_close(model):
    model.http_client.close()
    await model.http_async_client.aclose()


def _google(url, workspace, cache, seconds, retries):
    given = {"model": GEMINI, "api_key": key(workspace), "base_url": url}
    given |= {"max_tokens": 256, "timeout": seconds, "client_args": trusted()}
    # It counts attempts.
    given["max_retries"] = retries + 1
    if cache is None:
        return ChatGoogleGenerativeAI(**given)
    return PromptCachedChatGoogleGenerativeAI(prompt_cache=cache, **given)


async def _google_close(model):
    await model.client.aio.aclose()
    model.client.close()


LANGCHAIN = [
    Subject(
        "langchain.anthropic",
        "anthropic",
        _anthropic,
        _langchain(SYSTEM),
        _anthropic_close,
    ),
    Subject(
        "langchain.openai",
        "openai",
        _openai(ChatOpenAI, PromptCachedChatOpenAI, stream_usage=True),
        _langchain(SYSTEM),
        _openai_close,
    ),
    Subject(
        "langchain.responses",
        "responses",
        _openai(ChatOpenAI, PromptCachedChatOpenAI, use_responses_api=True),
        _langchain(SYSTEM),
        _openai_close,
    ),
    Subject(
        "langchain.azure",
        "openai",
        _openai(AzureChatOpenAI, PromptCachedAzureChatOpenAI, stream_usage=True),
        _langchain(SYSTEM),
        _openai_close,
    ),
    Subject(
        "langchain.google",
        "google",
        _google,
        _langchain(LONG_SYSTEM),
        _google_close,
    ),
]
