"""Telling of events that come again and again, and of stores that fail.

Rule 1: a failing store is told of and never raised.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from promptcache.clock import Clock
from promptcache.errors import StoreError
from promptcache.interrupts import undisturbed
from promptcache.receipts.events import Event, LimitReached, StoreFailed

__all__ = ["Teller"]

_LIMIT_SECONDS = 600.0
_STORE_SECONDS = 60.0


class Teller:
    """What the parts of `Handles` tell events to; safe from many threads."""

    def __init__(self, tell: Callable[[Event], None], *, clock: Clock) -> None:
        self.tell = tell
        self._clock = clock
        self._lock = Lock()
        self._told: dict[str, float] = {}

    def reached(self, event: LimitReached) -> None:
        """Tell of a limit, once in ten minutes each."""
        self._seldom(event.limit, event, _LIMIT_SECONDS)

    def failed(self, what: str, error: StoreError) -> None:
        """Tell of a store that failed, once in a minute.

        Args:
            what: What was wanted of it.
            error: What it said.
        """
        self._seldom("store", StoreFailed(f"{what}: {error}"), _STORE_SECONDS)

    @contextmanager
    def store_may_fail(self, what: str) -> Iterator[None]:
        """Tell of a store that fails, and go on behind the block."""
        try:
            yield
        except StoreError as error:
            self.failed(what, error)

    def restart(self) -> None:
        """Go on in the child of a fork."""
        self._lock = Lock()

    def _seldom(self, kind: str, event: Event, seconds: float) -> None:
        now = self._clock.now()
        with undisturbed(), self._lock:
            # A clock that was set back must not make this longer.
            if kind in self._told and 0 <= now - self._told[kind] < seconds:
                return
            self._told[kind] = now
        self.tell(event)
