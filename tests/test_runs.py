"""Which run a request belongs to."""

import asyncio
import gc
import threading
import weakref
from contextvars import ContextVar, copy_context

import pytest

from promptcache import CallOptions, PromptCache, options
from promptcache.options import current_options
from promptcache.runs import (
    Run,
    current_run_id,
    identified,
    observing_collectors,
    waiting_run,
)

CACHE = PromptCache()


class Client:
    """Stands for a client of an SDK."""


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch):
    """Have no run that was left open elsewhere."""
    fresh = ContextVar("runs of this test", default=())
    monkeypatch.setattr("promptcache.runs._runs", fresh)


@pytest.fixture
def opened():
    """Open runs that end with the test."""
    runs = []

    def make(run_id=None, *, clients=None, **said):
        run = Run(
            CACHE,
            options=CallOptions(**said),
            told=[].append,
            run_id=run_id,
            clients=clients,
        )
        run.open()
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.close()


def test_no_run(opened):
    """Without a run nothing waits, and nobody looks on."""
    assert waiting_run() is None
    assert observing_collectors() == ()


def test_first_request_only(opened):
    """A run has the first request; what follows in the same context is not its."""
    run = opened()

    assert waiting_run() is run
    with run.claimed():
        assert waiting_run() is None
        assert observing_collectors() == (run.collector,)
    assert waiting_run() is None
    assert observing_collectors() == ()


def test_failed_request_is_followed_by_another(opened):
    """A framework that tries again finds its run waiting."""
    run = opened()
    with run.claimed():
        pass
    run.release()

    assert waiting_run() is run


def test_innermost_run_first(opened):
    """A model that asks another one has its own run."""
    outer = opened("outer")
    inner = opened("inner")

    assert waiting_run() is inner
    inner.close()
    assert waiting_run() is outer
    outer.close()
    assert waiting_run() is None


def test_observers_alike(opened):
    """All handlers that were told of one call have its receipt, whoever plans."""
    watching = opened("same", enabled=False)
    planning = opened("same")
    other = opened("other", enabled=False)
    other.close()
    last = opened("same", enabled=False)

    assert waiting_run() is planning
    wanted = {planning.collector, watching.collector, last.collector}
    assert set(observing_collectors()) == wanted
    assert watching.is_claimed
    assert observing_collectors() == ()


def test_attached_client_claims(opened):
    """A request that another seam plans is the run's as well."""
    run = opened()

    assert observing_collectors() == (run.collector,)
    assert run.is_claimed
    assert waiting_run() is None


async def test_task_that_outlives_its_run(opened):
    """A context variable stays in a task; the run in it is closed."""
    run = opened()

    async def later(closed):
        await closed.wait()
        return waiting_run()

    closed = asyncio.Event()
    task = asyncio.create_task(later(closed))
    run.close()
    closed.set()

    assert await task is None


def test_other_contexts(opened):
    """Another thread, whose context was made before, has nothing of a run."""
    before = copy_context()
    opened()
    found = []
    thread = threading.Thread(target=lambda: found.append(waiting_run()))
    thread.start()
    thread.join()

    assert found == [None]
    assert before.run(waiting_run) is None


def test_known_clients(opened):
    """A run that knows its clients has their requests, all of them, and no other's."""
    ours, theirs = Client(), Client()
    run = opened(clients=(ours,))

    assert waiting_run(theirs) is None
    assert waiting_run(ours) is run
    with run.claimed():
        pass
    assert waiting_run(ours) is run


def test_detached_runs(opened):
    """Streams that are read later, and elsewhere, have their runs in turn."""
    client, other = Client(), Client()
    first, second = opened(clients=(client,)), opened(clients=(client,))
    foreign = opened(clients=(other,))
    for run in (first, second, foreign):
        run.detach()
    elsewhere = copy_context()
    found = []

    def read():
        run = waiting_run(client)
        found.append(run)
        if run is not None:
            with run.claimed():
                pass

    for _ in range(3):
        thread = threading.Thread(target=elsewhere.run, args=(read,))
        thread.start()
        thread.join()

    assert found == [first, second, None]
    fresh = threading.Thread(target=lambda: found.append(waiting_run(other)))
    fresh.start()
    fresh.join()
    assert found[-1] is foreign


def test_active_before_detached(opened):
    """A call that is being made comes before streams that wait to be read."""
    client = Client()
    waiting = opened(clients=(client,))
    waiting.detach()
    active = opened(clients=(client,))

    assert waiting_run(client) is active
    active.close()
    assert waiting_run(client) is waiting


def test_streams_that_are_known(opened):
    """A run that knows its stream has what is sent while that is read, nothing else."""
    client, found = Client(), []

    def stream(name):
        for _ in range(2):
            found.append((name, waiting_run(client)))
            yield

    async def astream(name):
        found.append((name, waiting_run(client)))
        yield

    runs = {name: opened(clients=(client,)) for name in ("a", "b", "c", "d")}
    streams = {name: stream(name) for name in ("a", "b", "c")}
    streams["d"] = astream("d")
    for name, run in runs.items():
        run.detach(streams[name])
    assert waiting_run(client) is None
    next(streams["b"])
    thread = threading.Thread(target=next, args=(streams["c"],))
    thread.start()
    thread.join()
    next(streams["a"])
    asyncio.run(anext(streams["d"]))
    next(streams["b"])
    runs["a"].close()
    next(streams["a"])

    expected = [(name, runs[name]) for name in "bcadb"]
    assert found == [*expected, ("a", None)]


def test_stream_of_unknown_clients(opened):
    """Its first request is its own; without the stream nobody else's is."""
    run = opened()

    def stream():
        for _ in range(2):
            yield waiting_run(Client())
            with run.claimed():
                pass

    made = stream()
    run.detach(made)

    assert waiting_run(Client()) is None
    assert waiting_run() is None
    assert next(made) is run
    assert next(made) is None
    run.release()
    assert waiting_run() is None


def test_stream_that_is_dropped(opened):
    """A run keeps no stream alive, and one that is gone has nothing any more."""
    run = opened()
    made = (number for number in range(3))
    run.detach(made)
    gone = weakref.ref(made)
    del made

    assert gone() is None
    assert waiting_run() is None


def test_stream_that_is_no_generator(opened):
    """What cannot be known by its frame is read in turn, as before."""
    run = opened()
    run.detach(iter([1]))

    assert not run.has_stream
    assert waiting_run() is run


def test_alike_wherever_a_stream_is_read(opened):
    """Handlers that were told of the same call have its receipts in any context."""
    elsewhere, found = copy_context(), []
    watching, planning = opened("one", enabled=False), opened("one")

    def stream():
        run = waiting_run(Client())
        found.append(run)
        with run.claimed():
            found.append(observing_collectors())
        run.release()
        found.append((watching.is_claimed, planning.is_claimed))
        yield

    made = stream()
    watching.detach(made)
    planning.detach(made)
    elsewhere.run(next, made)

    assert found[0] is planning
    assert set(found[1]) == {watching.collector, planning.collector}
    assert found[2] == (False, False)


def test_call_inside_of_a_call(opened):
    """A call that takes over has what is sent, the one around it nothing more."""
    outer = opened("outer")
    inner = Run(CACHE, options=CallOptions(), told=[].append, run_id="inner")
    inner.open(takes_over=True)
    alike = Run(CACHE, options=CallOptions(), told=[].append, run_id="inner")
    alike.open(takes_over=True)

    assert outer.is_claimed
    assert not inner.is_claimed
    assert waiting_run() in (inner, alike)
    inner.close()
    alike.close()
    assert waiting_run() is None


def test_clients_that_are_made_later(opened):
    """Clients are asked for when something is sent."""
    made = []
    run = opened(clients=lambda: tuple(made) or None)

    assert waiting_run(Client()) is run
    made.append(Client())
    assert waiting_run(Client()) is None
    assert waiting_run(made[0]) is run


def test_bounded(opened, monkeypatch):
    """Streams that nobody reads are forgotten, the oldest first."""
    monkeypatch.setattr("promptcache.runs._MAX_DETACHED", 2)
    client = Client()
    runs = [opened(clients=(client,)) for _ in range(3)]
    for run in runs:
        run.detach()
    found = []
    thread = threading.Thread(target=lambda: found.append(waiting_run(client)))
    thread.start()
    thread.join()

    assert found == [runs[1]]


def test_options_where_it_was_opened(opened):
    """What is said where a call is made holds where its stream is read."""
    with options(tenant="acme", enabled=False):
        run = opened(conversation="c")
    with run.claimed():
        held = current_options()
    with options(tenant="near"), run.claimed():
        nearer = current_options()

    assert (held.tenant, held.enabled, held.conversation) == ("acme", False, "c")
    assert (nearer.tenant, nearer.enabled) == ("near", False)


def test_closed_runs_are_let_go(opened):
    """A context keeps no run that is closed once another is opened there."""
    run = Run(CACHE, options=CallOptions(), told=[].append)
    run.open()
    run.close()
    gone = weakref.ref(run)
    del run
    opened()
    gc.collect()

    assert gone() is None


@pytest.mark.parametrize(
    ("said", "around", "expected"),
    [
        pytest.param({}, {}, None, id="nothing said"),
        pytest.param({"enabled": False}, {}, False, id="watched"),
        pytest.param({"enabled": False}, {"enabled": True}, False, id="only watched"),
        pytest.param({}, {"enabled": False}, False, id="switched off around"),
    ],
)
def test_options(opened, said, around, expected):
    """What is around a run holds, unless the run is only watched."""
    run = opened("id", tenant="acme", **said)
    with options(**around), run.claimed():
        held = current_options()

    assert held.enabled is expected
    assert held.tenant == "acme"
    assert current_options() == CallOptions()


def test_options_around_win(opened):
    """A run gives way to what is said nearer to the request."""
    run = opened(tenant="run", conversation="c")
    with options(tenant="near"), run.claimed():
        held = current_options()

    assert (held.tenant, held.conversation) == ("near", "c")


def test_run_id(opened):
    """The framework's id is known while a request is made."""
    run = opened("r1")
    with run.claimed():
        assert current_run_id() == "r1"
    with identified("r2"), identified(None):
        assert current_run_id() == "r2"
    assert current_run_id() is None
