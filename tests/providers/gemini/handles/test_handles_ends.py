"""Handles are extended, deleted, forgotten, and expire."""

from dataclasses import replace

import pytest
from broken_stores import BrokenStore
from gemini_remote import HOUR, MODEL, NOW, TERMS

from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.events import (
    CacheEnded,
    CacheExtended,
    CreateRefused,
)


def test_extension_moves_the_end(world, one, other, key):
    """All workers get to know the later end."""
    handle = one.create(key, world.creation(seconds=600.0))
    world.clock.advance(400)
    longer = one.extend(handle, world.remote, seconds=600.0)
    other.refresh()

    assert longer.expires_at == NOW + 1000
    assert one.known(key) == other.known(key) == longer
    assert world.told(CacheExtended) == [
        CacheExtended("google", MODEL, handle.name, 600.0)
    ]


def test_one_of_two_extends(world, one, other, key):
    """Who looked before another worker extended takes over what that one did."""
    handle = one.create(key, world.creation(seconds=600.0))
    world.clock.advance(400)
    longer = other.extend(handle, world.remote, seconds=600.0)
    world.clock.advance(1)

    assert one.extend(handle, world.remote, seconds=600.0) == longer
    assert world.remote.count("extend") == 1
    assert one.extend(longer, world.remote, seconds=600.0).expires_at == NOW + 1001


def test_life_is_never_shortened(world, one, key):
    """What lives as long anyway is left as it is."""
    handle = one.create(key, world.creation(seconds=600.0))

    assert one.extend(handle, world.remote, seconds=500.0) == handle
    assert world.remote.count("extend") == 0


def test_handle_that_the_store_lost_is_not_extended(world, one, key):
    """It may be another's by now."""
    handle = one.create(key, world.creation(seconds=600.0))
    world.store.drop_handle(handle)

    assert one.extend(handle, world.remote, seconds=HOUR) is None
    assert one.known(key) is None
    assert world.remote.count("extend") == 0


def test_extension_of_what_is_gone(world, one, other, key):
    """The provider says so, and all forget it."""
    handle = one.create(key, world.creation(seconds=600.0))
    del world.remote.contents[handle.name]

    assert one.extend(handle, world.remote, seconds=HOUR) is None
    assert one.known(key) is world.stored(key) is None
    assert [event.why for event in world.told(CacheEnded)] == ["gone"]


def test_extension_that_fails_is_tried_later(world, one, key):
    """The handle stays, one event tells, and the next try waits."""
    handle = one.create(key, world.creation(seconds=600.0))
    world.remote.fail("no_quota", 429)

    assert one.extend(handle, world.remote, seconds=HOUR) is None
    assert one.extend(handle, world.remote, seconds=HOUR) is None
    assert one.known(key) == handle
    assert world.remote.count("extend") == 1
    assert world.told(CreateRefused) == [
        CreateRefused("google", MODEL, "no_quota", "no")
    ]
    world.clock.advance(31)
    assert one.extend(handle, world.remote, seconds=HOUR) is not None


def test_extension_while_another_is_at_it(world, one, key):
    """Without the lease nothing is changed at the provider."""
    handle = one.create(key, world.creation(seconds=600.0))
    world.store.acquire(key, owner="other", seconds=30, now=world.clock.now())
    one.delete(handle, world.remote)

    assert one.extend(handle, world.remote, seconds=HOUR) is None
    assert {asked for asked, _ in world.remote.asked} == {"create"}
    assert one.known(key) == handle


def test_expiry_is_told_once_by_the_owner(world, one, other, key):
    """It tells how long what was stored, and what that cost."""
    handle = one.create(key, world.creation(seconds=1800.0))
    other.refresh()
    world.clock.advance(1799)
    one.refresh()
    assert world.told(CacheEnded) == []
    world.clock.advance(500)
    for _ in range(2):
        other.refresh()
        one.refresh()
        one.close(delete=True)

    assert world.told(CacheEnded) == [
        CacheEnded("google", MODEL, handle.name, "expired", 2500.0, 0.005)
    ]
    assert one.known(key) is other.known(key) is None


@pytest.mark.parametrize(
    ("tokens", "terms", "hours", "usd"),
    [
        pytest.param(5000, TERMS, 5000.0, 0.01, id="known"),
        pytest.param(5000, None, 5000.0, None, id="no price"),
        pytest.param(
            8000, Terms(1e-6, 1e-7, 0.0, 1e-6), 8000.0, 0.0, id="free of charge"
        ),
    ],
)
def test_unknown_cost_is_not_zero(world, one, key, tokens, terms, hours, usd):
    """What storage cost is told where it is known."""
    world.remote.tokens = tokens
    one.create(key, world.creation(terms=terms))
    world.clock.advance(HOUR)
    one.refresh()
    (event,) = world.told(CacheEnded)

    assert (event.token_hours, event.cost_usd) == (hours, usd)


def test_end_that_another_worker_moved(world, one, other, key):
    """The owner looks at the store before it tells that a time is over."""
    handle = one.create(key, world.creation(seconds=600.0))
    other.extend(handle, world.remote, seconds=2 * HOUR)
    world.clock.advance(700)
    one.refresh()
    assert world.told(CacheEnded) == []
    world.clock.advance(2 * HOUR)
    one.refresh()

    (event,) = world.told(CacheEnded)
    assert event.token_hours == pytest.approx(5000 * 2)


def test_deletion_is_reckoned_until_then(world, one, other, key):
    """What is deleted early is billed until that, and nobody knows it any more."""
    handle = one.create(key, world.creation())
    other.refresh()
    world.clock.advance(HOUR / 2)
    one.delete(handle, world.remote)
    other.refresh()
    one.refresh()

    assert world.remote.live == []
    assert one.known(key) is other.known(key) is world.stored(key) is None
    assert world.told(CacheEnded) == [
        CacheEnded("google", MODEL, handle.name, "deleted", 2500.0, 0.005)
    ]


def test_what_another_deleted_is_told_by_its_owner(world, one, key):
    """The deleter tells nothing, and the owner sees it at its next look."""
    theirs = []
    other = world.worker(events=theirs)
    handle = one.create(key, world.creation())
    world.clock.advance(HOUR / 2)
    other.delete(handle, world.remote)
    assert world.told(CacheEnded) == []
    one.refresh()
    one.refresh()

    assert theirs == []
    assert world.told(CacheEnded) == [
        CacheEnded("google", MODEL, handle.name, "gone", 2500.0, 0.005)
    ]
    assert one.known(key) is None


def test_other_content_of_the_key_is_not_deleted(world, one, other, key):
    """Only the very content that the store has is deleted."""
    handle = one.create(key, world.creation())
    stale = replace(handle, name="cachedContents/stale")
    other.delete(stale, world.remote)

    assert world.remote.live == [handle.name]
    assert world.stored(key) == handle


def test_deletion_that_fails_changes_nothing(world, one, key):
    """What is still there stays known."""
    handle = one.create(key, world.creation())
    world.remote.fail("busy", 503)
    one.delete(handle, world.remote)
    assert one.known(key) == world.stored(key) == handle
    assert world.told(CacheEnded) == []
    one.delete(handle, world.remote)

    assert one.known(key) is world.stored(key) is None


def test_deletion_of_what_is_gone(world, one, key):
    """What somebody else deleted at the provider is forgotten."""
    handle = one.create(key, world.creation())
    del world.remote.contents[handle.name]
    one.delete(handle, world.remote)

    assert one.known(key) is world.stored(key) is None
    assert [event.why for event in world.told(CacheEnded)] == ["deleted"]


def test_no_request_names_what_is_being_deleted(world, one, key):
    """It is forgotten before the provider is asked to delete it."""
    handle = one.create(key, world.creation())
    seen = []
    world.remote.during["delete"] = lambda: seen.append(one.known(key))
    one.delete(handle, world.remote)

    assert seen == [None]


def test_what_is_gone_is_forgotten_at_once(world, other, key):
    """Forgetting needs no store, which is told before anything is created."""
    store = BrokenStore(world.store)
    store.left = None
    one = world.worker(store)
    handle = one.create(key, world.creation())
    del world.remote.contents[handle.name]
    calls = store.calls
    one.forget(handle)

    assert one.known(key) is None
    assert (store.calls, world.stored(key)) == (calls, handle)
    assert [event.why for event in world.told(CacheEnded)] == ["gone"]
    again = one.create(key, world.creation())
    assert again.name != handle.name
    assert world.stored(key) == again
    other.forget(handle)
    other.refresh()
    assert world.stored(key) == again
    assert len(world.told(CacheEnded)) == 1


def test_what_is_gone_stays_forgotten(world, one, other, key):
    """A store that still has it does not bring it back."""
    handle = one.create(key, world.creation())
    other.refresh()
    other.forget(handle)
    # As when the worker that knows better has not reached the store yet.
    other._outbox.lost.clear()
    other.refresh()

    assert other.known(key) is None
    assert other.await_handle(key, 0.0) is None
