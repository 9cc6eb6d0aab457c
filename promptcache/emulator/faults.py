"""Failures to order, for testing what a client does about them."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

__all__ = ["Fault", "Faults"]

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


FIELDS = (
    "cache_control",
    "cachedContent",
    "prompt_cache_breakpoint",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "stream_options",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with the next requests that match."""

    status: int | None = None
    """Answer with this HTTP status; with `after_events`, send an error event then."""
    message: str = "The emulator was told to fail."
    type: str | None = None
    """The error's type; None for the usual one of the status."""
    body: Mapping[str, Any] | None = None
    """The whole body to answer with, instead of type and message."""
    times: int = 1
    after_events: int | None = None
    """Break a stream after so many events: by an error event if there is a status,
    else by dropping the connection."""
    drop_usage: bool = False
    """Leave all cache fields out of the usage."""
    delay_seconds: float = 0.0
    """Add to the time until the first byte, in the emulator's time."""
    retry_after: float | None = None
    """Seconds for the `retry-after` header."""
    close: bool = False
    """Drop the connection without an answer."""
    match: str = ""
    """Only requests with this in path or model; the name of a field of caching, or
    `stream_options`, for requests that carry it anywhere."""

    @property
    def field(self) -> str | None:
        """The field whose requests fail, if one is named."""
        return self.match if self.match in FIELDS else None

    def fits(self, *, path: str, model: str, body: bytes) -> bool:
        """Whether this fault is meant for a request."""
        if self.field is not None:
            # In a text its quotes would be escaped; null is as good as absent.
            named = rb'"%b":(?!null)' % self.field.encode()
            return re.search(named, body) is not None
        return self.match in path or self.match in model

    def error_type(self) -> str:
        """Return the type of the error that is sent."""
        return self.type or ERROR_TYPES.get(self.status or 0, "api_error")


class Faults:
    """A queue of faults, for many threads."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []
        self._lock = threading.Lock()

    def push(self, fault: Fault) -> None:
        """Add a fault behind those that wait."""
        with self._lock:
            self._queue.append(fault)

    def take(self, path: str, body: Mapping[str, Any]) -> Fault | None:
        """Return the first fault that fits a request, used up by one."""
        with self._lock:
            if not self._queue:
                return None
            compact = orjson.dumps(body)
            model = str(body.get("model", ""))
            for index, fault in enumerate(self._queue):
                if fault.fits(path=path, model=model, body=compact):
                    self._use(index, fault)
                    return fault
            return None

    def _use(self, index: int, fault: Fault) -> None:
        if fault.times > 1:
            self._queue[index] = replace(fault, times=fault.times - 1)
        else:
            del self._queue[index]

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._queue.clear()
