"""What one request used, cost and how long it took, and how that is passed on.

Rule 1: a sum of receipts knows a number only if every one of them does.
Rule 2: what travels in messages can be added up by code that knows nothing of it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import reduce
from operator import add
from typing import Any, Literal, get_args

from promptcache.receipts import metadata as flat
from promptcache.receipts.miss import Miss
from promptcache.receipts.usage import Usage
from promptcache.receipts.visible import plain

__all__ = ["Credit", "Receipt"]

Credit = Literal["placed", "fixed", "implicit"]
"""Whose doing it is that tokens were read: a breakpoint or a cached content that was
placed here, one that the caller fixed, or what the provider does unasked."""

_METADATA_BYTES = 1000
_BREAKPOINTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one request, or a sum of requests, really used."""

    provider: str
    """Who was called; several, joined by a comma, in a mixed sum."""
    model: str
    """The model that answered; several, joined by a comma, in a mixed sum."""
    at: float
    """When the request was sent, in UTC seconds; the earliest in a sum."""
    policy: str
    """The name of the policy that planned the request."""
    facts: Literal["known", "assumed"] = "known"
    """Whether the model's rules are known or the most cautious ones stood in."""
    usage: Usage = field(default_factory=Usage)
    """The tokens that the provider reported."""
    cost_usd: float | None = None
    """What was billed: derived from what was reported and the prices of that day, tier
    and length; None if a count or a price is not known."""
    without_caching_usd: float | None = None
    """What the same tokens cost with all of the prompt at the plain input price;
    derived likewise."""
    first_token_s: float | None = None
    """Seconds until the answer began, measured; those of all requests in a sum."""
    total_s: float | None = None
    """Seconds until the answer was complete, measured."""
    breakpoints: tuple[str, ...] = ()
    """Where prefixes ended: position, lifetime and reason of each."""
    attempts: int = 1
    """How often something was sent, the SDK's retries included."""
    requests: int = 1
    """How many requests this is the sum of."""
    tenant: str | None = None
    """Whose history the request belongs to."""
    conversation: str | None = None
    """The conversation that the request continues."""
    notes: tuple[str, ...] = ()
    """Changes that were asked for, markers that were dropped, reason codes."""
    id: str | None = None
    """The provider's id of the answer."""
    credits: tuple[Credit, ...] = ()
    """Whose doing it is that tokens were read; at most one for each request."""
    misses: tuple[Miss, ...] = ()
    """Why less was read than could have been; at most one for each request."""

    @property
    def saved_usd(self) -> float | None:
        """What the cache saved; negative if writing cost more."""
        if self.cost_usd is None or self.without_caching_usd is None:
            return None
        return self.without_caching_usd - self.cost_usd

    def __str__(self) -> str:
        """Return it in one line."""
        usage = self.usage
        share = _share(usage.read_tokens, usage.input_tokens)
        read, written = _count(usage.read_tokens), _count(usage.written_tokens)
        total = _count(usage.input_tokens)
        parts = [
            self.model,
            f"read {read}{share} and wrote {written} of {total} tokens",
            f"cost {_dollars(self.cost_usd)}, saved {_dollars(self.saved_usd)}",
        ]
        if self.first_token_s is not None:
            parts.append(f"first token after {self.first_token_s:.2f} s")
        parts.extend(f"missed: {miss}" for miss in self.misses)
        return plain("; ".join(parts))

    def __add__(self, other: object) -> "Receipt":
        """Return one receipt for both; an identity that differs becomes `None`."""
        if not isinstance(other, Receipt):
            return NotImplemented
        merged: dict[str, Any] = {
            name: merge(getattr(self, name), getattr(other, name))
            for name, merge in _MERGES.items()
        }
        return replace(self, **merged)

    @staticmethod
    def sum(receipts: Iterable["Receipt"]) -> "Receipt":
        """Return one receipt for a framework call of several requests.

        Raises:
            TypeError: If there is no receipt at all.
        """
        return reduce(add, receipts)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields flat: tokens, money in US dollars, time in seconds."""
        values = asdict(self)
        return {**values.pop("usage"), **values, "saved_usd": self.saved_usd}

    def to_metadata(self) -> dict[str, Any]:
        """Return the form that messages carry: flat and less than 1 KB of JSON.

        Every number is an integer with its unit in the key, everything else a list
        of strings, and what is unknown is `None`, because frameworks add metadata
        up and some raise on anything else; `promptcache.receipts.metadata` tells
        how. `from_metadata` returns the exact sum of whatever was added up. Tenant
        and conversation stay out: the caller knows them, and messages travel far.
        """
        numbers = self._numbers()
        cost, plain = numbers["cost_nanousd"], numbers["without_caching_nanousd"]
        saved = None if cost is None or plain is None else plain - cost
        values: dict[str, Any] = {
            **numbers,
            "saved_nanousd": saved,
            "each": [flat.row(numbers)],
            "at": [flat.moment(self.at)],
            "providers": [flat.plain(self.provider, length=24)],
            "models": [flat.plain(self.model, length=64)],
            "policies": [flat.plain(self.policy, length=16)],
            "facts": [self.facts],
            "ids": [] if self.id is None else [flat.plain(self.id, length=56)],
            "credits": [*self.credits],
            "misses": [],
            "breakpoints": [],
            "notes": [],
        }
        misses = [flat.plain(miss.to_text(), length=80) for miss in self.misses]
        values["misses"] = flat.fitting(misses, values, size=_METADATA_BYTES)
        points = [flat.plain(point, length=44) for point in self.breakpoints]
        values["breakpoints"] = flat.fitting(
            points, values, size=_METADATA_BYTES, most=_BREAKPOINTS
        )
        notes = [flat.plain(note, length=64) for note in self.notes]
        values["notes"] = flat.fitting(notes, values, size=_METADATA_BYTES)
        return values

    @staticmethod
    def from_metadata(metadata: Mapping[str, object]) -> "Receipt":
        """Return the receipt, or the sum of receipts, that metadata was made from.

        Money is exact to a billionth of a dollar, time to a millisecond, and long
        names stay as short as `to_metadata` made them. What is missing is unknown.
        """
        numbers = flat.numbers(metadata)
        texts = {key: flat.texts(metadata, key) for key in _TEXTS}
        requests = numbers["requests"]
        moments = (flat.utc_seconds(text) for text in texts["at"])
        ids = flat.unique(texts["ids"])
        every = len(texts["ids"]) == len(texts["each"])
        return Receipt(
            provider=_joined(*texts["providers"]),
            model=_joined(*texts["models"]),
            at=min((at for at in moments if at is not None), default=0.0),
            policy=_joined(*texts["policies"]),
            facts="assumed" if "assumed" in texts["facts"] else "known",
            usage=Usage(**{name: numbers[name] for name in _TOKENS}),
            cost_usd=_unscaled(numbers["cost_nanousd"], 10**9),
            without_caching_usd=_unscaled(numbers["without_caching_nanousd"], 10**9),
            first_token_s=_unscaled(numbers["first_token_ms"], 10**3),
            total_s=_unscaled(numbers["total_ms"], 10**3),
            breakpoints=flat.unique(texts["breakpoints"]),
            attempts=requests or 1 if (n := numbers["attempts"]) is None else n,
            requests=1 if requests is None else requests,
            notes=flat.unique(texts["notes"]),
            id=ids[0] if every and len(ids) == 1 else None,
            credits=tuple(it for it in get_args(Credit) if it in texts["credits"]),
            misses=tuple(
                miss for text in texts["misses"] if (miss := Miss.from_text(text))
            ),
        )

    def _numbers(self) -> dict[str, int | None]:
        return {
            "requests": self.requests,
            "attempts": self.attempts,
            **{name: getattr(self.usage, name) for name in _TOKENS},
            "cost_nanousd": _scaled(self.cost_usd, 10**9),
            "without_caching_nanousd": _scaled(self.without_caching_usd, 10**9),
            "first_token_ms": _scaled(self.first_token_s, 10**3),
            "total_ms": _scaled(self.total_s, 10**3),
        }


_TOKENS = tuple(field.name for field in fields(Usage))
_TEXTS = (
    "each",
    "at",
    "providers",
    "models",
    "policies",
    "facts",
    "ids",
    "breakpoints",
    "notes",
    "credits",
    "misses",
)


def _joined(*names: str) -> str:
    return ", ".join(flat.unique(part for name in names for part in name.split(", ")))


def _total(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right


def _shared(left: str | None, right: str | None) -> str | None:
    return left if left == right else None


def _all(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return flat.unique(left + right)


def _credits(left: tuple[Credit, ...], right: tuple[Credit, ...]) -> tuple[Credit, ...]:
    return tuple(it for it in get_args(Credit) if it in left or it in right)


_MERGES: Mapping[str, Any] = {
    "provider": _joined,
    "model": _joined,
    "at": min,
    "policy": _joined,
    "facts": min,  # `assumed` sorts before `known`
    "usage": add,
    "cost_usd": _total,
    "without_caching_usd": _total,
    "first_token_s": _total,
    "total_s": _total,
    "breakpoints": _all,
    "attempts": add,
    "requests": add,
    "tenant": _shared,
    "conversation": _shared,
    "notes": _all,
    "id": _shared,
    "credits": _credits,
    "misses": add,
}


def _scaled(value: float | None, units: int) -> int | None:
    if value is None or not math.isfinite(value):
        return None
    return round(value * units)


def _unscaled(value: int | None, units: int) -> float | None:
    return None if value is None else value / units


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _share(part: int | None, whole: int | None) -> str:
    return f" ({part / whole:.0%})" if part is not None and whole else ""


def _dollars(usd: float | None) -> str:
    return "?" if usd is None else f"${usd:.6f}"
