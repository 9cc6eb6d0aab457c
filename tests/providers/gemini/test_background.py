"""Work that no request waits for."""

import os
import threading

import pytest

from promptcache.providers.gemini.background import Background


def never():
    return False


def test_jobs_run_in_order():
    """One after another, in a thread of their own."""
    background, done = Background(never), []
    for number in range(50):
        assert background.submit(lambda number=number: done.append(number))

    assert background.idle(5.0)
    assert done == list(range(50))
    background.stop()


def test_an_error_is_its_own_affair(caplog):
    """The next job runs, and the log says what failed."""
    background, done = Background(never), []
    background.submit(lambda: 1 / 0)
    background.submit(lambda: done.append("next"))

    assert background.idle(5.0)
    assert done == ["next"]
    assert "ZeroDivisionError" in caplog.text
    background.stop()


def test_waiting_has_an_end():
    """Who waits for a job that takes long gets to know that it is not done."""
    background, go = Background(never), threading.Event()
    background.submit(go.wait)

    assert not background.idle(0.01)
    go.set()
    assert background.idle(5.0)
    background.stop()


def test_after_the_end_nothing_is_taken():
    """Jobs that are there are finished."""
    background, done = Background(never), []
    background.submit(lambda: done.append(1))
    background.stop()

    assert done == [1]
    assert not background.submit(lambda: done.append(2))


def test_nothing_runs_before_there_is_work():
    """No thread is started for nothing, and one that was is gone at the end."""
    before = threading.active_count()
    background = Background(never)
    assert threading.active_count() == before
    background.submit(never)
    background.stop()
    assert threading.active_count() == before


def test_there_are_ticks_while_there_is_something_to_watch(monkeypatch):
    """And the thread ends when there is nothing any more."""
    monkeypatch.setattr("promptcache.providers.gemini.background._TICK_SECONDS", 0.001)
    ticks, ended = iter([True] * 20), threading.Event()

    def tick():
        more = next(ticks, False)
        if not more:
            ended.set()
        return more

    background = Background(tick)
    background.watch()
    assert ended.wait(5.0)
    background.stop()
    assert next(ticks, None) is None


def test_too_many_jobs(monkeypatch):
    """What nobody can catch up with is not taken."""
    monkeypatch.setattr("promptcache.providers.gemini.background._MAX_JOBS", 3)
    background, go = Background(never), threading.Event()
    background.submit(go.wait)
    taken = [background.submit(never) for _ in range(10)]

    assert 2 <= sum(taken) <= 4
    go.set()
    background.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_begins_anew():
    """Its parent does what was asked before; it takes work of its own."""
    background, go = Background(never), threading.Event()
    background.submit(go.wait)
    child = os.fork()
    if not child:
        done = []
        is_free = background.idle(0.1)
        background.submit(lambda: done.append(1))
        worked = background.idle(5.0)
        os._exit(0 if (is_free, worked, done) == (True, True, [1]) else 1)
    assert os.waitpid(child, 0)[1] == 0
    go.set()
    assert background.idle(5.0)
    background.stop()
