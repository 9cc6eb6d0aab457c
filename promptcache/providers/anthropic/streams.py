"""Answers as they pass: the usage they report settles the request.

Rule 1: events and responses are handed on as they are, whatever we make of them.
Rule 2: a stream settles when its final usage is seen, before that event is handed on;
one that is dropped early settles with what is known.
"""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any
from weakref import ref

import orjson

from promptcache.interrupts import when_free
from promptcache.providers.anthropic.usage import merge_usage

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["AsyncEvents", "Events", "settle_body", "watch_stream"]


_LOGGER = logging.getLogger("promptcache")


class _Watch:
    """What the events of one stream say about its usage."""

    def __init__(self, cache: "PromptCache", prepared: "Prepared") -> None:
        self._cache = cache
        self._prepared = prepared
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._id: str | None = None
        self._diagnosis: object = None

    def see(self, event: Any) -> None:
        try:
            self._read(event)
        except Exception:
            _LOGGER.debug("An event of a stream could not be read.", exc_info=True)

    def _read(self, event: Any) -> None:
        kind = getattr(event, "type", None)
        if kind in ("content_block_start", "content_block_delta"):
            if self._prepared.first_token is None:
                self._prepared.first_token = self._cache.clock.now()
        elif kind == "message_start":
            self._id = _text(getattr(event.message, "id", None))
            self._model = _text(getattr(event.message, "model", None))
            told = getattr(event.message, "diagnostics", None)
            self._diagnosis = getattr(told, "model_dump", lambda: told)()
            self._note_usage(event.message)
        elif kind == "message_delta":
            self._note_usage(event)
            if getattr(event.delta, "stop_reason", None) is not None:
                self.end()

    def end(self) -> None:
        self._cache.settle(
            self._prepared,
            self._usage or None,
            model=self._model,
            message_id=self._id,
            diagnosis=self._diagnosis,
        )

    def drop(self) -> None:
        if not self._prepared.settled:
            when_free(self.end)

    def _note_usage(self, holder: Any) -> None:
        usage = getattr(holder, "usage", None)
        if usage is not None:
            reported = usage.model_dump(exclude_unset=True)
            self._usage = merge_usage(self._usage, reported)


def watch_stream(stream: Any, cache: "PromptCache", prepared: "Prepared") -> None:
    """Settle a request by the events of its stream, or when that is closed early.

    Args:
        stream: The SDK's stream, synchronous or not; its iterator is replaced.
        cache: What settles.
        prepared: The request.
    """
    watch = _Watch(cache, prepared)
    if hasattr(stream, "__aiter__"):
        stream._iterator = AsyncEvents(stream._iterator, watch)
        stream.close = _async_closing(ref(stream), watch)
    else:
        stream._iterator = Events(stream._iterator, watch)
        stream.close = _closing(ref(stream), watch)


def _closing(stream: "ref[Any]", watch: _Watch) -> Callable[[], None]:
    # A stream that held itself would, once dropped, wait for the garbage collector.
    def close() -> None:
        watch.end()
        held = stream()
        if held is not None:
            type(held).close(held)

    return close


def _async_closing(
    stream: "ref[Any]", watch: _Watch
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def close() -> None:
        watch.end()
        held = stream()
        if held is not None:
            await type(held).close(held)

    return close


class Events:
    """The events of a synchronous stream, watched."""

    def __init__(self, events: Iterator[Any], watch: _Watch) -> None:
        self._events = events
        self._watch = watch

    def __iter__(self) -> "Events":
        return self

    def __next__(self) -> Any:
        try:
            event = next(self._events)
        except BaseException:
            self._watch.end()
            raise
        self._watch.see(event)
        return event

    def close(self) -> None:
        """Close the stream's own iterator, and settle."""
        close = getattr(self._events, "close", None)
        if close is not None:
            close()
        self._watch.end()

    def __del__(self) -> None:
        self._watch.drop()


class AsyncEvents:
    """The events of an asynchronous stream, watched."""

    def __init__(self, events: AsyncIterator[Any], watch: _Watch) -> None:
        self._events = events
        self._watch = watch

    def __aiter__(self) -> "AsyncEvents":
        return self

    async def __anext__(self) -> Any:
        try:
            event = await self._events.__anext__()
        except BaseException:
            self._watch.end()
            raise
        self._watch.see(event)
        return event

    async def aclose(self) -> None:
        """Close the stream's own iterator, and settle."""
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
        self._watch.end()

    def __del__(self) -> None:
        self._watch.drop()


def settle_body(response: Any, cache: "PromptCache", prepared: "Prepared") -> None:
    """Settle a request by the body of its answer, now or when that is read.

    Args:
        response: The SDK's response wrapper, synchronous or not.
        cache: What settles.
        prepared: The request.
    """
    if _settled(response, cache, prepared):
        return
    # A response that its caller streams: its body is there at the latest on closing.
    close = response.close

    def closing() -> Any:
        if not _settled(response, cache, prepared):
            cache.settle(prepared, None)
        return close()

    response.close = closing


def _settled(response: Any, cache: "PromptCache", prepared: "Prepared") -> bool:
    try:
        content = response.http_response.content
    except Exception:  # noqa: BLE001 - httpx and httpx2 each have a type for "not read"
        return False
    try:
        message = orjson.loads(content)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        message = {}
    usage = message.get("usage")
    cache.settle(
        prepared,
        usage if isinstance(usage, dict) else None,
        model=_text(message.get("model")),
        message_id=_text(message.get("id")),
        diagnosis=message.get("diagnostics"),
    )
    return True


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
