"""What every cached chat model adds to the LangChain class that it stands in for.

Rule 1: nothing here decides; the client's seam plans, this carries options in and
receipts out.
Rule 2: what the parent returns is what the caller gets, with a receipt on it.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from pydantic import Field, PrivateAttr, model_validator
from typing_extensions import Self

from langchain_promptcache.batches import (
    abatched_steps,
    batch_options,
    batched,
    batched_steps,
)
from langchain_promptcache.identity import identity_in
from langchain_promptcache.signatures import speak_as_parents
from langchain_promptcache.streams import (
    anamed_steps,
    named_run,
    named_steps,
    naming,
)
from langchain_promptcache.tracers import note_receipt
from langchain_promptcache.usage import OPTION, with_receipt, without_receipt
from promptcache import Call, CallOptions, PromptCache, read_choice

__all__ = ["OPTION", "PromptCachedChatModel"]

Output = TypeVar("Output", ChatResult, ChatGenerationChunk)

_IDENTITY = "prompt_cache_identity"


class PromptCachedChatModel(BaseChatModel):
    """Mixed in before a partner package's class, it makes that one cached."""

    prompt_cache: Any = Field(default=None, exclude=True, repr=False)
    """A `PromptCache`, a `Policy` or its name, a dict of options, True, False or None.

    None is the cache of this process, which all such models learn from together.
    """

    provider_name: ClassVar[Any]
    """Whose lifetimes may be asked for."""

    unsaid: ClassVar[CallOptions] = CallOptions()
    """What holds where nobody says anything."""

    _cache: PromptCache = PrivateAttr()
    _options: CallOptions = PrivateAttr()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names = ("bind_tools", "with_structured_output")
        speak_as_parents(cls, PromptCachedChatModel, names)

    @model_validator(mode="after")
    def _read_choice(self) -> Self:
        self._cache, said = read_choice(self.prompt_cache, provider=self.provider_name)
        self._options = said.over(self.unsaid)
        return self

    def become_twin(self, model: BaseChatModel) -> None:
        """Serve the cache that `prompt_cache` names, with another model's clients.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        cast("Any", self)._read_choice()  # noqa: SLF001 - our own, hidden by its validator
        self.adopt_clients(model)

    @abstractmethod
    def adopt_clients(self, model: BaseChatModel) -> None:
        """Take the clients that another model has made, attached to our cache."""

    def check_bound(self, arguments: Mapping[str, Any]) -> None:
        """Refuse what is bound to every call and that no call can be made with.

        Raises:
            OptionError: The provider would refuse an argument.
        """

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return False: LangChain loads no classes but its own."""
        return False

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return where this class lives."""
        return ["langchain_promptcache", "chat_models"]

    def bind(self, **kwargs: Any) -> Any:
        """Bind arguments; `prompt_cache` becomes the model's own.

        A binding would lose it as soon as `bind_tools` or `with_structured_output`
        is called on that.
        """
        self.check_bound(kwargs)
        if OPTION not in kwargs:
            return super().bind(**kwargs)
        model = self.model_copy()
        said = self._read_options(kwargs.pop(OPTION))
        model._options = said.over(self._options)  # noqa: SLF001 - a copy of our own
        return model.bind(**kwargs) if kwargs else model

    def bind_tools(
        self, tools: Sequence[Any], *args: Any, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        self.check_bound(kwargs)
        parent: Any = super()
        if OPTION in kwargs:
            parent = self.bind(prompt_cache=kwargs.pop(OPTION))
        bound: Runnable[LanguageModelInput, AIMessage] = parent.bind_tools(
            tools, *args, **kwargs
        )
        return bound

    def with_structured_output(
        self, schema: Any = None, *args: Any, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        parent: Any = super()
        if OPTION in kwargs:
            parent = self.bind(prompt_cache=kwargs.pop(OPTION))
        structured: Runnable[LanguageModelInput, Any] = parent.with_structured_output(
            schema, *args, **kwargs
        )
        return structured

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the parent's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        return super().invoke(input, config, **self._identified(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the parent's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        given = self._identified(config, kwargs)
        return await super().ainvoke(input, config, **given)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the parent's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        given = self._identified(config, kwargs)
        stream = super().stream
        return named_steps(lambda known: stream(input, known, **given), config)

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the parent's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Return what the parent returns; `prompt_cache` may be among the arguments."""
        given = self._identified(config, kwargs)
        stream = super().astream
        return anamed_steps(lambda known: stream(input, known, **given), config)

    def batch(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the parent returns; the first of its kind goes ahead.

        Those that share a head with it wait until it is answered, and read what it
        wrote, unless `fan_out=False` is among the options.
        """
        with batched():
            return super().batch(inputs, *args, **kwargs)

    async def abatch(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Do what `batch` does."""
        with batched():
            return await super().abatch(inputs, *args, **kwargs)

    def batch_as_completed(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Do what `batch` does, yielding each answer when it is there."""
        return batched_steps(super().batch_as_completed(inputs, *args, **kwargs))

    def abatch_as_completed(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Do what `batch` does, yielding each answer when it is there."""
        return abatched_steps(super().abatch_as_completed(inputs, *args, **kwargs))

    def _generate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        # LangChain streams here for handlers of tokens, and does not say for which run.
        with naming(kwargs.get("run_manager")):
            result = super()._generate_with_cache(*args, **kwargs)
        note_receipt(kwargs.get("run_manager"), result)
        return result

    async def _agenerate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        with naming(kwargs.get("run_manager")):
            result = await super()._agenerate_with_cache(*args, **kwargs)
        note_receipt(kwargs.get("run_manager"), result)
        return result

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._call(kwargs, run_manager) as call:
            generate = cast("Any", super()._generate)  # type: ignore[safe-super]
            result: ChatResult = generate(messages, stop, run_manager, **kwargs)
        return _with_receipt(result, call)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._call(kwargs, run_manager) as call:
            result = await super()._agenerate(messages, stop, run_manager, **kwargs)
        return _with_receipt(result, call)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._call(kwargs, run_manager)
        chunks: Any = super()._stream(messages, stop, run_manager, **kwargs)
        try:
            while True:
                with call:
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield _with_receipt(chunk, call)
        finally:
            chunks.close()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = self._call(kwargs, run_manager)
        chunks: Any = super()._astream(messages, stop, run_manager, **kwargs)
        try:
            while True:
                with call:
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield _with_receipt(chunk, call)
        finally:
            await chunks.aclose()

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # An answer does not depend on how its prompt was cached.
        kwargs.pop(OPTION, None)
        kwargs.pop(_IDENTITY, None)
        return super()._get_llm_string(stop, **kwargs)

    def _convert_cached_generations(self, cache_val: list[Any]) -> list[ChatGeneration]:
        # An answer that LangChain has kept costs nothing; its receipt is used up.
        found = super()._convert_cached_generations(cache_val)
        return [_bare(generation) for generation in found]

    def _identified(
        self, config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the arguments with who is asking, as the config says.

        LangChain hands neither the config nor its metadata on to `_stream`.
        """
        given = ensure_config(config)
        told = {**given["configurable"], **(self.metadata or {}), **given["metadata"]}
        identity = identity_in(told)
        return {**kwargs, _IDENTITY: identity} if identity else kwargs

    def _call(
        self,
        kwargs: dict[str, Any],
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
    ) -> Call:
        """Take our options off the arguments, and make the call that carries them."""
        told = {} if run_manager is None else identity_in(run_manager.metadata or {})
        identity = CallOptions.read({**told, **kwargs.pop(_IDENTITY, {})})
        said = self._read_options(kwargs.pop(OPTION, None))
        return Call(
            said,
            defaults=self._standing_options().over(identity).over(batch_options()),
            run_id=named_run() if run_manager is None else str(run_manager.run_id),
        )

    def _standing_options(self) -> CallOptions:
        """Return what holds where neither a call nor a `with` says anything."""
        return self._options

    def _read_options(self, said: Any) -> CallOptions:
        """Read what was said about one call, or for all calls of a binding."""
        options = CallOptions.read(said)
        if options.ttl is not None:
            read_choice(options, provider=self.provider_name)
        return options


def _bare(generation: ChatGeneration) -> ChatGeneration:
    message = without_receipt(generation.message)
    if message is generation.message:
        return generation
    return generation.model_copy(update={"message": message})


def _with_receipt(output: Output, call: Call) -> Output:
    receipt = call.take_receipt()
    if receipt is None:
        return output
    found = output.generations if isinstance(output, ChatResult) else [output]
    for generation in found[:1]:
        is_whole = isinstance(output, ChatResult)
        message = with_receipt(generation.message, receipt, is_whole=is_whole)
        generation.message = cast("Any", message)
    return output
