"""What the parts of a request, and each way to write them, are likely to come to.

Rule 1: the chances, the prices and the places are those that the plan was made with.
Rule 2: an amount is in input tokens: what it costs by the price of a plain one.
"""

from bisect import bisect_right
from dataclasses import dataclass

from promptcache.outline import Outline
from promptcache.planning.chances import Chance
from promptcache.planning.past import Again, Past
from promptcache.planning.places import head_end, markable, reaches, stable_end
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.planning.ways import AHEAD, GAPS, PAUSES, Way, is_cheap_to_promote
from promptcache.planning.worth import break_even
from promptcache.planning.writing import NAMES, bounds_of, context_of, prior
from promptcache.ttl import Ttl

__all__ = ["Choice", "Spent", "Stretch", "choices", "spent", "stretches"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a prompt that is not alive."""

    name: str
    """`head` (tools and system prompt), `seen` (what another request had), `turns`
    (what is new), or `last` (the last turn)."""
    tokens: int
    short: Chance
    """How likely it comes again within the short lifetime."""
    long: Chance
    """The same for the long one."""
    ttl: Ttl | None
    """How long the plan writes it for; None if it does not."""
    even_short: float
    """The chance from which on writing it for the short lifetime pays."""
    even_long: float
    """The same for the long one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to write what is not alive, in input tokens."""

    way: Way
    cost: float
    """Of this request."""
    later: float
    """What it is expected to save the next requests, against writing nothing now."""

    @property
    def net(self) -> float:
        """What it costs once what it saves later is taken off."""
        return self.cost - self.later


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request reads and writes, if all goes as planned, in tokens."""

    read: int
    written: dict[Ttl, int]
    total: int

    def cost(self, terms: Terms) -> float:
        """Return what that costs, in input tokens."""
        return self.total + terms.excess(read=self.read, written=self.written)


def stretches(
    outline: Outline, past: Past, decided: Plan, terms: Terms
) -> tuple[Stretch, ...]:
    """Return the parts of a request that are not alive, those that are empty left out.

    Args:
        outline: The request.
        past: What was known of it.
        decided: Its plan.
        terms: What the provider asks for.
    """
    tail = markable(outline, stable_end(outline, past))
    head = markable(outline, head_end(outline, past))
    bounds = bounds_of(
        outline, live=past.entry, head=head, shared=past.shared, tail=tail
    )
    context, found = context_of(outline), []
    for number, name in enumerate(NAMES):
        start, end = bounds[number : number + 2]
        size = _upto(outline, end) - _upto(outline, start)
        if not size:
            continue
        likely = past.chances.get(name) or _usual(name, context, terms)
        ttl = _written(decided, end)
        evens = [
            break_even(likely.short, it, terms)
            for it in (terms.short, terms.long or terms.short)
        ]
        found.append(Stretch(name, size, likely.short, likely.long, ttl, *evens))
    return tuple(found)


def spent(outline: Outline, decided: Plan, rules: Rules, *, live: int) -> Spent:
    """Return what a request reads and writes if its provider does as it says.

    Args:
        outline: The request.
        decided: Its plan.
        rules: What its provider caches.
        live: The last block of what is read; -1 if nothing is.
    """
    entries = [it for it in decided.entries if reaches(outline, it[0], rules)]
    read = _upto(outline, live) if entries else 0
    written: dict[Ttl, int] = {}
    before = read
    for position, ttl in entries:
        reached = _upto(outline, position)
        if reached > before:
            written[ttl] = written.get(ttl, 0) + reached - before
            before = reached
    return Spent(read, written, outline.total_tokens)


def choices(
    outline: Outline, past: Past, parts: tuple[Stretch, ...], terms: Terms
) -> tuple[Choice, ...]:
    """Return what each way to write a request costs, and is likely to save later.

    Args:
        outline: The request.
        past: What was known of it.
        parts: What of it is not alive.
        terms: What the provider asks for.
    """
    read = _upto(outline, past.entry)
    plain = outline.total_tokens - read
    base = terms.read * read + plain
    added = sum(part.tokens for part in parts)
    gain = terms.write(terms.short) - terms.read
    soon = gain * sum(part.tokens * part.short.mean for part in parts)
    short = base + (terms.write(terms.short) - 1) * added
    found = [Choice("none", base, 0.0), Choice("short", short, soon)]
    if terms.long is None:
        return tuple(found)
    late = gain * sum(part.tokens * part.long.mean for part in parts)
    long = base + (terms.write(terms.long) - 1) * added
    found.append(Choice("long", long, late))
    if past.entry < 0:
        return tuple(found)
    unprotected = read - _upto(outline, past.held)
    if is_cheap_to_promote(
        added, unprotected, pauses=past.pauses, gaps=past.gaps, terms=terms
    ):
        often = (PAUSES + past.pauses) / (GAPS + past.gaps)
        kept = gain * AHEAD * often * unprotected
        found.append(Choice("promote", long, late + kept))
    else:
        found.append(Choice("promote", short, soon))
    return tuple(found)


def _usual(name: str, context: str, terms: Terms) -> Again:
    """Return what is taken for granted of a part of which nothing is known."""
    spans = (terms.short_seconds, terms.long_seconds)
    return Again(*(Chance(prior(name, context, it), 0.0) for it in spans))


def _written(decided: Plan, end: int) -> Ttl | None:
    """Return how long the prefix up to a block is written for."""
    entries = decided.entries
    at = bisect_right([position for position, _ in entries], end - 1)
    return entries[at][1] if at < len(entries) else None


def _upto(outline: Outline, position: int) -> int:
    return outline.blocks.tokens[position] if position >= 0 else 0
