"""Messages as LlamaIndex's classes are handed them that take no cache points.

Rule 1: the caller's messages are read, never written; no list of theirs is shared with
`GoogleGenAI`, which writes into those that it gets.
Rule 2: what is left out is what these classes raise on: cache points.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import CachePoint, ChatMessage
from llama_index.core.prompts import BasePromptTemplate

from llamaindex_promptcache.instrumentation import current_call

__all__ = ["LentMessages", "LentPrompt", "without_cache_points"]


class LentMessages(Sequence[ChatMessage]):
    """Messages without cache points, copied anew each time that they are read.

    LlamaIndex joins neighbors of one role by adding the blocks of the second to the
    list of the first, and does so again when it tries a request again.
    """

    def __init__(self, messages: Iterable[ChatMessage]) -> None:
        """Read messages; a list that is changed later changes nothing here."""
        self._messages = without_cache_points(messages)

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> ChatMessage: ...

    @overload
    def __getitem__(self, index: slice) -> list[ChatMessage]: ...

    def __getitem__(self, index: int | slice) -> ChatMessage | list[ChatMessage]:
        if isinstance(index, slice):
            return [_copied(message) for message in self._messages[index]]
        return _copied(self._messages[index])


class LentPrompt(BasePromptTemplate):
    """A prompt whose messages have no cache points, and which is else as it was."""

    inner: BasePromptTemplate
    seen: Callable[[list[ChatMessage]], None] | None = None
    """Shown the messages with their cache points, before they are sent."""

    @classmethod
    def of(
        cls,
        inner: BasePromptTemplate,
        seen: Callable[[list[ChatMessage]], None] | None = None,
    ) -> "LentPrompt":
        """Return what stands in for a prompt."""
        fields: Any = {
            name: getattr(inner, name) for name in BasePromptTemplate.model_fields
        }
        return cls(**fields, inner=inner, seen=seen)

    def partial_format(self, **kwargs: Any) -> "LentPrompt":
        """Return one with some of its variables set."""
        return LentPrompt.of(self.inner.partial_format(**kwargs), self.seen)

    def format(self, llm: BaseLLM | None = None, **kwargs: Any) -> str:
        """Return the prompt as a text."""
        return self.inner.format(llm, **kwargs)

    def format_messages(
        self, llm: BaseLLM | None = None, **kwargs: Any
    ) -> list[ChatMessage]:
        """Return the prompt as messages."""
        # The parent asks inside its span, before it sends.
        call = current_call()
        if call is not None:
            call.note_span()
        messages = self.inner.format_messages(llm, **kwargs)
        if self.seen is not None:
            self.seen(messages)
        return without_cache_points(messages)

    def get_template(self, llm: BaseLLM | None = None) -> str:
        """Return the text of the template."""
        return self.inner.get_template(llm)


def without_cache_points(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Return messages without cache points, and without those that are nothing else."""
    return [kept for message in messages if (kept := _unmarked(message)) is not None]


def _unmarked(message: ChatMessage) -> ChatMessage | None:
    blocks = [block for block in message.blocks if not isinstance(block, CachePoint)]
    if len(blocks) == len(message.blocks):
        return message
    if not blocks and not message.additional_kwargs:
        return None
    return message.model_copy(update={"blocks": blocks})


def _copied(message: ChatMessage) -> ChatMessage:
    fresh = {
        "blocks": [*message.blocks],
        "additional_kwargs": {**message.additional_kwargs},
    }
    return message.model_copy(update=fresh)
