"""What requests that go on from an answer begin with, where the provider keeps that.

Rule 1: it holds digests, sizes and the provider's own ids, and a bounded number.
"""

from collections import OrderedDict

from promptcache.outline import Trail
from promptcache.state.forks import ForkSafeLock

__all__ = ["Trails"]

_MAX_TRAILS = 10_000


class Trails:
    """Trails by tenant and the id of the answer; safe from many threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = ForkSafeLock()
        self._trails: OrderedDict[tuple[str | None, str], Trail] = OrderedDict()

    def note(self, tenant: str | None, answer: str, trail: Trail) -> None:
        """Remember what a request that goes on from an answer begins with."""
        with self._lock:
            self._trails[tenant, answer] = trail
            while len(self._trails) > _MAX_TRAILS:
                self._trails.popitem(last=False)

    def before(self, tenant: str | None, answer: str) -> Trail | None:
        """Return what such a request begins with, or None if it is not known."""
        with self._lock:
            return self._trails.get((tenant, answer))
