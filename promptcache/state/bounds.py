"""What stores take: how long, how many, how large.

Rule 1: bounds keep a store small whoever calls it; what is wise is decided elsewhere.
"""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from math import isfinite

from promptcache.errors import UnstorableError

__all__ = [
    "COUNT_LIMIT",
    "LATE_SECONDS",
    "MAX_RECORDS",
    "SECRET_BYTES",
    "check_counts",
    "check_key",
    "check_number",
    "check_seconds",
    "check_text",
    "check_time",
    "check_usd",
    "summed",
]

MAX_RECORDS = 10_000
"""Records of one kind that a store holds; of counts, in one namespace."""

LATE_SECONDS = 3600.0
"""How long after its end a lease still writes, if nobody else got one since."""

COUNT_LIMIT = 2**53 - 1
"""The largest number that every store holds exactly."""

SECRET_BYTES = 32

_MAX_KEY_BYTES = 64
_MAX_TEXT = 512
_MAX_COUNTS = 16
_MAX_SECONDS = 366 * 86_400.0
_MAX_TIME = 1e11
_MAX_USD = 1e9


def summed(first: Iterable[int], second: Iterable[int]) -> tuple[int, ...]:
    """Return the sums of numbers, place by place, within what stores hold."""
    return tuple(
        max(-COUNT_LIMIT, min(COUNT_LIMIT, one + other))
        for one, other in zip_longest(first, second, fillvalue=0)
    )


def check_key(key: bytes) -> None:
    """Let a key pass that stores take.

    Raises:
        UnstorableError: It is none.
    """
    if not isinstance(key, bytes) or not 0 < len(key) <= _MAX_KEY_BYTES:
        raise UnstorableError("key", f"1 to {_MAX_KEY_BYTES} bytes")


def check_text(what: str, text: str) -> None:
    """Let a name pass that stores take.

    Raises:
        UnstorableError: It is none.
    """
    if not 0 < len(text) <= _MAX_TEXT or not text.isprintable():
        raise UnstorableError(what, f"1 to {_MAX_TEXT} printable characters")


def check_time(what: str, time: float) -> None:
    """Let a time pass that stores take.

    Raises:
        UnstorableError: It is none.
    """
    if not 0 <= time <= _MAX_TIME:
        raise UnstorableError(what, "UTC seconds since 1970")


def check_seconds(seconds: float) -> None:
    """Let a lifetime pass that stores take.

    Raises:
        UnstorableError: It is none.
    """
    if not 0 < seconds <= _MAX_SECONDS:
        raise UnstorableError("seconds", f"more than 0, at most {_MAX_SECONDS:.0f}")


def check_usd(usd: float | None) -> None:
    """Let an amount of money pass that stores take.

    Raises:
        UnstorableError: It is none.
    """
    if usd is not None and not (isfinite(usd) and abs(usd) <= _MAX_USD):
        raise UnstorableError("saved_usd", f"US dollars, at most {_MAX_USD:.0f}")


def check_counts(namespace: str, deltas: Mapping[bytes, tuple[int, ...]]) -> None:
    """Let counts pass that stores take.

    Raises:
        UnstorableError: They are none.
    """
    check_text("namespace", namespace)
    for key, numbers in deltas.items():
        check_key(key)
        if not 0 < len(numbers) <= _MAX_COUNTS:
            raise UnstorableError("deltas", f"1 to {_MAX_COUNTS} numbers")
        for number in numbers:
            check_number("deltas", abs(number))


def check_number(what: str, number: int) -> None:
    """Let a whole number pass that stores take.

    Raises:
        UnstorableError: It is none.
    """
    if not 0 <= number <= COUNT_LIMIT:
        raise UnstorableError(what, f"whole numbers up to {COUNT_LIMIT}")
