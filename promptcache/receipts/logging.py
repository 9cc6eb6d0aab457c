"""Events in Python's own logging.

Rule 1: what somebody should look at is said once for each cause, not for each request.
Rule 2: a record is one line, whatever names hold; its fields are as they are.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from promptcache.interrupts import undisturbed
from promptcache.receipts.events import (
    BodyUnreadable,
    CacheCreated,
    CacheEnded,
    CacheExtended,
    CacheLost,
    CreateRefused,
    Event,
    LimitReached,
    MarkersChanged,
    ModelAssumed,
    PlanningFailed,
    RetriedUnplanned,
    Settled,
    SteppedAside,
    StoreFailed,
    UsageMissing,
)
from promptcache.receipts.visible import plain
from promptcache.state.forks import ForkSafeLock

__all__ = ["LoggingListener"]

_LOGGER = logging.getLogger("promptcache")
_LOGGER.addHandler(logging.NullHandler())

_MAX_CAUSES = 1_000
"""Causes that are remembered as told; the one that was seen longest ago goes first."""

_CAUSES: Mapping[type, tuple[str, ...]] = {
    BodyUnreadable: ("provider", "model", "why"),
    CacheLost: ("provider", "model", "status"),
    CreateRefused: ("provider", "model", "kind"),
    LimitReached: ("provider", "model", "limit"),
    MarkersChanged: ("provider", "model"),
    ModelAssumed: ("provider", "model"),
    PlanningFailed: ("provider", "model", "error", "message"),
    RetriedUnplanned: ("provider", "model", "status"),
    SteppedAside: ("provider", "why"),
    StoreFailed: ("what",),
    UsageMissing: ("provider", "model", "why"),
}
"""What makes two events of one kind have the same cause: not names that are new each
time, places that move as a conversation grows, or amounts."""


class LoggingListener:
    """Logs what it is told, most of it as something that somebody should look at.

    Answers are logged at DEBUG, the lives of cached contents at INFO, and everything
    else at WARNING when its cause is seen first, then at DEBUG.

    The record has the event's name as `prompt_cache_event` and its fields as the
    dict `prompt_cache`, for formatters that write structured logs.
    """

    def __init__(self, logger: logging.Logger = _LOGGER) -> None:
        self._logger = logger
        self._lock = ForkSafeLock()
        self._seen: OrderedDict[tuple[Any, ...], None] = OrderedDict()

    def __call__(self, event: Event) -> None:
        """Log one event."""
        level = self._level(event)
        if not self._logger.isEnabledFor(level):
            return
        fields = event.receipt.as_dict() if isinstance(event, Settled) else _of(event)
        text = str(event.receipt) if isinstance(event, Settled) else _text(fields)
        name = type(event).__name__
        extra = {"prompt_cache_event": name, "prompt_cache": fields}
        self._logger.log(level, "%s: %s", name, plain(text), extra=extra)

    def _level(self, event: Event) -> int:
        if isinstance(event, Settled):
            return logging.DEBUG
        if isinstance(event, CacheCreated | CacheExtended | CacheEnded):
            return logging.INFO
        return logging.WARNING if self._is_news(event) else logging.DEBUG

    def _is_news(self, event: Event) -> bool:
        """Tell whether an event has a cause that was not told of before."""
        kind = type(event)
        names = _CAUSES.get(kind)
        if names is None or not self._logger.isEnabledFor(logging.WARNING):
            return True
        cause = (kind, *(getattr(event, name) for name in names))
        with undisturbed(), self._lock:
            is_known = cause in self._seen
            self._seen[cause] = None
            self._seen.move_to_end(cause)
            if len(self._seen) > _MAX_CAUSES:
                self._seen.popitem(last=False)
        return not is_known


def _of(event: Event) -> dict[str, Any]:
    return asdict(event)


def _text(fields: dict[str, Any]) -> str:
    known = ((key, value) for key, value in fields.items() if value not in (None, ()))
    return ", ".join(f"{key}={value}" for key, value in known)
