"""What every cached LLM adds to the LlamaIndex class that it stands in for.

Rule 1: nothing here decides; the client's seam plans, this carries options in and
receipts out.
Rule 2: what the parent returns is what the caller gets, with a receipt on it.
Rule 3: spans and events are the parent's; a method here passes through, unseen.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, ClassVar, TypeVar

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model
from llama_index_instrumentation.dispatcher import (
    DISPATCHER_SPAN_DECORATED_ATTR,
    active_instrument_tags,
)

from llamaindex_promptcache.errors import CallError
from llamaindex_promptcache.instrumentation import LlmCall, listen_to
from llamaindex_promptcache.llms.choice import Choice
from llamaindex_promptcache.llms.clients import attached
from llamaindex_promptcache.llms.receipted import (
    areceipted_steps,
    receipted,
    receipted_steps,
)
from llamaindex_promptcache.places import RUN
from promptcache import Call, CallOptions, OptionError, is_switched_off, read_choice

__all__ = ["PromptCachedLLM", "passing_through"]

_OPTION = "prompt_cache"

Method = TypeVar("Method")


def passing_through(method: Method) -> Method:
    """Mark a method as one that opens no span of its own: the parent's does."""
    setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
    return method


class PromptCachedLLM(FunctionCallingLLM):
    """Mixed in before an LLM class of LlamaIndex, it makes that one cached."""

    provider_name: ClassVar[Any]
    """Whose lifetimes may be asked for."""
    client_names: ClassVar[tuple[str, ...]] = ("_client", "_aclient")
    """Where the class keeps its SDK clients, or None until it makes them."""

    _choice: Choice = PrivateAttr()
    _plain_clients: tuple[Any, ...] = PrivateAttr()

    def __init__(self, *args: Any, prompt_cache: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adopt_clients(self.clients_of(self), prompt_cache)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled: the parent by its constructor, then the rest."""
        super().__setstate__(state)
        choice = (state.get("__pydantic_private__") or {}).get("_choice")
        clients = (self.__pydantic_private__ or {}).get("_plain_clients")
        # The parent keeps no clients where its constructor cannot be called again.
        if choice is not None and clients is not None:
            self.adopt_clients(clients, choice)

    @classmethod
    def clients_of(cls, llm: Any) -> tuple[Any, ...]:
        """Return the SDK clients of an LLM of the class that this one stands in for."""
        return tuple(getattr(llm, name) for name in cls.client_names)

    @property
    def plain_clients(self) -> tuple[Any, ...]:
        """The clients that those of this LLM were made from."""
        return self._plain_clients

    def adopt_clients(self, clients: tuple[Any, ...], prompt_cache: Any) -> None:
        """Send through clients like these, attached to the cache of one's choice.

        Raises:
            OptionError: `prompt_cache` is not allowed.
            UnsupportedSdkError: LlamaIndex fails with the installed SDK.
        """
        self._choice = Choice.read(prompt_cache, provider=self.provider_name)
        self._plain_clients = clients
        if not is_switched_off():
            self._check()
            listen_to(self._choice.cache)
        cache = self._choice.cache
        for name, client in zip(self.client_names, clients, strict=True):
            setattr(self, name, attached(client, cache))

    @passing_through
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            response: ChatResponse = self._stock.chat(messages, **kwargs)
        return receipted(response, call)

    @passing_through
    async def achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            response: ChatResponse = await self._stock.achat(messages, **kwargs)
        return receipted(response, call)

    @passing_through
    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            stream = self._stock.stream_chat(messages, **kwargs)
        return receipted_steps(stream, call)

    @passing_through
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs, messages) as call:
            stream = await self._stock.astream_chat(messages, **kwargs)
        return areceipted_steps(stream, call)

    @passing_through
    def complete(self, prompt: str, *args: Any, **kwargs: Any) -> CompletionResponse:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs) as call:
            response: CompletionResponse = self._stock.complete(prompt, *args, **kwargs)
        return receipted(response, call)

    @passing_through
    async def acomplete(
        self, prompt: str, *args: Any, **kwargs: Any
    ) -> CompletionResponse:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs) as call:
            response: CompletionResponse = await self._stock.acomplete(
                prompt, *args, **kwargs
            )
        return receipted(response, call)

    @passing_through
    def stream_complete(
        self, prompt: str, *args: Any, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs) as call:
            stream = self._stock.stream_complete(prompt, *args, **kwargs)
        return receipted_steps(stream, call)

    @passing_through
    async def astream_complete(
        self, prompt: str, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        with self._call(kwargs) as call:
            stream = await self._stock.astream_complete(prompt, *args, **kwargs)
        return areceipted_steps(stream, call)

    @passing_through
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
            found: Model = self._stock.structured_predict(
                output_cls, self._handed(prompt, given), given, **prompt_args
            )
        return found

    @passing_through
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
            found: Model = await self._stock.astructured_predict(
                output_cls, self._handed(prompt, given), given, **prompt_args
            )
        return found

    @passing_through
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
            stream = self._stock.stream_structured_predict(
                output_cls, self._handed(prompt), given, **prompt_args
            )
        return receipted_steps(stream, call)

    @passing_through
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
            stream = await self._stock.astream_structured_predict(
                output_cls, self._handed(prompt), given, **prompt_args
            )
        return areceipted_steps(stream, call)

    @property
    def _stock(self) -> Any:
        """The parent's methods; what stands above this class, too, is abstract."""
        return super()

    def _check(self) -> None:
        """Refuse at construction what is bound to fail; each class has its own."""

    def _handed(
        self,
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,  # noqa: ARG002 - for who adds to it
    ) -> PromptTemplate:
        """Return a prompt as the parent gets it for structured output.

        Args:
            prompt: The caller's.
            llm_kwargs: What the parent sends with the answer's form, where that may be
                added to while the prompt is formatted; None for a stream.
        """
        return prompt

    def _call(
        self,
        kwargs: dict[str, Any],
        messages: Sequence[ChatMessage] = (),  # noqa: ARG002 - for who reads them
    ) -> LlmCall:
        """Take our options off the arguments, and make the call that carries them."""
        run = active_instrument_tags.get().get(RUN)
        # LlamaIndex asks no stream for its usage, which a receipt is written from.
        base = CallOptions(conversation=str(run) if run else None, stream_usage=True)
        try:
            said = CallOptions.read(kwargs.pop(_OPTION, None))
            _, options = read_choice(said, provider=self.provider_name)
        except OptionError as error:
            raise CallError(str(error)) from error
        return LlmCall(Call(options, defaults=self._choice.options.over(base)))
