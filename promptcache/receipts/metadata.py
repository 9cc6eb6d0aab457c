"""A flat form of numbers and texts that frameworks may add up without breaking it.

Frameworks merge the metadata of messages key by key. LangChain joins strings,
concatenates lists and sums integers, but raises on floats, booleans or types that
differ. So every number is an integer with its unit in the key (money in billionths of
a dollar, time in milliseconds), everything else is a list of strings, and what is
unknown is `None`, which merges with anything.

LangChain also keeps an integer as it is where both sides are equal, and lets a number
replace `None`. So the plain numbers are exact in one message only, and `each` repeats
them as one string per message, from which `numbers` makes the exact sum.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

import orjson

__all__ = [
    "NUMBERS",
    "fitting",
    "moment",
    "numbers",
    "plain",
    "row",
    "texts",
    "unique",
    "utc_seconds",
]

NUMBERS = (
    "requests",
    "attempts",
    "input_tokens",
    "read_tokens",
    "written_tokens",
    "written_5m_tokens",
    "written_1h_tokens",
    "output_tokens",
    "cost_nanousd",
    "without_caching_nanousd",
    "first_token_ms",
    "total_ms",
    "written_30m_tokens",
    "written_12h_tokens",
)
"""The numbers of a row. Stored rows are read by position: append, never reorder."""

_UNKNOWN = "?"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def row(values: Mapping[str, int | None]) -> str:
    """Return the numbers as the one string that `each` holds for a message."""
    return " ".join(
        _UNKNOWN if (value := values[name]) is None else str(value) for name in NUMBERS
    )


def numbers(metadata: Mapping[str, object]) -> dict[str, int | None]:
    """Return the numbers of merged metadata, unknown if one message lacks them."""
    rows = [_parsed(each) for each in texts(metadata, "each")]
    if not rows:
        return {name: _integer(metadata.get(name)) for name in NUMBERS}
    return {name: _total(row.get(name) for row in rows) for name in NUMBERS}


def texts(metadata: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Return the strings under `key`; none if it holds anything else."""
    value = metadata.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def fitting(
    items: Sequence[str],
    metadata: Mapping[str, object],
    *,
    size: int,
    most: int | None = None,
) -> list[str]:
    """Return the first items that fit beside `metadata` in `size` bytes of JSON.

    Args:
        items: Texts that JSON need not escape.
        metadata: What else there is.
        size: Bytes of JSON, of all together.
        most: How many items are enough; None for as many as fit.
    """
    room = size - len(orjson.dumps(metadata)) - len('"+9999 more",')
    kept: list[str] = []
    for item in items[:most]:
        room -= len(item) + len('"",')
        if room < 0:
            break
        kept.append(item)
    left = len(items) - len(kept)
    return [*kept, f"+{left} more"] if left else kept


def plain(text: str, *, length: int) -> str:
    """Return `text` as at most `length` bytes that JSON need not escape."""
    cut = text if len(text) <= length else f"{text[: length - 2]}.."
    if cut.isascii() and cut.isprintable() and '"' not in cut and "\\" not in cut:
        return cut
    return "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in cut
    )


def moment(seconds: float) -> str:
    """Return UTC seconds in the form of ISO 8601, to the millisecond."""
    at = _EPOCH + timedelta(milliseconds=round(seconds * 1000))
    return at.isoformat(timespec="milliseconds")


def utc_seconds(text: str) -> float | None:
    """Return the UTC seconds of an ISO 8601 text, or `None` if it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return round((at - _EPOCH) / timedelta(milliseconds=1)) / 1000


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Return each item once, in the order of first appearance."""
    return tuple(dict.fromkeys(items))


def _parsed(each: str) -> dict[str, int | None]:
    # A row of an older version may be shorter, one of a newer version longer.
    return {
        name: int(value) if value.removeprefix("-").isdecimal() else None
        for name, value in zip(NUMBERS, each.split(), strict=False)
    }


def _integer(value: object) -> int | None:
    return value if type(value) is int else None


def _total(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
