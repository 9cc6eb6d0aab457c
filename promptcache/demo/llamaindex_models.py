"""The demo's LLMs in LlamaIndex, with and without the plugin."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import anthropic
import openai
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from llamaindex_promptcache import PromptCachedAnthropic, PromptCachedOpenAI
from promptcache import PromptCache, UnsupportedClientError
from promptcache.demo import agent, gemini
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Run

if TYPE_CHECKING:
    from llama_index.llms.google_genai import GoogleGenAI

__all__ = ["LLM", "ask_for_free", "closed", "llm_of", "one_sentence"]

LLM: TypeAlias = "Anthropic | OpenAI | GoogleGenAI"

CONTEXT_TOKENS = 1_000_000
"""Else LlamaIndex asks the provider for it, each time that an LLM is made."""


def llm_of(run: Run, cache: PromptCache | None = None) -> LLM:
    """Return the LLM of a run.

    Args:
        run: The run.
        cache: What plans its requests; None for LlamaIndex's own LLM.

    Raises:
        DemoError: LlamaIndex fails with the installed SDK, or does not know the model.
    """
    make: Mapping[str, Callable[[Run, PromptCache | None], LLM]] = {
        "anthropic": _anthropic,
        "openai": _openai,
        "google": _gemini,
    }
    try:
        llm = make[run.case.provider](run, cache)
        _ = llm.metadata
    except UnsupportedClientError as error:
        raise DemoError(str(error)) from error
    except ValueError as error:
        raise DemoError(f"LlamaIndex knows no model `{run.model}`.") from error
    return llm


def _anthropic(run: Run, cache: PromptCache | None) -> Anthropic:
    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.most_tokens(run.model),
        "base_url": run.url,
    }
    if cache is None:
        return Anthropic(**given)
    return PromptCachedAnthropic(**given, prompt_cache=cache)


def _openai(run: Run, cache: PromptCache | None) -> OpenAI:
    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.most_tokens(run.model),
        "api_base": None if run.url is None else f"{run.url}/v1",
        # Else LlamaIndex asks nobody what a stream used.
        "additional_kwargs": {"stream_options": {"include_usage": True}},
    }
    if cache is None:
        return OpenAI(**given)
    return PromptCachedOpenAI(**given, prompt_cache=cache)


def _gemini(run: Run, cache: PromptCache | None) -> "GoogleGenAI":
    # Its extra may be missing, which leaves its rows out.
    from llama_index.llms.google_genai import GoogleGenAI  # noqa: PLC0415

    from llamaindex_promptcache import PromptCachedGoogleGenAI  # noqa: PLC0415

    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.most_tokens(run.model),
        "context_window": CONTEXT_TOKENS,
        "http_options": {"base_url": run.url},
    }
    with gemini.on_the_developer_api():
        if cache is None:
            return GoogleGenAI(**given)
        return PromptCachedGoogleGenAI(**given, prompt_cache=cache)


def ask_for_free(llm: LLM, run: Run) -> None:
    """Connect to the provider by a request that costs nothing.

    Raises:
        DemoError: It cannot be reached or refuses the key.
    """
    # A gateway may lack what is asked here.
    absent = (anthropic.NotFoundError, openai.NotFoundError)
    with one_sentence(run), suppress(*absent):
        if isinstance(llm, OpenAI):
            llm._get_client().models.list()  # noqa: SLF001 - there is no other way
        elif isinstance(llm, Anthropic):
            llm.tokenizer.encode("Hello")
        else:
            gemini.look_up(llm._client, run.model)  # noqa: SLF001


async def closed(llm: LLM) -> None:
    """Close the connections of an LLM, which LlamaIndex has no way to do."""
    if not isinstance(llm, Anthropic | OpenAI):
        llm._client.close()  # noqa: SLF001
        await llm._client.aio.aclose()  # noqa: SLF001
        return
    if llm._client is not None:  # noqa: SLF001
        llm._client.close()  # noqa: SLF001
    if llm._aclient is not None:  # noqa: SLF001
        await llm._aclient.close()  # noqa: SLF001


@contextmanager
def one_sentence(run: Run) -> Iterator[None]:
    """Turn what a provider's SDK raises into a `DemoError`."""
    try:
        yield
    except DemoError:
        raise
    except _failures(run) as error:
        raise DemoError(f"A request failed: {error}") from error


def _failures(run: Run) -> tuple[type[Exception], ...]:
    if run.case.provider != "google":
        return (anthropic.APIError, openai.APIError)
    import aiohttp  # noqa: PLC0415 - the SDK's own choice, where it is installed

    # An answer that was cut short is a `RuntimeError` of LlamaIndex.
    return (*gemini.failures(), aiohttp.ClientError, RuntimeError)
