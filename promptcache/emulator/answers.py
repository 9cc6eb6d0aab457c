"""What the model is to say, in order."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from promptcache.errors import OptionError

__all__ = ["Answer", "Answers", "Json", "Part", "ToolCall", "parsed_answer"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a tool."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Json:
    """The model answers with a value as JSON text."""

    value: Any


Part: TypeAlias = "str | ToolCall | Json | Mapping[str, Any]"
"""One piece of an answer; a mapping is a content block as the provider sends it."""
Fixed: TypeAlias = "Part | Sequence[Part]"
Answer: TypeAlias = "Fixed | Callable[[Mapping[str, Any]], Fixed]"
"""A fixed answer, or a function from the request body to one."""


@dataclass(frozen=True, slots=True)
class _Scripted:
    answer: Answer
    model: str | None
    conversation: str | None

    def fits(self, model: str, conversation: str | None) -> bool:
        return self.model in (None, model) and self.conversation in (None, conversation)


class Answers:
    """A queue of answers, for many threads.

    A request takes the first answer that fits its model and conversation. The
    conversation is the header `x-emulator-conversation`, else the provider's own field
    for the end user.
    """

    def __init__(self) -> None:
        self._queue: list[_Scripted] = []
        self._lock = threading.Lock()

    def push(
        self,
        answer: Answer,
        *,
        model: str | None = None,
        conversation: str | None = None,
    ) -> None:
        """Add an answer behind those that wait.

        Args:
            answer: Text, a `ToolCall`, `Json`, a list of them, or a function from the
                request body to one of them.
            model: Only for requests to this model.
            conversation: Only for requests of this conversation.
        """
        with self._lock:
            self._queue.append(_Scripted(answer, model, conversation))

    def take(
        self, body: Mapping[str, Any], *, model: str, conversation: str | None
    ) -> Sequence[Part] | None:
        """Return the parts of the next answer that fits, or None if none is left."""
        scripted = self._next(model, conversation)
        if scripted is None:
            return None
        answer = scripted.answer
        fixed = answer(body) if callable(answer) else answer
        if isinstance(fixed, (str, ToolCall, Json, Mapping)):
            return [fixed]
        return list(fixed)

    def _next(self, model: str, conversation: str | None) -> _Scripted | None:
        with self._lock:
            for index, scripted in enumerate(self._queue):
                if scripted.fits(model, conversation):
                    return self._queue.pop(index)
        return None

    def clear(self) -> None:
        """Forget all answers that wait."""
        with self._lock:
            self._queue.clear()


def parsed_answer(value: Any) -> Fixed:
    """Return the answer that stands in a control request.

    Text is itself, `{"tool": name, "args": {...}}` a tool call, `{"json": value}` a
    JSON answer, and a list is several of them.

    Raises:
        OptionError: The value is none of these.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [parsed_answer(part) for part in value]
        return [part for part in parts if not isinstance(part, list)]  # type: ignore[misc]
    if isinstance(value, Mapping) and "tool" in value:
        return ToolCall(str(value["tool"]), value.get("args") or {})
    if isinstance(value, Mapping) and "json" in value:
        return Json(value["json"])
    if isinstance(value, Mapping) and "type" in value:
        return value
    allowed = 'text, {"tool": ..., "args": ...}, {"json": ...} or a list of them'
    raise OptionError("answer", value, allowed)
