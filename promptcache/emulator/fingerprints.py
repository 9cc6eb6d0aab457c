"""The fingerprints of answered requests that asked for diagnostics."""

import threading
from collections import OrderedDict

from promptcache.emulator.rules.anthropic_diagnostics import Fingerprint

__all__ = ["Fingerprints"]

MAX_KEPT = 10_000


class Fingerprints:
    """The latest fingerprints by workspace and message, for many threads."""

    def __init__(self, seconds: float, *, most: int = MAX_KEPT) -> None:
        """Keep fingerprints for so many seconds, and so many of them at most."""
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[tuple[str, str], tuple[Fingerprint, float]]
        self._kept = OrderedDict()
        self._lock = threading.Lock()

    def put(
        self, message: str, found: Fingerprint, *, workspace: str, now: float
    ) -> None:
        """Keep the fingerprint of the request that a message answers."""
        with self._lock:
            self._kept[workspace, message] = (found, now)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def get(self, message: str, *, workspace: str, now: float) -> Fingerprint | None:
        """Return the fingerprint behind a message of this workspace, if it is known."""
        with self._lock:
            found, at = self._kept.get((workspace, message), (None, now))
        return found if now - at <= self._seconds else None

    def clear(self) -> None:
        """Forget all fingerprints."""
        with self._lock:
            self._kept.clear()
