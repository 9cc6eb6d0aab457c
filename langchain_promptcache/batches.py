"""Which requests belong to a batch, whose first goes ahead where nobody says otherwise.

Rule 1: a batch is known inside its steps only, never across a `yield`.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from promptcache import CallOptions

__all__ = ["abatched_steps", "batch_options", "batched", "batched_steps"]

_OPTIONS = CallOptions(fan_out=True)
_NOTHING = CallOptions()

_in_batch: ContextVar[bool] = ContextVar("langchain_promptcache_batch", default=False)


def batch_options() -> CallOptions:
    """Return what holds in a batch where nobody says anything."""
    return _OPTIONS if _in_batch.get() else _NOTHING


@contextmanager
def batched() -> Iterator[None]:
    """Make a batch of what is started inside, in threads and tasks as well."""
    before = _in_batch.get()
    _in_batch.set(True)
    try:
        yield
    finally:
        # No token: a coroutine may be closed in another context.
        _in_batch.set(before)


def batched_steps(steps: Any) -> Iterator[Any]:
    """Yield what a generator yields, each step made as one of a batch."""
    try:
        while True:
            with batched():
                step = next(steps, None)
            if step is None:
                return
            yield step
    finally:
        steps.close()


async def abatched_steps(steps: Any) -> AsyncIterator[Any]:
    """Do what `batched_steps` does, with an asynchronous generator."""
    try:
        while True:
            with batched():
                step = await anext(steps, None)
            if step is None:
                return
            yield step
    finally:
        await steps.aclose()
