"""What this process has yet to tell its store or the provider.

Rule 1: noting it needs no I/O and no lock, so that requests need not wait.
Rule 2: what could not be told stays noted.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from promptcache.providers.gemini.handles.shelf import Owned
from promptcache.state.stores import Handle

__all__ = ["Outbox", "Use", "drain"]

_MOST = 10_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Use:
    """A request that named a handle."""

    handle: Handle
    saved_usd: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Outbox:
    """Queues; the oldest entries are given up when there are too many."""

    uses: deque[Use] = field(default_factory=lambda: deque(maxlen=_MOST))
    """To be counted in the store."""
    lost: deque[Handle] = field(default_factory=lambda: deque(maxlen=_MOST))
    """To be dropped from the store: the provider has them no more."""
    surplus: deque[Owned] = field(default_factory=lambda: deque(maxlen=_MOST))
    """To be deleted at the provider: others took their place."""

    def restart(self) -> None:
        """Be empty in the child of a fork: its parent does what is noted."""
        for queue in (self.uses, self.lost, self.surplus):
            queue.clear()


def drain(queue: deque[_T], work: Callable[[_T], bool]) -> None:
    """Do something with each entry of now.

    Args:
        queue: The entries.
        work: What to do; returns whether it is done, and else the entry stays, as it
            does when this raises.
    """
    for _ in range(len(queue)):
        try:
            entry = queue.popleft()
        except IndexError:
            # Another thread was faster.
            return
        done = False
        try:
            done = work(entry)
        finally:
            if not done:
                queue.append(entry)
