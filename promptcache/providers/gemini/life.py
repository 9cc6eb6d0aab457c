"""Whether a cached content pays, and how long it should live.

Rule 1: a decision is a function of its arguments: prices, sizes and what was seen.
Rule 2: what it costs to be wrong is weighed, not only what is likely: a creation that
nothing seen before has paid for must fit into a fixed allowance.
"""

from dataclasses import dataclass

from promptcache.providers.gemini.gaps import Gaps, Spread
from promptcache.providers.gemini.terms import Terms

__all__ = [
    "ALLOWANCE_TOKENS",
    "LONGEST_SECONDS",
    "SHORTEST_SECONDS",
    "Books",
    "Life",
    "Prospect",
    "best_life",
    "next_expiry",
]

SHORTEST_SECONDS = 60.0
"""Life below which a creation is not worth its request. Vertex AI takes no shorter."""

LONGEST_SECONDS = 3600.0
"""How far ahead storage is ordered at most; a longer life is extended on the way."""

ALLOWANCE_TOKENS = 200_000
"""Tokens, at the input price, that creations may lose before any of them has paid."""

_SHARE = 0.01
"""Part of what was paid for input that creations may lose on top of the allowance."""

_LIVES = tuple(1.5 * 2**power for power in range(6, 17))
"""Lives to choose from: a minute and a half to a day, each half as long again as the
gaps that it is for, so that a use which is a little late is in time."""

_LEFT = 0.75
"""Part of a life that may be left without a use moving its end."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """A prefix that might be put into a cached content."""

    tokens: int
    """What the cached content would hold."""
    gained: float
    """Tokens that a use would read instead of sending them, on average: those that are
    read already, by whatever means, left out."""
    returns: float
    """Requests with this prefix that are expected to come."""
    gaps: Gaps
    """The times between them."""
    stored: int | None = None
    """Tokens of storage that it adds; all of them if not given."""
    wasted: float = 0.0
    """Tokens that a use would read and did not need, on average."""


@dataclass(frozen=True, slots=True)
class Life:
    """A life that a cached content might have."""

    seconds: float
    """Idle time after which it is better let go."""
    gain_usd: float
    """What creating it now is expected to gain, everything counted."""
    cost_usd: float
    """What creating it costs."""
    use_usd: float
    """What a use gains, storage and the chance of its loss counted."""


def best_life(prospect: Prospect, terms: Terms) -> Life:
    """Return the life that gains most, which may be a loss.

    A use that comes while the cached content lives gains; each second until then is
    paid for; one that comes too late finds it gone and pays for the next one. The last
    use is followed by a whole life that nobody uses.
    """
    spread = prospect.gaps.spread()
    return max(
        (_life(prospect, spread, terms, seconds) for seconds in _LIVES),
        key=lambda life: life.gain_usd,
    )


def next_expiry(expires_at: float, life_seconds: float, *, now: float) -> float | None:
    """Return the time to which a life is moved by a use, or None to leave it.

    It is moved when a quarter of it is over, so that busy prefixes ask for it seldom.
    """
    ahead = min(life_seconds, LONGEST_SECONDS)
    return now + ahead if expires_at - now < _LEFT * ahead else None


def _life(prospect: Prospect, spread: Spread, terms: Terms, seconds: float) -> Life:
    stored = prospect.tokens if prospect.stored is None else prospect.stored
    second = stored * terms.storage / 3600
    saved = prospect.gained * (terms.input - terms.read)
    saved -= prospect.wasted * terms.read
    creation = prospect.tokens * terms.creation
    in_time = spread.within(seconds)
    late = 1 - in_time
    use = in_time * saved - spread.mean_within(seconds) * second
    use -= late * creation
    gain = prospect.returns * use - seconds * second - creation
    return Life(seconds, gain, creation, use)


@dataclass(slots=True)
class Books:
    """What cached contents of one model cost and saved so far, in US dollars."""

    spent: float = 0.0
    """Creations and storage."""
    saved: float = 0.0
    input: float = 0.0
    """What all prompts would have cost if they had been sent in full."""

    def allows(self, cost_usd: float, terms: Terms) -> bool:
        """Tell whether another creation may be risked.

        However wrong every expectation is, no creation is begun that would bring what
        is lost so far, storage up to now included, above the allowance and one part in
        a hundred of the price of the prompts in full.
        """
        allowance = max(ALLOWANCE_TOKENS * terms.input, cost_usd)
        at_risk = self.spent - self.saved + cost_usd
        return at_risk <= allowance + _SHARE * self.input
