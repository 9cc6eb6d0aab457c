"""Keyed digests of what handles are for, so that stores tell nothing of prompts.

Rule 1: the secret is the store's, so that all its workers have the same digests.
"""

import hmac
from hashlib import sha256

from promptcache.clock import Clock
from promptcache.errors import StoreError
from promptcache.state.stores import Store

__all__ = ["Keys"]

_KEY_BYTES = 16
_FLEET_DIGITS = 8
_PAUSE_SECONDS = 60.0
"""How long a store that could not tell its secret is not asked again."""


class Keys:
    """Digests under one secret, which is read when it is first needed."""

    def __init__(self, store: Store, *, clock: Clock, secret: bytes | None) -> None:
        """Read nothing yet.

        Args:
            store: Whose secret it is.
            clock: Where the time comes from.
            secret: One to use instead of the store's.
        """
        self._store = store
        self._clock = clock
        self._secret = secret
        self._failure: tuple[float, StoreError] | None = None

    @property
    def is_read(self) -> bool:
        """Whether the secret is in memory."""
        return self._secret is not None

    def read(self) -> bytes:
        """Return the secret; once it was read, this needs no I/O.

        Raises:
            StoreError: The store cannot tell it.
        """
        if self._secret is not None:
            return self._secret
        now, failure = self._clock.now(), self._failure
        # A clock that was set back must not make this longer.
        if failure is not None and 0 <= now - failure[0] < _PAUSE_SECONDS:
            raise StoreError(failure[1].where, failure[1].why)
        try:
            self._secret = self._store.secret()
        except StoreError as error:
            self._failure = (now, error)
            raise
        return self._secret

    def of_prefix(self, scope: str, digest: bytes) -> bytes:
        """Return the key of a prefix in one place at the provider.

        Raises:
            StoreError: The store cannot tell its secret.
        """
        return self._keyed(b"prefix", scope.encode(), digest)

    def of_model(self, scope: str, model: str) -> bytes:
        """Return the key of all that is said of a model in one place.

        Raises:
            StoreError: The store cannot tell its secret.
        """
        return self._keyed(b"model", scope.encode(), model.encode())

    def of_name(self, scope: str, name: str) -> bytes:
        """Return the key of a cached content that was created without us.

        Raises:
            StoreError: The store cannot tell its secret.
        """
        return self._keyed(b"name", scope.encode(), name.encode())

    @property
    def budget(self) -> bytes:
        """The key of the lease that is needed to spend.

        Raises:
            StoreError: The store cannot tell its secret.
        """
        return self._keyed(b"budget")

    @property
    def fleet(self) -> str:
        """The id of all who share the secret.

        Raises:
            StoreError: The store cannot tell it.
        """
        return self._keyed(b"fleet").hex()[:_FLEET_DIGITS]

    def _keyed(self, *parts: bytes) -> bytes:
        digest = hmac.new(self.read(), digestmod=sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()[:_KEY_BYTES]
