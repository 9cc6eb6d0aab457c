"""`ChatOpenAI`, `AzureChatOpenAI` and all that is built on their base, cached."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

try:
    from langchain_openai import AzureChatOpenAI, ChatOpenAI
    from langchain_openai.chat_models.base import BaseChatOpenAI
except ImportError as error:
    msg = (
        "`PromptCachedChatOpenAI` and `PromptCachedAzureChatOpenAI` need the "
        "`langchain-openai` extra: pip install 'promptcache[langchain-openai]'"
    )
    raise ImportError(msg) from error

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from openai.resources.chat import AsyncCompletions, Completions
from pydantic import PrivateAttr, model_validator
from typing_extensions import Self

from langchain_promptcache.chat_models.base import OPTION, PromptCachedChatModel
from promptcache import (
    Call,
    CallOptions,
    OptionError,
    UnsupportedClientError,
    attach,
    is_switched_off,
)

__all__ = [
    "MIXIN",
    "ROOT",
    "TWINS",
    "PromptCachedAzureChatOpenAI",
    "PromptCachedChatOpenAI",
    "PromptCachedOpenAIModel",
]

# The SDK's clients, and of each the part that LangChain calls for completions.
_CLIENTS = ("root_client", "root_async_client", "client", "async_client")

_KEY = "prompt_cache_key"
_KEY_LENGTH = 64
"""More is refused. Source: the API's own error text, `string_above_max_length`."""


@dataclass(frozen=True, slots=True)
class _Swap:
    """A client, or a part of one, as it was given or made, and attached."""

    plain: Any
    attached: Any


class PromptCachedOpenAIModel(PromptCachedChatModel):
    """Mixed in before a class that derives from `BaseChatOpenAI`."""

    provider_name: ClassVar[Any] = "openai"

    # LangChain does not ask servers other than OpenAI's own for a stream's usage.
    unsaid: ClassVar[CallOptions] = CallOptions(stream_usage=True)

    _swaps: Mapping[str, "_Swap"] = PrivateAttr(default_factory=dict)
    """Which clients were put in place of which, by the parent's names."""

    @model_validator(mode="after")
    def _settle_in(self) -> Self:
        self._attach_clients()
        self._check_own()
        return self

    def become_twin(self, model: BaseChatModel) -> None:
        """Serve the cache that `prompt_cache` names, with another model's clients.

        Raises:
            OptionError: `prompt_cache` or an argument of the model is not allowed.
            AttachedError: The model was made with clients that serve another cache.
        """
        super().become_twin(model)
        self._check_own()

    def adopt_clients(self, model: BaseChatModel) -> None:
        """Take the clients that another model has made, attached to our cache.

        Those of a cached model serve its cache; we take those that they stand for.
        """
        plain = model.__dict__
        if isinstance(model, PromptCachedOpenAIModel):
            plain = model.plain_clients()
        self.__dict__.update({name: plain.get(name) for name in _CLIENTS})
        self._swaps = {}
        self._attach_clients()

    def plain_clients(self) -> dict[str, Any]:
        """Return the clients as they were given or made, by the parent's names."""
        self._attach_clients()
        return {name: swap.plain for name, swap in self._swaps.items()}

    def check_bound(self, arguments: Mapping[str, Any]) -> None:
        """Refuse a key that is too long, as the API would, once for all calls.

        Raises:
            OptionError: It is.
        """
        if is_switched_off():
            return
        for said in (arguments, arguments.get("extra_body") or {}):
            key = said.get(_KEY)
            if isinstance(key, str) and len(key) > _KEY_LENGTH:
                raise OptionError(_KEY, key, f"at most {_KEY_LENGTH} characters")

    def _call(
        self,
        kwargs: dict[str, Any],
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
    ) -> Call:
        self._attach_clients()
        if self._declines_usage(kwargs):
            said = self._read_options(kwargs.get(OPTION))
            kwargs[OPTION] = replace(said, stream_usage=False)
        return super()._call(kwargs, run_manager)

    def _attach_clients(self) -> None:
        """Let our cache plan what the clients send, where it does not yet.

        A client that somebody puts in place later is found at the next call.
        """
        found = {name: getattr(self, name, None) for name in _CLIENTS}
        known = {
            name: swap
            for name, swap in self._swaps.items()
            if swap.attached is found[name]
        }
        if len(known) == len(found):
            return
        made: dict[int, Any] = {}
        # A new dict: copies of a model share what is private. And noted first, since
        # another thread takes what it finds noted for ours.
        self._swaps = {
            name: known.get(name) or _Swap(client, self._served(client, made))
            for name, client in found.items()
        }
        self.__dict__.update(
            {name: swap.attached for name, swap in self._swaps.items()}
        )

    def _check_own(self) -> None:
        told: Any = self
        self.check_bound({"extra_body": told.extra_body, **told.model_kwargs})

    def _declines_usage(self, kwargs: Mapping[str, Any]) -> bool:
        """Tell whether LangChain was told not to ask for a stream's usage."""
        told: Any = self
        said = (
            kwargs.get("stream_usage"),
            (kwargs.get("stream_options") or {}).get("include_usage"),
            (told.model_kwargs.get("stream_options") or {}).get("include_usage"),
            told.stream_usage,
        )
        return next((one for one in said if isinstance(one, bool)), None) is False

    def _served(self, client: Any, made: dict[int, Any]) -> Any:
        """Return what is to be called instead of a client, or of a part of one."""
        if client is None:
            return None
        is_part = isinstance(client, (Completions, AsyncCompletions))
        owner = getattr(client, "_client", None) if is_part else client
        if id(owner) not in made:
            try:
                made[id(owner)] = attach(owner, self._cache)
            except UnsupportedClientError as error:
                # A stand-in of a test, say: its calls are none of the SDK's.
                self._cache.step_aside(self.provider_name, str(error))
                made[id(owner)] = owner
        attached = made[id(owner)]
        if attached is owner:
            return client
        return type(client)(attached) if is_part else attached


class PromptCachedChatOpenAI(PromptCachedOpenAIModel, ChatOpenAI):
    """A `ChatOpenAI` that pays a fraction for prompts that were sent before.

    It takes all that `ChatOpenAI` takes, and `prompt_cache=`. Each answer has a receipt
    in `response_metadata["prompt_cache"]`; `promptcache.Receipt.from_metadata` reads
    it. For that, streams of Chat Completions are asked for their usage, whatever the
    server, unless `stream_usage=False` is said.
    """


class PromptCachedAzureChatOpenAI(PromptCachedOpenAIModel, AzureChatOpenAI):
    """An `AzureChatOpenAI` that pays a fraction for prompts that were sent before.

    It takes all that `AzureChatOpenAI` takes, and `prompt_cache=`; see
    `PromptCachedChatOpenAI`. What a model accepts is known by its name, so give that
    as `model=` if the deployment is not named after it.
    """


ROOT = BaseChatOpenAI
"""What a model's class must derive from to be cached."""

MIXIN = PromptCachedOpenAIModel
"""What makes such a class cached."""

TWINS = {
    AzureChatOpenAI: PromptCachedAzureChatOpenAI,
    ChatOpenAI: PromptCachedChatOpenAI,
}
"""The cached classes that have a name of their own."""
