"""What a crash leaves behind: told apart, and settled beside living workers."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

pytest.importorskip("google.genai", reason="google-genai is not installed")

from gemini_remote import HOUR, MODEL, NOW, PatientClock, World
from gemini_sdk import client_of, members
from redis_server import redis_server

from promptcache.errors import StoreError
from promptcache.limits import Limits
from promptcache.providers.gemini.handles import Creation
from promptcache.providers.gemini.handles.naming import DisplayName, pending_name
from promptcache.providers.gemini.remote import GenaiRemote, Held, RemoteError
from promptcache.providers.gemini.standing import Row, compared, decided
from promptcache.providers.gemini.sweep import Sweeper
from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store
from promptcache.state.stores import Handle

SCOPE = "developer/test"
FLEET, STRANGERS = "f1ee7f1e", "57a19e55"
KEY, OTHER_KEY = b"key-1", b"key-2"
PENDING = pending_name("aaaaaaaa", 1)
DEAD = 61.0
"""Seconds after which the lease of a dead worker is over."""


def label(key=KEY, fleet=FLEET, owner="aaaaaaaa"):
    return str(DisplayName(fleet, owner, key))


def held(name="c/1", text=None, *, lives=HOUR, tokens=5000):
    text = label() if text is None else text
    return Held(name, MODEL, text, tokens, NOW, NOW + lives)


def stored(name="c/1", key=KEY, *, scope=SCOPE, at=NOW, lives=HOUR, **fields):
    return Handle(key, name, MODEL, scope, 5000, at, NOW + lives, "bbbbbbbb", **fields)


# How everything stands

STANDING = [
    pytest.param([held()], [stored()], [("known", "c/1")], id="both have it"),
    pytest.param([held()], [], [("orphan", "c/1")], id="no one stored it"),
    pytest.param(
        [held("c/1"), held("c/2")],
        [stored("c/2")],
        [("orphan", "c/1"), ("known", "c/2")],
        id="one too many",
    ),
    pytest.param(
        [held(text=label(fleet=STRANGERS))], [], [("foreign", "c/1")], id="strangers'"
    ),
    pytest.param([held(text="notes")], [], [("other", "c/1")], id="none of ours"),
    pytest.param([held(text="")], [], [("other", "c/1")], id="without a display name"),
    pytest.param(
        [held(text="promptcache/demo")], [], [("other", "c/1")], id="like ours"
    ),
    pytest.param(
        [held(text="notes")], [stored()], [("known", "c/1")], id="adopted by name"
    ),
    pytest.param(
        [held()],
        [stored(), stored(key=OTHER_KEY)],
        [("known", "c/1")],
        id="stored under two keys",
    ),
    pytest.param([], [stored()], [("missing", "c/1")], id="gone"),
    pytest.param([], [stored(PENDING)], [("pending", PENDING)], id="only begun"),
    pytest.param(
        [held()], [stored(PENDING)], [("pending", "c/1")], id="made, not yet stored"
    ),
    pytest.param(
        [held(text=label(OTHER_KEY))],
        [stored(PENDING)],
        [("orphan", "c/1"), ("pending", PENDING)],
        id="begun for another key",
    ),
    pytest.param(
        [], [stored(scope="developer/2")], [("known", "c/1")], id="of another API key"
    ),
    pytest.param(
        [held()],
        [stored(scope="developer/2")],
        [("known", "c/1")],
        id="of another API key that sees the same",
    ),
    pytest.param(
        [held(text="notes")],
        [stored(scope="developer/test@elsewhere")],
        [("known", "c/1"), ("other", "c/1")],
        id="of another server with the same name",
    ),
    pytest.param(None, [stored()], [("known", "c/1")], id="the provider is silent"),
    pytest.param(
        None, [stored(PENDING)], [("pending", PENDING)], id="silent about a creation"
    ),
]


@pytest.mark.parametrize(("listed", "handles", "expected"), STANDING)
def test_standing(listed, handles, expected):
    """Names, display names and scopes tell what is whose."""
    rows = compared(listed, handles, fleet=FLEET, scope=SCOPE)

    assert sorted((row.state, row.name) for row in rows) == sorted(expected)


def test_row_has_what_each_side_knows():
    """The provider knows the end, the store knows the uses."""
    handle = stored(lives=60.0, uses=3, saved_usd=0.5)
    (row,) = compared([held(tokens=7000)], [handle], fleet=FLEET, scope=SCOPE)

    assert (row.tokens, row.expires_at, row.owner) == (7000, NOW + HOUR, "bbbbbbbb")
    assert (row.uses, row.saved_usd, row.key) == (3, 0.5, KEY)
    assert row.usd_per_hour(at=NOW) == pytest.approx(0.0035)


def test_row_knows_no_more_than_it_was_told():
    """Nobody has counted the uses of an orphan; a display name tells its maker."""
    (row,) = compared([held(tokens=None)], [], fleet=FLEET, scope=SCOPE)

    assert (row.uses, row.saved_usd, row.tokens) == (None, None, None)
    assert (row.owner, row.key, row.usd_per_hour(at=NOW)) == ("aaaaaaaa", KEY, None)


@pytest.mark.parametrize(
    ("listed", "handles", "usd"),
    [
        pytest.param([], [stored()], 0.0, id="missing"),
        pytest.param([], [stored(PENDING)], None, id="may come at any time"),
        pytest.param([held()], [stored(PENDING)], 0.0025, id="has come"),
        pytest.param(None, [stored()], 0.0025, id="as the store has it"),
    ],
)
def test_cost_an_hour(listed, handles, usd):
    """Storage costs what is there; what is not known is not free."""
    (row,) = compared(listed, handles, fleet=FLEET, scope=SCOPE)

    assert row.usd_per_hour(at=NOW) == (None if usd is None else pytest.approx(usd))


def test_a_row_of_nothing():
    """A row that stands for nothing says so at once."""
    with pytest.raises(TypeError):
        _ = Row("other", None, None, None).name


# What is decided about a key

DECIDED = [
    pytest.param(None, [held()], False, ["adopted c/1"], id="an orphan"),
    pytest.param(
        None, [held(lives=60.0)], False, ["left c/1"], id="an orphan that soon ends"
    ),
    pytest.param(None, [held(lives=61.0)], False, ["adopted c/1"], id="just worth it"),
    pytest.param(None, [held(lives=0.0)], False, [], id="an orphan that has ended"),
    pytest.param(
        None,
        [held("c/1", lives=100.0), held("c/2", lives=200.0), held("c/3", lives=50.0)],
        False,
        ["adopted c/2", "deleted c/1", "deleted c/3"],
        id="the orphan that lives longest",
    ),
    pytest.param(
        None,
        [held("c/1", lives=10.0), held("c/2", lives=20.0)],
        False,
        ["left c/2", "left c/1"],
        id="orphans that soon end",
    ),
    pytest.param(
        stored("c/2", lives=10.0), [held()], True, ["deleted c/1"], id="a duplicate"
    ),
    pytest.param(stored(), [held()], True, [], id="stored meanwhile"),
    pytest.param(stored(), [], False, ["dropped c/1"], id="missing"),
    pytest.param(
        stored("c/2"),
        [held()],
        False,
        ["dropped c/2", "adopted c/1"],
        id="missing, and an orphan",
    ),
    pytest.param(
        stored("c/2"), [held()], None, ["left c/1"], id="stored for another API key"
    ),
    pytest.param(
        stored(PENDING, at=NOW - 60),
        [],
        False,
        [f"dropped {PENDING}"],
        id="nothing came of it",
    ),
    pytest.param(
        stored(PENDING, at=NOW - 59), [], False, [f"left {PENDING}"], id="just begun"
    ),
    pytest.param(
        stored(PENDING),
        [held("c/1"), held("c/2")],
        False,
        ["adopted c/1", "deleted c/2"],
        id="begun, and made twice",
    ),
    pytest.param(
        stored(PENDING), [held(lives=9.0)], False, ["left c/1"], id="begun, soon ends"
    ),
]


@pytest.mark.parametrize(("handle", "there", "is_there", "deeds"), DECIDED)
def test_decided(handle, there, is_there, deeds):
    """At most one lives on, and no worth is thrown away."""
    done = decided(handle, there, is_there=is_there, now=NOW, looked_at=NOW)

    assert [f"{deed.what} {deed.name}" for deed in done] == deeds


# Sweeping


@pytest.fixture
def world():
    return World()


@pytest.fixture
def worker(world):
    return world.worker()


@pytest.fixture
def key(worker):
    return worker.key(SCOPE, b"digest")


@pytest.fixture
def sweeper(world):
    return sweeper_of(world)


def sweeper_of(world, **options):
    return Sweeper(world.store, world.remote, clock=world.clock, **options)


def orphan(world, worker, key, *, seconds=HOUR, fleet=None, owner="deadbeef"):
    """Have the provider keep what no store knows of."""
    text = str(DisplayName(fleet or worker._keys.fleet, owner, key))
    return world.remote.create(MODEL, {}, seconds=seconds, display_name=text)


def swept(sweeper, **options):
    return [f"{deed.what} {deed.name}" for deed in sweeper.sweep(**options)]


def planned(sweeper, **options):
    return [f"{deed.what} {deed.name}" for deed in sweeper.planned(**options)]


def states(sweeper):
    return [row.state for row in sweeper.standing()]


def test_nothing_to_sweep_is_one_list(world, worker, key, sweeper):
    """Where all is well the provider is asked once, and nothing else."""
    worker.create(key, world.creation())
    before = len(world.remote.asked)

    assert swept(sweeper) == []
    assert world.remote.asked[before:] == [("list", "")]


def test_orphan_serves_the_next_worker(world, worker, key, sweeper):
    """What is adopted is found by whoever would have created it."""
    left = orphan(world, worker, key)

    assert planned(sweeper) == [f"adopted {left.name}"]
    assert states(sweeper) == ["orphan"]
    assert swept(sweeper) == [f"adopted {left.name}"]

    found = worker.create(key, world.creation())
    assert (found.name, found.owner) == (left.name, "deadbeef")
    assert (found.tokens, found.expires_at) == (5000, NOW + HOUR)
    assert world.remote.count("create") == 1


def test_orphan_gets_another_owner(world, worker, key):
    """A worker that sweeps takes what it finds as its own."""
    orphan(world, worker, key)
    sweeper_of(world, owner=worker.owner).sweep()

    assert world.stored(key).owner == worker.owner


def test_duplicate_is_deleted(world, worker, key, sweeper):
    """What the store has stays, however long the other one would live."""
    kept = worker.create(key, world.creation())
    spare = orphan(world, worker, key, seconds=10 * HOUR)

    assert planned(sweeper) == swept(sweeper) == [f"deleted {spare.name}"]
    assert world.remote.live == [kept.name]
    assert world.stored(key) == kept


def test_another_fleets_secret(world, worker, key):
    """Who sweeps with another secret sees strangers only, and leaves them alone."""
    worker.create(key, world.creation())
    world.store.drop_handle(world.stored(key))
    sweeper = sweeper_of(world, secret=b"another")

    assert states(sweeper) == ["foreign"]
    assert swept(sweeper) == []


def test_foreign_only_where_asked_for(world, worker, key, sweeper):
    """Strangers' are deleted if everything is to go; what is none of ours never is."""
    strange = orphan(world, worker, key, fleet=STRANGERS)
    other = world.remote.create(MODEL, {}, seconds=HOUR, display_name="notes")

    names = [strange.name, other.name]

    assert planned(sweeper) == swept(sweeper) == []
    assert planned(sweeper, foreign=names) == [f"deleted {strange.name}"]
    assert swept(sweeper, foreign=names) == [f"deleted {strange.name}"]
    assert world.remote.live == [other.name]


def test_creation_under_way_is_left_alone(world, worker, key, sweeper):
    """Neither what a living worker has begun nor what it has just made is touched."""
    seen = []
    remote = world.remote
    inner = remote.create

    def create(*args, **fields):
        seen.append(swept(sweeper))
        made = inner(*args, **fields)
        seen.append(swept(sweeper))
        return made

    remote.create = create
    made = worker.create(key, world.creation())

    assert seen[0][0].startswith("left pending/")
    assert seen[1] == [f"left {made.name}"]
    assert world.stored(key) == made
    assert remote.live == [made.name]


def test_dead_creators_are_settled(world, worker, sweeper):
    """What was made is adopted, what was only begun is forgotten, a minute later."""
    made_key, begun_key = worker.key(SCOPE, b"made"), worker.key(SCOPE, b"begun")
    for key in (made_key, begun_key):
        begin(world, key)
    left = orphan(world, worker, made_key)

    assert states(sweeper) == ["pending", "pending"]
    assert {deed.split()[0] for deed in swept(sweeper)} == {"left"}
    world.clock.advance(DEAD)
    expected = [f"adopted {left.name}", f"dropped {PENDING}"]
    assert sorted(planned(sweeper)) == sorted(swept(sweeper)) == expected
    assert world.stored(made_key).name == left.name
    assert world.stored(begun_key) is None
    assert states(sweeper) == ["known"]


def begin(world, key):
    """Leave what a worker leaves that dies while it creates."""
    now = world.clock.now()
    lease = world.store.acquire(key, owner="aaaaaaaa", seconds=60.0, now=now)
    handle = stored(PENDING, key, at=now)
    assert world.store.put_handle(handle, lease, now=now)


def test_unanswered_creation_is_given_time(world, worker, key, sweeper):
    """A creation without an answer may arrive after the provider was asked."""
    world.remote.fail("busy", status=None)
    worker.create(key, world.creation())

    assert [deed.split("/")[0] for deed in swept(sweeper)] == ["left pending"]
    world.clock.advance(DEAD)
    assert [deed.split("/")[0] for deed in swept(sweeper)] == ["dropped pending"]


def test_missing_is_forgotten(world, worker, key, sweeper):
    """What somebody else has deleted is dropped from the store."""
    made = worker.create(key, world.creation())
    world.remote.delete(made.name)

    assert planned(sweeper) == swept(sweeper) == [f"dropped {made.name}"]
    assert world.stored(key) is None


def test_missing_from_the_list_only(world, worker, key, sweeper):
    """What a list leaves out and the provider still has is not forgotten."""
    made = worker.create(key, world.creation())
    world.remote.listed = lambda: iter(())

    assert states(sweeper) == ["missing"]
    assert swept(sweeper) == []
    assert world.stored(key) == made


def test_what_is_deleted_meanwhile_is_not_adopted(world, worker, key, sweeper):
    """A list is old by the time the lease is had."""
    left = orphan(world, worker, key)
    acquire = world.store.acquire

    def acquired(*args, **options):
        world.remote.contents.clear()
        return acquire(*args, **options)

    world.store.acquire = acquired

    assert swept(sweeper) == []
    assert world.stored(key) is None
    assert ("get", left.name) in world.remote.asked


def test_what_is_stored_meanwhile_is_no_duplicate(world, worker, key, sweeper):
    """Its maker may have stored it between the list and the lease."""
    acquire = world.store.acquire
    left = orphan(world, worker, key)

    def acquired(*args, **options):
        lease = acquire(*args, **options)
        world.store.put_handle(stored(left.name, key), lease, now=NOW)
        return lease

    world.store.acquire = acquired

    assert swept(sweeper) == []
    assert world.remote.live == [left.name]


def test_lease_that_is_lost_stops_it(world, worker, key, sweeper):
    """Nothing is adopted or deleted by a worker that was too slow."""
    orphan(world, worker, key)
    orphan(world, worker, key, seconds=2 * HOUR)
    inner = world.remote.get

    def slow(name):
        world.clock.advance(DEAD)
        world.store.acquire(key, owner="cccccccc", seconds=600, now=world.clock.now())
        return inner(name)

    world.remote.get = slow

    assert [deed.split()[0] for deed in swept(sweeper)] == ["left"]
    assert len(world.remote.live) == 2
    assert world.stored(key) is None


def test_duplicate_outlives_a_lost_lease(world, worker, key, sweeper):
    """Whoever has the lease by then may have other plans with it."""
    worker.create(key, world.creation())
    orphan(world, worker, key)
    inner = world.remote.get

    def slow(name):
        world.clock.advance(DEAD)
        world.store.acquire(key, owner="cccccccc", seconds=600, now=world.clock.now())
        return inner(name)

    world.remote.get = slow

    assert [deed.split()[0] for deed in swept(sweeper)] == ["left"]
    assert len(world.remote.live) == 2


def test_what_the_store_has_for_another_key(world, worker, key, sweeper):
    """What this API key does not see may be alive all the same."""
    left = orphan(world, worker, key)
    lease = world.store.acquire(key, owner="x", seconds=60, now=NOW)
    elsewhere = stored("c/9", key, scope="developer/2")
    world.store.put_handle(elsewhere, lease, now=NOW)
    world.store.release(lease)

    assert planned(sweeper) == swept(sweeper) == [f"left {left.name}"]
    assert world.stored(key) == elsewhere


def test_lease_that_is_lost_at_the_last_moment(world, worker, key, sweeper):
    """A store that refuses what was adopted keeps its word."""
    orphan(world, worker, key)
    orphan(world, worker, key)
    world.store.put_handle = lambda *args, **options: False

    assert [deed.split()[0] for deed in swept(sweeper)] == ["left"]
    assert len(world.remote.live) == 2


def test_refusal_concerns_one_key(world, worker, sweeper):
    """What the provider refuses is told, and the others are settled."""
    keys = [worker.key(SCOPE, name) for name in (b"a", b"b")]
    made = [orphan(world, worker, key) for key in keys]
    inner = world.remote.get

    def refusing(name):
        if name == made[0].name:
            raise RemoteError(500, "internal", kind="busy")
        return inner(name)

    world.remote.get = refusing

    assert swept(sweeper) == [f"failed {made[0].name}", f"adopted {made[1].name}"]
    assert world.store.acquire(keys[0], owner="x", seconds=1, now=NOW) is not None


def test_refused_deletion_is_told(world, worker, key, sweeper):
    """A duplicate that cannot be deleted now is tried again by the next sweep."""
    worker.create(key, world.creation())
    spare = orphan(world, worker, key)

    def refuse():
        raise RemoteError(429, "slow down", kind="busy")

    world.remote.during["delete"] = refuse
    assert swept(sweeper) == [f"failed {spare.name}"]
    assert swept(sweeper) == [f"deleted {spare.name}"]


def test_provider_that_falls_silent_ends_it(world, worker, sweeper):
    """Nobody waits for every single answer that does not come."""
    for name in (b"a", b"b", b"c"):
        orphan(world, worker, worker.key(SCOPE, name))

    def silent(name):
        world.remote.asked.append(("get", name))
        raise RemoteError.of(None, "no usable answer: ReadTimeout")

    world.remote.get = silent

    assert [deed.split()[0] for deed in swept(sweeper)] == ["failed"]
    assert world.remote.count("get") == 1


def test_provider_that_does_not_list(world, sweeper):
    """Without a list nothing is done, and that is told."""
    world.remote.fail("refused", status=400)

    with pytest.raises(RemoteError):
        sweeper.sweep()


def test_broken_store(world, sweeper):
    """A store that fails is its own error."""

    def broken(**options):
        raise StoreError("nowhere", "it is broken")

    world.store.handles = broken
    with pytest.raises(StoreError):
        sweeper.sweep()


# One at a time


def row_of(sweeper):
    (row,) = sweeper.standing()
    return row


def test_extending_moves_the_end_in_both_places(world, worker, key, sweeper):
    """Provider and store agree on the end."""
    worker.create(key, world.creation())
    held = sweeper.extend(row_of(sweeper), seconds=2 * HOUR)

    assert held.expires_at == world.stored(key).expires_at == NOW + 2 * HOUR
    assert world.store.acquire(key, owner="x", seconds=1, now=NOW) is not None


def test_extending_what_the_store_lacks(world, worker, key, sweeper):
    """An orphan, or a stranger's, lives longer and is nobody's still."""
    orphan(world, worker, key)
    sweeper.extend(row_of(sweeper), seconds=2 * HOUR)
    assert row_of(sweeper).expires_at == NOW + 2 * HOUR

    world.remote.contents.clear()
    world.remote.create(MODEL, {}, seconds=HOUR, display_name="notes")
    sweeper.extend(row_of(sweeper), seconds=2 * HOUR)

    assert row_of(sweeper).expires_at == NOW + 2 * HOUR
    assert world.store.handles(now=NOW) == []


def test_extending_what_is_gone(world, worker, key, sweeper):
    """The store is told, and so is the caller."""
    worker.create(key, world.creation())
    row = row_of(sweeper)
    world.remote.contents.clear()

    with pytest.raises(RemoteError):
        sweeper.extend(row, seconds=HOUR)
    assert world.stored(key) is None


def test_busy_keys_are_not_touched(world, worker, key, sweeper):
    """What a worker is at is neither extended nor deleted."""
    made = worker.create(key, world.creation())
    row = row_of(sweeper)
    world.store.acquire(key, owner="cccccccc", seconds=60, now=NOW)

    assert sweeper.extend(row, seconds=2 * HOUR) is None
    assert sweeper.delete(row) is False
    assert world.remote.contents[made.name].expires_at == NOW + HOUR


@pytest.mark.parametrize("gone", [False, True])
def test_deleting_in_both_places(world, worker, key, sweeper, gone):
    """Neither provider nor store has it, whoever was first."""
    worker.create(key, world.creation())
    row = row_of(sweeper)
    if gone:
        world.remote.contents.clear()

    assert sweeper.delete(row) is True
    assert (world.remote.live, world.stored(key)) == ([], None)


def test_deletion_that_is_refused(world, worker, key, sweeper):
    """What is still there is still known."""
    made = worker.create(key, world.creation())
    row = row_of(sweeper)
    world.remote.fail("busy", status=503)

    with pytest.raises(RemoteError):
        sweeper.delete(row)
    assert world.stored(key) == made


# Several sweeps at once, on every store


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["memory", "sqlite", "redis"])
def stores(request, tmp_path):
    """Return two stores that share everything: one, where it is in memory."""
    if request.param == "memory":
        store = MemoryStore()
        yield store, store
        return
    url = f"sqlite:///{tmp_path}/state.db"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
    pair = open_store(url), open_store(url)
    yield pair
    for store in pair:
        store.close()


def test_two_sweeps_at_once(stores):
    """Each orphan is adopted once, each duplicate deleted once, whoever is faster."""
    world = World(stores[0], PatientClock())
    worker = world.worker(limits=Limits(usd_per_hour=100.0, live_caches=100))
    for number in range(12):
        key = worker.key(SCOPE, f"{number}".encode())
        if number % 3 == 0:
            worker.create(key, world.creation())
        orphan(world, worker, key, seconds=HOUR + number)
        orphan(world, worker, key, seconds=2 * HOUR + number)
    together = Barrier(2)

    def run(store):
        together.wait()
        return Sweeper(store, world.remote, clock=world.clock).sweep()

    with ThreadPoolExecutor(2) as pool:
        deeds = [deed for done in pool.map(run, stores) for deed in done]

    done = [(deed.what, deed.name) for deed in deeds if deed.what != "left"]
    assert len(done) == len(set(done)) == 4 * 2 + 8 * 2
    rows = sweeper_of(world).standing()
    assert {row.state for row in rows} == {"known"}
    assert len({row.key for row in rows}) == len(rows) == 12


def test_over_http_with_the_sdk(stores, emulator):
    """Through the provider's own kit: a killed worker's work is found and used."""
    client = client_of(emulator.url)
    remote = GenaiRemote(client._api_client)
    world = World(stores[0], emulator.clock)
    worker = world.worker(limits=Limits(usd_per_hour=100.0, live_caches=100))
    key = worker.key(remote.scope, b"over http")
    made = [
        remote.create(
            MODEL,
            members(),
            seconds=600 + number,
            display_name=str(DisplayName(worker._keys.fleet, "deadbeef", key)),
        )
        for number in range(3)
    ]
    sweeper = Sweeper(stores[1], remote, clock=emulator.clock)

    assert {row.state for row in sweeper.standing() if row.key == key} == {"orphan"}
    assert [(deed.what, deed.name) for deed in sweeper.sweep()] == [
        ("adopted", made[2].name),
        ("deleted", made[1].name),
        ("deleted", made[0].name),
    ]
    creation = Creation(remote, MODEL, members(), 5000, 600.0, None)
    assert worker.create(key, creation).name == made[2].name
    (row,) = [row for row in emulator.caches if row.live]
    assert row.name == made[2].name
    assert row.display_name == made[2].display_name
    sweeper.delete(next(row for row in sweeper.standing() if row.key == key))
    assert not any(row.live for row in emulator.caches)
    remote.close()
    client.close()
