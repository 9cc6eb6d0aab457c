"""How a cached content is created, once for all workers of a store.

Rule 1: whoever creates has the lease of the key, and stores a pending handle before
anything is asked of the provider: if it dies, the next one knows where to look.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.providers.gemini.handles.backoffs import Backoffs
from promptcache.providers.gemini.handles.budget import (
    Budget,
    Reservation,
    creation_usd,
)
from promptcache.providers.gemini.handles.keys import Keys
from promptcache.providers.gemini.handles.naming import (
    DisplayName,
    is_pending,
    pending_name,
)
from promptcache.providers.gemini.handles.shared import Shared
from promptcache.providers.gemini.handles.shelf import PROVIDER, Owned
from promptcache.providers.gemini.remote import (
    Held,
    Remote,
    RemoteError,
    without_path,
)
from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.events import CacheCreated, CreateRefused
from promptcache.receipts.quotes import without_quotes
from promptcache.state.stores import Handle, Lease

__all__ = ["Creation", "Creator"]


@dataclass(frozen=True, slots=True)
class Creation:
    """A cached content to create."""

    remote: Remote
    model: str
    """As requests spell it."""
    members: Mapping[str, Any]
    """What it holds, as it stands in the body of a request."""
    tokens: int
    """An estimate of its size."""
    seconds: float
    """How long it is to live."""
    terms: Terms | None
    """What it costs; None if that is not known."""
    tenant: str | None = None
    """Whose it is; the key tells tenants apart."""

    @property
    def scope(self) -> str:
        """Where it is to be."""
        return self.remote.scope

    def owned(self, held: Held, *, key: bytes, owner: str) -> Owned:
        """Return what the provider holds as one of our own."""
        handle = Handle(
            key=key,
            name=held.name,
            model=held.model,
            scope=self.scope,
            # An estimate is better than nothing for those who share the budget.
            tokens=self.tokens if held.tokens is None else held.tokens,
            created_at=held.created_at,
            expires_at=held.expires_at,
            owner=owner,
        )
        return Owned(handle, self.remote, self.terms)


class Creator:
    """Creates cached contents for `Handles`; safe from many threads."""

    def __init__(
        self, shared: Shared, *, keys: Keys, backoffs: Backoffs, budget: Budget
    ) -> None:
        self._shared = shared
        self._keys = keys
        self._backoffs = backoffs
        self._budget = budget

    def create(self, key: bytes, creation: Creation) -> Handle | None:
        """Return the handle of a key, created if nobody has; see `Handles.create`.

        Raises:
            StoreError: The store cannot be used.
        """
        model_key = self._keys.of_model(creation.scope, creation.model)
        if self._backoffs.holds(key, model_key):
            return None
        live = self._shared.live(key)
        if live is not None:
            return live
        minimum = self._backoffs.minimum(creation.scope, creation.model)
        if minimum is not None and creation.tokens < minimum:
            return None
        with self._shared.lease(key) as lease:
            return None if lease is None else self._under(lease, creation)

    def _under(self, lease: Lease, creation: Creation) -> Handle | None:
        now, owner = self._shared.clock.now(), self._shared.shelf.owner
        stored = self._shared.store.handle(lease.key, now=now)
        if stored is not None:
            if not is_pending(stored.name):
                return self._shared.shelf.put(stored)
            # Whoever began that is dead, or slow, or had no answer.
            left = self._left(lease.key, creation)
            if left is None:
                return None
            if left:
                # One is enough; what is too much is deleted after the lease is free.
                self._shared.outbox.surplus.extend(left[1:])
                return self._shared.keep(left[0], lease)
        pending = Handle(
            key=lease.key,
            name=pending_name(owner, lease.token),
            model=without_path(creation.model),
            scope=creation.scope,
            tokens=creation.tokens,
            created_at=now,
            # As long as what may be created under it, so that it is looked for.
            expires_at=now + self._shared.lease_seconds + creation.seconds,
            owner=owner,
        )
        reservation = self._budget.reserve(pending, lease, creation.terms)
        if reservation is None:
            return None
        return self._made(lease, creation, reservation)

    def _made(
        self, lease: Lease, creation: Creation, reservation: Reservation
    ) -> Handle | None:
        owner = self._shared.shelf.owner
        name = DisplayName(self._keys.fleet, owner, lease.key)
        try:
            held = creation.remote.create(
                creation.model,
                creation.members,
                seconds=creation.seconds,
                display_name=str(name),
            )
        except RemoteError as error:
            self._refused(lease.key, creation, error)
            if error.status is not None:
                self._shared.store.drop_handle(reservation.pending)
                self._budget.correct(reservation, 0.0)
            # Else it may have been created all the same: the pending handle stays, so
            # that the next one to create looks for it.
            return None
        owned = creation.owned(held, key=lease.key, owner=owner)
        self._tell(owned)
        handle = self._shared.keep(owned, lease)
        usd = creation_usd(owned.handle.tokens, creation.terms)
        if usd is not None:
            self._budget.correct(reservation, usd)
        return handle

    def _tell(self, owned: Owned) -> None:
        handle = owned.handle
        self._shared.teller.tell(
            CacheCreated(
                PROVIDER,
                handle.model,
                handle.name,
                handle.tokens,
                handle.expires_at - handle.created_at,
                creation_usd(handle.tokens, owned.terms),
            )
        )

    def _refused(self, key: bytes, creation: Creation, error: RemoteError) -> None:
        scope, model = creation.scope, creation.model
        told = without_quotes(error.message, creation.members)
        event = CreateRefused(PROVIDER, without_path(model), error.kind, told)
        self._shared.teller.tell(event)
        self._backoffs.learn(scope, model, error)
        self._backoffs.note(error.kind, key, self._keys.of_model(scope, model))

    def _left(self, key: bytes, creation: Creation) -> list[Owned] | None:
        """Return what earlier creations left behind, the one that lives longest first.

        Returns:
            None if the provider does not tell, which is told.
        """
        fleet, now = self._keys.fleet, self._shared.clock.now()
        left = []
        try:
            for held in creation.remote.listed():
                name = DisplayName.read(held.display_name)
                ours = name is not None and (name.fleet, name.key) == (fleet, key)
                if ours and held.expires_at > now:
                    left.append(held)
        except RemoteError as error:
            self._refused(key, creation, error)
            return None
        left.sort(key=lambda held: -held.expires_at)
        owner = self._shared.shelf.owner
        return [creation.owned(held, key=key, owner=owner) for held in left]
