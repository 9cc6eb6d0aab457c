"""Ways to write what an agent sends, and their books beside each other.

How long a prefix lives is decided by rules that are known, so what every way would have
cost is known as well, whichever was taken: no way has to be tried to be judged.

* `none`: nothing is written.
* `short`: all that is new is written for the short lifetime.
* `long`: the same for the long one.
* `promote`: new text is written for the short lifetime; when what is added is small
  against what is live, it is written for the long one, which then protects all that is
  before it. Whether a provider keeps a prefix so is for its readings to show.
* `pings`: as `short`, and what falls silent is kept alive by pings as long as they
  pay. It is taken only where pings are allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from promptcache.planning.terms import Terms

__all__ = [
    "PRIOR",
    "WAYS",
    "Sizes",
    "Way",
    "bills",
    "is_cheap_to_promote",
    "way_of",
    "ways_of",
]

Way = Literal["none", "short", "long", "promote", "pings"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)

_UNPROMOTED: Final[tuple[Way, ...]] = ("long", "short", "none")

PRIOR_TOKENS = 2e6
PRIOR: Final = (1.0, 0.20, 0.18, 0.18, 0.18)
"""Bills of the ways relative to not caching, for `PRIOR_TOKENS`, before any session is
known. Source: recorded sessions of coding agents at a read price of 0.1."""

SESSION_TOKENS = 3e7
"""How much what all sessions show weighs against what this one does, in tokens."""

PINGS_EARN = 1.02
"""How much dearer than by its books the way with pings is taken to be: where it costs
as much as another one, that which sends less is taken."""

AHEAD = 3
"""Pauses that what is promoted is taken to outlive."""

PAUSES, GAPS = 0.9, 20
"""Pauses among gaps that are taken for granted before any traffic shows how often
they are. Source: recorded sessions of coding agents."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """One request, as its books need it, in tokens."""

    total: float
    live_short: float
    """What was used within the short lifetime."""
    live_long: float
    """What was used within the long one."""
    live_pinged: float = 0.0
    """What pings would have kept alive; 0 if that is no more than `live_short`."""
    pinged: float = 0.0
    """What the pings of the silence before it would have cost, in input tokens."""


def bills(
    sizes: Sizes, promoted: float, *, pauses: float, gaps: int, terms: Terms
) -> tuple[tuple[float, ...], float]:
    """Return what a request costs in each way, and what promoting protects then.

    Args:
        sizes: The request.
        promoted: Tokens that promoting has protected so far.
        pauses: Gaps of the session that only the long lifetime bridges, and what
            other sessions show more or less of them than is taken for granted.
        gaps: All gaps of the session.
        terms: The prices.
    """
    total, read = sizes.total, terms.read
    write_short = terms.write(terms.short)
    write_long = terms.write(terms.long or terms.short)
    short = read * sizes.live_short + write_short * (total - sizes.live_short)
    long = read * sizes.live_long + write_long * (total - sizes.live_long)
    warm = max(sizes.live_pinged, sizes.live_short)
    pings = read * warm + write_short * (total - warm) + sizes.pinged
    held = min(promoted, sizes.live_long)
    live = max(sizes.live_short, held)
    added = total - live
    if live and is_cheap_to_promote(
        added, live - held, pauses=pauses, gaps=gaps, terms=terms
    ):
        promote = read * live + write_long * added
        return (total, short, long, promote, pings), total
    promote = read * live + write_short * added
    return (total, short, long, promote, pings), held


def is_cheap_to_promote(
    added: float, unprotected: float, *, pauses: float, gaps: int, terms: Terms
) -> bool:
    """Tell whether writing what is added for longer pays for what it protects.

    Args:
        added: Tokens that are new.
        unprotected: Live tokens that nothing protects for the long lifetime.
        pauses: Gaps of the session that only the long lifetime bridges.
        gaps: All gaps of the session.
        terms: The prices.
    """
    if terms.long is None or not added:
        # A breakpoint that writes nothing protects nothing.
        return False
    often = (PAUSES + pauses) / (GAPS + gaps)
    kept = AHEAD * (terms.write(terms.short) - terms.read) * often * unprotected
    return (terms.write(terms.long) - terms.write(terms.short)) * added < kept


def way_of(
    population: Sequence[float],
    tokens: float,
    session: Sequence[float],
    allowed: Sequence[Way] = WAYS,
) -> Way:
    """Return the cheapest way, by all sessions and by this one.

    Whether pings are better than that is for all sessions to show, once one is over:
    going back and forth between lifetimes and pings costs more than either.

    Args:
        population: What each way cost in the sessions that are over.
        tokens: What not caching cost in those.
        session: What each way has cost in this one.
        allowed: The ways to choose from.
    """
    weights = [
        SESSION_TOKENS * cost / tokens + now
        for cost, now in zip(population, session, strict=True)
    ]
    quiet = [way for way in allowed if way != "pings"]
    best = min(quiet, key=lambda it: weights[WAYS.index(it)])
    judged = population if tokens > PRIOR_TOKENS else weights
    pings = PINGS_EARN * judged[WAYS.index("pings")]
    if "pings" in allowed and pings < judged[WAYS.index(best)]:
        return "pings"
    return best


def ways_of(terms: Terms, *, promotes: bool, pings: bool) -> tuple[Way, ...]:
    """Return the ways that a provider has; of equal ones the first is taken.

    Args:
        terms: What the provider asks for.
        promotes: What is promoted may be kept, for all that is known.
        pings: The caller allows them.
    """
    # Anthropic alone has such a lifetime, and pings.
    last: tuple[Way, ...] = ("pings",) if pings and terms.short == "5m" else ()
    if terms.long is None:
        return ("short", "none", *last)
    # Where nothing is known yet, the one that writes the first request for little.
    return ("promote", *_UNPROMOTED, *last) if promotes else (*_UNPROMOTED, *last)
