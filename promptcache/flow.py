"""One flow, two drivers: logic that waits for I/O is written once.

A flow is a generator that yields whatever an SDK call returned: the value itself in
synchronous code, an awaitable in asynchronous code. Its driver sends the value back.
What blocks in either is yielded as an `Aside`: asynchronous code waits for a thread.
What each does in its own way is yielded as a `Pause`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Aside", "Flow", "Pause", "arun", "run"]

Result = TypeVar("Result")

Flow = Generator[Any, Any, Result]


@dataclass(frozen=True, slots=True)
class Aside:
    """A call that blocks, whose value or error the flow gets back."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait for others in this process, whose value or error the flow gets back."""

    call: Callable[[], Any]
    """Blocks its thread."""
    acall: Callable[[], Awaitable[Any]]
    """Lets its event loop go on."""


def run(flow: Flow[Result]) -> Result:
    """Drive a flow whose calls return values."""
    try:
        step = next(flow)
        while True:
            if not isinstance(step, (Aside, Pause)):
                step = flow.send(step)
                continue
            try:
                value = step.call()
            except BaseException as error:  # noqa: BLE001 - the flow decides
                step = flow.throw(error)
            else:
                step = flow.send(value)
    except StopIteration as done:
        result: Result = done.value
        return result


async def arun(flow: Flow[Result]) -> Result:
    """Drive a flow whose calls return awaitables; asides need asyncio's loop."""
    try:
        step = next(flow)
        while True:
            try:
                if isinstance(step, Aside):
                    value = await asyncio.to_thread(step.call)
                elif isinstance(step, Pause):
                    value = await step.acall()
                else:
                    value = await step
            except BaseException as error:  # noqa: BLE001 - the flow decides, cancels too
                step = flow.throw(error)
            else:
                step = flow.send(value)
    except StopIteration as done:
        result: Result = done.value
        return result
