"""What some request wrote, and whether it can still be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from promptcache.emulator.rules.anthropic_markers import Ttl
from promptcache.emulator.rules.settings import Settings

__all__ = ["Entries", "Entry", "chain", "is_live", "is_over"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix that some request wrote."""

    key: bytes
    tokens: int
    ttl: Ttl
    used: float
    """Start of the request that wrote it or last read it."""
    expires: float
    parent: bytes | None = None
    """The key of the entry it was built on: read or written by the same request."""


Entries: TypeAlias = Mapping[bytes, Entry]
"""The entries of one workspace that can be found, by key."""


def is_live(key: bytes, entries: Entries, *, now: float, settings: Settings) -> bool:
    """Whether a prefix can be read.

    `ent`: an entry lives by its own lifetime. `seg`: every segment it was built on
    must live too. No source settles which one holds.
    """
    for entry in chain(key, entries):
        if entry is None or is_over(entry, now, settings):
            return False
        if settings.reading == "ent":
            return True
    return True


def chain(key: bytes | None, entries: Entries) -> Iterator[Entry | None]:
    """Yield an entry and all it was built on; None where one is gone."""
    while key is not None:
        entry = entries.get(key)
        yield entry
        key = None if entry is None else entry.parent


def is_over(entry: Entry, now: float, settings: Settings) -> bool:
    """Whether an entry's own life is over, or it was evicted early.

    Lifetimes are minimums in the documents, while field reports see earlier losses.
    """
    if now >= entry.expires + settings.grace_seconds:
        return True
    share = int.from_bytes(entry.key[:8], "big") / 2**64
    half = (entry.expires - entry.used) / 2
    return share < settings.eviction and now >= entry.used + half
