"""The slots of one request: the caller's markers first, then ours around them.

Rule 1: never more breakpoints than the provider takes, automatic caching included.
Rule 2: never a longer lifetime after a shorter one.
Rule 3: the caller's legal markers keep their place and their lifetime.
"""

from dataclasses import dataclass
from typing import Literal

from promptcache.outline import Outline
from promptcache.planning.reasons import FIXED, Reason
from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["Matching", "Rules", "Slots"]


Matching = Literal["lookback", "marked", "named", "prefix"]
"""How a prefix is found: near a breakpoint, exactly at one, by the name of the cached
content that holds it, or without any word."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a provider accepts for one model on one host."""

    matching: Matching = "lookback"

    max_breakpoints: int = 4
    minimum_tokens: int = 1024
    """Shortest prefix that is cached."""
    lookback: int = 20
    """Positions searched before a breakpoint, itself included."""
    ttls: tuple[Ttl, ...] = ("5m", "1h")
    """Lifetimes on offer, the default first."""
    automatic: bool = True
    """Whether the host takes automatic caching."""
    advisory: frozenset[str] = frozenset()
    """Refusals that are our caution, not the provider's."""
    read: float = 0.1
    """Price of a token that is read, in input tokens."""
    takes_key: bool = False
    """Whether requests may name a cache key."""
    tenant_key: bool = False
    """Whether a key parts caches, so that a tenant's alone is enough."""
    requests_per_minute: int | None = None
    """Requests that may share a key before some of them find no cache; None: any."""
    refuses_breakpoints: bool = False
    """Whether the caller's own breakpoints are known to be refused."""
    retains: bool = False
    """Whether a prefix may be kept for 24 hours on request."""
    step: int = 128
    """Tokens by which what is reported as read may fall short of what was kept."""
    unmarked_seconds: float = 0.0
    """Longest life of what is kept without a mark, where the provider does that."""
    has_contents: bool = False
    """Whether there are cached contents for the model, which live under a name."""


class Slots:
    """A ledger of the breakpoints of one request."""

    def __init__(self, outline: Outline, rules: Rules) -> None:
        """Take the caller's markers in, and mend what would be refused."""
        self._outline = outline
        self._rules = rules
        self.taken: dict[int, tuple[Ttl, Reason]] = {}
        """Lifetime and reason by position."""
        self.automatic: Ttl | None = None
        self.dropped = [str(place) for place in outline.illegal]
        self.shortened: list[str] = []
        self.automatic_position = -1
        self._take_callers()

    def place(self, position: int, ttl: Ttl, reason: Reason) -> None:
        """Place a breakpoint if a slot is free; one that stands there stays."""
        if position in self.taken or position == self.automatic_position:
            return
        if len(self.taken) + (self.automatic is not None) < self._rules.max_breakpoints:
            self.taken[position] = (self._lifetime(position, ttl), reason)

    def _lifetime(self, position: int, ttl: Ttl) -> Ttl:
        """Return the lifetime nearest to `ttl` that may stand at a position."""
        marks = [(place, mark[0]) for place, mark in self.taken.items()]
        if self.automatic is not None:
            marks.append((self.automatic_position, self.automatic))
        for place, other in marks:
            # A longer life that follows is paid for from here on anyway.
            if place > position and TTL_SECONDS[other] > TTL_SECONDS[ttl]:
                ttl = other
        for place, other in marks:
            if place < position and TTL_SECONDS[other] < TTL_SECONDS[ttl]:
                ttl = other
        return ttl

    def _take_callers(self) -> None:
        marks = dict(sorted(self._outline.markers.items()))
        automatic = self._callers_automatic(marks)
        surplus = len(marks) + (automatic is not None) - self._rules.max_breakpoints
        # Messages before system before tools: a late turn is dearer to lose than an
        # early one, and the head is dearest, as every conversation reads it.
        for position in sorted(marks, key=self._worth)[: max(surplus, 0)]:
            del marks[position]
            self.dropped.append(str(self._outline.place(position)))
        self.automatic = automatic
        if automatic is not None:
            marks[self.automatic_position] = automatic
        shortest: Ttl | None = None
        for position, ttl in sorted(marks.items()):
            if shortest is not None and TTL_SECONDS[ttl] > TTL_SECONDS[shortest]:
                self._shorten(marks, position, shortest)
            shortest = marks[position]
        if automatic is not None:
            self.automatic = marks.pop(self.automatic_position)
        self.taken = {position: (ttl, FIXED) for position, ttl in marks.items()}

    def _callers_automatic(self, marks: dict[int, Ttl]) -> Ttl | None:
        """Return the automatic caching that stays; a marker may replace it."""
        outline, ttl = self._outline, self._outline.automatic
        if outline.automatic_illegal:
            self.dropped.append("cache_control")
        if ttl is None:
            return None
        position = self._automatic_target()
        if position < 0:
            return ttl if self._rules.automatic else None
        if position in marks:
            # The same block twice: no effect at best, refused at worst.
            if marks[position] != ttl:
                self.dropped.append("cache_control")
            return None
        if not self._rules.automatic:
            marks[position] = ttl
            return None
        self.automatic_position = position
        return ttl

    def _automatic_target(self) -> int:
        refusals = self._outline.blocks.refusals
        for position in range(self._outline.length - 1, -1, -1):
            refusal = refusals[position]
            if not refusal or refusal in self._rules.advisory:
                return position
        return -1

    def _shorten(self, marks: dict[int, Ttl], position: int, ttl: Ttl) -> None:
        marks[position] = ttl
        is_automatic = position == self.automatic_position
        path = "cache_control" if is_automatic else str(self._outline.place(position))
        self.shortened.append(path)

    def _worth(self, position: int) -> tuple[int, int]:
        section = self._outline.place(position).section
        return (-section, position)
