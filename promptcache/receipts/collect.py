"""Who wants the receipts of what runs here and now.

Rule 1: nothing is left open across a `yield` of somebody else; a collector is entered
around each step of a stream and left after it.
Rule 2: leaving works in any context, so a collector may be shared by threads and tasks.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import final

from promptcache.receipts.receipt import Receipt

__all__ = ["Collector", "active_collectors", "collecting", "deliver"]


@final
class Collector:
    """Takes the receipts of what runs inside it; may be entered again and again."""

    __slots__ = ("owner", "receipts", "told")

    def __init__(
        self,
        owner: object = None,
        *,
        told: Callable[[Receipt], object] | None = None,
    ) -> None:
        """Start with none.

        Args:
            owner: Whose receipts are wanted; None for everybody's.
            told: Called with each receipt as it comes, wherever that is; it must not
                raise and not wait.
        """
        self.owner = owner
        self.told = told
        self.receipts: list[Receipt] = []
        """What was delivered so far, oldest first."""

    def __enter__(self) -> "Collector":
        _active.set((*_active.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # No token: it could be reset only in the context that entered last.
        active = _active.get()
        for index in range(len(active) - 1, -1, -1):
            if active[index] is self:
                _active.set(active[:index] + active[index + 1 :])
                return


_active: ContextVar[tuple[Collector, ...]] = ContextVar(
    "promptcache_collectors", default=()
)
"""The collectors of this context, innermost last."""


@contextmanager
def collecting(owner: object = None) -> Iterator[list[Receipt]]:
    """Collect the receipts of the block, its threads' copies and its tasks.

    Args:
        owner: Whose receipts are wanted; None for everybody's.

    Yields:
        The list that receipts are appended to as they come.
    """
    collector = Collector(owner)
    with collector:
        yield collector.receipts


def active_collectors() -> tuple[Collector, ...]:
    """Return the collectors of the current context, each once, outermost first."""
    return tuple(dict.fromkeys(_active.get()))


def deliver(
    receipt: Receipt,
    collectors: Iterable[Collector] | None = None,
    *,
    owner: object = None,
) -> None:
    """Hand a receipt to the collectors that want it.

    Args:
        receipt: What to hand over.
        collectors: Those under which the request was made, since a stream may end in
            another context; those of the current context if none are given.
        owner: Whose receipt it is.
    """
    for collector in active_collectors() if collectors is None else collectors:
        if collector.owner is None or collector.owner is owner:
            collector.receipts.append(receipt)
            if collector.told is not None:
                collector.told(receipt)
