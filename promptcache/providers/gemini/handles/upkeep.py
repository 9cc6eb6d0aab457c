"""What is done about handles that are there: extend, delete, and share what is noted.

Rule 1: at the provider a cached content is changed under the lease of its key only, and
only if the store has that very one.
"""

from dataclasses import replace
from typing import Literal

from promptcache.providers.gemini.handles.backoffs import Backoffs
from promptcache.providers.gemini.handles.keys import Keys
from promptcache.providers.gemini.handles.outbox import Use, drain
from promptcache.providers.gemini.handles.shared import Shared
from promptcache.providers.gemini.handles.shelf import PROVIDER, Owned
from promptcache.providers.gemini.remote import Remote, RemoteError
from promptcache.receipts.events import CacheExtended, CreateRefused
from promptcache.state.stores import Handle

__all__ = ["Upkeep"]


class Upkeep:
    """The part of `Handles` that changes them; safe from many threads.

    Every method raises `StoreError` when the store cannot be used.
    """

    def __init__(self, shared: Shared, *, keys: Keys, backoffs: Backoffs) -> None:
        self._shared = shared
        self._store = shared.store
        self._clock = shared.clock
        self._outbox = shared.outbox
        self._keys = keys
        self._backoffs = backoffs

    def extend(
        self, handle: Handle, remote: Remote, *, seconds: float
    ) -> Handle | None:
        """Let a cached content live longer; see `Handles.extend`."""
        if self._backoffs.known(handle.key):
            return None
        with self._shared.lease(handle.key) as lease:
            now = self._clock.now()
            stored = self._stored(handle, now) if lease is not None else None
            if lease is None or stored is None:
                return None
            moved = stored.expires_at > handle.expires_at
            if stored.expires_at - now >= (seconds / 2 if moved else seconds):
                # It lives as long, or another worker has just seen to it.
                return self._shared.shelf.put(stored)
            try:
                held = remote.extend(handle.name, seconds=seconds)
            except RemoteError as error:
                self._not_extended(stored, error)
                return None
            longer = replace(stored, expires_at=held.expires_at)
            self._shared.teller.tell(
                CacheExtended(PROVIDER, longer.model, longer.name, seconds)
            )
            self._store.put_handle(longer, lease, now=self._clock.now())
            return self._shared.shelf.put(longer)

    def delete(
        self, handle: Handle, remote: Remote, *, unless_used_after: float | None = None
    ) -> None:
        """Delete a cached content that the store has.

        Args:
            handle: Its handle.
            remote: Where it is.
            unless_used_after: Leave it if any worker has used it since.
        """
        with self._shared.lease(handle.key) as lease:
            stored = None if lease is None else self._stored(handle, self._clock.now())
            if stored is None:
                return
            used_at = stored.used_at or 0.0
            if unless_used_after is not None and used_at > unless_used_after:
                return
            # Before it is gone, so that no request of this process names it.
            self._shared.shelf.drop(handle)
            try:
                remote.delete(handle.name)
            except RemoteError as error:
                if error.kind != "gone":
                    self._shared.shelf.put(stored)
                    return
            self._end(stored, "deleted")

    def note_uses(self) -> None:
        """Count in the store the uses that are noted."""
        drain(self._outbox.uses, self._note)

    def drop_lost(self) -> None:
        """Drop from the store what the provider has no more."""
        drain(self._outbox.lost, self._drop)

    def settle_surplus(self, key: bytes | None = None) -> None:
        """Delete what is one too many.

        Args:
            key: Of the handle whose place it was to take; None for all.
        """

        def settle(owned: Owned) -> bool:
            return key in (None, owned.handle.key) and self._shared.settle(owned)

        drain(self._outbox.surplus, settle)

    def _not_extended(self, handle: Handle, error: RemoteError) -> None:
        if error.kind == "gone":
            self._end(handle, "gone")
            return
        self._shared.teller.tell(
            CreateRefused(PROVIDER, handle.model, error.kind, error.message)
        )
        model_key = self._keys.of_model(handle.scope, handle.model)
        # Whatever it was, the cached content is there: it is tried again before long.
        self._backoffs.note("busy", handle.key, model_key)

    def _end(self, handle: Handle, why: Literal["deleted", "gone"]) -> None:
        event = self._shared.shelf.end(handle, why, now=self._clock.now())
        if event is not None:
            self._shared.teller.tell(event)
        self._outbox.lost.append(handle)
        self.drop_lost()

    def _stored(self, handle: Handle, now: float) -> Handle | None:
        """Return what the store has of the very same cached content."""
        stored = self._store.handle(handle.key, now=now)
        if stored is not None and stored.name == handle.name:
            return stored
        self._shared.shelf.drop(handle)
        return None

    def _drop(self, handle: Handle) -> bool:
        self._store.drop_handle(handle)
        return True

    def _note(self, use: Use) -> bool:
        self._store.note_use(use.handle, saved_usd=use.saved_usd, now=use.at)
        return True
