"""How likely something happens again, from counts and from what is known beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

__all__ = ["Chance", "shrunk"]

WEIGHT_OF_PRIOR = 20
"""Sights that a prior counts for against the most general count."""

WEIGHT = 8
"""Sights that a more general count stands for against a more special one."""

WEIGHT_OF_OTHERS = 2
"""Sights that all counts stand for against those of a conversation itself."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A probability, and how sure it is."""

    mean: float
    error: float
    """Its standard error."""

    def at_least(self, errors: float) -> float:
        """Return the mean less some standard errors."""
        return max(self.mean - errors * self.error, 0.0)

    def at_most(self, errors: float) -> float:
        """Return the mean and some standard errors more."""
        return min(self.mean + errors * self.error, 1.0)


def shrunk(
    counted: Sequence[tuple[float, float]],
    prior: float,
    own: tuple[float, float] | None = None,
) -> Chance:
    """Return a chance by counts that grow more and more special.

    Each is drawn towards the one before it, the first towards the prior, as far as it
    has few sights of its own.

    Args:
        counted: How often it happened, and of how many times; the most general first.
        prior: What is taken for granted before anything was counted.
        own: The same of the very conversation, which says most of what comes next.
    """
    mean, weight, total = prior, float(WEIGHT_OF_PRIOR), 0.0
    for came, total in counted:
        mean = (came + weight * mean) / (total + weight)
        weight = float(WEIGHT)
    if own is not None:
        mean = (own[0] + WEIGHT_OF_OTHERS * mean) / (own[1] + WEIGHT_OF_OTHERS)
        total += own[1]
    return Chance(mean, sqrt(mean * (1 - mean) / (total + WEIGHT)))
