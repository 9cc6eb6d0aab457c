"""The handles that this process knows, and those whose end it has to tell.

Rule 1: no I/O, and no lock held for longer than it takes to look.
Rule 2: what other threads changed since a store was read is newer than what was read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from secrets import token_hex
from threading import Lock
from typing import Literal, TypeAlias

from promptcache.interrupts import undisturbed
from promptcache.providers.gemini.handles.naming import is_pending
from promptcache.providers.gemini.remote import Remote
from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.events import CacheEnded
from promptcache.state.stores import Handle

__all__ = ["PROVIDER", "Owned", "Seen", "Shelf", "Why", "ended"]

PROVIDER = "google"
"""What the provider is called in events and receipts."""

Why: TypeAlias = Literal["expired", "deleted", "gone"]

_OWNER_BYTES = 4
_HOUR = 3600.0
_MAX_GONE = 10_000
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Owned:
    """A cached content that this process made, or found after its maker had died."""

    handle: Handle
    remote: Remote
    terms: Terms | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known before a store was read."""

    known: dict[bytes, Handle]
    owned: dict[str, Owned]


class Shelf:
    """Handles by key, some of them over; safe from many threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[bytes, Handle] = {}
        self._clear()

    @property
    def owner(self) -> str:
        """The id of this process."""
        return self._owner

    def get(self, key: bytes) -> Handle | None:
        """Return the handle of a key, whether or not its time is over."""
        return self._known.get(key)

    def put(self, handle: Handle) -> Handle | None:
        """Know a handle, and return it; None if the provider said that it is gone."""
        with undisturbed(), self._lock:
            return self._know(handle)

    def own(self, owned: Owned) -> Handle | None:
        """Know a handle as one whose end is to be told, and return it."""
        with undisturbed(), self._lock:
            self._owned[owned.handle.name] = owned
            return self._know(owned.handle)

    def owned(self) -> list[Owned]:
        """Return those whose end is to be told."""
        with undisturbed(), self._lock:
            return list(self._owned.values())

    def drop(self, handle: Handle) -> None:
        """No longer know a handle."""
        with undisturbed(), self._lock:
            self._drop(handle)

    def end(self, handle: Handle, why: Why, *, now: float) -> CacheEnded | None:
        """No longer know a handle, and return what to tell of it, if anything."""
        with undisturbed(), self._lock:
            self._drop(handle)
            if why == "gone":
                self._mark_gone(handle)
            owned = self._owned.pop(handle.name, None)
        return None if owned is None else ended(owned, why, now=now)

    def note_use(self, handle: Handle, *, now: float) -> None:
        """Remember when this process last named a handle of its own."""
        # Without a lock: the worst is an entry that the next look at a store removes.
        if handle.name in self._owned:
            self._last_use[handle.name] = now

    def last_use(self, handle: Handle) -> float:
        """Return when that was; 0 if it never was."""
        return self._last_use.get(handle.name, 0.0)

    def seen(self) -> Seen:
        """Return what is known now, to compare with after a store was read."""
        with undisturbed(), self._lock:
            return Seen(dict(self._known), dict(self._owned))

    def renew(
        self, stored: Iterable[Handle], seen: Seen, *, now: float
    ) -> list[CacheEnded]:
        """Know what a store has, and return what to tell of what it has no more.

        Args:
            stored: All that live by the store.
            seen: What was known before it was read.
            now: The time.
        """
        alive = {it.name: it for it in stored if not is_pending(it.name)}
        with undisturbed(), self._lock:
            for handle in alive.values():
                if self._known.get(handle.key) is seen.known.get(handle.key):
                    self._know(handle)
            for key, handle in seen.known.items():
                if handle.name not in alive and self._known.get(key) is handle:
                    del self._known[key]
            over = [
                owned
                for name, owned in seen.owned.items()
                if name not in alive and self._owned.get(name) is owned
            ]
            for owned in over:
                del self._owned[owned.handle.name]
            for name in self._last_use.keys() - self._owned.keys():
                del self._last_use[name]
        return [ended(owned, _why(owned.handle, now), now=now) for owned in over]

    def pause(self) -> bool:
        """Wait for other threads and lock, before a fork."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Unlock after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Be another worker, in the child of a fork: its parent tells the ends."""
        self._clear()

    def _clear(self) -> None:
        self._owner = token_hex(_OWNER_BYTES)
        self._lock = Lock()
        self._owned: dict[str, Owned] = {}
        self._gone: dict[str, None] = {}
        self._last_use: dict[str, float] = {}

    def _know(self, handle: Handle) -> Handle | None:
        if handle.name in self._gone:
            return None
        self._known[handle.key] = handle
        owned = self._owned.get(handle.name)
        if owned is not None:
            self._owned[handle.name] = replace(owned, handle=handle)
        return handle

    def _drop(self, handle: Handle) -> None:
        found = self._known.get(handle.key)
        if found is not None and found.name == handle.name:
            del self._known[handle.key]

    def _mark_gone(self, handle: Handle) -> None:
        if len(self._gone) >= _MAX_GONE:
            del self._gone[next(iter(self._gone))]
        self._gone[handle.name] = None


def ended(owned: Owned, why: Why, *, now: float) -> CacheEnded:
    """Return what to tell of a cached content that is no more."""
    handle, terms = owned.handle, owned.terms
    hours = max(0.0, min(now, handle.expires_at) - handle.created_at) / _HOUR
    token_hours = None if handle.tokens is None else handle.tokens * hours
    cost = None
    if token_hours is not None and terms is not None:
        cost = token_hours * terms.storage
    return CacheEnded(PROVIDER, handle.model, handle.name, why, token_hours, cost)


def _why(handle: Handle, now: float) -> Why:
    return "expired" if handle.expires_at <= now else "gone"
