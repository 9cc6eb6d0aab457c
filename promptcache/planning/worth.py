"""What writing a part of a prompt is worth, by how likely it is read again.

A token that is written costs `write` instead of 1. If it comes again while it lives, it
costs `read` then instead of what it would have cost: `write`, as what comes a second
time would be written at that time. So a token is worth, for a lifetime,

    (write then - read) * chance of coming again - (write - 1)

Later readings do not count: whoever does not write now decides anew at the next sight.
What is written then is written for the short lifetime, unless things come again too
late for that.

Rule 1: of nested parts one is written only with all before it, and never for longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from promptcache.planning.chances import Chance
from promptcache.planning.terms import Terms
from promptcache.ttl import Ttl

__all__ = ["Part", "break_even", "choose", "premium", "worth"]

DOUBT = 0.75
"""Standard errors by which a chance has to clear, or to fail, the break-even."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a prompt that is not live, and that is written or not."""

    tokens: float
    short: Chance
    """Of coming again within the short lifetime."""
    long: Chance
    """The same for the long one."""
    is_new: bool
    """No request before had it. What is new has to prove that it is worth writing;
    what was seen again, that it is not."""


def worth(part: Part, ttl: Ttl, terms: Terms) -> float:
    """Return what writing a part for a lifetime saves, in input tokens."""
    if ttl != terms.short:
        # What lives longer than it has to is the dearer mistake.
        sure = part.long.at_least(DOUBT)
    elif part.is_new:
        sure = part.short.at_least(DOUBT)
    else:
        sure = part.short.at_most(DOUBT)
    extra = terms.extra_of(ttl)
    return part.tokens * extra * (sure / break_even(part.short, ttl, terms) - 1)


def break_even(soon: Chance, ttl: Ttl, terms: Terms) -> float:
    """Return the chance of coming again from which on writing for a lifetime pays.

    Args:
        soon: Of coming again within the short lifetime.
        ttl: The lifetime.
        terms: What the provider asks for.
    """
    usual = terms.break_even(ttl)
    if ttl == terms.short or soon.at_most(DOUBT) >= terms.break_even(terms.short):
        return usual
    # It comes too late for the short one, so it would be written for this one then.
    return terms.extra_of(ttl) / (terms.write(ttl) - terms.read)


def choose(
    parts: Sequence[Part], terms: Terms, *, room: float
) -> tuple[Ttl | None, ...]:
    """Return the lifetime of each part, as they are worth most together.

    Args:
        parts: In the order of the prompt.
        terms: What the provider asks for.
        room: What writing may cost beyond the price of plain input, in input tokens.
    """
    offered: list[Ttl | None] = [terms.short, None]
    if terms.long is not None:
        offered.insert(0, terms.long)
    saves = [
        {ttl: 0.0 if ttl is None else worth(part, ttl, terms) for ttl in offered}
        for part in parts
    ]
    best: tuple[Ttl | None, ...] = (None,) * len(parts)
    most = 0.0
    # From the longest to none at all: of what is worth the same, the least is taken.
    for lifetimes in combinations_with_replacement(offered, len(parts)):
        saved = sum(saves[at][ttl] for at, ttl in enumerate(lifetimes))
        if saved >= most and premium(parts, lifetimes, terms) <= room:
            best, most = lifetimes, saved
    return best


def premium(
    parts: Sequence[Part], lifetimes: Sequence[Ttl | None], terms: Terms
) -> float:
    """Return what writing parts costs beyond the price of plain input."""
    return sum(
        part.tokens * (terms.write(ttl) - 1)
        for part, ttl in zip(parts, lifetimes, strict=True)
        if ttl is not None
    )
