"""Rates of tokens, and what a request costs by them.

Rule 1: what has no known rate has no cost: `None`, never zero.
Rule 2: a count that is not reported matters only where its rate is one of its own.
"""

from dataclasses import dataclass
from decimal import Decimal

from promptcache.receipts.usage import Usage

__all__ = ["Cost", "Rates"]

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request cost, and what it would have cost without a cache."""

    usd: float
    """What was billed, in US dollars."""
    without_caching_usd: float
    """The same tokens, all of the prompt at the plain input price, in US dollars."""

    @property
    def saved_usd(self) -> float:
        """What the cache saved, in US dollars; negative if writing cost more."""
        return self.without_caching_usd - self.usd


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens, for prompts of more than `above` tokens.

    None is a rate that is not known.
    """

    above: int
    input: Decimal
    read: Decimal
    written: Decimal
    """For five minutes or for 30, whichever the provider has."""
    written_1h: Decimal | None
    written_12h: Decimal | None
    output: Decimal | None

    def cost(self, usage: Usage, input_tokens: int) -> Cost | None:
        """Return what a usage costs, or None where a count or a rate is missing.

        Args:
            usage: The tokens of one request.
            input_tokens: All of its prompt.
        """
        written = _lifetimes(usage, free=self.written == self.input)
        if written is None or (usage.read_tokens or 0) + sum(written) > input_tokens:
            return None
        output = _part(usage.output_tokens, self.output)
        extras = (
            self._extra(usage.read_tokens, self.read),
            self._extra(written[0], self.written),
            self._extra(written[1], self.written_1h),
            self._extra(written[2], self.written_12h),
        )
        if output is None:
            return None
        billed = plain = input_tokens * self.input + output
        for extra in extras:
            if extra is None:
                return None
            billed += extra
        return Cost(float(billed / _MILLION), float(plain / _MILLION))

    def _extra(self, tokens: int | None, price: Decimal | None) -> Decimal | None:
        return _part(tokens, None if price is None else price - self.input)


def _part(tokens: int | None, price: Decimal | None) -> Decimal | None:
    if tokens == 0 or price == 0:
        return Decimal(0)
    return None if tokens is None or price is None else tokens * price


def _lifetimes(usage: Usage, *, free: bool) -> tuple[int, int, int] | None:
    """Return what was written for a short time, for an hour and for twelve hours.

    Together these are all of it, or `None` is returned.
    """
    pairs = (
        (usage.written_5m_tokens, usage.written_1h_tokens),
        (usage.written_30m_tokens, usage.written_12h_tokens),
    )
    total, known = usage.written_tokens, sum(it or 0 for pair in pairs for it in pair)
    if total is None:
        missing = {pair.count(None) for pair in pairs}
        if missing not in ({0}, {0, 2}):
            return (0, 0, 0) if free and not known else None
        total = known
    if (rest := total - known) < 0:
        return None
    hour, half_day = (
        rest if long is None and short is not None else long or 0
        for short, long in pairs
    )
    return total - hour - half_day, hour, half_day
