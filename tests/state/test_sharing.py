"""Workers that learn together through each of the stores."""

import sqlite3
import time
from itertools import pairwise

import pytest
from broken_stores import BrokenStore, ForgetfulStore
from sharing_workers import DAY, START, HandClock, Worker, outline_of, stored

from promptcache.errors import StoreError
from promptcache.planning.ways import WAYS
from promptcache.receipts.events import StoreFailed
from promptcache.sharing import EVERY_SECONDS, SELDOM_SECONDS
from promptcache.state.ledger import Books
from promptcache.state.memory import MemoryStore
from promptcache.state.sqlite import SqliteStore

CANARY = "canary-7f3a"
HERE = ("anthropic", "m", "host")
ROOT = outline_of("x").blocks.root


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "state.db")
    else:
        redis = pytest.importorskip("promptcache.state.redis")
        url, prefix = map(request.getfixturevalue, ("redis_url", "prefix"))
        store = redis.RedisStore(url, prefix=f"sharing-{prefix}")
    yield store
    store.close()


@pytest.fixture
def clock():
    # Redis has a clock of its own, by which keys end.
    return HandClock(float(int(time.time())))


def teach(worker, *, kind="question"):
    """Let a worker see single requests that nothing comes after."""
    for it in range(30):
        worker.send(outline_of(f"{kind} {it}"))
        worker.clock.wait(10)
    worker.clock.wait(400)
    worker.past(outline_of("x"))


def test_what_one_has_learned_the_other_knows(store, clock):
    """Chances, ways, paces and trust: after a flush of both, and no sooner."""
    one, other = Worker(store, clock), Worker(store, clock)
    teach(one)
    other.send(outline_of("first"))
    before = other.chance(outline_of("new"))
    bills = [9e6] * len(WAYS)
    bills[WAYS.index("short")] = 1e6
    for _ in range(100):
        one.history._ledger.add(ROOT, Books(1.0, 1e7, bills))
    one.pools.books.add((ROOT, "pace"), (30, 100))
    one.history._readings.note(HERE, kept=False, now=clock.time)
    one.flush()
    assert other.chance(outline_of("new")) == before
    assert other.past(outline_of("new")).way != "short"
    other.flush()
    # A table is replaced, not written to: what was read stays the same meanwhile.
    past = other.past(outline_of("new"))

    assert past.chances["last"].short == one.chance(outline_of("new"))
    assert past.chances["last"].short.mean != before.mean
    assert past.way == "short"
    assert past.pauses > 3
    assert not other.history._readings.trusts(HERE, now=clock.time)


def test_nothing_is_counted_twice(store, clock):
    """However often is flushed; a worker that begins anew finds all that it told."""
    one = Worker(store, clock)
    teach(one)
    known = one.chance(outline_of("new"))
    for _ in range(5):
        one.flush()
    sums = stored(store, now=clock.time)

    assert one.chance(outline_of("new")) == known
    again = Worker(store, clock)
    again.send(outline_of("first"))
    for _ in range(5):
        again.flush()
    assert again.chance(outline_of("new")) == known
    assert stored(store, now=clock.time) == sums


def test_old_counts_end(store, clock):
    """Two days later nothing is known of them, and nothing is left of them."""
    one, other = Worker(store, clock), Worker(store, clock)
    before = other.chance(outline_of("new"))
    teach(one)
    one.flush()
    other.flush()
    assert other.chance(outline_of("new")) != before
    clock.wait(2 * DAY)
    other.flush()

    assert other.chance(outline_of("new")) == before
    assert stored(store, now=clock.time) == {}


def test_a_given_secret(store, clock):
    """Who has another one knows nothing of what was told, and learns by itself."""
    one, other = (Worker(store, clock, secret=it) for it in (b"one", b"other"))
    same = Worker(store, clock, secret=b"one")
    before = other.chance(outline_of("new"))
    teach(one)
    for worker in (one, other, same):
        worker.flush()

    assert other.chance(outline_of("new")) == before
    assert same.chance(outline_of("new")) != before
    assert other.events == []


def test_a_secret_that_changes(clock):
    """Once that is seen, what is known of others is forgotten; no error is told."""
    store = MemoryStore()
    one, other = Worker(store, clock), Worker(store, clock)
    before = other.chance(outline_of("new"))
    teach(one)
    for worker in (one, other):
        worker.flush()
    assert other.chance(outline_of("new")) != before
    store._secret = b"x" * 32
    clock.wait(SELDOM_SECONDS)
    other.flush()

    assert other.chance(outline_of("new")) == before
    one.flush()
    teach(one, kind="another")
    one.flush()
    other.flush()
    assert other.chance(outline_of("new")) != before
    assert one.events == other.events == []


def test_nothing_private_is_stored(tmp_path, clock):
    """No text, no name, and no digest that anybody could compute."""
    path = tmp_path / "state.db"
    store = SqliteStore(path)
    worker = Worker(store, clock)
    digests = set()
    for number in range(20):
        outline = outline_of(CANARY, f"{CANARY} {number}", tenant=CANARY)
        digests.update((outline.blocks.root, *outline.blocks.digests))
        worker.send(outline, tenant=CANARY)
        clock.wait(400)
    worker.history._ledger.add(outline.blocks.root, Books(1.0, 1.0))
    worker.history._readings.note((CANARY, CANARY, CANARY), kept=True, now=clock.time)
    worker.flush()
    store.close()
    files = list(tmp_path.iterdir())
    content = b"".join(it.read_bytes() for it in files if it.name != "state.db.secret")
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT key FROM counts").fetchall()
    connection.close()

    assert len(rows) > 5
    assert CANARY.encode() not in content
    assert not any(it in content or it.hex().encode() in content for it in digests)
    assert all(len(key) == 16 for (key,) in rows)


@pytest.mark.parametrize("done", [True, False])
def test_a_push_that_fails(clock, done):
    """Whether it was done or not: what was pushed is not pushed again."""
    inner = MemoryStore()
    one = Worker(ForgetfulStore(inner, "add_counts", at=1, done=done), clock)
    other = Worker(inner, clock)
    one.pools.books.add(("k",), (5,))
    one.flush()
    assert len(one.events) == 1
    one.pools.books.add(("k",), (2,))
    clock.wait(SELDOM_SECONDS)
    one.flush()
    other.flush()

    assert other.pools.books.others(("k",), 1) == (7 if done else 2,)
    assert one.pools.books.others(("k",), 1) == (0,)


def test_a_store_that_fails(clock):
    """It is told of once in a row, asked less and less often, and found again."""
    inner = MemoryStore()
    store = BrokenStore(inner)
    worker = Worker(store, clock)
    asked = []
    for _ in range(400):
        calls = store.calls
        worker.pools.books.add(("k",), (1,))
        worker.sharing.seen()
        worker.sharing._ticker.stop()
        if store.calls > calls:
            asked.append(clock.time)
        worker.sharing._ticker = worker.sharing._new_ticker()
        clock.wait(5)
    gaps = [later - at for at, later in pairwise(asked)]

    assert gaps[:7] == [10, 20, 40, 80, 160, 320, SELDOM_SECONDS]
    assert [type(it) for it in worker.events] == [StoreFailed]
    assert worker.chance(outline_of("x")).mean > 0
    store.left = None
    clock.wait(SELDOM_SECONDS)
    worker.flush()
    other = Worker(inner, clock)
    other.flush()
    assert other.pools.books.others(("k",), 1) == (400,)
    store.left = 0
    worker.flush()
    assert len(worker.events) == 2


def test_a_store_that_comes_back_with_another_secret(clock):
    """It is read at once, not only when that is due anyway."""
    inner = MemoryStore()
    store = BrokenStore(inner, after=1_000)
    one, other = Worker(store, clock), Worker(inner, clock, secret=b"x" * 32)
    one.flush()
    store.left = 0
    one.flush()
    inner._secret, store.left = b"x" * 32, None
    one.pools.books.add(("k",), (5,))
    one.flush()
    other.flush()

    assert other.pools.books.others(("k",), 1) == (5,)


def test_a_store_of_anybody(clock):
    """Whatever it raises is told, and nothing is raised."""

    class Odd(MemoryStore):
        def counts(self, namespace, *, now):
            raise ZeroDivisionError

    worker = Worker(Odd(), clock)
    worker.flush()

    assert isinstance(worker.events[0], StoreFailed)


def test_what_is_read_seldom(clock):
    """The secret and the day before are read once in ten minutes, today each time."""
    asked = []

    class Counted(MemoryStore):
        def secret(self):
            asked.append("secret")
            return super().secret()

        def sweep(self, *, now):
            asked.append("sweep")
            return super().sweep(now=now)

        def counts(self, namespace, *, now):
            asked.append(namespace.split("/")[2])
            return super().counts(namespace, now=now)

    clock.time = START
    worker = Worker(Counted(), clock)
    worker.flush()
    first, asked[:] = list(asked), []
    for _ in range(10):
        worker.flush()
    often, asked[:] = list(asked), []
    clock.wait(SELDOM_SECONDS)
    worker.flush()
    later, asked[:] = list(asked), []
    clock.wait(DAY)
    worker.flush()

    assert sorted(first) == ["books"] * 2 + ["readings", "reuse", "reuse"] + [
        "secret",
        "sweep",
    ]
    assert sorted(often) == ["books"] * 10 + ["readings"] * 10 + ["reuse"] * 10
    assert sorted(later) == [it for it in sorted(first) if it != "sweep"]
    assert sorted(asked) == sorted(first)


def test_closing_tells_the_rest(clock):
    """What is not told yet is told then; who has nothing to tell asks for nothing."""
    inner = MemoryStore()
    store = BrokenStore(inner, after=1_000)
    one, idle, other = (Worker(it, clock) for it in (inner, store, inner))
    one.pools.books.add(("k",), (5,))
    one.sharing.close()
    one.sharing.close()
    idle.sharing.close()
    other.flush()

    assert other.pools.books.others(("k",), 1) == (5,)
    assert store.calls == 0
    store.left = 0
    idle.pools.books.add(("k",), (5,))
    idle.sharing.close()
    assert isinstance(idle.events[0], StoreFailed)


def test_a_clock_that_is_set_back(clock):
    """It does not end the sharing."""
    worker = Worker(MemoryStore(), clock)
    worker.flush()
    clock.wait(-DAY)

    assert worker.sharing._left(clock.time) <= 0
    clock.wait(DAY)
    assert worker.sharing._left(clock.time) == EVERY_SECONDS


def test_a_fork_while_a_thread_flushes(clock):
    """Its child does not wait for a flush that is its parent's."""
    worker = Worker(MemoryStore(), clock)
    sharing = worker.sharing
    assert sharing.pause()
    sharing.resume()
    ticker = sharing._ticker
    sharing._is_flushing = sharing._is_asked = True
    worker.pools.books.add(("k",), (1,))
    assert sharing.pause()
    sharing.restart()

    assert sharing._ticker is not ticker
    assert not sharing._is_asked
    worker.flush()
    assert stored(worker.store, now=clock.time) == {}
    worker.pools.books.add(("k",), (2,))
    worker.flush()
    (table,) = stored(worker.store, now=clock.time).values()
    assert list(table.values()) == [(2,)]


def test_one_flush_at_a_time(clock):
    """Who comes while another waits for the store does nothing."""
    flushed = []

    class Again(MemoryStore):
        def counts(self, namespace, *, now):
            flushed.append(namespace)
            worker.sharing.flush()
            return super().counts(namespace, now=now)

    worker = Worker(Again(), clock)
    worker.flush()

    assert len(flushed) == 5
    with pytest.raises(StoreError):
        BrokenStore(MemoryStore()).secret()
