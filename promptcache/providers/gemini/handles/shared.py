"""The handles of a store, written under leases.

Rule 1: what exists at the provider and could not be stored is noted until it is stored
or deleted.
Rule 2: nothing is deleted at the provider but under the lease of its key.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from promptcache.clock import Clock
from promptcache.providers.gemini.handles.naming import is_pending
from promptcache.providers.gemini.handles.outbox import Outbox
from promptcache.providers.gemini.handles.shelf import Owned, Shelf, ended
from promptcache.providers.gemini.handles.telling import Teller
from promptcache.providers.gemini.remote import RemoteError
from promptcache.state.stores import Handle, Lease, Store

__all__ = ["Shared"]


class Shared:
    """What this process and others do with handles; safe from many threads.

    Every method raises `StoreError` when the store cannot be used.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        lease_seconds: float,
        shelf: Shelf,
        outbox: Outbox,
        teller: Teller,
    ) -> None:
        self.store = store
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.shelf = shelf
        self.outbox = outbox
        self.teller = teller

    def live(self, key: bytes) -> Handle | None:
        """Return the handle that the store has of a key, and know it from now on."""
        stored = self.store.handle(key, now=self.clock.now())
        if stored is None or is_pending(stored.name):
            return None
        return self.shelf.put(stored)

    @contextmanager
    def lease(
        self, key: bytes, *, seconds: float | None = None
    ) -> Iterator[Lease | None]:
        """Have the lease of a key inside the block; None while another has it."""
        lease = self.store.acquire(
            key,
            owner=self.shelf.owner,
            seconds=seconds or self.lease_seconds,
            now=self.clock.now(),
        )
        try:
            yield lease
        finally:
            if lease is not None:
                with self.teller.store_may_fail("giving a lease back"):
                    self.store.release(lease)

    def keep(self, owned: Owned, lease: Lease) -> Handle | None:
        """Store what exists at the provider, or note that it is too much.

        Returns:
            None if the lease was lost: another may have taken its place.
        """
        stored = False
        try:
            stored = self.store.put_handle(owned.handle, lease, now=self.clock.now())
        finally:
            if not stored:
                self.outbox.surplus.append(owned)
        return self.shelf.own(owned) if stored else None

    def settle(self, surplus: Owned) -> bool:
        """Store or delete what was too much.

        Returns:
            False if that is to be tried again.
        """
        handle, now = surplus.handle, self.clock.now()
        if handle.expires_at <= now:
            self.teller.tell(ended(surplus, "expired", now=now))
            return True
        with self.lease(handle.key) as lease:
            if lease is None:
                return False
            stored = self.store.handle(handle.key, now=now)
            if stored is None or self._is_begun_here(stored):
                if not self.store.put_handle(handle, lease, now=now):
                    return False
                self.shelf.own(surplus)
                return True
            if stored.name == handle.name:
                # It was stored after all, by a worker that found it or by a call that
                # seemed to fail.
                if stored.owner == self.shelf.owner:
                    self.shelf.own(surplus)
                return True
            return self.delete(surplus)

    def delete(self, owned: Owned) -> bool:
        """Delete at the provider; the lease of the key must be held.

        Returns:
            False if the provider did not do it.
        """
        try:
            owned.remote.delete(owned.handle.name)
        except RemoteError as error:
            if error.kind != "gone":
                return False
        self.teller.tell(ended(owned, "deleted", now=self.clock.now()))
        return True

    def _is_begun_here(self, stored: Handle) -> bool:
        # Under the lease: that creation is not going on any more.
        return is_pending(stored.name) and stored.owner == self.shelf.owner
