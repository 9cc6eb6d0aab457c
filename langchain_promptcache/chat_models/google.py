"""`ChatGoogleGenerativeAI`, with its prompts cached."""

from dataclasses import dataclass
from typing import Any, ClassVar

try:
    from langchain_google_genai import ChatGoogleGenerativeAI
except ImportError as error:
    msg = (
        "`PromptCachedChatGoogleGenerativeAI` needs the `langchain-google` extra: "
        "pip install 'promptcache[langchain-google]'"
    )
    raise ImportError(msg) from error

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from pydantic import Field, PrivateAttr, model_validator
from typing_extensions import Self

from langchain_promptcache.chat_models.base import PromptCachedChatModel
from promptcache import Call, CallOptions, UnsupportedClientError, attach

__all__ = [
    "MIXIN",
    "ROOT",
    "TWINS",
    "PromptCachedChatGoogleGenerativeAI",
    "PromptCachedGoogleModel",
]

_CLIENT = "client"
_CACHES = "gemini_caches"


@dataclass(frozen=True, slots=True)
class _Swap:
    """A client as it was made or given, and what is called instead."""

    plain: Any
    attached: Any


class PromptCachedGoogleModel(PromptCachedChatModel):
    """Mixed in before `ChatGoogleGenerativeAI` or a class derived from it."""

    provider_name: ClassVar[Any] = "google"

    gemini_caches: bool = Field(default=True, exclude=True, repr=False)
    """Whether prefixes that come again may be put into cached contents.

    Those cost money by the hour, within the `Limits` of the `PromptCache`. False leaves
    implicit caching, which costs nothing.
    """

    _swap: _Swap | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _settle_in(self) -> Self:
        self._attach_client()
        return self

    def become_twin(self, model: BaseChatModel) -> None:
        """Serve the cache that `prompt_cache` names, with another model's client.

        Raises:
            OptionError: `prompt_cache` is not allowed.
            AttachedError: The model was made with a client that serves another cache.
        """
        self.__dict__.setdefault(_CACHES, True)
        super().become_twin(model)

    def adopt_clients(self, model: BaseChatModel) -> None:
        """Take the client that another model has made, attached to our cache.

        That of a cached model serves its cache; we take the one that it stands for.
        LangChain closes it when the last model that shares it is collected: a twin
        is one of those.
        """
        plain = model.__dict__.get(_CLIENT)
        if isinstance(model, PromptCachedGoogleModel):
            plain = model.plain_client()
        self.__dict__[_CLIENT] = plain
        self._swap = None
        self._attach_client()

    def plain_client(self) -> Any:
        """Return the client as it was made or given; None if there is none."""
        self._attach_client()
        return None if self._swap is None else self._swap.plain

    def _standing_options(self) -> CallOptions:
        if self.gemini_caches:
            return self._options
        return self._options.over(CallOptions(gemini_caches=False))

    def _call(
        self,
        kwargs: dict[str, Any],
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
    ) -> Call:
        self._attach_client()
        return super()._call(kwargs, run_manager)

    def _attach_client(self) -> None:
        """Let our cache plan what the client sends, where it does not yet.

        A client that somebody puts in place later is found at the next call.
        """
        client = self.__dict__.get(_CLIENT)
        if self._swap is not None and self._swap.attached is client:
            return
        # Noted first, since another thread takes what it finds noted for ours.
        self._swap = None if client is None else _Swap(client, self._served(client))
        if self._swap is not None:
            self.__dict__[_CLIENT] = self._swap.attached

    def _served(self, client: Any) -> Any:
        try:
            return attach(client, self._cache)
        except UnsupportedClientError as error:
            # A stand-in of a test, say: its calls are none of the SDK's.
            self._cache.step_aside(self.provider_name, str(error))
            return client


class PromptCachedChatGoogleGenerativeAI(
    PromptCachedGoogleModel, ChatGoogleGenerativeAI
):
    """A `ChatGoogleGenerativeAI` that pays a fraction for prompts that come again.

    It takes all that `ChatGoogleGenerativeAI` takes, `prompt_cache=` and
    `gemini_caches=`. Each answer has a receipt in `response_metadata["prompt_cache"]`;
    `promptcache.Receipt.from_metadata` reads it.

    Choosing this class chooses cached contents: a system instruction, tools and leading
    messages that come again are put into one when that is expected to pay, requests
    name it and send the rest, and it is deleted when it no longer pays. That costs
    storage, within the `Limits` of the `PromptCache`: by default at most 8 cached
    contents alive, $0.10 an hour, and paid for an hour ahead. `gemini_caches=False`
    leaves implicit caching, which Gemini does by itself.

    A request that names a cached content of your own (`cached_content=`) is sent as it
    is.
    """


ROOT = ChatGoogleGenerativeAI
"""What a model's class must derive from to be cached."""

MIXIN = PromptCachedGoogleModel
"""What makes such a class cached."""

TWINS = {ChatGoogleGenerativeAI: PromptCachedChatGoogleGenerativeAI}
"""The cached classes that have a name of their own."""
