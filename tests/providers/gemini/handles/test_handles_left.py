"""What those leave behind who die or come too late, and who finds it."""

import pytest
from gemini_remote import HOUR, MODEL, MemoryRemote, World, die, leave

from promptcache.providers.gemini.handles.naming import DisplayName, is_pending
from promptcache.receipts.events import CacheCreated, CacheEnded

LEASE = 60.0


def test_pending_handle_is_named_by_nobody(world, one, other, key):
    """What has only begun is not known, neither to its maker nor to others."""
    die(world, one, key)
    world.clock.advance(LEASE - 1)
    other.refresh()

    assert is_pending(world.stored(key).name)
    assert one.known(key) is other.known(key) is None
    assert other.await_handle(key, 0.0) is None


def test_next_one_creates_what_was_not_created(world, one, other, key):
    """A worker that died before the provider was done leaves nothing behind."""
    die(world, one, key)
    world.clock.advance(LEASE)
    made = other.create(key, world.creation())

    assert made.owner == other.owner
    assert world.remote.live == [made.name]
    assert world.stored(key) == made


@pytest.mark.parametrize("later", [LEASE, HOUR - 1])
def test_next_one_takes_over_what_was_created(world, one, other, key, later):
    """A worker that died with the answer leaves a content, which the next one owns.

    It is looked for as long as it may live.
    """
    left = leave(world, one, key)
    world.clock.advance(later)
    found = other.create(key, world.creation())

    assert (found.name, found.owner) == (left.name, other.owner)
    assert world.remote.live == [left.name]
    assert world.told(CacheCreated) == []


def test_lease_of_the_dead_is_waited_for(world, one, other, key):
    """Until it ends nobody creates."""
    die(world, one, key)
    world.clock.advance(LEASE - 0.1)

    assert other.create(key, world.creation()) is None
    assert world.remote.count("create") == 1


def test_one_of_many_left_is_kept(world, one, other, key):
    """Of several the one that lives longest is kept, and the others are deleted."""
    leave(world, one, key)
    name = str(DisplayName(one._keys.fleet, one.owner, key))
    longest = world.remote.create(MODEL, {}, seconds=2 * HOUR, display_name=name)
    world.remote.create(MODEL, {}, seconds=LEASE / 2, display_name=name)
    stranger = World().worker()
    theirs = str(DisplayName(stranger._keys.fleet, stranger.owner, key))
    foreign = world.remote.create(MODEL, {}, seconds=3 * HOUR, display_name=theirs)
    users = world.remote.create(MODEL, {}, seconds=3 * HOUR, display_name="mine")
    world.clock.advance(LEASE)
    found = other.create(key, world.creation())

    assert found.name == longest.name
    assert world.remote.live == [longest.name, foreign.name, users.name]
    assert [event.why for event in world.told(CacheEnded)] == ["deleted"]


def test_what_is_over_is_not_taken_over(world, one, other, key):
    """A list may lag behind."""
    leave(world, one, key, seconds=LEASE / 2)
    world.clock.advance(LEASE)
    world.remote.listed = lambda: iter(world.remote.contents.values())

    assert other.create(key, world.creation()).name in world.remote.live


def test_provider_that_does_not_list(world, one, other, key):
    """Where it cannot be told what was left behind, nothing is created for a while."""
    die(world, one, key)
    world.clock.advance(LEASE)
    world.remote.fail("busy", 503)

    assert other.create(key, world.creation()) is None
    assert other.backed_off(key)
    assert world.remote.count("create") == 1
    world.clock.advance(31)
    assert other.create(key, world.creation()) is not None


def test_slow_creation_deletes_its_duplicate(world, one, other, key):
    """Who lost its lease meanwhile deletes what it made and uses the other's."""
    got = []

    def slow():
        world.clock.advance(LEASE)
        got.append(other.create(key, world.creation()))

    world.remote.during["create"] = slow
    handle = one.create(key, world.creation())

    assert [handle] == got
    assert handle.owner == other.owner
    assert world.remote.live == [handle.name]
    assert len(world.told(CacheCreated)) == 2
    assert [event.why for event in world.told(CacheEnded)] == ["deleted"]


def test_late_creation_that_nobody_replaced_is_kept(world, one, key):
    """A lease that is over, but that nobody took, still writes."""
    world.remote.during["create"] = lambda: world.clock.advance(LEASE + 1)

    assert one.create(key, world.creation()) == world.stored(key)
    assert len(world.remote.live) == 1


def test_duplicate_waits_for_the_lease(world, one, other, key):
    """While the other one still creates, the duplicate is left for later."""
    taken = []

    def slow():
        world.clock.advance(LEASE)
        taken.append(
            world.store.acquire(
                key, owner="third", seconds=LEASE, now=world.clock.now()
            )
        )

    world.remote.during["create"] = slow

    assert one.create(key, world.creation()) is None
    assert len(world.remote.live) == 1
    one.refresh()
    assert len(world.remote.live) == 1
    world.store.release(taken[0])
    made = other.create(key, world.creation())
    one.refresh()
    assert world.remote.live == [made.name]
    assert one.known(key) == other.known(key) == world.stored(key)


def test_duplicate_that_another_took_over_is_kept(world, one, other, key):
    """What a second worker found and stored is not deleted by its slow creator."""
    taken = []

    class Slow(MemoryRemote):
        def create(self, *args, **options):
            held = super().create(*args, **options)
            # The provider has it; the answer is still on its way.
            world.clock.advance(LEASE)
            taken.append(other.create(key, world.creation(remote=self)))
            return held

    remote = Slow(world.clock)
    handle = one.create(key, world.creation(remote=remote))

    assert taken == [handle] == [world.stored(key)]
    assert handle.owner == other.owner
    assert remote.live == [handle.name]
    one.close(delete=True)
    assert remote.live == [handle.name]


def test_duplicate_whose_time_is_over(world, one, key):
    """What expired before it could be deleted is told as such."""
    world.remote.during["create"] = lambda: (
        world.clock.advance(LEASE),
        world.store.acquire(key, owner="x", seconds=9999, now=world.clock.now()),
    )
    assert one.create(key, world.creation(seconds=600.0)) is None
    world.clock.advance(600)
    one.refresh()
    one.refresh()

    assert [event.why for event in world.told(CacheEnded)] == ["expired"]
    assert world.remote.count("delete") == 0


def test_duplicate_that_is_not_deleted_yet(world, one, other, key):
    """A provider that is busy is asked again."""

    def slow():
        world.clock.advance(LEASE)
        other.create(key, world.creation())
        world.remote.fail("busy", 503)

    world.remote.during["create"] = slow
    handle = one.create(key, world.creation())
    assert len(world.remote.live) == 2
    one.refresh()

    assert handle.owner == other.owner
    assert world.remote.live == [handle.name]
    assert world.remote.count("delete") == 2


def test_duplicate_that_is_deleted_already(world, one, other, key):
    """Whoever deleted it, it is over."""
    taken = []

    def slow():
        world.clock.advance(LEASE)
        taken.append(other.create(key, world.creation()))
        world.remote.fail("gone", 403)

    world.remote.during["create"] = slow

    assert [one.create(key, world.creation())] == taken
    one.refresh()
    assert world.remote.count("delete") == 1
    assert [event.why for event in world.told(CacheEnded)] == ["deleted"]


def test_creation_by_another_just_before(world, one, other, key):
    """Who gets the lease looks once more."""
    acquire = world.store.acquire

    def late(*args, **options):
        del world.store.acquire
        other.create(key, world.creation())
        return acquire(*args, **options)

    world.store.acquire = late

    assert one.create(key, world.creation()) == other.known(key)
    assert world.remote.count("create") == 1


def test_creation_without_an_answer_is_looked_for(world, one, other, key):
    """Where no answer came it may exist: whoever creates next finds it."""
    world.remote.unanswered = True
    assert one.create(key, world.creation()) is None
    assert len(world.remote.live) == 1
    world.clock.advance(31)
    found = other.create(key, world.creation())

    assert [found.name] == world.remote.live
    assert world.remote.count("create") == 1
