"""What a worker tells the store, and learns from it."""

import pytest
from broken_stores import BrokenStore
from gemini_remote import HOUR, NOW, SCOPE

from promptcache.receipts.events import CacheEnded


def test_uses_are_counted_in_the_store(world, one, other, key):
    """They are noted in memory and written by the next look."""
    handle = one.create(key, world.creation())
    world.clock.advance(5)
    one.used(handle, saved_usd=0.25)
    other.used(handle, saved_usd=None)
    assert world.stored(key).uses == 0
    world.clock.advance(5)
    one.refresh()
    other.refresh()
    one.refresh()
    stored = world.stored(key)

    assert (stored.uses, stored.used_at, stored.saved_usd) == (2, NOW + 5, 0.25)
    assert one.known(key) == stored


def test_uses_wait_for_a_store_that_works(world, key):
    """What could not be written is not lost."""
    store = BrokenStore(world.store)
    store.left = None
    worker = world.worker(store)
    handle = worker.create(key, world.creation())
    for _ in range(3):
        worker.used(handle, saved_usd=0.5)
    store.left = 1
    worker.refresh()
    store.left = None
    worker.refresh()

    assert (world.stored(key).uses, world.stored(key).saved_usd) == (3, 1.5)


def test_close_deletes_what_nobody_else_uses(world, one, key):
    """What this process made, and it alone has used, goes with it."""
    handle = one.create(key, world.creation())
    unused = one.create(one.key(SCOPE, b"unused"), world.creation())
    world.clock.advance(10)
    one.used(handle, saved_usd=0.1)
    one.close(delete=True)

    assert world.remote.live == []
    assert {event.name for event in world.told(CacheEnded)} == {
        handle.name,
        unused.name,
    }


def test_close_leaves_what_another_used_since(world, one, other, key):
    """A later use by another worker keeps it; an earlier one does not."""
    kept, ended = (
        one.create(one.key(SCOPE, name), world.creation()) for name in (b"a", b"b")
    )
    other.used(ended, saved_usd=None)
    world.clock.advance(1)
    for handle in (kept, ended):
        one.used(handle, saved_usd=None)
    world.clock.advance(1)
    other.used(kept, saved_usd=None)
    other.refresh()
    one.close(delete=True)

    assert world.remote.live == [kept.name]


def test_close_leaves_what_others_made(world, one, other, key):
    """Who only used it deletes nothing."""
    handle = one.create(key, world.creation())
    other.create(key, world.creation())
    other.used(handle, saved_usd=0.1)
    other.close(delete=True)

    assert world.remote.live == [handle.name]
    assert world.stored(key).uses == 1


def test_close_without_deleting(world, one, key):
    """What is noted is written, and all lives on."""
    handle = one.create(key, world.creation())
    one.used(handle, saved_usd=0.1)
    one.close(delete=False)

    assert world.remote.live == [handle.name]
    assert world.stored(key).uses == 1


def test_child_of_a_fork_is_another_worker(world, one, key):
    """It knows the handles, and leaves what is to be told and deleted to its parent."""
    handle = one.create(key, world.creation())
    one.used(handle, saved_usd=0.1)
    owner = one.owner
    assert one.pause()
    one.resume()
    assert one.pause()
    one.restart()

    assert one.owner != owner
    assert one.known(key) == handle
    one.close(delete=True)
    assert world.stored(key).uses == 0
    assert world.remote.live == [handle.name]
    assert world.told(CacheEnded) == []


@pytest.fixture
def meanwhile(world, one):
    """Have something happen after the store was read and before that is known."""

    def refresh(happens):
        read = world.store.handles

        def slow(*, now):
            found = read(now=now)
            del world.store.handles
            happens()
            return found

        world.store.handles = slow
        one.refresh()

    return refresh


def test_creation_meanwhile(world, one, key, meanwhile):
    """What is not in an older list is there all the same."""
    meanwhile(lambda: one.create(key, world.creation()))

    assert one.known(key).name == "cachedContents/1"
    assert world.told(CacheEnded) == []


def test_replacement_meanwhile(world, one, key, meanwhile):
    """The new one stays known, and the end of the old one is told."""
    old = one.create(key, world.creation())
    world.store.drop_handle(old)
    meanwhile(lambda: one.create(key, world.creation()))

    assert one.known(key).name == "cachedContents/2"
    assert [event.name for event in world.told(CacheEnded)] == [old.name]


def test_extension_meanwhile(world, one, key, meanwhile):
    """The later end stays known."""
    handle = one.create(key, world.creation(seconds=600.0))
    meanwhile(lambda: one.extend(handle, world.remote, seconds=HOUR))

    assert one.known(key).expires_at == NOW + HOUR


def test_end_meanwhile(world, one, key, meanwhile):
    """It is told once, by whoever comes first."""
    handle = one.create(key, world.creation())
    world.store.drop_handle(handle)
    meanwhile(lambda: one.forget(handle))

    assert one.known(key) is None
    assert len(world.told(CacheEnded)) == 1


class Watched:
    """What must not be called while a thread holds a lock of ours."""

    def __init__(self, inner, locks):
        self._inner = inner
        self._locks = locks
        self.calls = 0

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*args, **options):
            self.calls += 1
            assert not any(lock.locked() for lock in self._locks)
            return value(*args, **options)

        return call


def test_no_lock_is_held_over_io(world):
    """Neither the store nor the provider nor a listener is waited for under a lock."""
    locks = []
    store, remote = Watched(world.store, locks), Watched(world.remote, locks)
    listener = Watched(world.events, locks)
    worker = world.worker(store, events=listener)
    locks += [part._lock for part in (worker._shelf, worker._teller, worker._backoffs)]
    kept, lost, deleted = (
        worker.create(worker.key(SCOPE, name), world.creation(remote=remote))
        for name in (b"kept", b"lost", b"deleted")
    )
    world.remote.fail("refused")
    worker.create(worker.key(SCOPE, b"refused"), world.creation(remote=remote))
    huge = world.creation(remote=remote, tokens=10**9)
    worker.create(worker.key(SCOPE, b"huge"), huge)
    worker.used(kept, saved_usd=0.1)
    worker.extend(kept, remote, seconds=2 * HOUR)
    worker.forget(lost)
    worker.delete(deleted, remote)
    worker.refresh()
    worker.close(delete=True)

    assert store.calls > 40
    assert (remote.calls, listener.calls) == (7, 9)
