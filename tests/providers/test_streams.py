"""What passes is handed on, and settles once, whatever its provider."""

import gc
from types import SimpleNamespace

import pytest

from promptcache.interrupts import undisturbed
from promptcache.providers.streams import AsyncEvents, Events, Watch, watch_stream


class Settling:
    """A cache that notes what it is told."""

    def __init__(self):
        self.told = []
        self.clock = SimpleNamespace(now=lambda: 5.0)

    def settle(self, prepared, reported, **fields):
        self.told.append((reported, fields["model"]))
        prepared.settled = True


class Numbers(Watch):
    """Reads numbers: the usage is the last one, and 3 is the last word."""

    def read_event(self, event):
        self.begin()
        self.told.usage = {"tokens": event}
        self.told.model = f"model-{1 // event}"
        if event == 3:
            self.end()

    def read_whole(self, answer):
        self.read_event(answer)


@pytest.fixture
def cache():
    return Settling()


class Sent:
    """A request whose answer is watched."""

    def __init__(self):
        self.settled = False
        self.first_token = None
        self.turn = None

    def begin(self, now):
        self.first_token = now


@pytest.fixture
def prepared():
    return Sent()


@pytest.fixture
def watch(cache, prepared):
    return Numbers(cache, prepared)


def numbers(*values, closed=None):
    try:
        yield from values
    finally:
        if closed is not None:
            closed.append(True)


async def anumbers(*values, closed=None):
    try:
        for value in values:
            yield value
    finally:
        if closed is not None:
            closed.append(True)


def test_the_last_word_settles_before_it_is_handed_on(cache, prepared, watch):
    """What follows the last word is handed on, too."""
    seen = [(event, len(cache.told)) for event in Events(numbers(1, 3, 3), watch)]

    assert seen == [(1, 0), (3, 1), (3, 2)]
    assert cache.told[0] == ({"tokens": 3}, "model-0")
    assert prepared.first_token == 5.0


def test_an_event_that_cannot_be_read(cache, watch):
    """An event that our reading fails on is handed on and says nothing more."""
    assert list(Events(numbers(1, 0, 2), watch)) == [1, 0, 2]
    assert cache.told == [({"tokens": 2}, "model-0")]


def test_an_answer_that_cannot_be_read(cache, watch):
    """An answer that our reading fails on settles with what it said by then."""
    watch.see_whole(0)

    assert cache.told == [({"tokens": 0}, None)]


def test_waiting_is_known(watch):
    """Whether an event is waited for can be told from outside."""
    seen = []

    def asked():
        seen.append(watch.is_waiting)
        yield 1

    events = Events(asked(), watch)
    next(events)

    assert seen == [True]
    assert not watch.is_waiting
    with pytest.raises(StopIteration):
        next(events)
    assert not watch.is_waiting


@pytest.mark.parametrize("values", [(1, 2), ()])
def test_events_that_are_closed(cache, watch, values):
    """Closing what iterates closes the SDK's own iterator, and settles."""
    closed = []
    events = Events(numbers(*values, closed=closed), watch)
    for _ in values[:1]:
        next(events)
    events.close()

    assert closed == [True] * len(values[:1])
    assert len(cache.told) == 1
    Events(iter(values), watch).close()


async def test_asynchronous_events_that_are_closed(cache, watch):
    """The same holds for asynchronous events."""
    closed = []
    events = AsyncEvents(anumbers(1, 2, closed=closed), watch)
    assert await anext(aiter(events)) == 1
    await events.aclose()

    assert closed == [True]
    assert len(cache.told) == 1


async def test_asynchronous_events_without_an_end_of_their_own(cache, watch):
    """An iterator that cannot be closed is left, and settled."""

    class Bare:
        async def __anext__(self):
            return 1

    events = AsyncEvents(Bare(), watch)
    assert await anext(events) == 1
    await events.aclose()

    assert len(cache.told) == 1


def test_what_is_dropped_waits_for_its_thread(cache, watch):
    """Events that are dropped settle when the thread may be disturbed again."""
    events = Events(numbers(1, 2), watch)
    next(events)
    with undisturbed():
        del events
        gc.collect()
        assert cache.told == []

    assert cache.told == [({"tokens": 1}, "model-1")]


class Stream:
    """A stream as an SDK makes it."""

    def __init__(self):
        self._iterator = numbers(1, 2)
        self.is_closed = False

    def close(self):
        self.is_closed = True


class AsyncStream(Stream):
    def __aiter__(self):
        return self

    async def close(self):
        self.is_closed = True


def test_a_stream_that_is_closed(cache, watch):
    """Closing a stream settles, and closes it as before."""
    stream = Stream()
    watch_stream(stream, watch)
    stream.close()

    assert stream.is_closed
    assert len(cache.told) == 1


async def test_an_asynchronous_stream_that_is_closed(cache, watch):
    """The same holds for an asynchronous stream."""
    stream = AsyncStream()
    watch_stream(stream, watch)
    await stream.close()

    assert stream.is_closed
    assert len(cache.told) == 1


def test_a_stream_that_is_closed_once_it_is_gone(cache, watch):
    """What closes a stream does not hold it."""
    stream = Stream()
    watch_stream(stream, watch)
    close = stream.close
    del stream
    close()

    assert len(cache.told) > 0


async def test_an_asynchronous_stream_that_is_closed_once_it_is_gone(cache, watch):
    """The same holds for an asynchronous stream."""
    stream = AsyncStream()
    watch_stream(stream, watch)
    close = stream.close
    del stream
    await close()

    assert len(cache.told) > 0
