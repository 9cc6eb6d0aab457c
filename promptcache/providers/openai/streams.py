"""What the answers of OpenAI's two APIs say of themselves, and when they are over.

Source: `openai` 3.54, types/chat/chat_completion_chunk.py and types/responses.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, Literal
from weakref import finalize

import orjson

from promptcache.providers.streams import (
    Watch,
    read_body,
    settle_body,
    watch_stream,
)

__all__ = ["ChatWatch", "ResponsesWatch", "settle_response", "settle_stream"]

_LAST = (
    "error",
    "response.completed",
    "response.failed",
    "response.incomplete",
)
"""Events of the Responses API after which no other says anything of the usage."""

_SAID = (
    "audio",
    "content",
    "function_call",
    "reasoning",
    "reasoning_content",
    "refusal",
    "tool_calls",
)
"""Fields of a chunk's delta that are part of the answer; some servers' own as well."""


class _AnswerWatch(Watch):
    """Reads what both APIs call by the same names."""

    def read_whole(self, answer: Any) -> None:
        """Read an answer in whatever form its caller asked for it."""
        if isinstance(answer, (str, bytes)):
            answer = orjson.loads(answer)
        self.note(answer)

    def note(self, holder: Any) -> None:
        """Note what a completion, a chunk of one, or a response says of itself."""
        told = self.told
        told.id = _text(_field(holder, "id")) or told.id
        told.model = _text(_field(holder, "model")) or told.model
        told.tier = _text(_field(holder, "service_tier")) or told.tier
        usage = _plain(_field(holder, "usage"))
        if isinstance(usage, Mapping):
            told.usage = usage
        diagnosis = _plain(_field(holder, "prompt_cache_diagnostics"))
        if diagnosis is not None:
            told.diagnosis = diagnosis


class ChatWatch(_AnswerWatch):
    """Reads a chat completion, in one piece or in chunks."""

    def read_event(self, event: Any) -> None:
        """Read a chunk; the one with the usage has no choices and is the last.

        Some servers tell the usage so far in every chunk, or all of it in the one that
        finishes the answer.
        """
        self.note(event)
        choices = _field(event, "choices") or ()
        if any(_says(_field(choice, "delta")) for choice in choices):
            self.begin()
        if _field(event, "usage") is not None and (
            not choices or any(_field(choice, "finish_reason") for choice in choices)
        ):
            self.end()


class ResponsesWatch(_AnswerWatch):
    """Reads a response, in one piece or in events."""

    def read_event(self, event: Any) -> None:
        """Read an event; some carry the response as it is by then."""
        kind = _text(_field(event, "type")) or ""
        if kind.endswith(".delta"):
            self.begin()
        response = _field(event, "response")
        if response is not None:
            self.note(response)
        if kind in _LAST:
            self.end()


def settle_stream(stream: Any, watch: Watch) -> None:
    """Settle a request by the events of its stream, or when either is closed early.

    Args:
        stream: The SDK's stream, synchronous or not.
        watch: What reads the events.
    """
    name: Literal["aclose", "close"]
    name = "aclose" if hasattr(stream, "__aiter__") else "close"
    watch_stream(stream, watch)
    # The SDK's helpers close the response, not the stream.
    response = stream.response
    setattr(response, name, partial(_close, getattr(response, name), watch))


def _close(close: Callable[[], Any], watch: Watch) -> Any:
    # A response that was read to its end closes itself, with events still to come.
    if not watch.is_waiting:
        watch.end()
    return close()


def settle_response(response: Any, watch: Watch) -> None:
    """Settle a request by a response that its caller reads: now, then, or never.

    Args:
        response: The SDK's wrapper or the HTTP library's own response, whose body is
            read already, or will be, or is a stream of events.
        watch: What reads the body.
    """
    http_response = getattr(response, "http_response", response)
    if read_body(http_response, watch):
        return
    for name in ("read", "aread"):
        read = getattr(http_response, name)
        setattr(http_response, name, partial(_read, read, http_response, watch))
    if response is not http_response and hasattr(response, "close"):
        settle_body(response, watch)
    finalize(http_response, watch.drop).atexit = False


def _read(read: Callable[[], Any], http_response: Any, watch: Watch) -> Any:
    content = read()
    if isawaitable(content):
        return _read_later(content, http_response, watch)
    read_body(http_response, watch)
    return content


async def _read_later(content: Any, http_response: Any, watch: Watch) -> Any:
    read = await content
    read_body(http_response, watch)
    return read


def _says(delta: Any) -> bool:
    return any(_field(delta, name) for name in _SAID)


def _field(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    # What an odd server sent is no matter to warn the caller of.
    return value if dump is None else dump(exclude_unset=True, warnings=False)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
