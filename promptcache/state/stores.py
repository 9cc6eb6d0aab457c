"""The contract of the stores: what workers share, and how they do not collide.

Rule 1: calls are synchronous and short; async callers run them in a thread.
Rule 2: no store reads a clock. Time is an argument, in UTC seconds, and a record counts
    while it ends after `now`.
Rule 3: every record ends, and every size and number is bounded; of too many records
    those that end soonest go first. `sweep` frees the room of those that have ended.
Rule 4: a method works or raises `StoreError`. A change whose call raised may still have
    been made, as when the answer was lost on the way back.
Rule 5: keys are keyed digests; texts are names and ids, never parts of a prompt.

Writers of a handle hold a lease. It may end while they are at work (a slow call, a
stopped process, clocks that differ), and then another may have got it: each lease has a
token greater than those before, and what comes with an older one is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable

from promptcache.errors import StoreError, UnstorableError
from promptcache.state.bounds import (
    check_key,
    check_number,
    check_text,
    check_time,
)

__all__ = [
    "Backoff",
    "Handle",
    "Lease",
    "Store",
    "StoreError",
    "UnstorableError",
    "check_lease",
]


@dataclass(frozen=True, slots=True)
class Handle:
    """A remote cache that every worker of the store may use.

    Raises:
        UnstorableError: A value is out of bounds.
    """

    key: bytes
    """Keyed digest of what is in it, and of the tenant, model and scope it is for."""
    name: str
    """The provider's name of it."""
    model: str
    scope: str
    """Where it is at the provider: the host, and project and location if it has any."""
    tokens: int | None
    """What it holds, by the provider's count; None if that was not told."""
    created_at: float
    expires_at: float
    """When the provider deletes it."""
    owner: str
    """Id of the worker that made it."""
    uses: int = 0
    """Requests that named it."""
    used_at: float | None = None
    """When one last did."""
    saved_usd: float | None = None
    """What its uses saved, by those with a known price; None if there were none."""

    def __post_init__(self) -> None:
        check_key(self.key)
        for text in ("name", "model", "scope", "owner"):
            check_text(text, getattr(self, text))
        check_time("created_at", self.created_at)
        check_time("expires_at", self.expires_at)
        if self.used_at is not None:
            check_time("used_at", self.used_at)
        check_number("tokens", self.tokens or 0)
        check_number("uses", self.uses)
        if self.saved_usd is not None and not isfinite(self.saved_usd):
            raise UnstorableError("saved_usd", "US dollars")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write the handle of a key, for a while.

    Raises:
        UnstorableError: A value is out of bounds.
    """

    key: bytes
    owner: str
    """Id of the worker that has it."""
    token: int
    """Greater than that of every lease the store gave before."""
    until: float

    def __post_init__(self) -> None:
        check_key(self.key)
        check_text("owner", self.owner)
        check_time("until", self.until)
        check_number("token", self.token)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Creates that the provider refused, and that are not asked for again yet.

    Raises:
        UnstorableError: A value is out of bounds.
    """

    key: bytes
    """Keyed digest of what is not to be created: one prefix, or all of a model."""
    reason: str
    """Why, as a name such as `too_small`."""
    until: float

    def __post_init__(self) -> None:
        check_key(self.key)
        check_text("reason", self.reason)
        check_time("until", self.until)


@runtime_checkable
class Store(Protocol):
    """Where state lives; safe from many threads, processes and forks.

    Every method raises `StoreError` when the store cannot be used, and
    `UnstorableError` for an argument that is out of bounds.
    """

    def secret(self) -> bytes:
        """Return the key of this store's digests, the same for all who use it."""
        ...

    def handle(self, key: bytes, *, now: float) -> Handle | None:
        """Return the handle of a key, if one is alive."""
        ...

    def handles(self, *, now: float) -> list[Handle]:
        """Return every handle that is alive, the one that ends soonest first."""
        ...

    def put_handle(self, handle: Handle, lease: Lease, *, now: float) -> bool:
        """Store a handle, in place of the one with its key.

        Under the same name it is the same cache with another end: its uses, its last
        use and what it saved stay as they are in the store.

        Args:
            handle: What to store.
            lease: The right to, on the same key.
            now: The time.

        Returns:
            False, and nothing is stored, if the lease was released, taken over or
            forgotten.
        """
        ...

    def note_use(self, handle: Handle, *, saved_usd: float | None, now: float) -> bool:
        """Count a request that named a handle; no lease is needed.

        Args:
            handle: Whose key and name are meant.
            saved_usd: What the request saved; None if its price is not known.
            now: When it was sent.

        Returns:
            False if that handle is not alive in the store.
        """
        ...

    def drop_handle(self, handle: Handle) -> bool:
        """Forget a handle that is gone; no lease is needed, since its name is compared.

        Returns:
            False if the store has no handle of that key and name.
        """
        ...

    def acquire(
        self, key: bytes, *, owner: str, seconds: float, now: float
    ) -> Lease | None:
        """Take the lease on a key.

        Returns:
            None while anybody has it, the same owner included.
        """
        ...

    def renew(self, lease: Lease, *, seconds: float, now: float) -> Lease | None:
        """Move the end of a lease to `seconds` from now; its token stays.

        Returns:
            None if it was released, taken over or forgotten.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was taken over stays with who has it now."""
        ...

    def backoff(self, key: bytes, *, now: float) -> Backoff | None:
        """Return the back-off of a key, if it is not over."""
        ...

    def put_backoff(self, backoff: Backoff, *, now: float) -> None:
        """Store a back-off, unless one with its key ends later."""
        ...

    def add_counts(
        self,
        namespace: str,
        deltas: Mapping[bytes, tuple[int, ...]],
        *,
        seconds: float,
        now: float,
    ) -> None:
        """Add numbers to those that are stored, key by key and place by place.

        A sum stops at `COUNT_LIMIT` of either sign. When the call raises, any of the
        keys may have been added, and none of them in part.

        Args:
            namespace: What is counted, and in which form.
            deltas: One to 16 numbers by key. Places that are missing count as 0.
            seconds: How long from now the keys are remembered, if nothing is added.
            now: The time.
        """
        ...

    def counts(self, namespace: str, *, now: float) -> dict[bytes, tuple[int, ...]]:
        """Return the sums of every key that is remembered."""
        ...

    def sweep(self, *, now: float) -> int:
        """Free the room of records that have ended, and return how many there were.

        A lease is kept for `LATE_SECONDS` after its end.
        """
        ...

    def close(self) -> None:
        """Let go of files and sockets; a later call opens them again."""
        ...


def check_lease(handle: Handle, lease: Lease) -> None:
    """Let a lease pass that is on the key of a handle.

    Raises:
        UnstorableError: It is on another.
    """
    if lease.key != handle.key:
        raise UnstorableError("lease", "one on the key of the handle")
