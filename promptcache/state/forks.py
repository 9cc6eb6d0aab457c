"""What lets go of its locks and files before this process forks.

An open SQLite connection must not cross a fork: the child inherits SQLite's own notes
on locks that only its parent has, and trusts them even for connections that it opens
later. A lock that another thread holds at the fork stays locked in the child for ever.
"""

import os
from threading import Lock
from types import TracebackType
from typing import Protocol
from weakref import WeakSet

__all__ = ["ForkSafeLock", "Pausable", "let_go_at_forks"]

_PAUSE_SECONDS = 1.0
"""How long a fork waits for a lock; who holds it longer than that is stuck."""


class Pausable(Protocol):
    """A thing that can stand still while its process forks."""

    def pause(self) -> bool:
        """Wait for what is going on, lock and let go; False if that takes too long."""
        ...

    def resume(self) -> None:
        """Unlock, in the process that forked."""
        ...

    def restart(self) -> None:
        """Begin anew, in the child, whether or not there was a pause."""
        ...


class _Forks:
    """The things of this process that stand still while it forks."""

    def __init__(self) -> None:
        self._gate = Lock()
        self._hooked = False
        self._things: WeakSet[Pausable] = WeakSet()
        self._paused: list[Pausable] = []

    def add(self, thing: Pausable) -> None:
        with self._gate:
            self._things.add(thing)
            if not self._hooked and hasattr(os, "register_at_fork"):
                os.register_at_fork(
                    before=self._before,
                    after_in_parent=self._in_parent,
                    after_in_child=self._in_child,
                )
                self._hooked = True

    def _before(self) -> None:
        # Held until after the fork: two threads that fork at once would otherwise
        # each wait for things that the other has paused.
        self._gate.acquire()
        self._paused = [thing for thing in self._things if thing.pause()]

    def _in_parent(self) -> None:
        for thing in self._paused:
            thing.resume()
        self._paused = []
        self._gate.release()

    def _in_child(self) -> None:
        self._gate = Lock()
        self._paused = []
        for thing in self._things:
            thing.restart()


_forks = _Forks()


def let_go_at_forks(thing: Pausable) -> None:
    """Pause a thing around every fork of this process, for as long as it lives."""
    _forks.add(thing)


class ForkSafeLock:
    """A lock for a `with` that is open in the child of a fork, whoever held it."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = Lock()
        let_go_at_forks(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def pause(self) -> bool:
        """Wait for who holds it, so that the child finds nothing half done."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Be open in the child of a fork."""
        self._lock = Lock()
