"""How often what was sent is sent again, and how soon.

Rule 1: reuse is seen whether or not anything was cached, so nothing has to be tried.
Rule 2: a sight is counted when its time is over, not before: those that come again do
so early, and would be counted first.
Rule 3: old counts fade as new ones come, so that what changes is noticed.
Rule 4: where there are more sights than can be waited for, new ones are left out, which
says nothing of whether they come again; those that wait are waited for to the end.
Rule 5: what others have counted adds to what was counted here, and weighs no more than
that may.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any

from promptcache.planning.chances import Chance, shrunk
from promptcache.state.paths import Key, Run, Sight
from promptcache.state.pools import Pool

__all__ = ["Reuse"]

MAX_COUNTS = 10_000
MAX_OPEN = 10_000
"""Sights that are waited for at once, in each window."""

MEMORY = 400
"""Sights after which a count keeps as many; older ones fade."""


_NONE = (0.0, 0.0)


class Reuse:
    """Counts of what came again within each of some windows."""

    def __init__(self, windows: Sequence[float], pool: Pool | None = None) -> None:
        """Begin without counts.

        Args:
            windows: In seconds, the shortest first.
            pool: What is counted here and by others; None if nothing is shared.
        """
        self.windows = tuple(windows)
        self._pool = pool
        self._counts: OrderedDict[Key, list[float]] = OrderedDict()
        self._open: tuple[deque[Sight], ...] = tuple(deque() for _ in self.windows)
        self._keys: OrderedDict[tuple[Key, ...], tuple[Key, ...]] = OrderedDict()

    def see(
        self, keys: Sequence[Key], now: float, run: Run, depth: int
    ) -> Sight | None:
        """Begin to wait for something to be sent again.

        Args:
            keys: What it is counted under, the most general first.
            now: When it is sent.
            run: What it ends in.
            depth: Where that is.

        Returns:
            None if too many are waited for.
        """
        if len(self._open[0]) >= MAX_OPEN:
            return None
        sight = Sight(self._shared(tuple(dict.fromkeys(keys))), now, run, depth)
        self._open[0].append(sight)
        return sight

    def close(self, now: float) -> None:
        """Count the sights whose time is over."""
        for window, life in enumerate(self.windows):
            waiting = self._open[window]
            while waiting and waiting[0].begun + life <= now:
                sight = waiting.popleft()
                came = sight.again is not None and sight.again - sight.begun < life
                for key in sight.keys:
                    self._count((*key, window), came=came)
                following = self._open[window + 1 : window + 2]
                if following and len(following[0]) < MAX_OPEN:
                    following[0].append(sight)
                else:
                    sight.leave()

    def chance(
        self,
        keys: Sequence[Key],
        prior: float,
        window: int,
        own: tuple[float, float] | None = None,
    ) -> Chance:
        """Return how likely something comes again within a window.

        Args:
            keys: What it is counted under, the most general first.
            prior: What is taken for granted where nothing was counted.
            window: The number of the window.
            own: How often the conversation itself went on in time, and of how often.
        """
        counted = []
        for key in dict.fromkeys(keys):
            came, total = self._counts.get((*key, window), (0.0, 0.0))
            if self._pool is not None:
                others = self._others(self._pool, (*key, window))
                came, total = came + others[0], total + others[1]
            counted.append((came, total))
        return shrunk(counted, prior, own)

    def waiting(self) -> Iterator[int]:
        """Yield how many sights are waited for in each window."""
        yield from map(len, self._open)

    def _shared(self, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """Return the same keys for all that are counted under the same."""
        known = self._keys.setdefault(keys, keys)
        self._keys.move_to_end(keys)
        self._bound(self._keys)
        return known

    def _others(self, pool: Pool, key: Key) -> tuple[float, float]:
        """Return what others have counted, as far as it weighs."""
        came, total = pool.others((self.windows, key), 2) or _NONE
        if not total:
            return _NONE
        share = min(1.0, MEMORY / total)
        return share * min(came, total), share * total

    def _count(self, key: Key, *, came: bool) -> None:
        if self._pool is not None:
            self._pool.add((self.windows, key), (came, 1))
        counts = self._counts.pop(key, None) or [0.0, 0.0]
        self._counts[key] = counts
        if counts[1] >= MEMORY:
            fade = 1 - 1 / MEMORY
            counts[0] *= fade
            counts[1] *= fade
        counts[0] += came
        counts[1] += 1
        self._bound(self._counts)

    @staticmethod
    def _bound(kept: OrderedDict[Any, Any]) -> None:
        if len(kept) > MAX_COUNTS:
            kept.popitem(last=False)
