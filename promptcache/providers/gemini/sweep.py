"""Orphans: what a crash leaves at the provider or in a store, adopted or ended.

Rule 1: what a living worker is at, it has the lease of: that key is left alone.
Rule 2: what was read before the lease was had is read again under it.
Rule 3: what does not bear our fleet's display name is deleted only where that is asked
for, and what bears none of ours never is.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from secrets import token_hex

from promptcache.clock import Clock
from promptcache.providers.gemini.handles.keys import Keys
from promptcache.providers.gemini.handles.naming import DisplayName, is_pending
from promptcache.providers.gemini.remote import Held, Remote, RemoteError
from promptcache.providers.gemini.standing import (
    LEASE_SECONDS,
    Deed,
    Row,
    compared,
    decided,
)
from promptcache.state.stores import Handle, Lease, Store

__all__ = ["Sweeper"]

_OWNER_BYTES = 4
_UNSETTLED = ("orphan", "pending", "missing")
_FOREIGN = "another fleet's"


class Sweeper:
    """Sets a provider and a store against each other; safe beside living workers.

    Every method raises `StoreError` when the store cannot be used, and `RemoteError`
    when the provider does not tell what it has.
    """

    def __init__(
        self,
        store: Store,
        remote: Remote,
        *,
        clock: Clock,
        secret: bytes | None = None,
        owner: str | None = None,
    ) -> None:
        """Look at nothing yet.

        Args:
            store: Where handles are shared.
            remote: What the provider has.
            clock: Where the time comes from.
            secret: Of the digests in the store, instead of its own.
            owner: Id of the worker that orphans belong to from now on; else they stay
                their maker's.
        """
        self._store = store
        self._remote = remote
        self._clock = clock
        self._keys = Keys(store, clock=clock, secret=secret)
        self._owner = owner
        self._worker = owner or token_hex(_OWNER_BYTES)

    def standing(self) -> list[Row]:
        """Return how everything stands that provider and store have, by one list."""
        fleet = self._keys.fleet
        # The store first: what was in it then and is not listed now is gone.
        stored = self._store.handles(now=self._clock.now())
        listed = list(self._remote.listed())
        return compared(listed, stored, fleet=fleet, scope=self._remote.scope)

    def planned(self, *, foreign: Collection[str] = ()) -> list[Deed]:
        """Return what a sweep would do now, if no worker is at any of it."""
        now, rows = self._clock.now(), self.standing()
        known = {row.key: row for row in rows if row.state == "known"}
        deeds: list[Deed] = []
        for key, group in _by_key(rows):
            row = known.get(key)
            stored = next((it.handle for it in [row, *group] if it and it.handle), None)
            deeds += decided(
                stored,
                [it.held for it in group if it.held is not None],
                is_there=row is not None and (True if row.held else None),
                now=now,
                looked_at=now,
            )
        return [
            *deeds,
            *(Deed("deleted", it, _FOREIGN) for it in _strange(rows, foreign)),
        ]

    def sweep(self, *, foreign: Collection[str] = ()) -> list[Deed]:
        """Adopt, delete or drop what has no owner; return what was done and left.

        Args:
            foreign: Names of what other fleets made that is to be deleted, too.
        """
        looked_at = self._clock.now()
        rows = self.standing()
        deeds: list[Deed] = []
        for key, group in _by_key(rows):
            try:
                deeds += self._settled(key, group, looked_at)
            except RemoteError as error:
                deeds.append(Deed("failed", group[0].name, error.message))
                if error.status is None:
                    return deeds
        deeds += [self._deleted(name, _FOREIGN) for name in _strange(rows, foreign)]
        return deeds

    def extend(self, row: Row, *, seconds: float) -> Held | None:
        """Let a cached content live so many seconds from now.

        Returns:
            What the provider says of it then; None if a worker is at it.

        Raises:
            RemoteError: The provider refuses; of what is gone the store is told.
        """
        with self._lease(row.key) as lease:
            if lease is None and row.key is not None:
                return None
            try:
                held = self._remote.extend(row.name, seconds=seconds)
            except RemoteError as error:
                if error.kind == "gone" and row.handle is not None:
                    self._store.drop_handle(row.handle)
                raise
            now = self._clock.now()
            stored = row.key and self._store.handle(row.key, now=now)
            if lease and stored and stored.name == row.name:
                longer = replace(stored, expires_at=held.expires_at)
                self._store.put_handle(longer, lease, now=now)
            return held

    def delete(self, row: Row) -> bool:
        """Delete a cached content at the provider and in the store.

        Returns:
            False if a worker is at it.

        Raises:
            RemoteError: The provider refuses.
        """
        with self._lease(row.key) as lease:
            if lease is None and row.key is not None:
                return False
            if row.held is not None:
                try:
                    self._remote.delete(row.name)
                except RemoteError as error:
                    if error.kind != "gone":
                        raise
            # It compares the name: a pending handle of the key stays.
            if row.handle is not None:
                self._store.drop_handle(row.handle)
            return True

    def _settled(
        self, key: bytes, group: Sequence[Row], looked_at: float
    ) -> list[Deed]:
        with self._lease(key) as lease:
            if lease is None:
                return [Deed("left", row.name, "a worker is at it") for row in group]
            stored = self._store.handle(key, now=self._clock.now())
            found = [self._found(row.name) for row in group if row.held is not None]
            held = [it for it in found if it is not None]
            deeds = decided(
                stored,
                held,
                is_there=self._is_there(stored),
                now=self._clock.now(),
                looked_at=looked_at,
            )
            return list(self._done(deeds, stored, held, lease))

    def _done(
        self,
        deeds: Iterable[Deed],
        stored: Handle | None,
        held: Iterable[Held],
        lease: Lease,
    ) -> Iterator[Deed]:
        by_name = {it.name: it for it in held}
        for deed in deeds:
            done = deed
            if deed.what in ("adopted", "deleted"):
                now = self._clock.now()
                # A provider that is slow to answer may have outlasted it.
                if self._store.renew(lease, seconds=LEASE_SECONDS, now=now) is None:
                    yield replace(deed, what="left", why="a worker took it over")
                    return
            if deed.what == "dropped" and stored is not None:
                self._store.drop_handle(stored)
            elif deed.what == "adopted":
                handle = self._handle(by_name[deed.name], lease.key)
                if not self._store.put_handle(handle, lease, now=self._clock.now()):
                    yield replace(deed, what="left", why="a worker took it over")
                    return
            elif deed.what == "deleted":
                done = self._deleted(deed.name, deed.why)
            yield done

    def _handle(self, held: Held, key: bytes) -> Handle:
        label = DisplayName.read(held.display_name)
        made_by = self._worker if label is None else label.owner
        return Handle(
            key=key,
            name=held.name,
            model=held.model,
            scope=self._remote.scope,
            tokens=held.tokens,
            created_at=held.created_at,
            expires_at=held.expires_at,
            owner=self._owner or made_by,
        )

    def _deleted(self, name: str, why: str) -> Deed:
        try:
            self._remote.delete(name)
        except RemoteError as error:
            if error.kind != "gone":
                return Deed("failed", name, error.message)
        return Deed("deleted", name, why)

    def _is_there(self, stored: Handle | None) -> bool | None:
        """Tell whether the provider has it; None if it cannot tell."""
        if stored is None or is_pending(stored.name):
            return False
        if stored.scope != self._remote.scope:
            return None
        return self._found(stored.name) is not None

    def _found(self, name: str) -> Held | None:
        try:
            return self._remote.get(name)
        except RemoteError as error:
            if error.kind != "gone":
                raise
        return None

    @contextmanager
    def _lease(self, key: bytes | None) -> Iterator[Lease | None]:
        """Have the lease of a key inside the block; None while another has it."""
        if key is None:
            yield None
            return
        now = self._clock.now()
        lease = self._store.acquire(
            key, owner=self._worker, seconds=LEASE_SECONDS, now=now
        )
        try:
            yield lease
        finally:
            if lease is not None:
                self._store.release(lease)


def _by_key(rows: Iterable[Row]) -> Iterable[tuple[bytes, list[Row]]]:
    """Return by key those rows that a sweep does something about."""
    groups: dict[bytes, list[Row]] = {}
    for row in rows:
        if row.state in _UNSETTLED and row.key is not None:
            groups.setdefault(row.key, []).append(row)
    return groups.items()


def _strange(rows: Iterable[Row], foreign: Collection[str]) -> list[str]:
    """Return those names that are another fleet's indeed."""
    strange = (row.name for row in rows if row.state == "foreign")
    return [name for name in strange if name in foreign]
