"""`ChatAnthropic`, with its prompts cached."""

from functools import cached_property
from typing import Any, ClassVar, cast

try:
    from langchain_anthropic import ChatAnthropic
except ImportError as error:
    msg = (
        "`PromptCachedChatAnthropic` needs the `langchain-anthropic` extra: "
        "pip install 'promptcache[langchain-anthropic]'"
    )
    raise ImportError(msg) from error

import anthropic
from langchain_core.language_models import BaseChatModel

from langchain_promptcache.chat_models.base import PromptCachedChatModel
from promptcache import attach

_CLIENTS = ("_client", "_async_client")

__all__ = [
    "MIXIN",
    "ROOT",
    "TWINS",
    "PromptCachedAnthropicModel",
    "PromptCachedChatAnthropic",
]


class PromptCachedAnthropicModel(PromptCachedChatModel):
    """Mixed in before `ChatAnthropic` or a class derived from it."""

    provider_name: ClassVar[Any] = "anthropic"

    @cached_property
    def _client(self) -> anthropic.Client:
        return cast("anthropic.Client", self._attached("_client"))

    @cached_property
    def _async_client(self) -> anthropic.AsyncClient:
        return cast("anthropic.AsyncClient", self._attached("_async_client"))

    def _attached(self, name: str) -> Any:
        """Return a client as the parent makes it, attached to our cache.

        The parent's property would keep the plain one under the same name for a
        moment, in which another thread would take that.
        """
        parents: Any = getattr(super(PromptCachedAnthropicModel, type(self)), name)
        make = getattr(parents, "func", None) or parents.fget
        return attach(make(self), self._cache)

    def adopt_clients(self, model: BaseChatModel) -> None:
        """Take the clients that another model has made already, attached to our cache.

        Those of a cached model serve its cache, so new ones are made in their place.
        """
        for name in _CLIENTS:
            client = model.__dict__.get(name)
            self.__dict__.pop(name, None)
            if client is not None and not isinstance(model, PromptCachedChatModel):
                self.__dict__[name] = attach(client, self._cache)


class PromptCachedChatAnthropic(PromptCachedAnthropicModel, ChatAnthropic):
    """A `ChatAnthropic` that pays a fraction for prompts that were sent before.

    It takes all that `ChatAnthropic` takes, and `prompt_cache=`. Each answer has a
    receipt in `response_metadata["prompt_cache"]`; `promptcache.Receipt.from_metadata`
    reads it.
    """


ROOT = ChatAnthropic
"""What a model's class must derive from to be cached."""

MIXIN = PromptCachedAnthropicModel
"""What makes such a class cached."""

TWINS = {ChatAnthropic: PromptCachedChatAnthropic}
"""The cached classes that have a name of their own."""
