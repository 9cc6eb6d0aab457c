"""Lifetimes of cached prefixes, as providers spell them."""

import re
from collections.abc import Mapping
from datetime import timedelta
from math import inf
from typing import Literal, cast, get_args

from promptcache.errors import OptionError

__all__ = ["TTL_SECONDS", "Ttl", "read_gap", "read_seconds", "read_ttl"]

_UNITS: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)([smh])")

Ttl = Literal["5m", "30m", "1h", "12h", "24h"]
"""A lifetime; each provider has some of these."""

TTL_SECONDS: Mapping[Ttl, int] = {
    "5m": 300,
    "30m": 1800,
    "1h": 3600,
    "12h": 43_200,
    "24h": 86_400,
}


def read_ttl(value: object) -> Ttl:
    """Read a lifetime given as text, such as `"5m"` or `"1h"`, or as a timedelta.

    Raises:
        OptionError: It is none of these.
    """
    if isinstance(value, timedelta):
        for name, seconds in TTL_SECONDS.items():
            if value.total_seconds() == seconds:
                return name
    if isinstance(value, str) and value in get_args(Ttl):
        return cast("Ttl", value)
    raise OptionError("ttl", value, ", ".join(get_args(Ttl)))


def read_seconds(ttl: str | float | timedelta) -> float:
    """Read a life of a minute or more: seconds, a timedelta, or text such as `"10m"`.

    Raises:
        OptionError: It is none, or less than a minute.
    """
    seconds = _seconds(ttl)
    if seconds is None or not seconds >= _UNITS["m"]:
        allowed = 'at least a minute: seconds, a timedelta, or text such as "10m"'
        raise OptionError("ttl", ttl, allowed)
    return seconds


def read_gap(every: str | float | timedelta) -> float:
    """Read the time between two requests: seconds, a timedelta, or text as `"90s"`.

    Raises:
        OptionError: It is none, or no time at all.
    """
    seconds = _seconds(every)
    if seconds is None or not 0 < seconds < inf:
        allowed = 'more than 0 seconds, a timedelta, or text such as "90s"'
        raise OptionError("every", every, allowed)
    return seconds


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        found = _LENGTH.fullmatch(value)
        return None if found is None else float(found[1]) * _UNITS[found[2]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
