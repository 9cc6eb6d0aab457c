"""Answers as LangChain hands them to its handlers, and receipts on them.

Rule 1: an answer's message is replaced, never written to: a model may have it from its
caller, or from a store.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_promptcache.usage import OPTION, with_receipt
from promptcache import Receipt

__all__ = ["Written", "answers_in", "complete_chunk", "id_of", "put_receipt"]

_MAX_WRITTEN = 1_000


class Written:
    """The receipts that stand on the last answers."""

    def __init__(self) -> None:
        self._last: deque[Mapping[str, Any]] = deque(maxlen=_MAX_WRITTEN)

    def add(self, written: Any) -> None:
        """Remember a receipt as it stands on a message, if there is one."""
        if isinstance(written, Mapping):
            self._last.append(written)

    def knows(self, written: Mapping[str, Any]) -> bool:
        """Tell whether it is one of these: a model may hand on another one's answer."""
        ids = written.get("ids")
        # A copy, since other threads go on.
        return any(
            it is written or (ids and it.get("ids") == ids) for it in self._last.copy()
        )


def answers_in(response: LLMResult) -> Iterator[Any]:
    """Yield the first answer to each prompt; others to it repeat its usage."""
    for generations in response.generations:
        for generation in generations[:1]:
            if isinstance(generation, ChatGeneration) and isinstance(
                generation.message, AIMessage
            ):
                yield generation


def id_of(message: BaseMessage) -> str | None:
    """Return the provider's id of an answer, where LangChain keeps it."""
    said = message.response_metadata.get("id")
    return said if isinstance(said, str) else None


def put_receipt(answer: Any, receipt: Receipt | None) -> None:
    """Replace the message of an answer by one that has the receipt, if it has none."""
    message = answer.message
    if receipt is not None and OPTION not in message.response_metadata:
        answer.message = with_receipt(message, receipt, is_whole=True)


def complete_chunk(message: BaseMessage, receipt: Receipt | None) -> None:
    """Write the receipt on the chunk of a stream, if it has none.

    Chunks are written to: the provider's class has just made this one, and other
    handlers may have handed on this very object already.
    """
    if receipt is None or OPTION in message.response_metadata:
        return
    new = with_receipt(message, receipt, is_whole=False)
    message.response_metadata = new.response_metadata
    if isinstance(message, AIMessage) and isinstance(new, AIMessage):
        message.usage_metadata = new.usage_metadata
