"""One flow, run by two drivers."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from promptcache.flow import Aside, Pause, arun, run


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


def aside_flow(calls, seen):
    """Return what asides give, in a list; an error is its own name."""
    found = []
    for call in calls:
        try:
            found.append((yield Aside(call)))
        except ValueError as error:
            found.append(str(error))
        finally:
            seen.append(threading.current_thread())
    return found


async def test_asides():
    """What blocks is called at once, or in a thread; its value and its error return."""
    here = threading.current_thread()
    called_in = []

    def call():
        called_in.append(threading.current_thread())
        return 1

    calls = [call, broken, call]
    seen = []

    assert run(aside_flow(calls, seen)) == [1, "no value", 1]
    assert set(called_in) == {here}
    called_in.clear()
    assert await arun(aside_flow(calls, seen)) == [1, "no value", 1]
    assert here not in called_in
    assert set(seen) == {here}


async def test_asides_have_the_context_of_their_flow():
    """Options and collectors hold in the thread as well."""
    variable = ContextVar("variable", default=0)
    variable.set(7)

    assert await arun(aside_flow([variable.get], [])) == [7]


@pytest.mark.parametrize("driver", ["sync", "async"])
async def test_an_aside_whose_error_nobody_handles(driver):
    """It reaches the caller, after the flow's own end."""
    seen = []

    def fail():
        raise KeyError("k")

    async def driven():
        flow_ = aside_flow([fail], seen)
        return run(flow_) if driver == "sync" else await arun(flow_)

    with pytest.raises(KeyError):
        await driven()
    assert len(seen) == 1


async def test_asides_beside_awaitables():
    """A flow may wait for both."""

    async def value():
        return 2

    def both():
        one = yield Aside(lambda: 1)
        return one + (yield value())

    assert await arun(both()) == 3


async def test_pauses():
    """Each driver waits in its own way, and the flow gets what that gave."""
    here = threading.current_thread()

    async def later():
        assert threading.current_thread() is here
        await asyncio.sleep(0)
        return "async"

    def paused():
        return (yield Pause(lambda: "sync", later))

    assert run(paused()) == "sync"
    assert await arun(paused()) == "async"


@pytest.mark.parametrize("driver", ["sync", "async"])
async def test_a_pause_that_fails(driver):
    """Its error is the flow's to handle, as any other."""

    async def fail():
        raise ValueError("async")

    def paused():
        try:
            yield Pause(broken, fail)
        except ValueError as error:
            return str(error)

    drive = paused()
    found = run(drive) if driver == "sync" else await arun(drive)
    assert found == ("no value" if driver == "sync" else "async")
