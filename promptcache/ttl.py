"""Lifetimes of cached prefixes, as providers spell them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, cast, get_args

from promptcache.errors import OptionError

__all__ = ["TTL_SECONDS", "Ttl", "read_ttl"]

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
