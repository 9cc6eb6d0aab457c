"""Telling all listeners, whatever they do.

Rule 1: an error of a listener never reaches the model call.
Rule 2: it is logged once per kind of listener, so that it is neither lost nor a flood.
"""

import logging
from collections.abc import Iterable

from promptcache.receipts.events import Event, Listener
from promptcache.state.forks import ForkSafeLock

__all__ = ["Listeners"]

_LOGGER = logging.getLogger("promptcache")


class Listeners:
    """Several listeners that are told as one; safe to use from many threads."""

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self._lock = ForkSafeLock()
        self._listeners = tuple(listeners)
        self._failed: set[type] = set()

    def add(self, listener: Listener) -> None:
        """Tell `listener`, too, from now on."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove(self, listener: Listener) -> None:
        """No longer tell `listener`, if it was told at all."""
        with self._lock:
            kept = (known for known in self._listeners if known is not listener)
            self._listeners = tuple(kept)

    def __call__(self, event: Event) -> None:
        """Tell every listener, in the order in which they were added."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a listener may raise anything
                self._log_once(listener, error)

    def _log_once(self, listener: Listener, error: Exception) -> None:
        kind = type(listener)
        with self._lock:
            if kind in self._failed:
                return
            self._failed.add(kind)
        _LOGGER.warning(
            "The listener %s.%s failed; model calls go on, and further failures of "
            "such listeners are not logged.",
            kind.__module__,
            kind.__qualname__,
            exc_info=error,
        )
