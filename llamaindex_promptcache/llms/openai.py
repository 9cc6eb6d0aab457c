"""LlamaIndex's `OpenAI` and `OpenAIResponses`, with their prompts cached."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

try:
    from llama_index.llms.openai import OpenAI, OpenAIResponses
except ImportError as error:
    msg = (
        "`PromptCachedOpenAI` and `PromptCachedOpenAIResponses` need the "
        "`llamaindex-openai` extra: pip install 'promptcache[llamaindex-openai]'"
    )
    raise ImportError(msg) from error

from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.llms.openai.utils import to_openai_message_dicts

from llamaindex_promptcache.instrumentation import current_call
from llamaindex_promptcache.llms.base import PromptCachedLLM
from llamaindex_promptcache.llms.clients import attached
from llamaindex_promptcache.llms.lent_messages import (
    LentPrompt,
    without_cache_points,
)
from llamaindex_promptcache.llms.marked_parts import has_cache_points, marked_messages
from promptcache import OptionError, is_switched_off

__all__ = ["TWINS", "PromptCachedOpenAI", "PromptCachedOpenAIResponses"]

_MARKED = "_promptcache_marked"
"""Where the messages with their cache points travel, up to the request."""

_KEY = "prompt_cache_key"
_MAX_KEY_LENGTH = 64
"""Characters; a longer key is refused. Source: github.com/openai/openai-openapi."""


class _Marked(NamedTuple):
    """Messages with cache points."""

    messages: tuple[ChatMessage, ...]
    stores: bool
    """Whether what is stored at the provider is left out of them, where it is."""


class PromptCachedOpenAIModel(PromptCachedLLM):
    """Mixed in before `OpenAI`, `OpenAIResponses` or a class derived from these."""

    provider_name: ClassVar[Any] = "openai"
    messages_field: ClassVar[str] = "messages"
    """Where a request has its messages."""
    text_type: ClassVar[str] = "text"
    """The type of a part that is text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Without this, type checkers take the fields for the arguments.
        super().__init__(*args, **kwargs)

    def _check(self) -> None:
        key = (getattr(self, "additional_kwargs", None) or {}).get(_KEY)
        if isinstance(key, str) and len(key) > _MAX_KEY_LENGTH:
            raise OptionError(_KEY, key, f"at most {_MAX_KEY_LENGTH} characters")

    # The parent raises on cache points.

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        plain, said = self._lent(messages, kwargs, stores=True)
        return self._stock._chat(plain, **said)  # noqa: SLF001

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        plain, said = self._lent(messages, kwargs)
        return await self._stock._achat(plain, **said)  # noqa: SLF001

    # A stream is sent when it is first read, and the span of its call is closed by
    # then; it is open when the parent asks for the stream.

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        _note_span()
        plain, said = self._lent(messages, kwargs)
        return self._stock._stream_chat(plain, **said)  # noqa: SLF001

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Any:
        _note_span()
        plain, said = self._lent(messages, kwargs)
        return await self._stock._astream_chat(plain, **said)  # noqa: SLF001

    def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        # The parent asks right before it sends.
        marked: _Marked | None = kwargs.pop(_MARKED, None)
        given: dict[str, Any] = self._stock._get_model_kwargs(**kwargs)  # noqa: SLF001
        if marked is None:
            return given
        store = given.get("store", False) if marked.stores else False
        body = self._marked_body(marked.messages, store=bool(store))
        return {**given, "extra_body": {**body, **(given.get("extra_body") or {})}}

    def _lent(
        self,
        messages: Sequence[ChatMessage],
        kwargs: dict[str, Any],
        *,
        stores: bool = False,
    ) -> tuple[Sequence[ChatMessage], dict[str, Any]]:
        """Return what the parent gets; what is marked goes with the arguments."""
        if not has_cache_points(messages):
            return messages, kwargs
        plain = without_cache_points(messages)
        if not self._plans:
            return plain, kwargs
        return plain, {**kwargs, _MARKED: _Marked(tuple(messages), stores)}

    def _marked_body(
        self, messages: Sequence[ChatMessage], *, store: bool
    ) -> dict[str, Any]:
        """Return the field of the request that says the messages, with breakpoints."""
        converted = partial(
            to_openai_message_dicts,
            model=getattr(self, "model", None),
            is_responses_api=self.messages_field == "input",
            store=store,
        )
        made = marked_messages(messages, converted, text=self.text_type)
        return {self.messages_field: made}

    @property
    def _plans(self) -> bool:
        """Whether the seam is going to mend what the model does not take."""
        call = current_call()
        if call is None or is_switched_off():
            return False
        is_off = self._choice.cache.policy.name == "off"
        return not is_off and call.options.enabled is not False


class PromptCachedOpenAI(PromptCachedOpenAIModel, OpenAI):
    """An `OpenAI` that pays a fraction for prompts that were sent before.

    It takes all that `OpenAI` takes, and `prompt_cache=`. Each answer has a receipt in
    `additional_kwargs["prompt_cache"]`, which `promptcache.Receipt.from_metadata`
    reads. Streams are asked for their usage, unless `stream_usage` is False in
    `prompt_cache`. Models of the old completions API are left alone.

    A `CachePoint`, on which `OpenAI` raises, becomes a breakpoint after the text that
    precedes it in its message. A model that takes none gets the text, and the receipt
    says what was dropped.
    """

    def __init__(self, *args: Any, prompt_cache: Any = None, **kwargs: Any) -> None:
        """Make an LLM.

        Args:
            *args: What `OpenAI` takes.
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None. None is the cache of this process, which all such
                LLMs learn from together.
            **kwargs: What `OpenAI` takes.

        Raises:
            OptionError: `prompt_cache` or a key in `additional_kwargs` is not allowed.
        """
        super().__init__(*args, prompt_cache=prompt_cache, **kwargs)

    def _get_client(self) -> Any:
        client = attached(super()._get_client(), self._choice.cache)
        if self.reuse_client:
            self._client = client
        return client

    def _get_aclient(self) -> Any:
        client = attached(super()._get_aclient(), self._choice.cache)
        if self.reuse_client:
            self._aclient = client
        return client


class PromptCachedOpenAIResponses(PromptCachedOpenAIModel, OpenAIResponses):
    """An `OpenAIResponses` that pays a fraction for prompts that were sent before.

    It takes all that `OpenAIResponses` takes, and `prompt_cache=`. Each answer has a
    receipt in `additional_kwargs["prompt_cache"]`, which
    `promptcache.Receipt.from_metadata` reads.

    A `CachePoint`, on which `OpenAIResponses` raises, becomes a breakpoint after the
    text that precedes it in its message. A model that takes none gets the text, and the
    receipt says what was dropped.
    """

    messages_field: ClassVar[str] = "input"
    text_type: ClassVar[str] = "input_text"

    def __init__(self, *args: Any, prompt_cache: Any = None, **kwargs: Any) -> None:
        """Make an LLM.

        Args:
            *args: What `OpenAIResponses` takes.
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None. None is the cache of this process, which all such
                LLMs learn from together.
            **kwargs: What `OpenAIResponses` takes.

        Raises:
            OptionError: `prompt_cache` or a key in `additional_kwargs` is not allowed.
        """
        super().__init__(*args, prompt_cache=prompt_cache, **kwargs)

    def _handed(
        self, prompt: PromptTemplate, llm_kwargs: dict[str, Any] | None = None
    ) -> Any:
        # A stream's messages go through `_stream_chat`, those of an answer do not.
        if llm_kwargs is None or not isinstance(prompt, BasePromptTemplate):
            return prompt

        def mark(messages: Sequence[ChatMessage]) -> None:
            if has_cache_points(messages) and self._plans:
                body = self._marked_body(messages, store=False)
                extra = {**body, **(llm_kwargs.get("extra_body") or {})}
                llm_kwargs["extra_body"] = extra

        return LentPrompt.of(prompt, mark)


TWINS = {OpenAI: PromptCachedOpenAI, OpenAIResponses: PromptCachedOpenAIResponses}
"""The cached class of each stock class."""


def _note_span() -> None:
    call = current_call()
    if call is not None:
        call.note_span()
