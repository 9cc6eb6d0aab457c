"""What some request wrote or left behind, and whether it can still be read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.providers.openai.facts import TTL_SECONDS, Retention

__all__ = ["Entries", "Entry", "InputUsage", "is_live", "kept", "refreshed", "written"]

HOUR = 3600.0
# "in_memory ... at most 1 h; 24h ... at most 24 h". Source: the guide.
MOST: Mapping[Retention, float] = {"in_memory": HOUR, "24h": 24 * HOUR}


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix that can be read."""

    key: bytes
    tokens: int
    seconds: float
    """How long it lives without being used."""
    expires: float
    dies: float = inf
    """When it is gone however often it is used."""
    parent: bytes | None = None
    """The key of the entry it was built on."""


Entries: TypeAlias = Mapping[bytes, Entry]
"""The entries on one machine that can be found, by key."""


@dataclass(frozen=True, slots=True)
class InputUsage:
    """Input tokens by how they are billed: slices that do not overlap.

    Source: the code sample of the guide.
    """

    uncached: int
    read: int = 0
    written_30m: int = 0
    written_12h: int = 0

    @property
    def written(self) -> int:
        """Tokens written, whatever their lifetime."""
        return self.written_30m + self.written_12h

    @property
    def total(self) -> int:
        """All tokens the request sent."""
        return self.uncached + self.read + self.written


def is_live(entry: Entry | None, now: float) -> bool:
    """Whether an entry can be read."""
    return entry is not None and now < min(entry.expires, entry.dies)


def refreshed(entry: Entry, now: float) -> Entry:
    """Return an entry as its use leaves it; a life is never shortened."""
    return replace(entry, expires=max(entry.expires, now + entry.seconds))


def written(
    key: bytes, tokens: int, ttl: str, *, now: float, parent: bytes | None
) -> Entry:
    """Return what a breakpoint writes; its lifetime is a minimum, taken at its word."""
    seconds = TTL_SECONDS[ttl]
    return Entry(key, tokens, seconds, now + seconds, parent=parent)


def kept(
    key: bytes, tokens: int, policy: Retention, *, now: float, settings: OpenAISettings
) -> Entry:
    """Return what stays of a prefix where there are no breakpoints."""
    idle = {"in_memory": settings.in_memory_seconds, "24h": settings.extended_seconds}
    seconds = idle[policy]
    return Entry(key, tokens, seconds, now + seconds, dies=now + MOST[policy])
