"""One flow, run by two drivers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from promptcache.flow import arun, run


def flow(calls, seen):
    """Return the sum of what calls give; a failing one counts as -1."""
    total = 0
    for call in calls:
        try:
            total += yield call()
        except ValueError:
            total -= 1
        finally:
            seen.append(total)
    return total


def broken():
    raise ValueError("no value")


@pytest.fixture(params=["sync", "async"])
def drive(request):
    """Return a function that drives a flow of plain calls, one way or the other."""
    if request.param == "sync":
        return lambda calls, seen: run(flow(calls, seen))

    def drive_async(calls, seen):
        async def later(call):
            await asyncio.sleep(0)
            return call()

        waiting = [lambda call=call: later(call) for call in calls]
        # In a thread of its own, as the loop of the session is running in this one.
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(asyncio.run, arun(flow(waiting, seen))).result()

    return drive_async


@pytest.mark.parametrize(
    ("calls", "result", "steps"),
    [
        pytest.param([], 0, [], id="no-call"),
        pytest.param([lambda: 1, lambda: 2], 3, [1, 3], id="values"),
        pytest.param([lambda: 1, broken, lambda: 5], 5, [1, 0, 5], id="error-handled"),
    ],
)
def test_same_steps(drive, calls, result, steps):
    """Both drivers send the same values and errors into the flow."""
    seen = []

    assert drive(calls, seen) == result
    assert seen == steps


def test_an_error_that_is_not_handled(drive):
    """An error that the flow lets pass reaches the caller, after the flow's own end."""
    seen = []

    def fail():
        raise KeyError("k")

    with pytest.raises(KeyError):
        drive([lambda: 1, fail], seen)
    assert seen == [1, 1]


async def test_a_cancelled_task_ends_its_flow():
    """Cancelling goes through the flow, whose `finally` runs, and out again."""
    seen, started = [], asyncio.Event()

    async def wait():
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(arun(flow([wait], seen)))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [0]


async def test_a_flow_that_answers_a_cancellation():
    """A flow that goes on after an error is driven on."""
    seen = []

    async def fail():
        raise ValueError

    async def value():
        return 7

    assert await arun(flow([fail, value], seen)) == 6
