"""Which run a stream is, which LangChain does not tell the model that makes it.

Rule 1: a run is named around each step of a stream, never across a `yield`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.utils.uuid import uuid7

__all__ = ["anamed_steps", "named_run", "named_steps", "naming"]

Chunk = TypeVar("Chunk")

_named: ContextVar[str | None] = ContextVar("langchain_promptcache_run", default=None)


def named_run() -> str | None:
    """Return the run that the stream belongs to which is made here and now."""
    return _named.get()


def naming(run_manager: Any) -> AbstractContextManager[None]:
    """Let the run of a manager be known to the streams that are made inside."""
    return _named_as(None if run_manager is None else str(run_manager.run_id))


def named_steps(
    stream: Callable[[RunnableConfig], Iterator[Chunk]], config: RunnableConfig | None
) -> Iterator[Chunk]:
    """Yield what a stream yields, each step made under the id of its run.

    Args:
        stream: Makes the stream, given a config that has the id.
        config: What the caller gave; an id in it is kept.
    """
    run_id, given = _with_run_id(config)
    steps: Any = stream(given)
    try:
        while True:
            with _named_as(run_id):
                chunk = next(steps, None)
            if chunk is None:
                return
            yield chunk
    finally:
        steps.close()


async def anamed_steps(
    stream: Callable[[RunnableConfig], AsyncIterator[Chunk]],
    config: RunnableConfig | None,
) -> AsyncIterator[Chunk]:
    """Do what `named_steps` does, with an asynchronous stream."""
    run_id, given = _with_run_id(config)
    steps: Any = stream(given)
    try:
        while True:
            with _named_as(run_id):
                chunk = await anext(steps, None)
            if chunk is None:
                return
            yield chunk
    finally:
        await steps.aclose()


def _with_run_id(config: RunnableConfig | None) -> tuple[str, RunnableConfig]:
    given: RunnableConfig = {**(config or {})}
    run_id = given.get("run_id") or uuid7()
    return str(run_id), {**given, "run_id": run_id}


@contextmanager
def _named_as(run_id: str | None) -> Iterator[None]:
    before = _named.get()
    _named.set(run_id)
    try:
        yield
    finally:
        # No token: a coroutine may be closed in another context.
        _named.set(before)
