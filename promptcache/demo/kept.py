"""What the cached contents of one run held and cost.

Rule 1: what is not known is None, never zero.
"""

from promptcache import Event
from promptcache.receipts.events import CacheCreated, CacheEnded

__all__ = ["Kept"]


class Kept:
    """A listener that sums up what it is told; read it once the run's cache is closed.

    Creations happen in a thread of their own, beside requests.
    """

    def __init__(self) -> None:
        self._created: list[CacheCreated] = []
        self._ended: list[CacheEnded] = []

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, CacheCreated):
            self._created.append(event)
        elif isinstance(event, CacheEnded):
            self._ended.append(event)

    @property
    def tokens(self) -> int | None:
        """Tokens of all that were created, each billed once as input."""
        counts = [it.tokens for it in self._created]
        return None if None in counts else sum(filter(None, counts))

    @property
    def cost_usd(self) -> float | None:
        """What creating and storing them cost; None while one of them lives."""
        left = {it.name for it in self._created} - {it.name for it in self._ended}
        costs = [it.cost_usd for it in self._created]
        costs += [it.cost_usd for it in self._ended]
        return None if left or None in costs else sum(filter(None, costs))
