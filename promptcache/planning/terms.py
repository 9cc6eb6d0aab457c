"""What a provider asks for writing and reading, in input tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["WRITE", "Terms"]

# What twelve hours cost is in no source; two is what an hour costs elsewhere.
WRITE: Mapping[Ttl, float] = {
    "5m": 1.25,
    "30m": 1.25,
    "1h": 2.0,
    "12h": 2.0,
    "24h": 2.0,
}
"""Price of a token that is written, in input tokens, by lifetime."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Prices and lifetimes that a policy may choose from."""

    read: float = 0.1
    """Price of a token that is read."""
    short: Ttl = "5m"
    long: Ttl | None = "1h"
    """None if there is no second lifetime, or none may be used."""

    judged: float | None = None
    """The price by which it is judged whether to write at all, if that is not the price
    of the lifetime: who asks for a longer one says how long, not that it is dearer."""

    def write(self, ttl: Ttl) -> float:
        """Return the price of a token that is written for a lifetime."""
        return WRITE[ttl]

    def extra_of(self, ttl: Ttl) -> float:
        """Return what writing a token is judged to cost beyond plain input."""
        return (self.judged or WRITE[ttl]) - 1

    def break_even(self, ttl: Ttl) -> float:
        """Return the chance of coming again from which on a write pays.

        What comes again without having been written is written then, for the short
        lifetime: that is what a reading saves.
        """
        return self.extra_of(ttl) / self.saved

    @property
    def saved(self) -> float:
        """What reading a token is judged to save, as it would be written else."""
        return (self.judged or WRITE[self.short]) - self.read

    @property
    def short_seconds(self) -> float:
        """The short lifetime in seconds."""
        return TTL_SECONDS[self.short]

    @property
    def long_seconds(self) -> float:
        """The long lifetime in seconds; the short one's if there is none."""
        return TTL_SECONDS[self.long or self.short]

    def excess(self, *, read: float, written: Mapping[Ttl, float]) -> float:
        """Return what a request costs beyond plain input, in input tokens.

        Args:
            read: Tokens that it reads.
            written: Tokens that it writes, by lifetime.
        """
        extra = sum((WRITE[ttl] - 1) * tokens for ttl, tokens in written.items())
        return extra - (1 - self.read) * read
