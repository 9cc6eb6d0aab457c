"""Work that no request waits for: one thread, made when there is some.

Rule 1: jobs run one after another; an error in one is its own affair.
Rule 2: the thread ends when there is nothing left to watch over.
"""

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

from promptcache.interrupts import undisturbed
from promptcache.state.forks import let_go_at_forks

__all__ = ["Background"]

_LOGGER = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_IDLE_TICKS = 5
"""Ticks without anything to do after which the thread ends."""

_MAX_JOBS = 1_000


class Background:
    """A queue of jobs, and a tick between them; safe from many threads and forks."""

    def __init__(self, tick: Callable[[], bool]) -> None:
        """Start nothing yet.

        Args:
            tick: Called about once a second while the thread runs; returns whether
                there is anything to watch over.
        """
        self._tick = tick
        self._begin()
        let_go_at_forks(self)

    def submit(self, job: Callable[[], object]) -> bool:
        """Have a job done soon; False if there are too many, or this was stopped."""
        with undisturbed(), self._changed:
            if self._is_stopped or len(self._jobs) >= _MAX_JOBS:
                return False
            self._jobs.append(job)
            self._unfinished += 1
            self._wake()
            return True

    def watch(self) -> None:
        """Have the thread run, so that there are ticks."""
        with undisturbed(), self._changed:
            if not self._is_stopped:
                self._wake()

    def idle(self, seconds: float = 30.0) -> bool:
        """Wait until no job is left; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, seconds)

    def stop(self, seconds: float = 30.0) -> None:
        """Take no more jobs, finish those that are there, and end."""
        with self._changed:
            self._is_stopped = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(seconds)

    def pause(self) -> bool:
        """Stand still while the process forks."""
        return self._changed.acquire(timeout=1.0)

    def resume(self) -> None:
        """Go on, in the process that forked."""
        self._changed.release()

    def restart(self) -> None:
        """Begin anew, in the child: jobs and the thread are the parent's."""
        self._begin()

    def _begin(self) -> None:
        self._changed = Condition()
        self._jobs: deque[Callable[[], object]] = deque()
        self._unfinished = 0
        self._thread: Thread | None = None
        self._is_stopped = False

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = Thread(
                target=self._run, name="promptcache-gemini", daemon=True
            )
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        idle_ticks = 0
        while True:
            with self._changed:
                if not self._jobs and not self._is_stopped:
                    self._changed.wait(_TICK_SECONDS)
                job = self._jobs.popleft() if self._jobs else None
                if job is None and (self._is_stopped or idle_ticks >= _IDLE_TICKS):
                    self._thread = None
                    return
            if job is None:
                idle_ticks = 0 if self._do(self._tick) else idle_ticks + 1
                continue
            idle_ticks = 0
            self._do(job)
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()

    @staticmethod
    def _do(job: Callable[[], object]) -> object:
        try:
            return job()
        except Exception:
            _LOGGER.exception("Work on cached contents failed.")
            return None
