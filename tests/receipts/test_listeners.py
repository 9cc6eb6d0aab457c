"""Listeners: all are told, and none can hurt a call."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from promptcache.receipts.events import SteppedAside
from promptcache.receipts.listeners import Listeners

EVENT = SteppedAside("anthropic", "unknown client")


class Broken:
    def __call__(self, event):
        raise RuntimeError("broken")


def test_every_listener_is_told_in_order():
    """Listeners are told in the order in which they were added."""
    told = []
    listeners = Listeners([lambda _: told.append(1)])
    listeners.add(lambda _: told.append(2))

    listeners(EVENT)

    assert told == [1, 2]


def test_removed_listener_is_not_told():
    """A listener that was removed hears no more, and removing it again is fine."""
    told = []
    listeners = Listeners([told.append])
    listener = listeners._listeners[0]

    listeners.remove(listener)
    listeners.remove(listener)
    listeners(EVENT)

    assert told == []


def test_failure_reaches_neither_caller_nor_other_listeners(caplog):
    """A listener that raises is logged once per kind, and the others are told."""
    told = []
    listeners = Listeners([Broken(), Broken(), told.append])

    with caplog.at_level(logging.WARNING, "promptcache"):
        listeners(EVENT)
        listeners(EVENT)

    assert told == [EVENT, EVENT]
    assert ["Broken" in record.getMessage() for record in caplog.records] == [True]


def test_interrupt_is_not_swallowed():
    """Ctrl-C in a listener ends the program as anywhere else."""

    def interrupted(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listeners([interrupted])(EVENT)


def test_listeners_may_be_added_by_many_threads():
    """No listener is lost if many are added at once."""
    told = []
    listeners = Listeners()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: listeners.add(lambda _: told.append(n)), range(200)))

    listeners(EVENT)

    assert sorted(told) == list(range(200))
