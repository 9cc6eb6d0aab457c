"""Answers as they pass: the usage they report settles the request.

Rule 1: events and responses are handed on as they are, whatever we make of them.
Rule 2: a stream settles when its final usage is seen, before that event is handed on;
one that is dropped early settles with what is known.
Rule 3: this file knows no provider; a provider's watch reads what its answers say.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import orjson

from promptcache.interrupts import when_free

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = [
    "AsyncEvents",
    "Events",
    "Told",
    "Watch",
    "read_body",
    "settle_body",
    "watch_stream",
]

_LOGGER = logging.getLogger("promptcache")


@dataclass(slots=True)
class Told:
    """What an answer has said of itself so far."""

    usage: Mapping[str, Any] | None = None
    """As the provider sent it."""
    model: str | None = None
    id: str | None = None
    tier: str | None = None
    """The service tier that it was given in."""
    diagnosis: object = None
    """Why its prompt was missed, if that was asked."""


class Watch(ABC):
    """Reads one answer, in one piece or in events, and settles its request."""

    def __init__(self, cache: "PromptCache", prepared: "Prepared") -> None:
        """Watch the answer to a request.

        Args:
            cache: What settles.
            prepared: The request.
        """
        self.told = Told()
        self.is_waiting = False
        """Whether the next event of a stream is being waited for."""
        self._cache = cache
        self._prepared = prepared

    @abstractmethod
    def read_event(self, event: Any) -> None:
        """Note what an event of a stream says, and settle if it is the last word."""

    @abstractmethod
    def read_whole(self, answer: Any) -> None:
        """Note what an answer says that came in one piece, whatever its shape."""

    def see(self, event: Any) -> None:
        """Read an event; one that cannot be read says nothing."""
        try:
            self.read_event(event)
        except Exception as error:  # noqa: BLE001 - its words may quote the answer
            kind = type(error).__name__
            _LOGGER.debug("An event of a stream could not be read: %s", kind)

    def see_whole(self, answer: Any) -> None:
        """Read an answer that came in one piece, and settle."""
        try:
            self.read_whole(answer)
        except Exception as error:  # noqa: BLE001 - its words may quote it
            _LOGGER.debug("An answer could not be read: %s", type(error).__name__)
        self.end()

    def begin(self) -> None:
        """Note that the answer itself begins, unless it did before."""
        if self._prepared.first_token is None:
            self._prepared.begin(self._cache.clock.now())

    def end(self) -> None:
        """Settle with what is known, unless that was done before."""
        told, turn = self.told, self._prepared.turn
        if turn is not None:
            (turn.fail if told.usage is None else turn.begin)()
        self._cache.settle(
            self._prepared,
            told.usage,
            model=told.model,
            message_id=told.id,
            tier=told.tier,
            diagnosis=told.diagnosis,
        )

    def drop(self) -> None:
        """Settle as soon as this thread is free: nobody holds the answer any more."""
        if not self._prepared.settled:
            when_free(self.end)


def watch_stream(stream: Any, watch: Watch) -> None:
    """Settle a request by the events of its stream, or when that is closed early.

    Args:
        stream: The SDK's stream, synchronous or not; its iterator is replaced.
        watch: What reads the events.
    """
    is_async = hasattr(stream, "__aiter__")
    events = AsyncEvents if is_async else Events
    closing = _async_closing if is_async else _closing
    stream._iterator = events(stream._iterator, watch)  # noqa: SLF001 - no public place
    stream.close = closing(ref(stream), watch)


def _closing(stream: "ref[Any]", watch: Watch) -> Callable[[], None]:
    # A stream that held itself would, once dropped, wait for the garbage collector.
    def close() -> None:
        watch.end()
        held = stream()
        if held is not None:
            type(held).close(held)

    return close


def _async_closing(
    stream: "ref[Any]", watch: Watch
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def close() -> None:
        watch.end()
        held = stream()
        if held is not None:
            await type(held).close(held)

    return close


class Events:
    """The events of a synchronous stream, watched."""

    def __init__(self, events: Iterator[Any], watch: Watch) -> None:
        self._events = events
        self._watch = watch

    def __iter__(self) -> "Events":
        return self

    def __next__(self) -> Any:
        self._watch.is_waiting = True
        try:
            event = next(self._events)
        except BaseException:
            self._watch.end()
            raise
        finally:
            self._watch.is_waiting = False
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

    def __init__(self, events: AsyncIterator[Any], watch: Watch) -> None:
        self._events = events
        self._watch = watch

    def __aiter__(self) -> "AsyncEvents":
        return self

    async def __anext__(self) -> Any:
        self._watch.is_waiting = True
        try:
            event = await self._events.__anext__()
        except BaseException:
            self._watch.end()
            raise
        finally:
            self._watch.is_waiting = False
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


def settle_body(response: Any, watch: Watch) -> None:
    """Settle a request by the body of its answer, now or when that is read.

    Args:
        response: The SDK's response wrapper, synchronous or not.
        watch: What reads the body.
    """
    if read_body(response.http_response, watch):
        return
    # A response that its caller streams: its body is there at the latest on closing.
    close = response.close

    def closing() -> Any:
        if not read_body(response.http_response, watch):
            watch.end()
        return close()

    response.close = closing


def read_body(http_response: Any, watch: Watch) -> bool:
    """Settle by the body of an HTTP response; tell whether it was there to be read."""
    try:
        content = http_response.content
    except Exception:  # noqa: BLE001 - httpx and httpx2 each have a type for "not read"
        return False
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    watch.see_whole(answer)
    return True
