"""What a cache opens only when it is needed: a store, and the keeper of handles.

Rule 1: nothing is opened before it is used, and what is not used never is.
Rule 2: what was made here is closed here; a store that was given is its giver's.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from promptcache.errors import OptionError, StoreError
from promptcache.receipts.events import Event, StoreFailed
from promptcache.state.forks import ForkSafeLock
from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store
from promptcache.state.stores import Store

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.providers.gemini.keeper import Keeper

__all__ = ["Holdings", "read_secret"]

_IN_THE_USERS_CACHE = "sqlite://"


class Holdings:
    """The store of one cache, and its keeper; safe from many threads."""

    def __init__(
        self, store: Store | str | None, *, tell: Callable[[Event], None]
    ) -> None:
        """Open nothing yet.

        Args:
            store: A store, its URL, or None for a file in the user's cache directory.
            tell: Told if that file cannot be written.

        Raises:
            OptionError: It is none of these.
        """
        if isinstance(store, str):
            self._store: Store | None = open_store(store)
        elif store is None or isinstance(store, Store):
            self._store = store
        else:
            allowed = "a store, its URL, or None"
            raise OptionError("store", type(store).__name__, allowed)
        self._given = self._store
        self._is_ours = not isinstance(store, Store)
        self._keeper: Keeper | None = None
        self._tell = tell
        self._lock = ForkSafeLock()

    @property
    def given(self) -> Store | None:
        """The store that the caller gave, or None; nothing is made for it."""
        return self._given

    @property
    def store(self) -> Store:
        """The store, made now if it was not before."""
        with self._lock:
            store = self._store
        if store is not None:
            return store
        # Outside of the lock: this reads and writes files. Whoever is first is heard.
        made, event = _default_store()
        with self._lock:
            if self._store is None:
                self._store = made
            store = self._store
        if store is not made:
            made.close()
        elif event is not None:
            self._tell(event)
        return store

    @property
    def has_keeper(self) -> bool:
        """Whether a keeper was made already."""
        return self._keeper is not None

    def keeper(self, cache: "PromptCache") -> "Keeper":
        """Return the keeper of a cache, made now if it was not before."""
        # Whoever has no Gemini never loads it.
        from promptcache.providers.gemini.keeper import Keeper  # noqa: PLC0415

        with self._lock:
            keeper = self._keeper
        if keeper is not None:
            return keeper
        # Outside of the lock, which the store is behind, too.
        made = Keeper(cache)
        with self._lock:
            if self._keeper is None:
                self._keeper = made
            return self._keeper

    def close(self) -> None:
        """End what the keeper has begun, and let go of files and sockets."""
        with self._lock:
            keeper, self._keeper = self._keeper, None
            store = self._store if self._is_ours else None
        if keeper is not None:
            keeper.close()
        if store is not None:
            store.close()


def read_secret(secret: bytes | str | None) -> bytes | None:
    """Return a secret as bytes, else that of `PROMPTCACHE_SECRET`, else None.

    Raises:
        OptionError: It is empty, or neither text nor bytes.
    """
    given = secret
    if given is None:
        given = os.environ.get("PROMPTCACHE_SECRET") or None
    if isinstance(given, str):
        given = given.encode()
    if given is not None and (not isinstance(given, bytes) or not given):
        # Whatever it is, it may be a secret, so it is not shown.
        raise OptionError("secret", type(secret).__name__, "text or bytes, not empty")
    return given


def _default_store() -> tuple[Store, Event | None]:
    """Return a store in the user's cache directory, or in memory and why."""
    try:
        store = open_store(_IN_THE_USERS_CACHE)
        # Opens the file: a directory that cannot be written shows here.
        store.secret()
    except (ImportError, StoreError) as error:
        return MemoryStore(), StoreFailed(f"handles stay in memory: {error}")
    return store, None
