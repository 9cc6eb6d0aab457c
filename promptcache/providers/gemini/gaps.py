"""How long prefixes rest between two uses.

Rule 1: a gap counts when it has ended; old ones fade, so that habits may change.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["EDGES", "Gaps", "Spread"]

EDGES = tuple(float(2**power) for power in range(18))
"""Seconds at which bins begin: one second, and twice as long each, up to 36 hours."""

_ENDS = (*EDGES[1:], 2 * EDGES[-1])
_FADING = 0.99
_PRIOR = 2.0
"""Gaps that the prior counts for: any length is as likely as twice that length."""


@dataclass(slots=True)
class Gaps:
    """Gaps by their length, over those of a wider class where few are known."""

    wider: "Gaps | None" = None
    """What stands in while this class is young: gaps of all its like."""
    counts: list[float] = field(default_factory=lambda: [0.0] * len(EDGES))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a gap that has ended."""
        self.counts = [count * _FADING for count in self.counts]
        self.counts[max(bisect_right(EDGES, seconds) - 1, 0)] += 1.0
        self.total = self.total * _FADING + 1.0

    def within(self, seconds: float) -> float:
        """Return the chance that a gap is no longer than that."""
        return self.spread().within(seconds)

    def mean_within(self, seconds: float) -> float:
        """Return how many of so many seconds a gap lasts, on average."""
        return self.spread().mean_within(seconds)

    def spread(self) -> "Spread":
        """Return the chances of all lengths, as they are now."""
        return Spread(tuple(zip(EDGES, _ENDS, self.shares(), strict=True)))

    def shares(self) -> list[float]:
        """Return the chance of each bin."""
        if self.wider is not None:
            prior = self.wider.shares()
        else:
            prior = [1 / len(EDGES)] * len(EDGES)
        weight = self.total + _PRIOR
        return [
            (count + _PRIOR * before) / weight
            for count, before in zip(self.counts, prior, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Spread:
    """How likely gaps of each length are."""

    bins: tuple[tuple[float, float, float], ...]
    """Where each begins and ends, in seconds, and the chance of it."""

    def within(self, seconds: float) -> float:
        """Return the chance that a gap is no longer than that."""
        return sum(
            share * _part(start, end, seconds) for start, end, share in self.bins
        )

    def mean_within(self, seconds: float) -> float:
        """Return how many of so many seconds a gap lasts, on average."""
        return sum(
            share * _mean(start, end, seconds) for start, end, share in self.bins
        )


def _part(start: float, end: float, limit: float) -> float:
    return min(max((limit - start) / (end - start), 0.0), 1.0)


def _mean(start: float, end: float, limit: float) -> float:
    """Return the mean of the lesser of `limit` and what lies between the two."""
    if limit <= start:
        return limit
    if limit >= end:
        return (start + end) / 2
    inside = (limit - start) / (end - start)
    return inside * (start + limit) / 2 + (1 - inside) * limit
