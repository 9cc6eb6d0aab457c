"""Time, as the one thing that everything else is handed.

Nothing in this project reads the system's time except `SystemClock`, so a test, a
replay or the emulator can put its own clock in its place.
"""

import time
from typing import Protocol, runtime_checkable

__all__ = ["Clock", "SystemClock"]


@runtime_checkable
class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Return UTC seconds since the epoch."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Return UTC seconds since the epoch."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep in the calling thread."""
        time.sleep(seconds)
