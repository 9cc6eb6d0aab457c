"""A store in the memory of one process, for one worker or as the last resort."""

from collections.abc import Mapping
from dataclasses import replace
from heapq import nsmallest
from secrets import token_bytes
from threading import Lock
from typing import TypeVar

from promptcache.state.bounds import (
    LATE_SECONDS,
    MAX_RECORDS,
    SECRET_BYTES,
    check_counts,
    check_key,
    check_seconds,
    check_text,
    check_time,
    check_usd,
    summed,
)
from promptcache.state.forks import let_go_at_forks
from promptcache.state.stores import Backoff, Handle, Lease, check_lease

__all__ = ["MemoryStore"]

_PAUSE_SECONDS = 1.0

_Record = TypeVar("_Record")
_Kind = dict[bytes, tuple[float, _Record]]
"""Records of one kind by key, each with its end."""


class MemoryStore:
    """A `Store` that ends with its process; a forked process goes on with a copy."""

    def __init__(self, *, max_records: int = MAX_RECORDS) -> None:
        """Start empty.

        Args:
            max_records: Records of one kind to hold; of counts, in one namespace.
        """
        self._max_records = max_records
        self._secret = token_bytes(SECRET_BYTES)
        self._lock = Lock()
        self._token = 0
        self._handles: _Kind[Handle] = {}
        self._leases: _Kind[Lease] = {}
        self._backoffs: _Kind[Backoff] = {}
        self._counts: dict[str, _Kind[tuple[int, ...]]] = {}
        let_go_at_forks(self)

    def secret(self) -> bytes:
        """Return the key of this store's digests."""
        return self._secret

    def handle(self, key: bytes, *, now: float) -> Handle | None:
        """Return the handle of a key, if one is alive."""
        check_key(key)
        check_time("now", now)
        with self._lock:
            return _alive(self._handles, key, now)

    def handles(self, *, now: float) -> list[Handle]:
        """Return every handle that is alive, the one that ends soonest first."""
        check_time("now", now)
        with self._lock:
            found = [handle for until, handle in self._handles.values() if until > now]
        return sorted(found, key=lambda handle: (handle.expires_at, handle.key))

    def put_handle(self, handle: Handle, lease: Lease, *, now: float) -> bool:
        """Store a handle under a lease; see `Store.put_handle`."""
        check_lease(handle, lease)
        check_time("now", now)
        with self._lock:
            if not self._writes(lease, now):
                return False
            before = _alive(self._handles, handle.key, now)
            if before is not None and before.name == handle.name:
                handle = replace(
                    handle,
                    uses=before.uses,
                    used_at=before.used_at,
                    saved_usd=before.saved_usd,
                )
            self._handles[handle.key] = (handle.expires_at, handle)
            self._bound(self._handles)
            return True

    def note_use(self, handle: Handle, *, saved_usd: float | None, now: float) -> bool:
        """Count a request that named a handle; see `Store.note_use`."""
        check_usd(saved_usd)
        check_time("now", now)
        with self._lock:
            found = _alive(self._handles, handle.key, now)
            if found is None or found.name != handle.name:
                return False
            saved = found.saved_usd
            if saved_usd is not None:
                saved = saved_usd if saved is None else saved + saved_usd
            used = replace(
                found,
                uses=found.uses + 1,
                used_at=now if found.used_at is None else max(found.used_at, now),
                saved_usd=saved,
            )
            self._handles[handle.key] = (used.expires_at, used)
            return True

    def drop_handle(self, handle: Handle) -> bool:
        """Forget a handle that is gone; see `Store.drop_handle`."""
        with self._lock:
            found = self._handles.get(handle.key)
            if found is None or found[1].name != handle.name:
                return False
            del self._handles[handle.key]
            return True

    def acquire(
        self, key: bytes, *, owner: str, seconds: float, now: float
    ) -> Lease | None:
        """Take the lease on a key; see `Store.acquire`."""
        check_key(key)
        check_text("owner", owner)
        check_seconds(seconds)
        check_time("now", now)
        with self._lock:
            if _alive(self._leases, key, now) is not None:
                return None
            lease = Lease(key, owner, self._token + 1, now + seconds)
            self._token = lease.token
            self._leases[key] = (lease.until, lease)
            self._bound(self._leases)
            return lease

    def renew(self, lease: Lease, *, seconds: float, now: float) -> Lease | None:
        """Move the end of a lease; see `Store.renew`."""
        check_seconds(seconds)
        check_time("now", now)
        with self._lock:
            if not self._writes(lease, now):
                return None
            renewed = replace(lease, until=now + seconds)
            self._leases[lease.key] = (renewed.until, renewed)
            return renewed

    def release(self, lease: Lease) -> None:
        """Give a lease back; see `Store.release`."""
        with self._lock:
            if self._has(lease):
                del self._leases[lease.key]

    def backoff(self, key: bytes, *, now: float) -> Backoff | None:
        """Return the back-off of a key, if it is not over."""
        check_key(key)
        check_time("now", now)
        with self._lock:
            return _alive(self._backoffs, key, now)

    def put_backoff(self, backoff: Backoff, *, now: float) -> None:
        """Store a back-off, unless one with its key ends later."""
        check_time("now", now)
        with self._lock:
            before = self._backoffs.get(backoff.key)
            if before is None or before[0] <= backoff.until:
                self._backoffs[backoff.key] = (backoff.until, backoff)
                self._bound(self._backoffs)

    def add_counts(
        self,
        namespace: str,
        deltas: Mapping[bytes, tuple[int, ...]],
        *,
        seconds: float,
        now: float,
    ) -> None:
        """Add numbers to those that are stored; see `Store.add_counts`."""
        check_counts(namespace, deltas)
        check_seconds(seconds)
        check_time("now", now)
        with self._lock:
            counts = self._counts.setdefault(namespace, {})
            for key, numbers in deltas.items():
                until, before = counts.get(key, (0.0, ()))
                if until <= now:
                    before = ()
                counts[key] = (max(until, now + seconds), summed(before, numbers))
            self._bound(counts)

    def counts(self, namespace: str, *, now: float) -> dict[bytes, tuple[int, ...]]:
        """Return the sums of every key that is remembered."""
        check_counts(namespace, {})
        check_time("now", now)
        with self._lock:
            counts = self._counts.get(namespace, {})
            return {key: sums for key, (until, sums) in counts.items() if until > now}

    def sweep(self, *, now: float) -> int:
        """Free the room of records that have ended; see `Store.sweep`."""
        check_time("now", now)
        with self._lock:
            swept = (
                _sweep(self._handles, now)
                + _sweep(self._leases, now - LATE_SECONDS)
                + _sweep(self._backoffs, now)
            )
            for namespace in tuple(self._counts):
                swept += _sweep(self._counts[namespace], now)
                if not self._counts[namespace]:
                    del self._counts[namespace]
            return swept

    def close(self) -> None:
        """Do nothing: memory holds neither files nor sockets."""

    def pause(self) -> bool:
        """Wait for other threads and lock, before a fork."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Unlock after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Go on in the child of a fork."""
        self._lock = Lock()

    def _has(self, lease: Lease) -> bool:
        found = self._leases.get(lease.key)
        return found is not None and (found[1].token, found[1].owner) == (
            lease.token,
            lease.owner,
        )

    def _writes(self, lease: Lease, now: float) -> bool:
        return self._has(lease) and self._leases[lease.key][0] + LATE_SECONDS > now

    def _bound(self, kind: _Kind[_Record]) -> None:
        surplus = len(kind) - self._max_records
        if surplus > 0:
            for key in nsmallest(surplus, kind, key=lambda key: (kind[key][0], key)):
                del kind[key]


def _alive(kind: _Kind[_Record], key: bytes, now: float) -> _Record | None:
    found = kind.get(key)
    return found[1] if found is not None and found[0] > now else None


def _sweep(kind: _Kind[_Record], now: float) -> int:
    ended = [key for key, (until, _) in kind.items() if until <= now]
    for key in ended:
        del kind[key]
    return len(ended)
