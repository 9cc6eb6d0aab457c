"""What is explained of requests, as values; `str()` says it in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.analysis.explain.weighing import Choice, Stretch
from promptcache.analysis.explain.wording import books_told, told
from promptcache.planning.reasons import Reason
from promptcache.planning.ways import Way
from promptcache.receipts.visible import plain_lines
from promptcache.ttl import Ttl

__all__ = ["Explained", "Explanation", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A breakpoint of a plan."""

    place: str
    ttl: Ttl
    reason: Reason
    tokens: int
    """Estimated tokens up to it."""
    writes: int
    """Those that it writes; 0 where what it ends is alive."""
    text: str | None = None
    """How its block begins, if that was asked for."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What is decided on one request; amounts are in input tokens."""

    at: float
    provider: str
    model: str
    host: str
    is_known: bool
    """Whether the rules of the model are known, not assumed."""
    tokens: int
    blocks: int
    breakpoints: tuple[Place, ...]
    options: Mapping[str, str]
    """What the plan says for the request as a whole: key, mode, lifetime."""
    expected_read: int
    cost: float | None
    """What the plan costs now, if all goes as planned; None where writing is free."""
    way: Way
    """The cheapest way for an agent's requests, by the books so far."""
    by_books: bool
    """Whether it is an agent's, so that the books decide how long it lives."""
    parts: tuple[Stretch, ...]
    choices: tuple[Choice, ...]
    books: Mapping[str, float]
    """What each way would have cost all requests up to this one."""
    notes: tuple[str, ...]
    """What was decided against, and why."""
    short: Ttl | None
    long: Ttl | None
    """The lifetimes to choose from; None where there is none."""
    """The chances from which on writing pays."""
    token_usd: float | None
    """Price of an input token; None if it is not known."""

    def dollars(self, tokens: float) -> str:
        """Return what tokens cost, in words for a table."""
        usd = self._usd(tokens)
        return "unknown" if usd is None else f"{usd:.6f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the request as a row that JSON takes."""
        return {
            "at": self.at,
            "provider": self.provider,
            "model": self.model,
            "host": self.host,
            "facts": "known" if self.is_known else "assumed",
            "tokens": self.tokens,
            "blocks": self.blocks,
            "read_tokens": self.expected_read,
            "cost_tokens": None if self.cost is None else round(self.cost, 1),
            "cost_usd": self._usd(self.cost),
            "way": self.way if self.by_books else None,
            "breakpoints": [
                {
                    "place": it.place,
                    "ttl": it.ttl,
                    "reason": it.reason,
                    "tokens": it.tokens,
                    "writes_tokens": it.writes,
                    **({} if it.text is None else {"text": it.text}),
                }
                for it in self.breakpoints
            ],
            "options": dict(self.options),
            "parts": [
                {
                    "part": it.name,
                    "tokens": it.tokens,
                    "chance_short": round(it.short.mean, 4),
                    "error_short": round(it.short.error, 4),
                    "chance_long": (
                        None if self.long is None else round(it.long.mean, 4)
                    ),
                    "error_long": (
                        None if self.long is None else round(it.long.error, 4)
                    ),
                    "break_even_short": round(it.even_short, 4),
                    "break_even_long": (
                        None if self.long is None else round(it.even_long, 4)
                    ),
                    "ttl": it.ttl,
                }
                for it in self.parts
            ],
            "choices": [
                {
                    "way": it.way,
                    "cost_tokens": round(it.cost, 1),
                    "later_tokens": round(it.later, 1),
                    "net_tokens": round(it.net, 1),
                    "cost_usd": self._usd(it.cost),
                    "later_usd": self._usd(it.later),
                    "net_usd": self._usd(it.net),
                }
                for it in self.choices
            ],
            "books": {way: round(cost, 1) for way, cost in self.books.items()},
            "notes": list(self.notes),
        }

    def _usd(self, tokens: float | None) -> float | None:
        if tokens is None or self.token_usd is None:
            return None
        return tokens * self.token_usd


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is decided on requests, one after the other; `str()` says it in words."""

    requests: tuple[Explained, ...]

    def __str__(self) -> str:
        """Return all of it in words."""
        lines: list[str] = []
        count = len(self.requests)
        for number, row in enumerate(self.requests, 1):
            lines += [*told(row, number, count), ""]
        if count > 1:
            lines += books_told(self.requests[-1])
        return plain_lines("\n".join(lines)).rstrip()

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return a row for each request, as JSON takes it."""
        return [row.as_dict() for row in self.requests]
