"""Keeping the garbage collector from interrupting what holds a lock.

A stream that nobody holds any more is settled when it is collected, which may happen in
the middle of anything that its thread does, also of preparing or settling another
request. What holds a lock then must be finished first.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

__all__ = ["undisturbed", "when_free"]


class _Thread(local):
    """What one thread is in the middle of."""

    def __init__(self) -> None:
        self.depth = 0
        self.waiting: deque[Callable[[], None]] = deque()


_thread = _Thread()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off until the end what this thread is told to do when it is free."""
    _thread.depth += 1
    try:
        yield
    finally:
        _thread.depth -= 1
        while _thread.waiting and not _thread.depth:
            _thread.waiting.popleft()()


def when_free(action: Callable[[], None]) -> None:
    """Do something now, or at the end of what this thread must not be disturbed in."""
    if _thread.depth:
        _thread.waiting.append(action)
    else:
        action()
