"""Locks that no fork leaves locked.

A lock that another thread holds at a fork would stay locked in the child for ever. What
these guard is changed by single steps, so that the child finds nothing half done.
"""

import os
from threading import RLock
from types import TracebackType
from weakref import WeakSet

__all__ = ["ForkSafeLock"]


class ForkSafeLock:
    """A lock for a `with`, which its own thread may enter again.

    Python may collect a stream, whose run ends then, while it is held.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def reopen(self) -> None:
        """Be open, whoever holds it."""
        self._lock = RLock()


_locks: "WeakSet[ForkSafeLock]" = WeakSet()


def _reopen_all() -> None:
    for lock in _locks:
        lock.reopen()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reopen_all)
