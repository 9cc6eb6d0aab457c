"""The demo's LLMs in LlamaIndex, with and without the plugin."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import anthropic
import openai
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from llamaindex_promptcache import PromptCachedAnthropic, PromptCachedOpenAI
from promptcache import PromptCache, UnsupportedClientError
from promptcache.demo import agent
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Run

__all__ = ["LLM", "ask_for_free", "closed", "llm_of", "one_sentence"]

LLM: TypeAlias = Anthropic | OpenAI


def llm_of(run: Run) -> LLM:
    """Return the LLM of a run; with and without the plugin the same one.

    Raises:
        DemoError: LlamaIndex fails with the installed SDK, or does not know the model.
    """
    make = _anthropic if run.case.provider == "anthropic" else _openai
    try:
        llm = make(run)
        _ = llm.metadata
    except UnsupportedClientError as error:
        raise DemoError(str(error)) from error
    except ValueError as error:
        raise DemoError(f"LlamaIndex knows no model `{run.model}`.") from error
    return llm


def _anthropic(run: Run) -> Anthropic:
    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.MAX_TOKENS,
        "base_url": run.url,
    }
    if not run.plugin:
        return Anthropic(**given)
    return PromptCachedAnthropic(**given, prompt_cache=PromptCache(clock=run.clock))


def _openai(run: Run) -> OpenAI:
    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.MAX_TOKENS,
        "api_base": None if run.url is None else f"{run.url}/v1",
        # Else LlamaIndex asks nobody what a stream used.
        "additional_kwargs": {"stream_options": {"include_usage": True}},
    }
    if not run.plugin:
        return OpenAI(**given)
    return PromptCachedOpenAI(**given, prompt_cache=PromptCache(clock=run.clock))


def ask_for_free(llm: LLM) -> None:
    """Connect to the provider by a request that costs nothing.

    Raises:
        DemoError: It cannot be reached or refuses the key.
    """
    # A gateway may lack what is asked here.
    absent = (anthropic.NotFoundError, openai.NotFoundError)
    with one_sentence(), suppress(*absent):
        if isinstance(llm, OpenAI):
            llm._get_client().models.list()  # noqa: SLF001 - there is no other way
        else:
            llm.tokenizer.encode("Hello")


async def closed(llm: LLM) -> None:
    """Close the connections of an LLM, which LlamaIndex has no way to do."""
    if llm._client is not None:  # noqa: SLF001
        llm._client.close()  # noqa: SLF001
    if llm._aclient is not None:  # noqa: SLF001
        await llm._aclient.close()  # noqa: SLF001


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what a provider's SDK raises into a `DemoError`."""
    try:
        yield
    except (anthropic.APIError, openai.APIError) as error:
        raise DemoError(f"A request failed: {error}") from error
