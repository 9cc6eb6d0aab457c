"""Which models refused our fields on which host, and for how long that is remembered.

Rule 1: a bounded number of them, of names that the caller uses.
"""

from promptcache.state.forks import ForkSafeLock

__all__ = ["REFUSED_SECONDS", "Refusals"]

REFUSED_SECONDS = 24 * 3600
"""How long a model that refused our fields is left alone on its host."""

_MAX_REMEMBERED = 1_000


class Refusals:
    """Refusals by provider, model and host; safe from many threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = ForkSafeLock()
        self._until: dict[tuple[str, str, str], float] = {}

    def note(self, key: tuple[str, str, str], *, now: float) -> None:
        """Remember a refusal."""
        with self._lock:
            if len(self._until) >= _MAX_REMEMBERED:
                self._until.clear()
            self._until[key] = now + REFUSED_SECONDS

    def holds(self, key: tuple[str, str, str], *, now: float) -> bool:
        """Tell whether there was one that is still remembered.

        None is remembered for longer, though the clock be set back meanwhile.
        """
        return 0.0 < self._until.get(key, 0.0) - now <= REFUSED_SECONDS
