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
from promptcache.demo import agent
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Run

__all__ = ["ask_for_free", "chat_model", "one_sentence"]


def chat_model(run: Run) -> BaseChatModel:
    """Return the chat model of a run; with and without the plugin the same one."""
    given: dict[str, Any] = {
        "model": run.model,
        "api_key": run.key,
        "max_tokens": agent.MAX_TOKENS,
        "streaming": True,
    }
    if run.case.provider == "anthropic":
        if run.url is not None:
            given["base_url"] = run.url
        if not run.plugin:
            return ChatAnthropic(**given)
        cache = PromptCache(clock=run.clock)
        return PromptCachedChatAnthropic(**given, prompt_cache=cache)
    if run.url is not None:
        given["base_url"] = f"{run.url}/v1"
    # Else LangChain asks no server but the provider's own what a stream used.
    given["stream_usage"] = True
    if not run.plugin:
        return ChatOpenAI(**given)
    cache = PromptCache(clock=run.clock)
    return PromptCachedChatOpenAI(**given, prompt_cache=cache)


def ask_for_free(model: BaseChatModel) -> None:
    """Connect to the provider by a request that costs nothing.

    Raises:
        DemoError: It cannot be reached or refuses the key.
    """
    # A gateway may lack what is asked here.
    absent = (anthropic.NotFoundError, openai.NotFoundError)
    with one_sentence(), suppress(*absent):
        if isinstance(model, ChatOpenAI):
            model.root_client.models.list()
        else:
            model.get_num_tokens_from_messages([HumanMessage("Hello")])


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what a provider's SDK raises into a `DemoError`."""
    try:
        yield
    except (anthropic.APIError, openai.APIError) as error:
        raise DemoError(f"A request failed: {error}") from error
