"""The emulator's time: standing still, running, or running faster."""

import asyncio
import threading
import time
from math import inf

from promptcache.errors import OptionError

__all__ = ["EmulatorClock"]


class EmulatorClock:
    """A clock that runs at a chosen speed and can be moved forward.

    At speed 0 it stands still until it is advanced, and nothing waits. At speed 1 it is
    real time, plus whatever it was advanced by.
    """

    def __init__(self, *, speed: float = 0.0) -> None:
        if speed < 0:
            raise OptionError("speed", speed, "0 or more")
        self.speed = speed
        self._origin = time.time()
        self._started = time.monotonic()
        self._advanced = 0.0
        self._moved = threading.Condition()

    def now(self) -> float:
        """Return UTC seconds since the epoch."""
        with self._moved:
            return self._now()

    def wait(self, seconds: float) -> None:
        """Return after that many seconds of this clock; at once if it stands still."""
        if self.speed == 0:
            return
        with self._moved:
            until = self._now() + seconds
            while (left := until - self._now()) > 0:
                self._moved.wait(left / self.speed)

    def advance(self, seconds: float) -> float:
        """Move the clock forward and return its new time.

        Raises:
            OptionError: The time would go backward, or for ever on.
        """
        if not 0 <= seconds < inf:
            raise OptionError("seconds", seconds, "0 or more")
        with self._moved:
            self._advanced += seconds
            self._moved.notify_all()
            return self._now()

    async def pause(self, seconds: float) -> None:
        """Let that many seconds of this clock pass without blocking the event loop."""
        await asyncio.sleep(seconds / self.speed if self.speed else 0)

    def _now(self) -> float:
        elapsed = (time.monotonic() - self._started) * self.speed
        return self._origin + elapsed + self._advanced
