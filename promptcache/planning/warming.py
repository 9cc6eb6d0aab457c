"""When repeating a prefix, so that it stays alive, is worth its reading.

A prefix that nobody uses is dropped after its short lifetime. A request with
`max_tokens: 0` just before that, a ping, reads it and so keeps it for as long again. It
pays if it is likely enough that the conversation goes on in that time:

    h(k) * (write - read) * lost  +  (1 - h(k)) * next  >  read * kept + rest

with `h(k)` the chance that a conversation that was silent for k intervals goes on in
the next one and reads its prefix again, `kept` the tokens of that prefix, `lost` those
of them that would not live on unasked, `rest` what the ping sends beyond them, and
`next` what the ping after it is worth, if anything. A conversation that comes back
without its prefix, as one that was compacted, counts as far as it reads it.

    h(k) = (200 * p(k) + returned(k)) / (200 + silent(k))

where `p(k)` is what is known of all traffic of that kind, and the counts are those of
the conversation itself.

Rule 1: nothing is pinged for longer than an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from promptcache.planning.terms import Terms

__all__ = [
    "INTERVAL",
    "KINDS",
    "PINGS",
    "PRIORS",
    "STRENGTH",
    "Silences",
    "hazard",
    "hazards",
    "kind_of",
    "price_of_silence",
    "usual_pings",
    "worth",
]

INTERVAL: Final = 290.0
"""Seconds from one use of a prefix to the next: the lifetime of five minutes counts
from the start of a request, and a ping has to get there."""

PINGS: Final = 12
"""Pings of one silence at most, which is an hour."""

STRENGTH: Final = 200
"""Silences that what is known of others counts for: those that it was learned from were
some thousands, and what few silences show misleads more often than it helps."""

KINDS: Final = ("tool_use", "end_turn", "chat 0", "chat 1", "chat 2", "chat 3")
"""How a conversation fell silent: an agent that was to go on by itself, one that waits
for its user, or a chat after so many turns (3 are three or more)."""

PRIORS: Final[dict[str, tuple[float, ...]]] = {
    "tool_use": (
        *(0.327, 0.352, 0.097, 0.072, 0.051, 0.049),
        *(0.022, 0.018, 0.033, 0.055, 0.017, 0.006),
    ),
    "end_turn": (
        *(0.204, 0.100, 0.101, 0.063, 0.056, 0.042),
        *(0.033, 0.037, 0.040, 0.035, 0.014, 0.008),
    ),
    "chat 0": (0.070, 0.030, 0.010, *(0.004,) * 9),
    "chat 1": (0.100, 0.020, 0.010, *(0.004,) * 9),
    "chat 2": (0.100, 0.040, 0.010, *(0.004,) * 9),
    "chat 3": (0.240, 0.030, 0.010, *(0.004,) * 9),
}
"""The chance that a silence of 1, 2, ... intervals ends in the next one, weighted by
what is read again. Source: agents, the silences of 338 recorded sessions of a coding
agent, by the stop reason before them; chats, twenty minutes of a public chat service,
whose last nine values nothing was seen of."""


@dataclass(slots=True)
class Silences:
    """How silences went on, by the intervals that they lasted already."""

    silent: list[float] = field(default_factory=lambda: [0.0] * (PINGS + 1))
    """How many lasted so many intervals, by that number."""
    returned: list[float] = field(default_factory=lambda: [0.0] * (PINGS + 1))
    """How many of them ended in the next one, each by the share that was read again."""

    def note(self, intervals: int, share: float = 0.0) -> None:
        """Count the interval after so many, once it is over.

        Args:
            intervals: How many were over before.
            share: Part of the prefix that came again in this one.
        """
        if intervals <= PINGS:
            self.silent[intervals] += 1
            self.returned[intervals] += share

    def fade(self, share: float) -> None:
        """Let older silences count for less."""
        self.silent = [share * it for it in self.silent]
        self.returned = [share * it for it in self.returned]


def kind_of(*, is_agent: bool, stop: str | None, turns: int) -> str:
    """Return how a conversation falls silent.

    Args:
        is_agent: It has tools.
        stop: Why the model stopped, as the provider says it.
        turns: Requests that it had before.
    """
    if not is_agent:
        return f"chat {min(turns, 3)}"
    return "end_turn" if stop == "end_turn" else "tool_use"


def hazard(
    number: int, kind: str, population: Silences | None, own: Silences | None
) -> float:
    """Return the chance that a silence ends usefully in the interval after a ping.

    Args:
        number: Of the ping: 1 is the first.
        kind: How the conversation fell silent.
        population: What other silences of that kind have shown.
        own: What those of this conversation have shown.
    """
    if not 1 <= number <= PINGS:
        return 0.0
    chance = PRIORS[kind][number - 1]
    for counted in (population, own):
        if counted is not None:
            seen = STRENGTH * chance + counted.returned[number]
            chance = seen / (STRENGTH + counted.silent[number])
    return chance


def hazards(
    kind: str, population: Silences | None, own: Silences | None
) -> tuple[float, ...]:
    """Return the chance after each ping of a silence."""
    return tuple(
        hazard(number, kind, population, own) for number in range(1, PINGS + 1)
    )


def worth(
    number: int,
    chances: Sequence[float],
    *,
    terms: Terms,
    rest: float = 0.0,
    lost: float = 1.0,
) -> float:
    """Return what a ping saves, for a token that it keeps, in input tokens.

    Args:
        number: Of the ping: 1 is the first.
        chances: What `hazards` returned.
        terms: What the provider asks for.
        rest: What is sent beyond what is kept, as a share of that.
        lost: What would not live on unasked, as a share of what is kept.
    """
    saved, price = lost * (terms.write(terms.short) - terms.read), terms.read + rest
    later = 0.0
    for chance in reversed(chances[number - 1 :]):
        later = chance * saved + (1 - chance) * max(later, 0.0) - price
    return later if number <= len(chances) else -price


@lru_cache(maxsize=256)
def usual_pings(kind: str, terms: Terms) -> int:
    """Return how many pings in a row are worth it, as far as is known beforehand."""
    chances = hazards(kind, None, None)
    for number in range(1, PINGS + 1):
        if worth(number, chances, terms=terms) <= 0:
            return number - 1
    return PINGS


def price_of_silence(
    seconds: float, size: float, *, stop: str | None, terms: Terms
) -> tuple[float, float]:
    """Return what pings cost in an agent's silence, and how long a prefix lives by it.

    This is how books are kept of a way that was not taken. What conversations have
    shown since is left out: the books of all ways are to be reckoned alike everywhere.

    Args:
        seconds: How long the silence was; infinite if nothing came.
        size: Tokens of the prefix.
        stop: Why the model stopped before it.
        terms: What the provider asks for.

    Returns:
        Input tokens, and the seconds from the last request on that the prefix lives.
    """
    pings = usual_pings(kind_of(is_agent=True, stop=stop, turns=0), terms)
    sent = int(min(seconds, pings * INTERVAL) // INTERVAL)
    return terms.read * size * sent, sent * INTERVAL + terms.short_seconds
