"""Durations and points in time as the API spells them."""

import re
from datetime import datetime, timedelta, timezone

__all__ = ["duration", "instant", "timestamp"]

_DURATION = re.compile(r"-?\d{1,12}(\.\d{1,9})?s")
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)"
)


def duration(value: object) -> float | None:
    """Return the seconds of a text like "3.5s"; None if it is none."""
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return float(value[:-1])
    return None


def instant(value: object) -> float | None:
    """Return the UTC seconds of a text like "2026-11-22T12:00:00Z"; None if none."""
    found = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        whole = datetime.fromisoformat(f"{day}T{time}{offset}")
    except ValueError:
        return None
    return whole.timestamp() + float(fraction or 0)


def timestamp(seconds: float) -> str:
    """Return UTC seconds as the API writes them."""
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
