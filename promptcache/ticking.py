"""A thread that does what is due, and that is there only while something will be.

Rule 1: time is the clock's; how long the thread sleeps in between is the machine's, as
a clock may stand still or run faster, and whoever closes it does not wait for it.
"""

import logging
from collections.abc import Callable
from threading import Condition, Thread, current_thread

from promptcache.clock import Clock, SystemClock
from promptcache.interrupts import undisturbed

__all__ = ["Ticker"]

_LOGGER = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
"""How often a clock is looked at that is not the machine's."""

_LONGEST_SECONDS = 30.0
"""How long the thread sleeps at most: machines are suspended, and clocks are set."""


class Ticker:
    """Calls a function when it is due; safe from many threads."""

    def __init__(
        self,
        tick: Callable[[], float | None],
        *,
        clock: Clock,
        name: str = "promptcache-pings",
    ) -> None:
        """Start nothing yet.

        Args:
            tick: Does what is due, and returns when something is due next, in UTC
                seconds of the clock; None if nothing will be.
            clock: Where time comes from.
            name: That of the thread.
        """
        self._tick = tick
        self._clock = clock
        self._name = name
        self._changed = Condition()
        self._thread: Thread | None = None
        self._is_woken = self._is_stopped = False

    def wake(self) -> None:
        """Have it look again at what is due."""
        with undisturbed(), self._changed:
            if self._is_stopped:
                return
            self._is_woken = True
            if self._thread is None:
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self, seconds: float = 30.0) -> None:
        """End the thread, once it has done what it is doing."""
        with self._changed:
            self._is_stopped = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not current_thread():
            thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_woken = False
            due = self._do()
            with self._changed:
                if not self._is_woken and not self._is_stopped and due is not None:
                    self._changed.wait(self._sleep(due))
                if self._is_stopped or (due is None and not self._is_woken):
                    self._thread = None
                    return

    def _do(self) -> float | None:
        try:
            return self._tick()
        except Exception:
            _LOGGER.exception("What was due was not done by %s.", self._name)
            return self._clock.now() + _LONGEST_SECONDS

    def _sleep(self, due: float) -> float:
        left = max(due - self._clock.now(), 0.0)
        is_real = isinstance(self._clock, SystemClock)
        return min(left, _LONGEST_SECONDS if is_real else _LOOK_SECONDS)
