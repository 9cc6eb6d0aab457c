"""The emulator's time."""

import threading
import time

import pytest

from promptcache.clock import Clock
from promptcache.emulator.clock import EmulatorClock
from promptcache.errors import OptionError


def test_it_is_a_clock():
    """It can be passed wherever a clock is taken."""
    assert isinstance(EmulatorClock(), Clock)


def test_standing_still():
    """At speed 0 time passes only by advancing, and waits return at once."""
    clock = EmulatorClock()
    before = clock.now()
    clock.wait(3600)

    assert clock.now() == before
    assert clock.advance(60) == clock.now() == before + 60


def test_running_fast():
    """At speed 100 a second takes ten milliseconds."""
    clock = EmulatorClock(speed=100)
    before, started = clock.now(), time.perf_counter()
    clock.wait(2)

    assert clock.now() - before >= 2
    assert time.perf_counter() - started < 1


def test_advancing_ends_a_wait():
    """A wait is over as soon as the clock is moved past its end."""
    clock = EmulatorClock(speed=1)
    waiting = threading.Thread(target=clock.wait, args=(3600,))
    waiting.start()
    clock.advance(3601)
    waiting.join(5)

    assert not waiting.is_alive()


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda: EmulatorClock(speed=-1), id="speed"),
        pytest.param(lambda: EmulatorClock().advance(-1), id="advance"),
    ],
)
def test_time_never_runs_backward(act):
    """Negative speeds and steps are refused."""
    with pytest.raises(OptionError):
        act()
