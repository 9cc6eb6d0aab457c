"""LlamaIndex's `OpenAI` and `OpenAIResponses`, with their prompts cached."""

from collections.abc import Sequence
from typing import Any, ClassVar

try:
    from llama_index.llms.openai import OpenAI, OpenAIResponses
except ImportError as error:
    msg = (
        "`PromptCachedOpenAI` and `PromptCachedOpenAIResponses` need the "
        "`llamaindex-openai` extra: pip install 'promptcache[llamaindex-openai]'"
    )
    raise ImportError(msg) from error

from llama_index.core.llms import ChatMessage

from llamaindex_promptcache.instrumentation import current_call
from llamaindex_promptcache.llms.base import PromptCachedLLM
from llamaindex_promptcache.llms.clients import attached
from promptcache import OptionError

__all__ = ["TWINS", "PromptCachedOpenAI", "PromptCachedOpenAIResponses"]

_KEY = "prompt_cache_key"
_MAX_KEY_LENGTH = 64
"""Characters; a longer key is refused. Source: github.com/openai/openai-openapi."""


class PromptCachedOpenAIModel(PromptCachedLLM):
    """Mixed in before `OpenAI`, `OpenAIResponses` or a class derived from these."""

    provider_name: ClassVar[Any] = "openai"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Without this, type checkers take the fields for the arguments.
        super().__init__(*args, **kwargs)

    def _check(self) -> None:
        key = (getattr(self, "additional_kwargs", None) or {}).get(_KEY)
        if isinstance(key, str) and len(key) > _MAX_KEY_LENGTH:
            raise OptionError(_KEY, key, f"at most {_MAX_KEY_LENGTH} characters")

    # A stream is sent when it is first read, and the span of its call is closed by
    # then; it is open when the parent asks for the stream.

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        _note_span()
        return self._stock._stream_chat(messages, **kwargs)  # noqa: SLF001

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Any:
        _note_span()
        return await self._stock._astream_chat(messages, **kwargs)  # noqa: SLF001


class PromptCachedOpenAI(PromptCachedOpenAIModel, OpenAI):
    """An `OpenAI` that pays a fraction for prompts that were sent before.

    It takes all that `OpenAI` takes, and `prompt_cache=`. Each answer has a receipt in
    `additional_kwargs["prompt_cache"]`, which `promptcache.Receipt.from_metadata`
    reads. Streams are asked for their usage, unless `stream_usage` is False in
    `prompt_cache`. Models of the old completions API are left alone.
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
    """

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


TWINS = {OpenAI: PromptCachedOpenAI, OpenAIResponses: PromptCachedOpenAIResponses}
"""The cached class of each stock class."""


def _note_span() -> None:
    call = current_call()
    if call is not None:
        call.note_span()
