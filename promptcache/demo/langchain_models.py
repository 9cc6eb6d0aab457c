"""The demo's chat models in LangChain, with and without the plugin."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from langchain_promptcache import PromptCachedChatAnthropic, PromptCachedChatOpenAI
from promptcache import PromptCache
from promptcache.demo import agent, gemini
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Run

__all__ = ["ask_for_free", "chat_model", "one_sentence"]


def chat_model(run: Run, cache: PromptCache | None = None) -> BaseChatModel:
    """Return the chat model of a run.

    Args:
        run: The run.
        cache: What plans its requests; None for LangChain's own model.
    """
    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.most_tokens(run.model),
        "streaming": True,
    }
    make = {"anthropic": _anthropic, "openai": _openai, "google": _gemini}
    return make[run.case.provider](run, cache, given)


def _anthropic(
    run: Run, cache: PromptCache | None, given: dict[str, Any]
) -> BaseChatModel:
    if run.url is not None:
        given["base_url"] = run.url
    if cache is None:
        return ChatAnthropic(**given)
    return PromptCachedChatAnthropic(**given, prompt_cache=cache)


def _openai(
    run: Run, cache: PromptCache | None, given: dict[str, Any]
) -> BaseChatModel:
    if run.url is not None:
        given["base_url"] = f"{run.url}/v1"
    # Else LangChain asks no server but the provider's own what a stream used.
    given["stream_usage"] = True
    if cache is None:
        return ChatOpenAI(**given)
    return PromptCachedChatOpenAI(**given, prompt_cache=cache)


def _gemini(
    run: Run, cache: PromptCache | None, given: dict[str, Any]
) -> BaseChatModel:
    # Its extra may be missing, which leaves its rows out.
    from langchain_google_genai import ChatGoogleGenerativeAI  # noqa: PLC0415

    from langchain_promptcache import (  # noqa: PLC0415
        PromptCachedChatGoogleGenerativeAI,
    )

    given["base_url"] = run.url
    with gemini.on_the_developer_api():
        if cache is None:
            return ChatGoogleGenerativeAI(**given)
        return PromptCachedChatGoogleGenerativeAI(**given, prompt_cache=cache)


def ask_for_free(model: BaseChatModel, run: Run) -> None:
    """Connect to the provider by a request that costs nothing.

    Raises:
        DemoError: It cannot be reached or refuses the key.
    """
    # A gateway may lack what is asked here.
    absent = (anthropic.NotFoundError, openai.NotFoundError)
    with one_sentence(run), suppress(*absent):
        if isinstance(model, ChatOpenAI):
            model.root_client.models.list()
        elif isinstance(model, ChatAnthropic):
            model.get_num_tokens_from_messages([HumanMessage("Hello")])
        else:
            # The only other one is Gemini's, whose class may not be there to name.
            client = vars(model)["client"]
            gemini.look_up(client, run.model)


@contextmanager
def one_sentence(run: Run) -> Iterator[None]:
    """Turn what a provider's SDK raises into a `DemoError`."""
    try:
        yield
    except _failures(run) as error:
        raise DemoError(f"A request failed: {error}") from error


def _failures(run: Run) -> tuple[type[Exception], ...]:
    if run.case.provider != "google":
        return (anthropic.APIError, openai.APIError)
    from langchain_google_genai.chat_models import (  # noqa: PLC0415
        ChatGoogleGenerativeAIError,
    )

    return (*gemini.failures(), ChatGoogleGenerativeAIError)
