"""A receipt as one line of JSON, and what of it is summed.

Rule 1: what is unknown or empty is left out, and zero is written.
Rule 2: a line that is not what this module writes, in this version or another, is
damaged, and never half a receipt.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeAlias, get_args

import orjson

from promptcache.receipts import metadata
from promptcache.receipts.entry import Entry
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Credit, Receipt
from promptcache.receipts.usage import Usage

__all__ = ["beginning_of_last", "from_line", "to_line"]

_BEGINNING = b'{"time":"'
_APPENDED = orjson.OPT_APPEND_NEWLINE
_USD_DIGITS = 9
_SECOND_DIGITS = 3
_WORDS = 7
"""Of a miss; a later version may add some."""

_MOST = 2**53
"""No count, sum of money or time is beyond this."""

_POLICY = "auto"
_TOKENS = tuple(field.name for field in fields(Usage))
_COUNTS = ("requests", *_TOKENS)
_AMOUNTS = ("cost_usd", "without_caching_usd", "first_token_s")
_FIRST_YEAR = 1970
_REAL = (int, float)
_CREDITS = frozenset(get_args(Credit))

Values: TypeAlias = dict[str, Any]


class _DamagedError(Exception):
    """A value is not what belongs there."""


def to_line(receipt: Receipt) -> bytes:
    """Return a receipt as JSON with a line end: tokens, US dollars and seconds."""
    values = {
        "time": metadata.moment(receipt.at),
        "provider": receipt.provider,
        "model": receipt.model,
        "policy": None if receipt.policy == _POLICY else receipt.policy,
        "facts": None if receipt.facts == "known" else receipt.facts,
        **{name: getattr(receipt.usage, name) for name in _TOKENS},
        "cost_usd": _short(receipt.cost_usd, _USD_DIGITS),
        "without_caching_usd": _short(receipt.without_caching_usd, _USD_DIGITS),
        "first_token_s": _short(receipt.first_token_s, _SECOND_DIGITS),
        "total_s": _short(receipt.total_s, _SECOND_DIGITS),
        "breakpoints": receipt.breakpoints,
        "attempts": None if receipt.attempts == 1 else receipt.attempts,
        "requests": None if receipt.requests == 1 else receipt.requests,
        "tenant": receipt.tenant,
        "conversation": receipt.conversation,
        "notes": receipt.notes,
        "id": receipt.id,
        "credits": receipt.credits,
        "misses": [miss.to_text() for miss in receipt.misses],
    }
    return orjson.dumps(_said(values), option=_APPENDED)


def from_line(line: bytes) -> Entry | None:
    """Return what of a line is summed; None if the line is damaged.

    Names that are not known, as a later version may write them, are left out.
    """
    try:
        return _entry(orjson.loads(line))
    except (orjson.JSONDecodeError, _DamagedError):
        return None


def beginning_of_last(line: bytes) -> int:
    """Return where the last receipt of a line begins; 0 if there is but one.

    A process that was killed may leave half a line, to which the next one is added.
    """
    return max(line.rfind(_BEGINNING), 0)


def _entry(values: Any) -> Entry:
    if type(values) is not dict:
        raise _DamagedError
    get = values.get
    counts = list(map(get, _COUNTS))
    for count in counts:
        if count is not None and not (type(count) is int and 0 <= count <= _MOST):
            raise _DamagedError
    amounts = list(map(get, _AMOUNTS))
    for amount in amounts:
        if amount is not None and not (type(amount) in _REAL and 0 <= amount <= _MOST):
            raise _DamagedError
    provider, model = get("provider"), get("model")
    if type(provider) is not str or type(model) is not str:
        raise _DamagedError
    points, credited, misses = get("breakpoints"), get("credits"), get("misses")
    requests, *tokens = counts
    if requests == 0:
        raise _DamagedError
    cost, without, first_token_s = amounts
    return Entry.made(
        provider=provider,
        model=model,
        at=_at(get("time")),
        requests=1 if requests is None else requests,
        tokens=tuple(tokens),
        cost_usd=cost,
        without_caching_usd=without,
        first_token_s=first_token_s,
        breakpoints=_texts(points) if points else (),
        credited=_credits(credited) if credited else (),
        misses=_misses(misses) if misses else (),
    )


def _said(values: Mapping[str, Any]) -> Values:
    return {
        name: value
        for name, value in values.items()
        if value is not None and value not in ((), [])
    }


def _short(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(value, digits)


def _at(value: Any) -> float:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _DamagedError from None
    if at.tzinfo is None or at.year < _FIRST_YEAR:
        raise _DamagedError
    return at.timestamp()


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise _DamagedError
    for item in value:
        if type(item) is not str:
            raise _DamagedError
    return tuple(value)


def _credits(value: Any) -> tuple[Credit, ...]:
    known = filter(_CREDITS.__contains__, _texts(value))
    return tuple(known)  # type: ignore[arg-type]


def _misses(value: Any) -> tuple[Miss, ...]:
    read = [(text, Miss.from_text(text)) for text in _texts(value)]
    for text, miss in read:
        # What cannot be a number is read as unknown; here it is damage.
        if miss is not None and miss.to_text().split() != text.split()[:_WORDS]:
            raise _DamagedError
        if miss is not None and (miss.tokens or 0) > _MOST:
            raise _DamagedError
    return tuple(miss for _, miss in read if miss is not None)
