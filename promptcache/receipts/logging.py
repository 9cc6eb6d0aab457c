"""Events in Python's own logging."""

import logging
from dataclasses import asdict
from typing import Any

from promptcache.receipts.events import (
    CacheCreated,
    CacheEnded,
    CacheExtended,
    Event,
    Settled,
)

__all__ = ["LoggingListener"]

_LOGGER = logging.getLogger("promptcache")
_LOGGER.addHandler(logging.NullHandler())


class LoggingListener:
    """Logs what it is told, most of it as something that somebody should look at.

    Answers are logged at DEBUG, the lives of cached contents at INFO, and everything
    else at WARNING.

    The record has the event's name as `prompt_cache_event` and its fields as the
    dict `prompt_cache`, for formatters that write structured logs.
    """

    def __init__(self, logger: logging.Logger = _LOGGER) -> None:
        self._logger = logger

    def __call__(self, event: Event) -> None:
        """Log one event."""
        level = _level(event)
        if not self._logger.isEnabledFor(level):
            return
        fields = event.receipt.as_dict() if isinstance(event, Settled) else _of(event)
        text = str(event.receipt) if isinstance(event, Settled) else _text(fields)
        name = type(event).__name__
        extra = {"prompt_cache_event": name, "prompt_cache": fields}
        self._logger.log(level, "%s: %s", name, text, extra=extra)


def _level(event: Event) -> int:
    if isinstance(event, Settled):
        return logging.DEBUG
    lives = isinstance(event, CacheCreated | CacheExtended | CacheEnded)
    return logging.INFO if lives else logging.WARNING


def _of(event: Event) -> dict[str, Any]:
    return asdict(event)


def _text(fields: dict[str, Any]) -> str:
    known = ((key, value) for key, value in fields.items() if value not in (None, ()))
    return ", ".join(f"{key}={value}" for key, value in known)
