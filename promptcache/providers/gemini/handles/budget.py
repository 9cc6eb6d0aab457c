"""Whether another cached content fits into `Limits`, for all workers of a store.

Rule 1: one worker at a time looks and reserves, under a lease that all of them share.
Rule 2: what is not known is left out of a sum, and the other bounds hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, TypeAlias

from promptcache.limits import Limits
from promptcache.providers.gemini.facts import model_facts
from promptcache.providers.gemini.handles.keys import Keys
from promptcache.providers.gemini.handles.shared import Shared
from promptcache.providers.gemini.handles.shelf import PROVIDER
from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.events import LimitReached
from promptcache.state.stores import Handle, Lease

__all__ = ["SPENT", "Budget", "Reservation", "breached", "creation_usd"]

SPENT = "gemini-spent"
"""Counts of what creations cost, in billionths of a dollar, by five minutes."""

Bound: TypeAlias = Literal["usd_per_hour", "live_caches", "token_hours"]

_STEP_SECONDS = 300
_HOUR = 3600
_NANO = 1_000_000_000
_MILLION = 1_000_000
_TURN_SECONDS = 10.0
_TRIES = 50
_TRY_SECONDS = 0.02
_ROUNDING = 1e-9
"""Dollars that a sum may miss by."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that was set aside for a creation."""

    pending: Handle
    step: bytes
    """The five minutes that it is counted in."""
    nano_usd: int


class Budget:
    """What is spent and reserved, in a store; safe from many threads."""

    def __init__(self, shared: Shared, *, limits: Limits, keys: Keys) -> None:
        self._shared = shared
        self._store = shared.store
        self._clock = shared.clock
        self._limits = limits
        self._keys = keys
        self._storage: dict[str, float] = {}

    def reserve(
        self, pending: Handle, lease: Lease, terms: Terms | None
    ) -> Reservation | None:
        """Set aside the place and the money for a creation.

        Args:
            pending: What stands in the store until it is done.
            lease: The right to put it there.
            terms: What it costs; None if that is not known.

        Returns:
            None if it does not fit, which is told, if others are busy reserving for a
            second, or if the lease was lost.

        Raises:
            StoreError: The store cannot be used.
        """
        if terms is not None:
            self._storage[pending.model] = terms.storage
        for _ in range(_TRIES):
            with self._shared.lease(self._keys.budget, seconds=_TURN_SECONDS) as turn:
                if turn is not None:
                    return self._reserved(pending, lease, terms)
            self._clock.wait(_TRY_SECONDS)
        return None

    def correct(self, reservation: Reservation, usd: float) -> None:
        """Count what a creation really cost instead of what was set aside.

        Raises:
            StoreError: The store cannot be used.
        """
        self._count(reservation.step, _nano(usd) - reservation.nano_usd)

    def _reserved(
        self, pending: Handle, lease: Lease, terms: Terms | None
    ) -> Reservation | None:
        now = self._clock.now()
        others = [it for it in self._store.handles(now=now) if it.key != pending.key]
        usd = creation_usd(pending.tokens, terms)
        would = None if usd is None else usd + self._spent(now)
        if would is not None:
            would += self._storage_usd([*others, pending], now)
        bound = breached(self._limits, [*others, pending], would_usd=would)
        if bound is not None:
            self._shared.teller.reached(
                LimitReached(PROVIDER, pending.model, bound, would)
            )
            return None
        if not self._store.put_handle(pending, lease, now=now):
            return None
        reservation = Reservation(pending, _step(now), _nano(usd or 0.0))
        self._count(reservation.step, reservation.nano_usd)
        return reservation

    def _spent(self, now: float) -> float:
        """Return what the creations of the last hour cost, in US dollars."""
        since = _step(now - _HOUR)
        counts = self._store.counts(SPENT, now=now)
        nano = sum(sums[0] for step, sums in counts.items() if step >= since)
        return max(nano, 0) / _NANO

    def _count(self, step: bytes, nano_usd: int) -> None:
        if nano_usd:
            self._store.add_counts(
                SPENT,
                {step: (nano_usd,)},
                seconds=_HOUR + 2 * _STEP_SECONDS,
                now=self._clock.now(),
            )

    def _storage_usd(self, handles: Iterable[Handle], now: float) -> float:
        """Return what keeping these costs in an hour, by the prices that are known."""
        day = datetime.fromtimestamp(now, tz=timezone.utc).date()
        usd = 0.0
        for handle in handles:
            price = self._storage.get(handle.model)
            if price is None:
                # Made by another worker, which was told of a price; here it is not.
                listed = model_facts(handle.model).storage_price_on(day)
                price = 0.0 if listed is None else listed / _MILLION
            usd += (handle.tokens or 0) * price
        return usd


def breached(
    limits: Limits, handles: Iterable[Handle], *, would_usd: float | None
) -> Bound | None:
    """Return the first limit that would be exceeded, if any.

    Args:
        limits: The limits.
        handles: All that would live.
        would_usd: What they and the creations would cost in an hour; None if a price
            is not known.
    """
    alive = list(handles)
    if len(alive) > limits.live_caches:
        return "live_caches"
    tokens = sum(handle.tokens or 0 for handle in alive)
    if limits.token_hours is not None and tokens > limits.token_hours:
        return "token_hours"
    if would_usd is not None and would_usd > limits.usd_per_hour + _ROUNDING:
        return "usd_per_hour"
    return None


def creation_usd(tokens: int | None, terms: Terms | None) -> float | None:
    """Return what creating so many tokens costs, or None if that is not known."""
    if tokens is None or terms is None:
        return None
    return tokens * terms.creation


def _step(time: float) -> bytes:
    # Big-endian, so that steps compare as their times do.
    return int(max(time, 0.0) // _STEP_SECONDS).to_bytes(8, "big")


def _nano(usd: float) -> int:
    return round(usd * _NANO)
