"""Whether a provider keeps a promoted prefix, by what it has read of such prefixes.

No document says whether a breakpoint for an hour keeps all that is before it for an
hour, or only what it wrote itself. What is read after a pause tells.

Rule 1: until a reading has told, a provider is taken to keep them: being wrong costs
one writing that was to be a reading.
Rule 2: a prefix may also be lost for other reasons, so after some that were kept, a few
that were not change nothing.
Rule 3: old readings fade, so that a provider that changes is noticed.
Rule 4: what others have read adds to that, each day's until it is tried once more.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from promptcache.state.pools import DAY_SECONDS, Pool

__all__ = ["Readings"]

RETRY_SECONDS = 7 * 86_400
"""After this a provider that did not keep them is tried once more."""

MEMORY = 30
"""Readings after which a count is halved."""

MAX_PLACES = 10_000

_ENOUGH = 3


@dataclass(slots=True)
class _Count:
    """Promoted prefixes that were kept, and that were not."""

    kept: float = 0.0
    lost: float = 0.0
    at: float = 0.0
    """When one was lost last."""

    def add(self, other: "_Count") -> None:
        """Take note of more readings; the share of older ones fades."""
        self.kept += other.kept
        self.lost += other.lost
        self.at = max(self.at, other.at)
        while self.kept + self.lost > MEMORY:
            self.kept /= 2
            self.lost /= 2

    @property
    def is_bad(self) -> bool:
        if self.kept < _ENOUGH:
            return self.lost > self.kept
        return self.lost > self.kept / _ENOUGH


class Readings:
    """What was read of promoted prefixes, by provider, host and model."""

    def __init__(self, pool: Pool | None = None) -> None:
        """Know nothing yet.

        Args:
            pool: What is read here and by others; None if nothing is shared.
        """
        self._pool = pool
        self._counts: OrderedDict[object, _Count] = OrderedDict()
        self._known: OrderedDict[object, bool] = OrderedDict()

    def know(self, where: object, *, keeps: bool) -> None:
        """Take for granted what was found out in another way."""
        self._known[where] = keeps
        _bound(self._known)

    def trusts(self, where: object, *, now: float) -> bool:
        """Tell whether promoted prefixes are taken to be kept."""
        if where in self._known:
            return self._known[where]
        count = self._counts.get(where)
        if count is not None and count.is_bad and now - count.at > RETRY_SECONDS:
            del self._counts[where]
            count = None
        if self._pool is not None:
            others = self._others(self._pool, where, now)
            if count is not None:
                others.add(count)
            count = others
        return count is None or not count.is_bad

    def note(self, where: object, *, kept: bool, now: float) -> None:
        """Take note of a reading after a pause."""
        read = _Count(float(kept), float(not kept), 0.0 if kept else now)
        self._counts.setdefault(where, _Count()).add(read)
        self._counts.move_to_end(where)
        _bound(self._counts)
        if self._pool is not None:
            self._pool.add((where, int(now // DAY_SECONDS)), (kept, not kept))

    @staticmethod
    def _others(pool: Pool, where: object, now: float) -> _Count:
        """Return what others have read since what was lost is to be tried once more."""
        count, today = _Count(), int(now // DAY_SECONDS)
        first = int((now - RETRY_SECONDS) // DAY_SECONDS)
        for day in range(first, today + 1):
            kept, lost = pool.others((where, day), 2) or (0, 0)
            count.add(_Count(kept, lost))
        return count


def _bound(kept: OrderedDict[object, Any]) -> None:
    if len(kept) > MAX_PLACES:
        kept.popitem(last=False)
