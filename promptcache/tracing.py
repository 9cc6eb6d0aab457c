"""Which span a model call has, in the traces that others write.

Rule 1: who knows a framework tells where its spans are; who writes on them knows none.
"""

from collections.abc import Callable
from typing import TypeAlias

from promptcache.state.forks import ForkSafeLock

__all__ = ["SpanFinder", "add_span_finder", "find_span"]

SpanFinder: TypeAlias = Callable[[str | None], object | None]
"""Returns the OpenTelemetry span of the model call that is being made here and now, or
None; it is given the framework's own id of the call, where that is known."""

_finders: tuple[SpanFinder, ...] = ()
_LOCK = ForkSafeLock()


def add_span_finder(finder: SpanFinder) -> None:
    """Ask `finder`, too, whenever the span of a model call is looked for.

    It must not wait, and must load nothing that nobody else has loaded.
    """
    global _finders  # noqa: PLW0603 - replaced as a whole, so readers need no lock
    with _LOCK:
        if finder not in _finders:
            _finders = (*_finders, finder)


def find_span(run_id: str | None) -> object | None:
    """Return what the first finder finds that finds anything."""
    found = (finder(run_id) for finder in _finders)
    return next((span for span in found if span is not None), None)
