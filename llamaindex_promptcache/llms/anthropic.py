"""LlamaIndex's `Anthropic`, with its prompts cached.

Rule 1: nothing here decides; the client's seam plans, this carries options in and
receipts out.
Rule 2: what the parent returns is what the caller gets, with a receipt on it.
Rule 3: spans and events are the parent's; a method here passes through, unseen.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, TypeVar

try:
    from llama_index.llms.anthropic import Anthropic
    from llama_index.llms.anthropic.base import AnthropicChatResponse
except ImportError as error:
    msg = (
        "`PromptCachedAnthropic` needs the `llamaindex-anthropic` extra: "
        "pip install 'promptcache[llamaindex-anthropic]'"
    )
    raise ImportError(msg) from error

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model
from llama_index_instrumentation.dispatcher import (
    DISPATCHER_SPAN_DECORATED_ATTR,
    active_instrument_tags,
)

from llamaindex_promptcache.errors import CallError
from llamaindex_promptcache.instrumentation import LlmCall, current_call, listen_to
from llamaindex_promptcache.llms.clients import attached, check_sdk
from llamaindex_promptcache.llms.marked_system import marked_system
from llamaindex_promptcache.llms.receipted import (
    areceipted_steps,
    receipted,
    receipted_steps,
)
from promptcache import (
    Call,
    CallOptions,
    OptionError,
    PromptCache,
    is_switched_off,
    read_choice,
)

__all__ = ["PromptCachedAnthropic"]

_OPTION = "prompt_cache"
_RUN = "llamaindex.run_id"
"""The tag under which the workflow that runs here has its id."""


Method = TypeVar("Method")


def _passing_through(method: Method) -> Method:
    """Mark a method as one that opens no span of its own: the parent's does."""
    setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
    return method


class PromptCachedAnthropic(Anthropic):
    """An `Anthropic` that pays a fraction for prompts that were sent before.

    It takes all that `Anthropic` takes, and `prompt_cache=`. Each answer has a receipt
    in `additional_kwargs["prompt_cache"]`, which `promptcache.Receipt.from_metadata`
    reads.
    """

    _cache: PromptCache = PrivateAttr()
    _options: CallOptions = PrivateAttr()
    _plain_clients: tuple[Any, Any] = PrivateAttr()

    def __init__(self, *args: Any, prompt_cache: Any = None, **kwargs: Any) -> None:
        """Make an LLM.

        Args:
            *args: What `Anthropic` takes.
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None. None is the cache of this process, which all such
                LLMs learn from together.
            **kwargs: What `Anthropic` takes.

        Raises:
            OptionError: `prompt_cache` is not allowed.
            UnsupportedSdkError: LlamaIndex fails with the installed `anthropic`.
        """
        super().__init__(*args, **kwargs)
        self.adopt_clients((self._client, self._aclient), prompt_cache)

    @property
    def plain_clients(self) -> tuple[Any, Any]:
        """The clients that those of this LLM were made from."""
        return self._plain_clients

    def adopt_clients(self, clients: tuple[Any, Any], prompt_cache: Any) -> None:
        """Send through clients like these, attached to the cache of one's choice.

        Raises:
            OptionError: `prompt_cache` is not allowed.
            UnsupportedSdkError: LlamaIndex fails with the installed `anthropic`.
        """
        self._cache, self._options = read_choice(prompt_cache, provider="anthropic")
        self._plain_clients = clients
        if not is_switched_off():
            check_sdk()
            listen_to(self._cache)
        self._client, self._aclient = (attached(it, self._cache) for it in clients)

    @_passing_through
    def chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AnthropicChatResponse:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            response: AnthropicChatResponse = super().chat(messages, **kwargs)
        return receipted(response, call)

    @_passing_through
    async def achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AnthropicChatResponse:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            response: AnthropicChatResponse = await super().achat(messages, **kwargs)
        return receipted(response, call)

    @_passing_through
    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[AnthropicChatResponse, None, None]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            stream = super().stream_chat(messages, **kwargs)
        return receipted_steps(stream, call)

    @_passing_through
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[AnthropicChatResponse, None]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            stream = await super().astream_chat(messages, **kwargs)
        return areceipted_steps(stream, call)

    @_passing_through
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return what the parent returns; `llm_kwargs` may hold `prompt_cache`."""
        given = dict(llm_kwargs or {})
        with self._call(given):
            found: Model = super().structured_predict(
                output_cls, prompt, given, **prompt_args
            )
        return found

    @_passing_through
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return what the parent returns; `llm_kwargs` may hold `prompt_cache`."""
        given = dict(llm_kwargs or {})
        with self._call(given):
            found: Model = await super().astructured_predict(
                output_cls, prompt, given, **prompt_args
            )
        return found

    @_passing_through
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, Any, Any]:
        """Return what the parent returns; `llm_kwargs` may hold `prompt_cache`."""
        given = dict(llm_kwargs or {})
        with self._call(given) as call:
            stream = super().stream_structured_predict(
                output_cls, prompt, given, **prompt_args
            )
        return receipted_steps(stream, call)

    @_passing_through
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, Any]:
        """Return what the parent returns; `llm_kwargs` may hold `prompt_cache`."""
        given = dict(llm_kwargs or {})
        with self._call(given) as call:
            stream = await super().astream_structured_predict(
                output_cls, prompt, given, **prompt_args
            )
        return areceipted_steps(stream, call)

    def _get_all_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        # The parent asks inside its span, right before it sends.
        given: dict[str, Any] = super()._get_all_kwargs(**kwargs)
        call = current_call()
        if call is None:
            return given
        call.note_span()
        if call.system is None:
            return given
        extra = {"system": call.system, **(given.get("extra_body") or {})}
        return {**given, "extra_body": extra}

    def _call(
        self, kwargs: dict[str, Any], messages: Sequence[ChatMessage] = ()
    ) -> LlmCall:
        """Take our options off the arguments, and make the call that carries them."""
        run = active_instrument_tags.get().get(_RUN)
        identity = CallOptions(conversation=str(run) if run else None)
        try:
            said = CallOptions.read(kwargs.pop(_OPTION, None))
            _, options = read_choice(said, provider="anthropic")
        except OptionError as error:
            raise CallError(str(error)) from error
        call = Call(options, defaults=self._options.over(identity))
        system = None if is_switched_off() else marked_system(messages)
        return LlmCall(call, system=system)
