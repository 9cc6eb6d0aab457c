"""Numbers and times as the page has them.

Rule 1: what is not known is called so.
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from promptcache.receipts.table import short

__all__ = [
    "UNKNOWN",
    "count",
    "figure",
    "moment",
    "money",
    "percent",
    "requests",
    "seconds",
    "stretch",
    "tokens",
]

UNKNOWN = "unknown"
_MARK = "?"
_DAY, _HOUR, _MINUTE = 86_400, 3600, 60


def money(usd: float | None) -> str:
    """Return US dollars, with digits enough to differ from nothing."""
    if usd is None:
        return UNKNOWN
    sign, size = "\N{MINUS SIGN}" if usd < 0 else "", abs(usd)
    if size == 0:
        return "$0"
    if size < 0.000001:  # noqa: PLR2004 - six decimals would show nothing
        return f"{sign}<$0.000001"
    if size >= 1e6:  # noqa: PLR2004 - more digits would not fit
        return f"{sign}${size / 1e6:,.2f}M"
    for least, digits in ((1000, 0), (1, 2), (0.01, 4)):
        if size >= least:
            return f"{sign}${size:,.{digits}f}"
    return f"{sign}${size:.6f}"


def tokens(number: float | None) -> str:
    """Return a count of tokens, with a unit if it is large."""
    return UNKNOWN if number is None else short(number)


def count(number: float) -> str:
    """Return a count in full."""
    return f"{number:,.0f}"


def requests(number: float) -> str:
    """Return how many requests there are."""
    return "1 request" if number == 1 else f"{count(number)} requests"


def percent(share: float | None) -> str:
    """Return a share."""
    return UNKNOWN if share is None else f"{share:.1%}"


def seconds(value: float | None) -> str:
    """Return a wait."""
    return UNKNOWN if value is None else f"{value:.2f} s"


def figure(row: Mapping[str, Any], key: str) -> str:
    """Return money or tokens of a row of sums, marked if unknowns are left out."""
    value = row[key]
    shown = money(value) if key.endswith("_usd") else tokens(value)
    return f"{shown}{_MARK}" if value is not None and key in row["unknown"] else shown


def moment(at: float, *, width: float = _MINUTE) -> str:
    """Return a time in UTC, as exact as stretches of a width need it."""
    when = datetime.fromtimestamp(at, tz=timezone.utc)
    form = "%Y-%m-%d" if width >= _DAY else "%Y-%m-%d %H:%M"
    return when.strftime(form)


def stretch(width: float) -> str:
    """Return a length of time, a minute at least, as it stands behind `each`."""
    units = ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))
    unit, name = next(it for it in units if width >= it[0])
    number = round(width / unit)
    return f"{number} {name}s" if number > 1 else name
