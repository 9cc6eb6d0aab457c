"""Handles: created once, and shared."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
from gemini_remote import (
    HOUR,
    MODEL,
    NOW,
    SCOPE,
    PatientClock,
    World,
    die,
)

from promptcache.errors import OptionError
from promptcache.providers.gemini.handles.naming import DisplayName, is_pending
from promptcache.providers.gemini.handles.outbox import drain
from promptcache.receipts.events import (
    CacheCreated,
)
from promptcache.state.memory import MemoryStore

DIGEST = b"digest"


def test_one_creates_and_the_other_shares(world, one, other, key):
    """What one worker has created is found by all, and by its creator in memory."""
    assert one.known(key) is None
    made = one.create(key, world.creation())
    found = other.create(key, world.creation())

    assert (made.name, made.owner, made.tokens) == ("cachedContents/1", one.owner, 5000)
    assert (made.model, made.scope) == (MODEL, SCOPE)
    assert found == made == one.known(key) == other.known(key)
    assert world.remote.count("create") == 1
    assert world.events == [
        CacheCreated("google", MODEL, made.name, 5000, HOUR, pytest.approx(0.005))
    ]


def test_display_name_tells_fleet_owner_and_key(world, one, other, key):
    """A sweep needs no secret to see whose it is and what for."""
    one.create(key, world.creation())
    ((_, text),) = world.remote.asked
    name = DisplayName.read(text)

    assert (name.owner, name.key) == (one.owner, key)
    assert name.fleet == other._keys.fleet != World().worker()._keys.fleet
    assert str(name) == text
    assert len(text) <= 128
    assert one.owner != other.owner


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="none"),
        pytest.param("promptcache/demo", id="another's"),
        pytest.param("promptcache/0123456g/01234567/00", id="no fleet"),
        pytest.param("promptcache/01234567/01234567/000", id="half a byte"),
        pytest.param("x promptcache/01234567/01234567/00", id="inside"),
    ],
)
def test_other_display_names(text):
    """Only what was made here is read as such."""
    assert DisplayName.read(text) is None


def test_display_name_that_is_too_long():
    """A name that the provider would refuse is refused here."""
    with pytest.raises(OptionError):
        str(DisplayName("01234567", "01234567", bytes(64)))


def test_keys_tell_places_and_prefixes_apart(world, one, other):
    """Workers of one store have the same keys, of which no other store has any."""
    mine = one.key(SCOPE, DIGEST)

    assert mine == other.key(SCOPE, DIGEST)
    assert len({mine, one.key("vertex/a/b", DIGEST), one.key(SCOPE, b"x")}) == 3
    assert World().worker().key(SCOPE, DIGEST) != mine
    given = [World().worker(secret=b"given").key(SCOPE, DIGEST) for _ in range(2)]
    assert given[0] == given[1]


def test_time_that_is_over(world, one, key):
    """A handle is known as long as it lives, and then another one is created."""
    one.create(key, world.creation(seconds=100.0))
    world.clock.advance(99.9)
    assert one.known(key).name == "cachedContents/1"
    world.clock.advance(0.1)

    assert one.known(key) is None
    assert one.create(key, world.creation()).name == "cachedContents/2"


def test_size_that_is_not_told_is_estimated(world, one, key):
    """Those who share the budget need a size."""
    world.remote.tokens = None

    assert one.create(key, world.creation(tokens=4321)).tokens == 4321


def test_many_threads_create_one():
    """Threads of several workers ask at once: one creates, and all get its handle."""
    world = World(clock=PatientClock())
    workers = [world.worker() for _ in range(4)]
    key = workers[0].key(SCOPE, DIGEST)

    def ask(number):
        worker = workers[number % 4]
        creation = world.creation()
        return worker.create(key, creation) or worker.await_handle(key, 30.0)

    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(ask, range(64)))

    assert {handle and handle.name for handle in got} == {"cachedContents/1"}
    assert world.remote.count("create") == 1


def test_others_wait_as_long_as_they_said(world, one, other, key):
    """While one creates, others get nothing, and wait no longer than they want to."""
    asked = []

    def meanwhile():
        asked.append(other.create(key, world.creation()))
        asked.append(other.await_handle(key, 2.0))

    world.remote.during["create"] = meanwhile
    made = one.create(key, world.creation())

    assert asked == [None, None]
    assert world.clock.waited == pytest.approx(2.0)
    assert other.known(key) is None
    assert other.await_handle(key, 2.0) == made
    assert world.clock.waited == pytest.approx(2.0)


def test_wait_ends_where_the_creation_is_given_up(world, one, other, key):
    """Who waits for a creation that is refused goes on at once."""
    wait = world.clock.wait

    def refused(seconds):
        wait(seconds)
        pending = world.stored(key)
        assert is_pending(pending.name)
        world.store.drop_handle(pending)

    die(world, one, key)
    world.clock.wait = refused

    assert other.await_handle(key, 30.0) is None
    assert world.clock.waited == pytest.approx(0.05)


def test_standing_clock_waits_no_longer(world, one, key):
    """The steps of a wait are counted, even where time stands still."""
    steps = []
    world.clock.wait = steps.append

    assert one.await_handle(key, 1.0) is None
    assert sum(steps) == pytest.approx(1.0)


def test_slow_looks_count_as_waiting(world, one, key):
    """A store that takes its time does not make a wait longer."""
    look = world.store.handle

    def slow(key, *, now):
        world.clock.advance(0.5)
        return look(key, now=now)

    world.store.handle = slow
    one.await_handle(key, 1.0)

    assert world.clock.now() - NOW <= 1.0 + 0.5


def test_memory_store_of_its_own():
    """Workers of different stores share nothing."""
    world = World()
    first, second = world.worker(MemoryStore()), world.worker(MemoryStore())
    made = [
        worker.create(worker.key(SCOPE, DIGEST), world.creation())
        for worker in (first, second)
    ]

    assert len({handle.name for handle in made}) == 2


def test_last_uses_end_with_their_handles(world, one, key):
    """What is over leaves nothing behind."""
    handle = one.create(key, world.creation())
    one.used(handle, saved_usd=None)
    world.clock.advance(HOUR)
    one.refresh()

    assert one._shelf._last_use == {}


def test_memory_is_bounded(world, one, monkeypatch):
    """What is gone and what was refused is remembered of so many at most."""
    monkeypatch.setattr("promptcache.providers.gemini.handles.shelf._MAX_GONE", 3)
    monkeypatch.setattr(
        "promptcache.providers.gemini.handles.backoffs._MAX_REMEMBERED", 3
    )
    for number in range(5):
        key = one.key(SCOPE, bytes([number]))
        one.forget(one.create(key, world.creation()))
        world.remote.fail("refused")
        one.create(one.key(SCOPE, bytes([number, 1])), world.creation())

    assert len(one._shelf._gone) == 3
    assert len(one._backoffs._until) <= 3


def test_queue_that_another_thread_empties():
    """Who finds nothing left has nothing to do."""
    queue = deque([1, 2, 3])
    seen = []

    def work(entry):
        seen.append(entry)
        queue.clear()
        return True

    drain(queue, work)

    assert seen == [1]
