"""Who holds a handle, in this process and in all that share its store.

Rule 1: where the store fails, others are taken to hold it: nothing is deleted then.
"""

from collections.abc import Callable

from promptcache.clock import Clock
from promptcache.errors import StoreError
from promptcache.interrupts import undisturbed
from promptcache.receipts.events import Event, StoreFailed
from promptcache.state.forks import ForkSafeLock
from promptcache.state.stores import Handle, Store

__all__ = ["Holds"]

_NAMESPACE = "gemini-holds"
_SECONDS = 86_400.0
"""How long a hold counts whose process has died."""


class Holds:
    """Counts of holds by handle; safe from many threads."""

    def __init__(
        self, store: Store, *, clock: Clock, tell: Callable[[Event], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._lock = ForkSafeLock()
        self._here: dict[str, int] = {}

    def add(self, handle: Handle) -> None:
        """Note that somebody here holds a handle; this blocks."""
        with undisturbed(), self._lock:
            self._here[handle.name] = self._here.get(handle.name, 0) + 1
        self._count(handle, 1)

    def remove(self, handle: Handle) -> tuple[bool, bool]:
        """Note that somebody here holds it no more; this blocks.

        Returns:
            Whether others here hold it, and whether anybody anywhere does.
        """
        with undisturbed(), self._lock:
            left = self._here.pop(handle.name, 1) - 1
            if left > 0:
                self._here[handle.name] = left
        return left > 0, self._count(handle, -1)

    def _count(self, handle: Handle, change: int) -> bool:
        now = self._clock.now()
        try:
            self._store.add_counts(
                _NAMESPACE, {handle.key: (change,)}, seconds=_SECONDS, now=now
            )
            (count,) = self._store.counts(_NAMESPACE, now=now).get(handle.key, (0,))
        except StoreError as error:
            self._tell(StoreFailed(f"counting holds: {error}"))
            return True
        return count > 0
