"""The handles this process knows, shared with others through a store.

Rule 1: what a request waits for is told from memory; everything else is I/O, and no
lock is held over it.
Rule 2: a store that fails is told of and never raised: then nothing is known of it, and
nothing is created.
"""

from collections.abc import Callable

from promptcache.clock import Clock
from promptcache.errors import StoreError
from promptcache.limits import Limits
from promptcache.providers.gemini.handles.backoffs import Backoffs
from promptcache.providers.gemini.handles.budget import Budget
from promptcache.providers.gemini.handles.creation import Creation, Creator
from promptcache.providers.gemini.handles.keys import Keys
from promptcache.providers.gemini.handles.naming import is_pending
from promptcache.providers.gemini.handles.outbox import Outbox, Use
from promptcache.providers.gemini.handles.shared import Shared
from promptcache.providers.gemini.handles.shelf import Shelf
from promptcache.providers.gemini.handles.telling import Teller
from promptcache.providers.gemini.handles.upkeep import Upkeep
from promptcache.providers.gemini.remote import Held, Remote
from promptcache.receipts.events import Event
from promptcache.state.forks import let_go_at_forks
from promptcache.state.stores import Handle, Store

__all__ = ["Creation", "Handles"]

_STEP_SECONDS = 0.05
_LEASE_SECONDS = 60.0
_NOBODY = "adopted"
"""Owner of what was created without us: no worker deletes it."""


class Handles:
    """Cached contents of this process and of all who share its store.

    Safe from many threads, processes and forks.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        limits: Limits,
        tell: Callable[[Event], None],
        secret: bytes | None = None,
        lease_seconds: float = _LEASE_SECONDS,
    ) -> None:
        """Touch nothing yet.

        Args:
            store: Where they are shared.
            clock: Where the time comes from.
            limits: What they may cost.
            tell: What events go to.
            secret: Of the digests in the store, instead of its own.
            lease_seconds: How long a worker may take to create one before another one
                does.
        """
        self._store = store
        self._clock = clock
        self._teller = Teller(tell, clock=clock)
        self._shelf = Shelf()
        self._outbox = Outbox()
        self._keys = Keys(store, clock=clock, secret=secret)
        self._backoffs = Backoffs(store, clock=clock)
        self._shared = Shared(
            store,
            clock=clock,
            lease_seconds=lease_seconds,
            shelf=self._shelf,
            outbox=self._outbox,
            teller=self._teller,
        )
        self._upkeep = Upkeep(self._shared, keys=self._keys, backoffs=self._backoffs)
        budget = Budget(self._shared, limits=limits, keys=self._keys)
        self._creator = Creator(
            self._shared, keys=self._keys, backoffs=self._backoffs, budget=budget
        )
        let_go_at_forks(self)

    @property
    def owner(self) -> str:
        """The id of this process; 8 hexadecimal digits, others after a fork."""
        return self._shelf.owner

    @property
    def has_secret(self) -> bool:
        """Whether `key` needs no I/O, and can tell one."""
        return self._keys.is_read

    def key(self, scope: str, digest: bytes) -> bytes:
        """Return the key of a prefix; may read the store, see `has_secret`.

        Args:
            scope: Where it is at the provider.
            digest: Of the prefix, its model and tenant.

        Returns:
            Nothing, as no bytes, while the store cannot be used. There is no handle of
            that key, and none is created.
        """
        try:
            return self._keys.of_prefix(scope, digest)
        except StoreError as error:
            self._teller.failed("reading the secret", error)
            return b""

    def known(self, key: bytes) -> Handle | None:
        """Return the handle of a key if it is alive, from memory."""
        handle = self._shelf.get(key)
        alive = handle is not None and handle.expires_at > self._clock.now()
        return handle if alive else None

    def backed_off(self, key: bytes) -> bool:
        """Tell from memory whether nothing is to be created for now."""
        return not key or self._backoffs.known(key)

    def minimum(self, scope: str, model: str) -> int | None:
        """Return the fewest tokens the provider was heard to cache, from memory."""
        return self._backoffs.minimum(scope, model)

    def create(self, key: bytes, creation: Creation) -> Handle | None:
        """Return the handle of a key, created if no worker has.

        Returns:
            None if another worker is creating it, see `await_handle`; if the provider
            refused it not long ago; if a limit is reached; or if the store fails.
        """
        if self.backed_off(key):
            return None
        with self._teller.store_may_fail("creating a cached content"):
            self._upkeep.drop_lost()
            handle = self._creator.create(key, creation)
            self._upkeep.settle_surplus(key)
            # Where a lease was lost, whoever got it may be done by now.
            return handle or self._shared.live(key)
        return self.known(key)

    def adopt(self, held: Held, remote: Remote) -> Handle | None:
        """Return a handle for a cached content that was created without us.

        Args:
            held: What the provider says of it.
            remote: Where it is.

        Returns:
            None if the store fails, or a worker is at it just now.
        """
        with self._teller.store_may_fail("adopting a cached content"):
            key = self._keys.of_name(remote.scope, held.name)
            stored = self._shared.live(key)
            if stored is not None and stored.name == held.name:
                return stored
            handle = Handle(
                key=key,
                name=held.name,
                model=held.model,
                scope=remote.scope,
                tokens=held.tokens,
                created_at=held.created_at,
                expires_at=held.expires_at,
                owner=_NOBODY,
            )
            with self._shared.lease(key) as lease:
                now = self._clock.now()
                if lease and self._store.put_handle(handle, lease, now=now):
                    return self._shelf.put(handle)
        return None

    def await_handle(self, key: bytes, seconds: float) -> Handle | None:
        """Return the handle of a key as soon as the store has one.

        Args:
            key: Its key.
            seconds: How long to wait, by the clock.

        Returns:
            None if there is none by then, or its creation was given up.
        """
        if not key:
            return None
        with self._teller.store_may_fail("waiting for a cached content"):
            return self._awaited(key, seconds)
        return None

    def extend(
        self, handle: Handle, remote: Remote, *, seconds: float
    ) -> Handle | None:
        """Let a cached content live so many seconds from now, unless it does anyway.

        Returns:
            The handle with its end; None if it is gone, if the provider did not extend
            it now or not long ago, or if another worker is at it.
        """
        with self._teller.store_may_fail("extending a cached content"):
            return self._upkeep.extend(handle, remote, seconds=seconds)
        return None

    def delete(self, handle: Handle, remote: Remote) -> None:
        """Delete a cached content that the store has, unless a worker is at it."""
        with self._teller.store_may_fail("deleting a cached content"):
            self._upkeep.delete(handle, remote)

    def forget(self, handle: Handle) -> None:
        """Note that the provider has a cached content no more; no I/O.

        The store is told by the next `create` or `refresh`.
        """
        event = self._shelf.end(handle, "gone", now=self._clock.now())
        self._outbox.lost.append(handle)
        if event is not None:
            self._teller.tell(event)

    def used(self, handle: Handle, *, saved_usd: float | None) -> None:
        """Note that a request named a handle; the store is told by `refresh`.

        Args:
            handle: The handle.
            saved_usd: What the request saved; None if its price is not known.
        """
        now = self._clock.now()
        self._shelf.note_use(handle, now=now)
        self._outbox.uses.append(Use(handle, saved_usd, now))

    def refresh(self) -> None:
        """Tell the store what is noted, and know what it has; tell what has ended.

        After the first one that succeeds `key` needs no I/O.
        """
        with self._teller.store_may_fail("sharing handles"):
            self._keys.read()
            self._upkeep.note_uses()
            self._upkeep.drop_lost()
            self._upkeep.settle_surplus()
            seen, now = self._shelf.seen(), self._clock.now()
            stored = self._store.handles(now=now)
            for event in self._shelf.renew(stored, seen, now=now):
                self._teller.tell(event)

    def close(self, *, delete: bool) -> None:
        """Tell the store what is noted.

        Args:
            delete: Whether to delete what this process made and nobody else has used
                since it was last used here. What others made is left alone.
        """
        self.refresh()
        for owned in self._shelf.owned() if delete else ():
            with self._teller.store_may_fail("deleting a cached content"):
                last = self._shelf.last_use(owned.handle)
                self._upkeep.delete(owned.handle, owned.remote, unless_used_after=last)

    def pause(self) -> bool:
        """Stand still before a fork."""
        return self._shelf.pause()

    def resume(self) -> None:
        """Go on after a fork."""
        self._shelf.resume()

    def restart(self) -> None:
        """Be another worker in the child of a fork; its parent does what is noted."""
        for part in (self._shelf, self._outbox, self._teller, self._backoffs):
            part.restart()

    def _awaited(self, key: bytes, seconds: float) -> Handle | None:
        waited, begun = 0.0, False
        end = self._clock.now() + seconds
        while True:
            stored = self._store.handle(key, now=self._clock.now())
            if stored is not None and not is_pending(stored.name):
                return self._shelf.put(stored)
            given_up = begun and stored is None
            # The clock may stand still, and a look may take long.
            if given_up or waited >= seconds or self._clock.now() >= end:
                return None
            begun = stored is not None
            self._clock.wait(min(_STEP_SECONDS, seconds - waited))
            waited += _STEP_SECONDS
