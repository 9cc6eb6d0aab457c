"""What of a receipt is summed, whether it comes from a request or from a file.

Rule 1: it is cheap to make, as there may be millions.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Literal, NamedTuple

from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Credit, Receipt
from promptcache.receipts.usage import Usage

__all__ = ["LONGER", "MONEY", "NUMBERS", "Entry", "Section", "Whose", "section_of"]

Whose = Literal["placed", "fixed", "implicit", "mixed", "unknown"]
"""Whose doing a request's savings are: a breakpoint or a cached content placed here,
one of the caller's, the provider's own; several in a sum; or a receipt does not say."""

Section = Literal["tools", "system", "messages"]
"""The part of a request that a block stands in."""

LONGER = "written_longer_tokens"
MONEY = ("cost_usd", "without_caching_usd", "saved_usd")
_USAGE = tuple(field.name for field in fields(Usage))
NUMBERS = (*_USAGE, LONGER, *MONEY)
"""The names of an entry's numbers."""

_READ = _USAGE.index("read_tokens")
_tokens: Callable[[Usage], tuple[int | None, ...]] = attrgetter(*_USAGE)
_written = itemgetter(
    *map(
        _USAGE.index,
        (
            "written_tokens",
            "written_5m_tokens",
            "written_30m_tokens",
            "written_1h_tokens",
            "written_12h_tokens",
        ),
    )
)
_FIXED = " fixed"
_SECTIONS: Mapping[str, Section] = {
    "tools": "tools",
    "system": "system",
    "messages": "messages",
    "automatic": "messages",  # the provider's own mark stands at the end
}


class Entry(NamedTuple):
    """What of a receipt is summed."""

    provider: str
    model: str
    at: float
    requests: int
    numbers: tuple[float | None, ...]
    """What `NUMBERS` names."""
    first_token_s: float | None
    breakpoints: tuple[str, ...]
    whose: Whose
    misses: tuple[Miss, ...]

    @classmethod
    def of(cls, receipt: Receipt) -> "Entry":
        """Return what is summed of a receipt."""
        return cls.made(
            provider=receipt.provider,
            model=receipt.model,
            at=receipt.at,
            requests=receipt.requests,
            tokens=_tokens(receipt.usage),
            cost_usd=receipt.cost_usd,
            without_caching_usd=receipt.without_caching_usd,
            first_token_s=receipt.first_token_s,
            breakpoints=receipt.breakpoints,
            credited=receipt.credits,
            misses=receipt.misses,
        )

    @classmethod
    def made(
        cls,
        *,
        provider: str,
        model: str,
        at: float,
        requests: int,
        tokens: tuple[int | None, ...],
        cost_usd: float | None,
        without_caching_usd: float | None,
        first_token_s: float | None,
        breakpoints: tuple[str, ...],
        credited: tuple[Credit, ...],
        misses: tuple[Miss, ...],
    ) -> "Entry":
        """Return an entry of a receipt's fields; tokens are in the order of `Usage`."""
        known = cost_usd is not None and without_caching_usd is not None
        saved = without_caching_usd - cost_usd if known else None  # type: ignore[operator]
        return cls(
            provider,
            model,
            at,
            requests,
            (*tokens, _longer(tokens), cost_usd, without_caching_usd, saved),
            # Those of several requests together are nobody's wait.
            first_token_s if requests == 1 else None,
            breakpoints,
            _whose(credited, tokens[_READ], breakpoints),
            misses,
        )


@lru_cache(maxsize=1024)
def section_of(place: str | None) -> Section | None:
    """Return the section that a place, or a breakpoint in words, stands in."""
    if place is None:
        return None
    return _SECTIONS.get(re.split(r"[\[ .]", place, maxsplit=1)[0])


def _whose(
    credited: tuple[Credit, ...], read: int | None, breakpoints: tuple[str, ...]
) -> Whose:
    if credited:
        return credited[0] if len(credited) == 1 else "mixed"
    if read != 0:
        return "unknown"
    # Nothing was read: what was written is on the account of whoever marked it.
    if not breakpoints:
        return "implicit"
    for point in breakpoints:
        if not point.endswith(_FIXED):
            return "placed"
    return "fixed"


def _longer(tokens: tuple[int | None, ...]) -> int | None:
    """Return what was written for an hour or more, unless some of it may be unsaid."""
    written, minutes, half_hour, hour, half_day = _written(tokens)
    if hour is None and half_day is None:
        return None
    known: int = (hour or 0) + (half_day or 0)
    if written is None or written == known + (minutes or 0) + (half_hour or 0):
        return known
    return None
