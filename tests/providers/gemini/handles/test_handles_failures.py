"""Providers that refuse, and stores that fail."""

import pytest
from broken_stores import BrokenStore, ForgetfulStore
from gemini_remote import HOUR, MODEL, SCOPE, MemoryRemote, World

from promptcache.receipts.events import (
    CreateRefused,
    StoreFailed,
)

DIGEST = b"digest"
LEASE = 60.0
STORE_CALLS = 14
"""Of a creation, when nothing fails."""


@pytest.mark.parametrize(
    ("kind", "seconds", "of_the_model"),
    [
        pytest.param("too_small", 24 * HOUR, False, id="too small"),
        pytest.param("no_quota", HOUR, True, id="no quota"),
        pytest.param("unsupported", 24 * HOUR, True, id="unsupported"),
        pytest.param("busy", 30.0, False, id="busy"),
        pytest.param("refused", HOUR, False, id="refused"),
        pytest.param("gone", HOUR, False, id="gone"),
    ],
)
def test_refusal_is_remembered_by_all(
    world, one, other, key, kind, seconds, of_the_model
):
    """Nothing is asked again until its time, by any worker of the store."""
    world.remote.fail(kind, 400, 'no: "a secret"')
    assert one.create(key, world.creation()) is None
    assert world.stored(key) is None
    assert world.told(CreateRefused) == [
        CreateRefused("google", MODEL, kind, 'no: "a secret"')
    ]
    assert one.backed_off(key)
    assert not other.backed_off(key)
    world.clock.advance(seconds - 1)

    assert other.create(key, world.creation()) is None
    assert other.backed_off(key)
    assert world.remote.count("create") == 1
    another = one.key(SCOPE, b"another")
    assert (other.create(another, world.creation()) is None) == of_the_model
    assert other.backed_off(another) == of_the_model
    world.clock.advance(1)
    assert not other.backed_off(key)
    assert one.create(key, world.creation()).tokens == 5000


def test_model_that_is_refused_is_so_in_its_place(world, one, key):
    """Other models, and the same one elsewhere, are not held back."""
    world.remote.fail("unsupported")
    one.create(key, world.creation())
    elsewhere = MemoryRemote(world.clock, scope="vertex/p/l")
    another = one.key(SCOPE, b"another")

    assert one.create(another, world.creation()) is None
    for number, creation in enumerate(
        (world.creation(model="gemini-2.5-pro"), world.creation(remote=elsewhere))
    ):
        assert one.create(one.key(SCOPE, bytes([number])), creation) is not None


def test_busy_provider_is_asked_less_and_less(world, one, other, key):
    """Each time in a row the pause doubles, up to a quarter of an hour."""
    pauses = []
    for number in range(7):
        world.remote.fail("busy", 503)
        worker = (one, other)[number % 2]
        assert worker.create(key, world.creation()) is None
        since = world.clock.now()
        until = worker._backoffs._until[key]
        pauses.append(until - since)
        world.clock.time = until

    assert pauses == [30, 60, 120, 240, 480, 900, 900]
    assert world.remote.count("create") == 7


def test_minimum_is_learned(world, one, key):
    """What is smaller than what the provider takes is not asked for."""
    message = (
        "Cached content is too small. total_token_count=16, min_total_token_count=1024"
    )
    world.remote.fail("too_small", 400, message)
    one.create(key, world.creation(tokens=16))
    small, large = one.key(SCOPE, b"small"), one.key(SCOPE, b"large")

    assert one.minimum(SCOPE, f"models/{MODEL}") == 1024
    assert one.minimum(SCOPE, "gemini-2.5-pro") is None
    assert one.create(small, world.creation(tokens=1023)) is None
    assert world.remote.count("create") == 1
    assert not one.backed_off(small)
    assert one.create(large, world.creation(tokens=1024)) is not None


def test_broken_store_knows_nothing(world):
    """Every call goes on as if nothing were there, and one event a minute says so."""
    store = BrokenStore(world.store)
    worker = world.worker(store)
    key = b"some key"
    creation = world.creation()
    handle = World().worker().create(key, World().creation())

    def everything():
        assert worker.key(SCOPE, DIGEST) == b""
        assert worker.create(key, creation) is None
        assert worker.await_handle(key, 1.0) is None
        assert worker.extend(handle, world.remote, seconds=HOUR) is None
        worker.used(handle, saved_usd=0.1)
        worker.forget(handle)
        worker.refresh()
        worker.delete(handle, world.remote)
        worker.close(delete=True)

    everything()
    everything()

    assert world.remote.asked == []
    (event,) = world.events
    assert isinstance(event, StoreFailed)
    assert "nowhere" in event.what
    world.clock.advance(60)
    everything()
    assert len(world.events) == 2


def test_no_key_is_created_for(world, one):
    """Without a secret there is no key, and nothing is done for none."""
    assert one.known(b"") is None
    assert one.backed_off(b"")
    assert one.create(b"", world.creation()) is None
    assert one.await_handle(b"", 10.0) is None
    assert world.clock.waited == 0
    assert world.remote.asked == []


def test_secret_is_read_again_after_a_while(world):
    """A store that could not be read is left alone for a minute."""
    store = BrokenStore(world.store)
    worker = world.worker(store)
    assert worker.key(SCOPE, DIGEST) == b""
    store.left = None
    asked = store.calls
    assert worker.key(SCOPE, DIGEST) == b""
    assert store.calls == asked
    world.clock.advance(60)

    assert worker.key(SCOPE, DIGEST) == world.worker().key(SCOPE, DIGEST)


def test_refresh_reads_the_secret(world, one):
    """After it, no request waits for the store."""
    one.refresh()
    one._store.secret = None

    assert one.key(SCOPE, DIGEST)


@pytest.mark.parametrize("lost", ["in time", "late"])
@pytest.mark.parametrize("calls", range(1, STORE_CALLS + 1))
def test_store_that_breaks_in_the_middle(world, other, calls, lost):
    """Wherever it breaks, one content is left once it works again."""
    store = BrokenStore(world.store, after=calls)
    worker = world.worker(store)
    key = other.key(SCOPE, DIGEST)
    worker.create(key, world.creation())
    broke = store.calls > calls
    store.left = None
    world.clock.advance(LEASE + 900)
    if lost == "late":
        other.create(key, world.creation())
    worker.refresh()
    handle = worker.create(key, world.creation())

    assert broke == bool(world.told(StoreFailed)) == (calls < STORE_CALLS)
    assert handle == world.stored(key)
    assert world.remote.live == [handle.name]
    assert len(world.remote.contents) == 1


@pytest.mark.parametrize("done", [False, True])
def test_handle_that_could_not_be_stored(world, key, done):
    """What was created is stored later, and is then as good as any."""
    # The first is the pending one.
    worker = world.worker(ForgetfulStore(world.store, "put_handle", at=2, done=done))
    worker.create(key, world.creation())
    worker.refresh()
    handle = worker.create(key, world.creation())

    assert handle == worker.known(key) == world.stored(key)
    assert world.remote.live == [handle.name]
    assert world.remote.count("create") == 1
    worker.close(delete=True)
    assert world.remote.live == []


def test_lease_that_is_lost_while_storing_late(world, key):
    """Nothing is deleted without a lease."""
    store = ForgetfulStore(world.store, "put_handle", at=2, done=False)
    worker = world.worker(store)
    worker.create(key, world.creation())
    look = world.store.handle

    def slow(key, *, now):
        found = look(key, now=now)
        world.clock.advance(2 * LEASE)
        world.store.acquire(key, owner="x", seconds=LEASE, now=world.clock.now())
        return found

    world.store.handle = slow
    worker.refresh()
    del world.store.handle
    assert len(world.remote.live) == 1
    world.clock.advance(LEASE)
    worker.refresh()

    assert [world.stored(key).name] == world.remote.live


def test_handle_is_returned_though_its_cost_was_not_counted(world, key):
    """What is stored is there, whatever fails behind that."""
    store = ForgetfulStore(world.store, "add_counts", at=2, done=False)
    handle = world.worker(store).create(key, world.creation(tokens=4000))

    assert handle is not None
    assert handle == world.stored(key)
