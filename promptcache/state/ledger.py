"""The books of every way to write, by kind of traffic and by conversation.

Rule 1: a conversation's books count for all once it is over, and older ones fade.
Rule 2: of one that never ends they count as it goes, so that neither its size nor its
age makes what is new in it unheard.
Rule 3: what others have entered adds to that, and weighs no more than a ledger's own.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

from promptcache.outline import Outline
from promptcache.planning.terms import Terms
from promptcache.planning.warming import price_of_silence
from promptcache.planning.ways import (
    GAPS,
    PAUSES,
    PRIOR,
    PRIOR_TOKENS,
    WAYS,
    Sizes,
    Way,
    bills,
    way_of,
)
from promptcache.state.paths import Lineage, Path
from promptcache.state.pools import Pool

__all__ = ["Books", "Ledger"]

FADES = 0.99
"""What is left of older books after each conversation."""

LONGEST = 1e8
"""Tokens of a conversation from which on half of its books count for all."""

MANY_GAPS = 2_000
"""Gaps of a kind after which as many count."""

MAX_KINDS = 10_000
MAX_OPEN = 20_000
"""Conversations that are waited for; those that are too many count for themselves."""


@dataclass(slots=True)
class Books:
    """What each way cost in the conversations that are over."""

    conversations: float = 0.0
    tokens: float = 0.0
    bills: Sequence[float] = (0.0,) * len(WAYS)

    @classmethod
    def usual(cls) -> "Books":
        """Return those of recorded traffic."""
        return cls(0.0, PRIOR_TOKENS, [share * PRIOR_TOKENS for share in PRIOR])

    def add(self, other: "Books") -> None:
        """Enter conversations, which makes older ones fade."""
        left = FADES**other.conversations
        self.conversations = left * self.conversations + other.conversations
        self.tokens = left * self.tokens + other.tokens
        pairs = zip(self.bills, other.bills, strict=True)
        self.bills = [left * mine + its for mine, its in pairs]

    def joined(self, others: "Books") -> "Books":
        """Return these books and those of others side by side.

        What is usual counts as little as if all the conversations had been entered
        here, and all those of others together as much as a ledger remembers.
        """
        if not others.conversations:
            return self
        share = min(1.0, 1 / (1 - FADES) / others.conversations)
        # What is left of the books that these began with, and what is to be.
        usual = max(1 - (1 - FADES) * self.conversations, 0.0)
        usual *= 1 - FADES**others.conversations
        bills = zip(self.bills, others.bills, PRIOR, strict=True)
        return Books(
            self.conversations + share * others.conversations,
            self.tokens + share * others.tokens - usual * PRIOR_TOKENS,
            [
                mine + share * theirs - usual * prior * PRIOR_TOKENS
                for mine, theirs, prior in bills
            ],
        )


@dataclass(slots=True)
class Pace:
    """How often requests of a kind pause."""

    pauses: float = 0.0
    gaps: float = 0.0

    def note(self, *, is_pause: bool) -> None:
        """Count a gap; older ones fade once there are many."""
        if self.gaps >= MANY_GAPS:
            self.pauses *= 1 - 1 / MANY_GAPS
            self.gaps *= 1 - 1 / MANY_GAPS
        self.pauses += is_pause
        self.gaps += 1

    def joined(self, pauses: float, gaps: float) -> "Pace":
        """Return this pace and that of others side by side."""
        share = min(1.0, MANY_GAPS / gaps)
        return Pace(self.pauses + share * min(pauses, gaps), self.gaps + share * gaps)

    @property
    def more(self) -> float:
        """Pauses in `GAPS` gaps beyond those that are taken for granted.

        Traffic that has never paused is not taken to: the first pause costs one prefix,
        and insuring all of them would cost more where there is none.
        """
        if not self.pauses:
            return -PAUSES
        return GAPS * (PAUSES + self.pauses) / (GAPS + self.gaps) - PAUSES


class Ledger:
    """Books by kind of traffic; its user holds a lock."""

    def __init__(self, pool: Pool | None = None) -> None:
        """Begin with what recorded traffic shows.

        Args:
            pool: What is entered here and by others; None if nothing is shared.
        """
        self._pool = pool
        self._kinds: OrderedDict[bytes, Books] = OrderedDict()
        self._paces: OrderedDict[bytes, Pace] = OrderedDict()
        self._open: list[tuple[float, int, bytes, Lineage]] = []
        self._number = count()

    def way(
        self, outline: Outline, lineage: Lineage, allowed: Sequence[Way], *, now: float
    ) -> Way:
        """Return the cheapest way for a request of a conversation."""
        self._close(now)
        books = self._books(outline.blocks.root)
        session = lineage.bills or (0.0,) * len(WAYS)
        return way_of(books.bills, books.tokens, session, allowed)

    def note(
        self,
        outline: Outline,
        path: Path,
        lineage: Lineage,
        terms: Terms,
        *,
        now: float,
    ) -> None:
        """Enter a request into the books of its conversation."""
        if not outline.length:
            return
        if lineage.turns:
            gap = now - lineage.used
            is_pause = terms.short_seconds < gap <= terms.long_seconds
            lineage.gaps += 1
            lineage.pauses += is_pause
            self._paces.setdefault(outline.blocks.root, Pace()).note(is_pause=is_pause)
            if self._pool is not None:
                self._pool.add((outline.blocks.root, "pace"), (is_pause, 1))
        else:
            lineage.bills = (0.0,) * len(WAYS)
            if len(self._open) < MAX_OPEN:
                entry = (now + terms.long_seconds, next(self._number))
                heappush(self._open, (*entry, outline.blocks.root, lineage))
        tokens = outline.blocks.tokens
        pinged, lived = pinged_since(lineage, terms, now=now)
        sizes = Sizes(
            tokens[outline.length - 1],
            _upto(outline, path.deepest(now - terms.short_seconds)),
            _upto(outline, path.deepest(now - terms.long_seconds)),
            _upto(outline, path.deepest(now - lived)),
            pinged,
        )
        costs, lineage.promoted = bills(
            sizes,
            lineage.promoted,
            pauses=self.pauses(outline, lineage),
            gaps=lineage.gaps,
            terms=terms,
        )
        lineage.bills = tuple(map(sum, zip(lineage.bills, costs, strict=True)))
        lineage.tokens += sizes.total
        lineage.size = sizes.total
        lineage.used = max(lineage.used, now)
        lineage.turns += 1
        lineage.over_after = terms.long_seconds
        self.stopped(lineage, None, terms)
        if lineage.tokens > LONGEST:
            self._halve(outline.blocks.root, lineage)

    def pauses(self, outline: Outline, lineage: Lineage) -> float:
        """Return the pauses of a conversation, and how many more others lead to expect.

        Fewer than are taken for granted are less than none.
        """
        return lineage.pauses + self._pace(outline.blocks.root).more

    def stopped(self, lineage: Lineage, stop: str | None, terms: Terms) -> None:
        """Note why the model stopped, which tells how long pings would go on.

        Args:
            lineage: The conversation.
            stop: As the provider says it; None if it is not known.
            terms: The prices.
        """
        size, lineage.stop = lineage.size, stop
        lineage.trailing, _ = price_of_silence(inf, size, stop=stop, terms=terms)

    def add(self, kind: bytes, books: Books) -> None:
        """Enter conversations that are over."""
        if self._pool is not None:
            numbers = (books.conversations, books.tokens, *books.bills)
            self._pool.add((kind, "books"), numbers)
        self._kinds.setdefault(kind, Books.usual()).add(books)
        self._kinds.move_to_end(kind)
        for kept in (self._kinds, self._paces):
            if len(kept) > MAX_KINDS:
                kept.popitem(last=False)

    def _books(self, kind: bytes) -> Books:
        """Return the books of a kind, with those of others."""
        books = self._kinds.get(kind) or Books.usual()
        if self._pool is None:
            return books
        numbers = self._pool.others((kind, "books"), 2 + len(WAYS))
        if numbers is None:
            return books
        conversations, tokens, *bills = numbers
        return books.joined(Books(conversations, tokens, bills))

    def _pace(self, kind: bytes) -> Pace:
        """Return the pace of a kind, with that of others."""
        pace = self._paces.get(kind) or Pace()
        if self._pool is None:
            return pace
        pauses, gaps = self._pool.others((kind, "pace"), 2) or (0, 0)
        return pace.joined(pauses, gaps) if gaps else pace

    def _halve(self, kind: bytes, lineage: Lineage) -> None:
        """Count half of a conversation for all, and the other half for itself."""
        lineage.tokens /= 2
        lineage.bills = tuple(bill / 2 for bill in lineage.bills)
        lineage.gaps //= 2
        lineage.pauses //= 2
        self.add(kind, Books(1.0, lineage.tokens, lineage.bills))

    def _close(self, now: float) -> None:
        """Count the conversations that are over."""
        while self._open and self._open[0][0] <= now:
            _, number, kind, lineage = heappop(self._open)
            if not lineage.is_over(now):
                until = lineage.used + lineage.over_after
                heappush(self._open, (max(until, now + 1), number, kind, lineage))
                continue
            *others, pings = lineage.bills
            costs = (*others, pings + lineage.trailing)
            self.add(kind, Books(1.0, lineage.tokens, costs))


def pinged_since(lineage: Lineage, terms: Terms, *, now: float) -> tuple[float, float]:
    """Return what pings would have cost since the last request, and what lives now.

    Returns:
        Input tokens, and for how many seconds what is alive may not have been used.
    """
    gap = now - lineage.used
    if not lineage.turns or gap <= terms.short_seconds:
        return 0.0, terms.short_seconds
    return price_of_silence(gap, lineage.size, stop=lineage.stop, terms=terms)


def _upto(outline: Outline, position: int) -> float:
    return outline.blocks.tokens[position] if position >= 0 else 0.0
