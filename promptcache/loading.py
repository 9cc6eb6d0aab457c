"""What is read from disk once there is a client: the price list, and what probes found.

Rule 1: no event loop stands still for it; an answer that comes sooner is settled later.
Rule 2: no process forks meanwhile: the lock of Python's import, which the reading
    thread holds, would stay locked in the child for ever.
"""

import asyncio
from collections.abc import Callable, Iterable
from threading import Thread

from promptcache.flow import Flow, Pause
from promptcache.state.forks import ForkSafeLock, let_go_at_forks

__all__ = ["Loading"]

_LONGEST_SECONDS = 10.0
"""How long a fork waits; the reading takes half a second."""


class Loading:
    """Reads each thing once; safe from many threads, event loops and forks."""

    def __init__(
        self, *, quick: Callable[[], object], slow: Iterable[Callable[[], object]]
    ) -> None:
        """Read nothing yet.

        Args:
            quick: Reads what the first request is to know; no error leaves it.
            slow: Read what no request waits for, in a thread; likewise.
        """
        self._quick = quick
        self._slow = tuple(slow)
        self._lock = ForkSafeLock()
        self._has_begun = False
        self._thread: Thread | None = None
        let_go_at_forks(self)

    def begin(self) -> None:
        """Read what was not read before."""
        with self._lock:
            if self._has_begun:
                return
            self._has_begun = True
        asides = self._slow
        if _is_in_loop():
            asides = (self._quick, *asides)
        else:
            self._quick()
        if asides:
            thread = Thread(
                target=_call_all, args=(asides,), name="promptcache-prices", daemon=True
            )
            self._thread = thread
            thread.start()

    @property
    def is_awaited(self) -> bool:
        """Whether an event loop would stand still here if something were needed now."""
        thread = self._thread
        return thread is not None and thread.is_alive() and _is_in_loop()

    def end(self) -> Flow[None]:
        """Let an event loop go on until all is read; else this does nothing."""
        if self.is_awaited:
            yield Pause(_nothing, self._ended)

    def pause(self) -> bool:
        """Wait before a fork, until all is read."""
        thread = self._thread
        if thread is not None and thread.ident is not None:
            thread.join(_LONGEST_SECONDS)
        return False

    def resume(self) -> None:
        """Go on after a fork."""

    def restart(self) -> None:
        """Go on in the child of a fork; what was read is there."""

    async def _ended(self) -> None:
        thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join)


def _call_all(asides: Iterable[Callable[[], object]]) -> None:
    for aside in asides:
        aside()


def _nothing() -> None:
    """Do what synchronous code does: nothing, as it may wait when it comes to it."""


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
