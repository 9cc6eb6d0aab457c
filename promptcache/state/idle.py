"""Conversations that are silent, and the pings that would keep their prefixes alive.

Live requests and replays use the same: whoever sends requests says what is sent
(`seen`), what was answered (`begin`), and asks what is due (`due`).

    for ping in idle.due(now):                  # before the request at `now`
        usage = send(ping)                      # bill it at `ping.at`
        idle.answered(ping, kept=usage.read >= ... and not usage.written)
    idle.seen(outline, now=now)
    ...                                         # plan, send and settle the request
    idle.begin(Quiet(outline, plan.entries, ...))
    ...
    for ping in idle.due(inf):                  # at the end: trailing pings are billed

Rule 1: silences are counted whether or not anything was pinged, each interval when it
is over.
Rule 2: it is bounded in conversations and in kinds of traffic; it holds digests and
numbers, and what its user hands it to ping with, for an hour at most.
Rule 3: whoever uses it from many threads holds a lock.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from promptcache.outline import Outline
from promptcache.planning.terms import Terms
from promptcache.planning.warming import (
    INTERVAL,
    PINGS,
    Silences,
    hazards,
    kind_of,
    worth,
)
from promptcache.planning.writing import context_of
from promptcache.ttl import Ttl

__all__ = ["MAX_QUIET", "Idle", "Ping", "Quiet"]

MAX_QUIET, MAX_BLOCKS = 5_000, 1_000_000
"""Conversations that are watched at a time, and the blocks of all of them; what is
silent longest goes first. A service whose requests come three a second has two thousand
that are silent for up to two intervals, and chances are counted in the second one."""

_MAX_KINDS = 1_000
_MANY = 500.0
"""Silences of a kind after which the older half counts for half."""

_SAME = 0.5
"""Part of a prefix that a request has to share to go on from it."""


@dataclass(slots=True, eq=False)
class Quiet:
    """A conversation since its last request was answered."""

    outline: Outline
    """That request."""
    entries: tuple[tuple[int, Ttl], ...]
    """Where it had breakpoints, in its order, and for how long."""
    at: float
    """Its start, from which lifetimes count."""
    terms: Terms
    stop: str | None = None
    """Why the model stopped, as the provider says it; None if it is not known."""
    whose: object = None
    """The provider, host and model, and the tenant."""
    conversation: object = None
    """Its name, if it has one."""
    kept: float = 0.0
    """Tokens that it read and wrote, by the provider's count: a ping reads those."""
    rest: float = 0.0
    """Tokens behind its last breakpoint, which a ping sends at the plain price."""
    held: int = -1
    """The last block that lives for the long lifetime, and so needs no ping."""
    may_ping: bool = True
    """Else its silence is counted alone."""
    with_: Any = None
    """What its user needs to send a ping."""
    turns: int = 0
    own: dict[str, Silences] = field(default_factory=dict)
    intervals: int = 0
    """How many are over."""
    is_over: bool = False
    lost: bool = False
    """A ping did not read, so there is nothing left to keep."""

    @property
    def is_agent(self) -> bool:
        """Whether it has tools."""
        return context_of(self.outline) in ("agent", "tools")

    @property
    def kind(self) -> str:
        """How it fell silent."""
        return kind_of(is_agent=self.is_agent, stop=self.stop, turns=self.turns)

    @property
    def lives_short(self) -> bool:
        """Whether there is something to keep that would not live on unasked."""
        return bool(self.entries) and self.entries[-1][1] == self.terms.short


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping that is due."""

    at: float
    quiet: Quiet
    number: int
    """1 is the first of its silence."""
    chance: float
    """That what it keeps is read in the next interval."""


class Idle:
    """Silent conversations, by the prefixes that they would go on from."""

    def __init__(self, max_quiet: int = MAX_QUIET) -> None:
        """Know of none.

        Args:
            max_quiet: How many to watch at a time.
        """
        self._max_quiet = max_quiet
        self._quiet: dict[Quiet, None] = {}
        self._blocks = 0
        self._by_digest: dict[bytes, Quiet] = {}
        self._by_name: dict[object, Quiet] = {}
        self._talks: dict[object, dict[Quiet, None]] = {}
        self._by_head: dict[bytes, Quiet] = {}
        self._due: list[tuple[float, int, Quiet]] = []
        self._number = count()
        self._kinds: OrderedDict[object, Silences] = OrderedDict()

    def __len__(self) -> int:
        return len(self._quiet)

    def __iter__(self) -> Iterator[Quiet]:
        """Yield what is watched, what is silent longest first."""
        return iter(tuple(self._quiet))

    @property
    def next_at(self) -> float | None:
        """When something is due next; None if nothing is watched."""
        while self._due and self._due[0][2].is_over:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def seen(
        self, outline: Outline, *, now: float, conversation: object = None
    ) -> Quiet | None:
        """Note that a request is about to be sent: what it goes on from is not silent.

        Args:
            outline: The request.
            now: Its start.
            conversation: Its name, if it has one.

        Returns:
            What it goes on from, for `begin`; None if that is nothing known.
        """
        found = self._found(outline)
        if not found and conversation is not None:
            # With the same head it is the same agent, whose past was cut short.
            named = self._by_name.get(_name(conversation, outline))
            found = [] if named is None else [named]
        for quiet in found:
            intervals = int((now - quiet.at) // INTERVAL)
            self._note(quiet, intervals, _shared(quiet, outline))
            self._end(quiet)
        return found[0] if found else None

    def begin(self, quiet: Quiet, after: Quiet | None = None) -> None:
        """Watch a conversation whose last request was answered.

        Args:
            quiet: It.
            after: What `seen` returned for that request.
        """
        if after is not None:
            quiet.turns, quiet.own = after.turns + 1, after.own
        number = next(self._number)
        self._quiet[quiet] = None
        self._blocks += quiet.outline.length
        for digest in _digests(quiet):
            before = self._by_digest.get(digest)
            if before is not None and digest == _digests(before)[-1]:
                # What it keeps was used now, whoever else goes on from it.
                self._end(before)
            self._by_digest[digest] = quiet
        head = _head(quiet)
        if head is not None:
            self._by_head[head] = quiet
        if quiet.conversation is not None:
            self._by_name[_name(quiet.conversation, quiet.outline)] = quiet
            talk = self._talks.setdefault(quiet.conversation, {})
            for other in talk:
                # While another agent of it is at work, hardly one goes on.
                other.lost = True
            talk[quiet] = None
        heappush(self._due, (quiet.at + INTERVAL, number, quiet))
        while len(self._quiet) > self._max_quiet or self._blocks > MAX_BLOCKS:
            self._end(next(iter(self._quiet)))

    def due(self, until: float) -> Iterator[Ping]:
        """Yield the pings that pay up to some time, in order, and count intervals.

        Each is to be answered before the next one is asked for; otherwise its prefix
        is taken to be kept.
        """
        while self._due and self._due[0][0] <= until:
            at, number, quiet = heappop(self._due)
            if quiet.is_over:
                continue
            quiet.intervals += 1
            if quiet.intervals > 1:
                self._count(quiet, quiet.intervals - 1)
            if quiet.intervals > PINGS:
                self._end(quiet)
                continue
            heappush(self._due, (at + INTERVAL, number, quiet))
            chances = self.chances(quiet)
            if _worth(quiet, chances, self._held(quiet)) > 0:
                yield Ping(at, quiet, quiet.intervals, chances[quiet.intervals - 1])
            else:
                # What was not kept once is gone.
                quiet.lost = True

    def answered(self, ping: Ping, *, kept: bool) -> None:
        """Note what a ping did: if it did not read, or wrote, nothing is left."""
        if not kept:
            ping.quiet.lost = True

    def chances(self, quiet: Quiet) -> tuple[float, ...]:
        """Return how likely a silence ends usefully after each of its pings."""
        population = self._kinds.get((quiet.whose, quiet.kind))
        return hazards(quiet.kind, population, quiet.own.get(quiet.kind))

    def clear(self) -> None:
        """Let go of every conversation."""
        for quiet in list(self._quiet):
            self._end(quiet)
        self._due.clear()

    def _found(self, outline: Outline) -> list[Quiet]:
        """Return what a request goes on from, and what else it keeps alive.

        That is a conversation, and a head of which nothing more was written.
        """
        digests, known = outline.blocks.digests, self._by_digest
        found: list[Quiet] = []
        for position in range(outline.length - 1, -1, -1) if known else ():
            quiet = known.get(digests[position])
            if quiet is None or quiet in found:
                continue
            is_head = position < outline.system_end
            if is_head or (not found and _shared(quiet, outline) >= _SAME):
                found.append(quiet)
        return found

    def _note(self, quiet: Quiet, intervals: int, share: float) -> None:
        """Count the intervals of a silence that has ended."""
        for number in range(max(quiet.intervals, 1), intervals):
            self._count(quiet, number)
        if intervals:
            self._count(quiet, intervals, share)

    def _count(self, quiet: Quiet, intervals: int, share: float = 0.0) -> None:
        kind = (quiet.whose, quiet.kind)
        population = self._kinds.setdefault(kind, Silences())
        self._kinds.move_to_end(kind)
        own = quiet.own.setdefault(quiet.kind, Silences())
        for counts in (population, own):
            counts.note(intervals, share)
            if counts.silent[1] > _MANY:
                counts.fade(0.5)
        if len(self._kinds) > _MAX_KINDS:
            self._kinds.popitem(last=False)

    def _held(self, quiet: Quiet) -> int:
        """Return the last block that lives on without a ping; -1 if none does.

        Of conversations with one head, the last one that used it keeps it for all.
        """
        head = _head(quiet)
        if head is None or self._by_head.get(head, quiet) is quiet:
            return quiet.held
        return max(quiet.held, quiet.outline.system_end - 1)

    def _end(self, quiet: Quiet) -> None:
        quiet.is_over = True
        head = _head(quiet)
        if head is not None and self._by_head.get(head) is quiet:
            del self._by_head[head]
        quiet.with_ = None
        if quiet in self._quiet:
            del self._quiet[quiet]
            self._blocks -= quiet.outline.length
        for digest in _digests(quiet):
            if self._by_digest.get(digest) is quiet:
                del self._by_digest[digest]
        talk = self._talks.get(quiet.conversation, {})
        talk.pop(quiet, None)
        if not talk:
            self._talks.pop(quiet.conversation, None)
        name = _name(quiet.conversation, quiet.outline)
        if self._by_name.get(name) is quiet:
            del self._by_name[name]


def _digests(quiet: Quiet) -> list[bytes]:
    """Return the prefixes by which a conversation is found, the deepest last.

    Its head is none of them, unless nothing more was written: others have that, too.
    """
    digests, head = quiet.outline.blocks.digests, quiet.outline.system_end
    places = [position for position, _ in quiet.entries]
    return [digests[it] for it in places if it >= head or it == places[-1]]


def _head(quiet: Quiet) -> bytes | None:
    """Return what a conversation begins with, if others may begin with it, too."""
    end = quiet.outline.system_end
    return quiet.outline.digest_before(end) if end else None


def _worth(quiet: Quiet, chances: Sequence[float], live: int) -> float:
    """Return what the ping that is due saves; nothing if there is nothing to keep.

    Args:
        quiet: The conversation.
        chances: That it goes on after each ping.
        live: The last block that lives on without it.
    """
    if not quiet.may_ping or quiet.lost or not quiet.lives_short or not quiet.kept:
        return 0.0
    tokens, last = quiet.outline.blocks.tokens, quiet.entries[-1][0]
    if not quiet.is_agent:
        # A chat that is silent for two intervals hardly ever goes on.
        chances = chances[: quiet.intervals]
    held = tokens[live] if live >= 0 else 0
    return worth(
        quiet.intervals,
        chances,
        terms=quiet.terms,
        rest=quiet.rest / quiet.kept,
        lost=max(1 - held / max(tokens[last], 1), 0.0),
    )


def _name(conversation: object, outline: Outline) -> object:
    return conversation, outline.digest_before(outline.system_end)


def _shared(quiet: Quiet, outline: Outline) -> float:
    """Return which part of a prefix a request repeats."""
    last = max((it for it, _ in quiet.entries), default=-1)
    if last < 0:
        return 0.0
    ours, theirs = quiet.outline.blocks.digests, outline.blocks.digests
    # Digests cover what is before them, so what is shared is a first part.
    low, high = 0, min(last + 1, outline.length)
    while low < high:
        middle = (low + high + 1) // 2
        if ours[middle - 1] == theirs[middle - 1]:
            low = middle
        else:
            high = middle - 1
    tokens = quiet.outline.blocks.tokens
    return tokens[low - 1] / tokens[last] if low and tokens[last] else 0.0
