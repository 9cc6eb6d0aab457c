"""Creates that the provider refused, and when they are tried again.

Rule 1: whoever shares the store backs off, too.
Rule 2: what this process knows is told without I/O.
"""

from collections.abc import Mapping
from threading import Lock

from promptcache.clock import Clock
from promptcache.interrupts import undisturbed
from promptcache.providers.gemini.refusals import Kind, minimum_in
from promptcache.providers.gemini.remote import RemoteError, without_path
from promptcache.state.stores import Backoff, Store

__all__ = ["Backoffs"]

_HOUR = 3600.0
_DAY = 24 * _HOUR
_SECONDS: Mapping[Kind, float] = {
    "too_small": _DAY,
    "no_quota": _HOUR,
    "unsupported": _DAY,
    "refused": _HOUR,
    "gone": _HOUR,
}
_OF_THE_MODEL = frozenset({"no_quota", "unsupported"})
_BUSY_SECONDS = 30.0
_BUSY_MOST_SECONDS = 900.0
_BUSY = "gemini-busy"
"""Counts of the times in a row that the provider had no answer, by key."""

_MAX_REMEMBERED = 10_000


class Backoffs:
    """Back-offs of prefixes and of models; safe from many threads."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Know of none yet."""
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._until: dict[bytes, float] = {}
        self._minimums: dict[tuple[str, str], int] = {}

    def known(self, key: bytes) -> bool:
        """Tell whether this process knows of one that is not over; no I/O."""
        # A clock that was set back must not make this longer.
        return 0.0 < self._until.get(key, 0.0) - self._clock.now() <= _DAY

    def holds(self, key: bytes, model_key: bytes) -> bool:
        """Tell whether the store has one, which is known from then on.

        Raises:
            StoreError: The store cannot be used.
        """
        now = self._clock.now()
        for each in (key, model_key):
            found = self._store.backoff(each, now=now)
            if found is not None:
                self._remember(key, found.until)
        return self.known(key)

    def minimum(self, scope: str, model: str) -> int | None:
        """Return the fewest tokens that the provider was heard to take, if it was."""
        return self._minimums.get((scope, without_path(model)))

    def learn(self, scope: str, model: str, error: RemoteError) -> None:
        """Remember what a refusal says of the fewest tokens."""
        minimum = minimum_in(error.message) if error.kind == "too_small" else None
        if minimum is not None:
            with undisturbed(), self._lock:
                _make_room(self._minimums)
                self._minimums[scope, without_path(model)] = minimum

    def note(self, kind: Kind, key: bytes, model_key: bytes) -> None:
        """Back off, here and for all who share the store.

        Args:
            kind: What the refusal means.
            key: Of the prefix that was to be created.
            model_key: Of its model.

        Raises:
            StoreError: The store cannot be used; it is remembered here only.
        """
        now = self._clock.now()
        seconds = _SECONDS.get(kind, _BUSY_SECONDS)
        self._remember(key, now + seconds)
        if kind == "busy":
            seconds = self._doubled(key, now)
            self._remember(key, now + seconds)
        subject = model_key if kind in _OF_THE_MODEL else key
        self._store.put_backoff(Backoff(subject, kind, now + seconds), now=now)

    def restart(self) -> None:
        """Go on in the child of a fork."""
        self._lock = Lock()

    def _doubled(self, key: bytes, now: float) -> float:
        # A count is forgotten when the longest back-off has passed twice without any.
        self._store.add_counts(
            _BUSY, {key: (1,)}, seconds=2 * _BUSY_MOST_SECONDS, now=now
        )
        (times,) = self._store.counts(_BUSY, now=now).get(key, (1,))
        return float(min(_BUSY_SECONDS * 2 ** min(times - 1, 10), _BUSY_MOST_SECONDS))

    def _remember(self, key: bytes, until: float) -> None:
        with undisturbed(), self._lock:
            _make_room(self._until)
            known = self._until.get(key, 0.0)
            self._until[key] = max(until, known) if self.known(key) else until


def _make_room(known: dict[bytes, float] | dict[tuple[str, str], int]) -> None:
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
