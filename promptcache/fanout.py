"""Requests that share an unwritten head: the first goes ahead, the others read.

An entry can be read once the answer that writes it has begun, so requests that are sent
at once all miss, and each of them pays for the writing.

Rule 1: the one that goes ahead never waits for those behind it.
Rule 2: every wait ends: with an answer, with a failure, or at the user's limit.
Rule 3: no lock is held while waiting.

This is for providers where a write becomes readable by itself. Gemini's cached contents
are created once in any case, and its implicit caching promises nothing that a wait
could bring about.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from promptcache.clock import Clock, SystemClock
from promptcache.flow import Flow, Pause
from promptcache.gates import Gate, Gates, Heads
from promptcache.interrupts import undisturbed
from promptcache.limits import Limits
from promptcache.options import CallOptions, current_options
from promptcache.planner import Planner
from promptcache.planning.places import SLACK
from promptcache.prepared import Prepared
from promptcache.providers import Request

__all__ = ["Turns"]

_MAX_UNMARKED = 256
"""Blocks of one request that others may share, where every prefix can be read."""

_LOOK_SECONDS = 0.05
"""How often a clock is looked at that is not the machine's, and may run faster."""


class Turns:
    """Prepares requests, each in its turn."""

    def __init__(self, planner: Planner, *, clock: Clock, limits: Limits) -> None:
        """Know of no request.

        Args:
            planner: What would be planned for one is asked before it is.
            clock: Where time comes from.
            limits: How long a request may wait.
        """
        self.gates = Gates(clock=clock, seconds=limits.fan_out_seconds)
        self._planner = planner
        self._clock = clock
        self._seconds = limits.fan_out_seconds

    def prepare(
        self, request: Request, prepare: Callable[[Request], Prepared]
    ) -> Flow[Prepared]:
        """Plan a request when what it can read is written, if its options say so.

        Args:
            request: What is about to be sent.
            prepare: Plans it.

        Raises:
            PlanningError: It cannot be planned, and the cache is strict.
        """
        options = current_options()
        if not options.fan_out or options.enabled is False or not self._seconds:
            return prepare(request)
        started = self._clock.now()
        gate, note = yield from self._turn(request, options, started)
        try:
            # Anew, as what was unwritten before the wait can be read now.
            prepared = prepare(request)
        except BaseException:
            if gate is not None:
                gate.fail()
            raise
        prepared.turn = gate
        if note is not None:
            prepared.waited = max(prepared.started - started, 0.0)
            prepared.notes.append(f"waited {prepared.waited:.1f} s for {note}")
        return prepared

    def _turn(
        self, request: Request, options: CallOptions, started: float
    ) -> Flow[tuple[Gate | None, str | None]]:
        """Wait for others, as long as need be; return one's own gate, and for what."""
        owner, until = _current_owner(), started + self._seconds
        heads, note = self._heads(request, options), None
        while heads is not None:
            ahead, mine = self.gates.ask(heads, owner)
            if ahead is None:
                return mine, note
            wait = (ahead, self._clock, min(until, ahead.until))
            if not (yield Pause(partial(_wait, *wait), partial(_await, *wait))):
                return None, note
            note = "the first of its kind"
            if ahead.outcome in (None, "late"):
                return None, f"{note}, which had not begun"
            if ahead.outcome == "begun":
                heads = self._heads(request, options)
        return None, note

    def _heads(self, request: Request, options: CallOptions) -> Heads | None:
        """Return what a request could share; None if nothing can be told."""
        now = self._clock.now()
        rehearsed = Prepared(request, request.body, options, "auto", now)
        with undisturbed():
            try:
                live = self._planner.rehearse(rehearsed)
            except Exception:  # noqa: BLE001 - the planning itself will tell of it
                return None
        outline, rules = rehearsed.outline, rehearsed.rules
        if outline is None or rules is None:
            return None
        writes = tuple(position for position, _ in rehearsed.plan.entries)
        if rules.matching == "prefix":
            first = max(outline.system_end - 1, 0)
            writes = tuple(range(first, min(outline.length, first + _MAX_UNMARKED)))
        return Heads(
            (request.provider.name, request.host),
            outline,
            live,
            writes,
            least=SLACK * rules.minimum_tokens,
            is_marked=rules.matching != "prefix",
        )


def _wait(gate: Gate, clock: Clock, until: float) -> bool:
    """Block this thread until a gate opens, or until a time; False if it may not."""
    if _task() is not None:
        # What is waited for may need the very loop that this would stop.
        return False
    # A bare lock: an event has one inside, which a thread that wakes itself, as the
    # garbage collector can make it do, would wait for.
    held = threading.Lock()
    held.acquire()
    wake = held.release
    if not gate.join(wake):
        return True
    try:
        left = until - clock.now()
        while left > 0:
            step = _step(clock, left)
            if held.acquire(timeout=step):
                break
            left = min(left - step, until - clock.now())
    finally:
        gate.leave(wake)
    return True


async def _await(gate: Gate, clock: Clock, until: float) -> bool:
    """Do what `_wait` does, while the loop goes on; False if it is not asyncio's."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    opened = loop.create_future()

    def wake() -> None:
        # The loop of one who waited no more may be closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_set, opened)

    if not gate.join(wake):
        return True
    try:
        left = until - clock.now()
        while left > 0 and not opened.done():
            step = _step(clock, left)
            await asyncio.wait({opened}, timeout=step)
            left = min(left - step, until - clock.now())
    finally:
        gate.leave(wake)
    return True


def _step(clock: Clock, left: float) -> float:
    """Return the machine's seconds after which to look at a clock again.

    Their sum is a limit as well, as a clock may stand still, or be set back.
    """
    return left if isinstance(clock, SystemClock) else min(left, _LOOK_SECONDS)


def _set(opened: "asyncio.Future[None]") -> None:
    if not opened.done():
        opened.set_result(None)


def _current_owner() -> tuple[int, int]:
    """Return the thread and the task that are at work: neither waits for itself."""
    return (threading.get_ident(), id(_task()))


def _task() -> object:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
