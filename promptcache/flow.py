"""One flow, two drivers: logic that waits for I/O is written once.

A flow is a generator that yields whatever an SDK call returned: the value itself in
synchronous code, an awaitable in asynchronous code. Its driver sends the value back.
"""

from collections.abc import Generator
from typing import Any, TypeVar

__all__ = ["Flow", "arun", "run"]

Result = TypeVar("Result")

Flow = Generator[Any, Any, Result]


def run(flow: Flow[Result]) -> Result:
    """Drive a flow whose calls return values."""
    try:
        value = next(flow)
        while True:
            value = flow.send(value)
    except StopIteration as done:
        result: Result = done.value
        return result


async def arun(flow: Flow[Result]) -> Result:
    """Drive a flow whose calls return awaitables."""
    try:
        step = next(flow)
        while True:
            try:
                value = await step
            except BaseException as error:  # noqa: BLE001 - the flow decides, cancels too
                step = flow.throw(error)
            else:
                step = flow.send(value)
    except StopIteration as done:
        result: Result = done.value
        return result
