"""Which prefixes are being written at this moment, by whom, and who waits for that.

Rule 1: what one request writes is behind one gate, which opens once and for all.
Rule 2: nothing here waits, and no lock is held while another's code runs.
Rule 3: the garbage collector may end a request anywhere, also in the middle of this.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from promptcache.clock import Clock
from promptcache.interrupts import undisturbed, when_free
from promptcache.outline import Outline
from promptcache.state.forks import ForkSafeLock

__all__ = ["Gate", "Gates", "Heads"]

Value = TypeVar("Value")

_MAX_GATES = 1_000
_MAX_KNOWN = 10_000
_UNMARKED_SECONDS = 300.0
"""How long a prefix without a mark is taken to be readable, the shortest that is told
of it; beyond that one request waits once more than it would have to."""

Key = tuple[str, str, bytes]
"""A prefix where it is cached: provider, host, and its digest, which covers the model
and the tenant."""

Outcome = Literal["begun", "failed", "late"]


@dataclass(frozen=True, slots=True)
class Heads:
    """What a request could share with others, as its plan stands now."""

    where: tuple[str, str]
    """Provider and host."""
    outline: Outline
    live: int
    """The last block of what can be read, as far as history knows; -1 is nothing."""
    writes: tuple[int, ...]
    """The last blocks of the prefixes that it writes or reads again."""
    least: float
    """Tokens that reading must bring for a wait to be worth it."""
    is_marked: bool = True
    """Whether prefixes are written at breakpoints only."""

    def key(self, position: int) -> Key:
        """Return the key of the prefix that ends with a block."""
        return (*self.where, self.outline.blocks.digests[position])

    def brings(self, position: int, live: int) -> bool:
        """Tell whether a prefix is worth waiting for, with what is live already."""
        tokens = self.outline.blocks.tokens
        return tokens[position] - (tokens[live] if live >= 0 else 0) >= self.least


class Gate:
    """What one request is about to write, closed until its answer begins."""

    def __init__(
        self, gates: "Gates", keys: tuple[Key, ...], *, owner: object, is_marked: bool
    ) -> None:
        self.keys = keys
        self.owner = owner
        self.is_marked = is_marked
        self.until = 0.0
        self.outcome: Outcome | None = None
        self.waiting: list[Callable[[], object]] = []
        self._gates = gates

    def begin(self) -> None:
        """Let those behind go on: what is written here can be read."""
        when_free(partial(self._gates.end, self, "begun"))

    def fail(self) -> None:
        """Let one of those behind be the first: nothing was written.

        After `begin` this does nothing.
        """
        when_free(partial(self._gates.end, self, "failed"))

    def join(self, wake: Callable[[], object]) -> bool:
        """Have something called once at the end; False if that is over."""
        return self._gates.join(self, wake)

    def leave(self, wake: Callable[[], object]) -> None:
        """Have it called no more."""
        self._gates.leave(self, wake)


class Gates:
    """Who writes what at this moment; bounded, and safe from many threads."""

    def __init__(self, *, clock: Clock, seconds: float) -> None:
        """Know of nothing that is written.

        Args:
            clock: Tells when a gate has been closed for too long.
            seconds: How long one may be.
        """
        self._clock = clock
        self._seconds = seconds
        self._lock = ForkSafeLock()
        self._closed: OrderedDict[Gate, None] = OrderedDict()
        self._writers: dict[Key, Gate] = {}
        # What history holds to be alive, though its writer failed.
        self._broken: OrderedDict[Key, None] = OrderedDict()
        # What history knows nothing of: until when it can be read without a mark.
        self._readable: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._closed)

    def ask(self, heads: Heads, owner: object) -> tuple[Gate | None, Gate | None]:
        """Return the gate to wait at, else the gate of one's own, if it has one.

        Args:
            heads: What the request writes and could read.
            owner: Who sends it; nobody waits for what has to be done by itself.
        """
        now, opened = self._clock.now(), list[Callable[[], object]]()
        with undisturbed():
            with self._lock:
                opened += self._late(now)
                live = self._live(heads, now)
                ahead = self._ahead(heads, live, owner)
                mine = None if ahead else self._led(heads, live, owner, now)
                if len(self._closed) > _MAX_GATES:
                    opened += self._ended(next(iter(self._closed)), "late")
            _call(opened)
        return ahead, mine

    def end(self, gate: Gate, outcome: Outcome) -> None:
        """Open a gate; what its request begins to write may be told later as well."""
        now = self._clock.now()
        with undisturbed():
            with self._lock:
                if gate.outcome == "begun":
                    return
                opened = self._ended(gate, outcome)
                if outcome == "begun":
                    self._note_readable(gate, now)
                elif gate.is_marked:
                    self._broken.update(dict.fromkeys(gate.keys))
                    _bound(self._broken)
            _call(opened)

    def join(self, gate: Gate, wake: Callable[[], object]) -> bool:
        """Have something called once when a gate opens; False if it is open."""
        with undisturbed(), self._lock:
            if gate.outcome is not None:
                return False
            gate.waiting.append(wake)
            return True

    def leave(self, gate: Gate, wake: Callable[[], object]) -> None:
        """Have it called no more."""
        with undisturbed(), self._lock, suppress(ValueError):
            gate.waiting.remove(wake)

    def _live(self, heads: Heads, now: float) -> int:
        """Return the last block of what can be read for sure."""
        if heads.is_marked:
            if heads.live < 0:
                return -1
            key = heads.key(heads.live)
            # History takes for alive what was sent to be written.
            unsure = key in self._writers or key in self._broken
            return -1 if unsure else heads.live
        found = (
            it for it in reversed(heads.writes) if self._is_readable(heads, it, now)
        )
        return next(found, -1)

    def _is_readable(self, heads: Heads, position: int, now: float) -> bool:
        return self._readable.get(heads.key(position), 0.0) > now

    def _ahead(self, heads: Heads, live: int, owner: object) -> Gate | None:
        """Return the gate behind which most can be read, if that is worth it."""
        if not self._writers:
            return None
        for position in range(heads.outline.length - 1, live, -1):
            if not heads.brings(position, live):
                return None
            gate = self._writers.get(heads.key(position))
            if gate is not None and gate.owner != owner:
                return gate
        return None

    def _led(self, heads: Heads, live: int, owner: object, now: float) -> Gate | None:
        """Return a gate for what a request writes; None if that is nothing."""
        new = (it for it in heads.writes if it > live and heads.brings(it, live))
        keys = tuple(dict.fromkeys(map(heads.key, new)))
        if not keys:
            return None
        gate = Gate(self, keys, owner=owner, is_marked=heads.is_marked)
        gate.until = now + self._seconds
        self._closed[gate] = None
        for key in keys:
            self._writers.setdefault(key, gate)
        return gate

    def _late(self, now: float) -> list[Callable[[], object]]:
        opened = list[Callable[[], object]]()
        while self._closed and (oldest := next(iter(self._closed))).until <= now:
            opened += self._ended(oldest, "late")
        return opened

    def _ended(self, gate: Gate, outcome: Outcome) -> list[Callable[[], object]]:
        """Take a gate away; return what wakes those who wait at it."""
        gate.outcome = outcome
        self._closed.pop(gate, None)
        for key in gate.keys:
            if self._writers.get(key) is gate:
                del self._writers[key]
        waiting, gate.waiting = gate.waiting, []
        return waiting

    def _note_readable(self, gate: Gate, now: float) -> None:
        for key in gate.keys:
            self._broken.pop(key, None)
            if not gate.is_marked:
                self._readable[key] = now + _UNMARKED_SECONDS
                self._readable.move_to_end(key)
        _bound(self._readable)


def _bound(known: OrderedDict[Key, Value]) -> None:
    while len(known) > _MAX_KNOWN:
        known.popitem(last=False)


def _call(opened: list[Callable[[], object]]) -> None:
    for wake in opened:
        wake()
