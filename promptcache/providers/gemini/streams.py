"""What Gemini's answers say of themselves, and when they are over.

Source: `google-genai` 3.4, types.py; it hands on each chunk as a response whose body is
JSON.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import orjson

from promptcache.providers.gemini.usage import merged, read_tier
from promptcache.providers.streams import Events, Watch

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["GenerateWatch", "LateEvents", "resumed"]


class GenerateWatch(Watch):
    """Reads an answer of `generateContent`, in one piece or in chunks."""

    def __init__(self, cache: "PromptCache", prepared: "Prepared") -> None:
        """Watch the answer to a request.

        Args:
            cache: What settles.
            prepared: The request.
        """
        super().__init__(cache, prepared)
        config = _object(prepared.request.body.get("generationConfig"))
        asked = config.get("candidateCount")
        self._expected = asked if isinstance(asked, int) else 1
        self._finished: set[int] = set()

    def read_whole(self, answer: Any) -> None:
        """Read an answer in one piece."""
        self._note(_said(answer))

    def read_event(self, event: Any) -> None:
        """Read a chunk; the last word is usage that comes with or after the finish."""
        said = _said(event)
        usage = self._note(said)
        candidates = [_object(it) for it in said.get("candidates") or ()]
        if any(_says(candidate) for candidate in candidates):
            self.begin()
        for candidate in candidates:
            if candidate.get("finishReason"):
                self._finished.add(candidate.get("index") or 0)
        is_blocked = bool(_object(said.get("promptFeedback")).get("blockReason"))
        is_finished = is_blocked or len(self._finished) >= self._expected
        if is_finished and "promptTokenCount" in usage:
            self.end()

    def _note(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Note what a chunk or an answer says of itself, and return its usage."""
        told = self.told
        told.id = _text(said.get("responseId")) or told.id
        told.model = _text(said.get("modelVersion")) or told.model
        usage = _object(said.get("usageMetadata"))
        if usage:
            told.usage = merged(told.usage, usage)
            told.tier = read_tier(usage) or told.tier
        return usage


class LateEvents:
    """The chunks of a stream whose request is sent when the first one is asked for.

    It is no generator: one that is collected runs its ending at once, in the middle of
    whatever its thread does.
    """

    def __init__(self, send: Callable[[], Events]) -> None:
        """Wait for the first to be asked for.

        Args:
            send: Plans and sends the request.
        """
        self._send: Callable[[], Events] | None = send
        self._events: Events | Iterator[Any] = iter(())

    def within(self, inside: Callable[[], AbstractContextManager[None]]) -> None:
        """Have the request planned and sent inside a context manager."""
        send = self._send
        if send is None:
            return

        def sent() -> Events:
            with inside():
                return send()

        self._send = sent

    def __iter__(self) -> "LateEvents":
        return self

    def __next__(self) -> Any:
        if self._send is not None:
            send, self._send = self._send, None
            self._events = send()
        return next(self._events)

    def close(self) -> None:
        """Close the stream, and settle; one that was not sent never will be."""
        self._send = None
        if isinstance(self._events, Events):
            self._events.close()


def resumed(first: Any, chunks: Iterator[Any]) -> Generator[Any, None, None]:
    """Yield a chunk that was taken already, then those that follow it."""
    yield first
    yield from chunks


def _said(response: Any) -> Mapping[str, Any]:
    """Return the JSON of a response of the SDK, whatever its form."""
    body = getattr(response, "body", response)
    said = orjson.loads(body) if isinstance(body, (str, bytes)) and body else body
    return _object(said)


def _says(candidate: Mapping[str, Any]) -> bool:
    return bool(_object(candidate.get("content")).get("parts"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
