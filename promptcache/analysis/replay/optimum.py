"""The least that caching could have cost, had the future been known.

Every token of a prompt is written or not each time that it is sent, so a stretch of
blocks that were always sent together has a least bill of its own, which a walk over its
uses finds. The sum is below what any policy reaches: it knows no limit on breakpoints,
and a prefix lives wherever each of its parts does.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import NamedTuple, TypeAlias

__all__ = ["Optimum"]

PING_BEFORE = 12.5
"""Seconds before its end at which a prefix is read to keep it alive."""


_State: TypeAlias = tuple[float, float, float]
"""What a token has cost so far, if it is left in one way now; what of that is billed;
and how often it was read then."""

_NOTHING: _State = (0.0, 0.0, 0.0)
_UNREACHABLE: _State = (inf, inf, 0.0)
_TINY = 1e-9

_Books: TypeAlias = tuple[_State, ...]
"""Not written, then one for each lifetime."""


class _Life(NamedTuple):
    """A lifetime on offer."""

    seconds: float
    write: float


@dataclass(slots=True, eq=False)
class _Stretch:
    """Blocks that every request so far had all of, or none."""

    keys: Sequence[bytes]
    before: float
    """Tokens of the prefix that it follows."""
    upto: float
    """Tokens of the prefix that it ends."""
    used: float
    books: _Books
    children: "dict[bytes, _Stretch]" = field(default_factory=dict)

    def split(self, at: int, tokens: float) -> None:
        """Let its blocks from one on be a stretch of their own.

        Args:
            at: The first of them.
            tokens: Those of the prefix before it.
        """
        rest = _Stretch(
            self.keys[at:], tokens, self.upto, self.used, self.books, self.children
        )
        self.keys, self.upto = self.keys[:at], tokens
        self.children = {rest.keys[0]: rest}


class Optimum:
    """Reckons the least bill of requests that are shown to it in order."""

    def __init__(
        self,
        lives: Sequence[tuple[float, float]],
        read: float,
        *,
        minimum: float = 0.0,
        pings: bool = False,
    ) -> None:
        """Begin with no request.

        Args:
            lives: Seconds and price of writing for each lifetime, the shortest first.
            read: Price of a token that is read, in input tokens.
            minimum: Tokens of the shortest prompt of which anything is cached.
            pings: A prefix may be read for no request's sake, to keep it alive.
        """
        self._lives = tuple(_Life(*it) for it in lives)
        self._shortest = min(it.seconds for it in self._lives)
        self._read = read
        self._minimum = minimum
        self._pings = pings
        self._roots: dict[bytes, dict[bytes, _Stretch]] = {}
        self._rest = 0.0

    def add(
        self,
        keys: Sequence[bytes],
        tokens: Sequence[float],
        *,
        total: float,
        now: float,
        counts: bool = True,
        root: bytes = b"",
    ) -> None:
        """Add a request.

        Args:
            keys: What tells the prefix up to each of its blocks from others.
            tokens: Those of each of these prefixes.
            total: All that it sends.
            now: Its start.
            counts: What it costs is billed.
            root: What no prefix is shared across.
        """
        length, place = len(keys), 0
        if not length or tokens[length - 1] < self._minimum:
            length = 0
        if counts:
            self._rest += total - (tokens[length - 1] if length else 0)
        children = self._roots.setdefault(root, {})
        while place < length:
            stretch = children.get(keys[place])
            if stretch is None:
                before = tokens[place - 1] if place else 0
                children[keys[place]] = _Stretch(
                    keys[place:length],
                    before,
                    tokens[length - 1],
                    now,
                    self._written(_NOTHING, counts=counts),
                )
                return
            shared = _shared(stretch.keys, keys, place)
            if shared < len(stretch.keys):
                stretch.split(shared, tokens[place + shared - 1])
            stretch.books = self._used(stretch, now, counts=counts)
            stretch.used = now
            place += shared
            children = stretch.children

    def bill(self) -> tuple[float, float]:
        """Return what the requests that count cost, and what they read of it."""
        cost, read = self._rest, 0.0
        left = [it for root in self._roots.values() for it in root.values()]
        while left:
            stretch = left.pop()
            left += stretch.children.values()
            _, billed, seen = min(stretch.books)
            cost += (stretch.upto - stretch.before) * billed
            read += (stretch.upto - stretch.before) * seen
        return cost, read

    def _used(self, stretch: _Stretch, now: float, *, counts: bool) -> _Books:
        """Return the books of a stretch after a request that has it."""
        idle, read = now - stretch.used, self._read
        dead, *written = stretch.books
        if idle < self._shortest and counts:
            # By far the most frequent case, so it is spelled out.
            spent, billed, seen = dead
            return (
                (spent + 1, billed + 1, seen),
                *[
                    (cost + read, paid + read, uses + 1)
                    if cost + read <= spent + life.write
                    else (spent + life.write, billed + life.write, seen)
                    for (cost, paid, uses), life in zip(
                        written, self._lives, strict=True
                    )
                ],
            )
        alive = [_UNREACHABLE] * len(written)
        for number, (state, life) in enumerate(zip(written, self._lives, strict=True)):
            if idle < life.seconds:
                alive[number] = _spent(state, read, 1, counts=counts)
                continue
            dead = min(dead, state)
            if self._pings:
                step = life.seconds - PING_BEFORE
                times = ceil((idle - life.seconds) / step + _TINY)
                kept = _spent(state, times * read, 0, counts=counts)
                alive[number] = _spent(kept, read, 1, counts=counts)
        fresh = self._written(dead, counts=counts)
        return (fresh[0], *map(min, fresh[1:], alive))

    def _written(self, state: _State, *, counts: bool) -> _Books:
        """Return the books of what is sent while it is not alive."""
        return (
            _spent(state, 1.0, 0, counts=counts),
            *(_spent(state, it.write, 0, counts=counts) for it in self._lives),
        )


def _spent(state: _State, cost: float, read: int, *, counts: bool) -> _State:
    """Return a state after another use of its token."""
    before, billed, seen = state
    if counts:
        return (before + cost, billed + cost, seen + read)
    return (before + cost, billed, seen)


def _shared(held: Sequence[bytes], keys: Sequence[bytes], place: int) -> int:
    """Return how many blocks of a stretch a request has from one place on."""
    end = min(len(held), len(keys) - place)
    if held[:end] == keys[place : place + end]:
        return end
    # Keys stand for all before them, so what differs goes on differing.
    return bisect_left(range(end), 1, key=lambda it: held[it] != keys[place + it])
