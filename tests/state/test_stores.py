"""One contract, kept by every store."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from promptcache.errors import PromptCacheError
from promptcache.state.bounds import COUNT_LIMIT, LATE_SECONDS, summed
from promptcache.state.memory import MemoryStore
from promptcache.state.sqlite import SqliteStore
from promptcache.state.stores import (
    Backoff,
    Handle,
    Lease,
    Store,
    StoreError,
    UnstorableError,
)

NOW = 1_795_000_000.125
KEY = b"\x00\xffkey"
HANDLE = Handle(
    key=KEY,
    name="projects/p/locations/l/cachedContents/42",
    model="models/gemini-3.8-flash",
    scope="vertex p l \u00fc",
    tokens=7021,
    created_at=NOW,
    expires_at=NOW + 600,
    owner="worker 1",
)


REFUSED = {
    "no key": lambda store: store.handle(b"", now=NOW),
    "long key": lambda store: store.backoff(b"x" * 65, now=NOW),
    "key of text": lambda store: store.handle("key", now=NOW),
    "key of a lease": lambda store: store.acquire(b"", owner="a", seconds=1, now=NOW),
    "no owner": lambda store: store.acquire(KEY, owner="", seconds=1, now=NOW),
    "unprintable owner": lambda store: store.acquire(
        KEY, owner="a\nb", seconds=1, now=NOW
    ),
    "no time": lambda store: store.handle(KEY, now=float("nan")),
    "endless time": lambda store: store.sweep(now=float("inf")),
    "milliseconds": lambda store: store.handles(now=NOW * 1000),
    "no seconds": lambda store: store.acquire(KEY, owner="a", seconds=0, now=NOW),
    "seconds of a time": lambda store: store.acquire(
        KEY, owner="a", seconds=NOW, now=NOW
    ),
    "endless lease": lambda store: store.renew(
        Lease(KEY, "a", 1, NOW), seconds=float("inf"), now=NOW
    ),
    "lease of another key": lambda store: store.put_handle(
        HANDLE, Lease(b"other", "a", 1, NOW), now=NOW
    ),
    "unknown money": lambda store: store.note_use(
        HANDLE, saved_usd=float("nan"), now=NOW
    ),
    "no numbers": lambda store: store.add_counts("a", {KEY: ()}, seconds=1, now=NOW),
    "many numbers": lambda store: store.add_counts(
        "a", {KEY: (1,) * 17}, seconds=1, now=NOW
    ),
    "large number": lambda store: store.add_counts(
        "a", {KEY: (-COUNT_LIMIT - 1,)}, seconds=1, now=NOW
    ),
    "no namespace": lambda store: store.counts("", now=NOW),
    "endless counts": lambda store: store.add_counts(
        "a", {KEY: (1,)}, seconds=float("inf"), now=NOW
    ),
    "time of a back-off": lambda store: store.put_backoff(
        Backoff(KEY, "quota", NOW), now=-1.0
    ),
}


class StoreContract:
    """What every store does; `open_store` opens the same one again."""

    @pytest.fixture
    def store(self, open_store):
        store = open_store()
        yield store
        store.close()

    @pytest.fixture
    def put(self, store):
        def put(handle, *, now=NOW):
            lease = store.acquire(handle.key, owner="w", seconds=30, now=now)
            assert store.put_handle(handle, lease, now=now)
            store.release(lease)

        return put

    def test_is_a_store(self, store):
        """It has the methods of the contract."""
        assert isinstance(store, Store)

    def test_a_handle_is_what_was_put(self, store, put):
        """Each field comes back as it went in."""
        put(HANDLE)

        assert store.handle(KEY, now=NOW) == HANDLE
        assert store.handles(now=NOW) == [HANDLE]

    def test_unknown_stays_unknown(self, store, put):
        """None does not turn into a number, nor a number into None."""
        unknown = replace(HANDLE, tokens=None)
        known = replace(
            HANDLE, key=b"2", tokens=0, uses=3, used_at=NOW - 0.5, saved_usd=0.0
        )
        put(unknown)
        put(known)

        assert store.handle(KEY, now=NOW) == unknown
        assert store.handle(b"2", now=NOW) == known

    def test_a_handle_ends(self, store, put):
        """At its end it is gone."""
        put(HANDLE)

        assert store.handle(KEY, now=NOW + 599.9) == HANDLE
        assert store.handle(KEY, now=NOW + 600) is None
        assert store.handles(now=NOW + 600) == []

    def test_handles_come_by_their_end(self, store, put):
        """The one to care for first comes first."""
        ends = {b"a": 300, b"b": 100, b"c": 200}
        for key, seconds in ends.items():
            put(replace(HANDLE, key=key, expires_at=NOW + seconds))

        assert [it.key for it in store.handles(now=NOW)] == [b"b", b"c", b"a"]

    def test_an_extension_keeps_uses(self, store, put):
        """A holder that knows an older state takes no use away."""
        put(HANDLE)
        store.note_use(HANDLE, saved_usd=0.25, now=NOW + 1)
        put(replace(HANDLE, expires_at=NOW + 900))

        assert store.handle(KEY, now=NOW + 700) == replace(
            HANDLE, expires_at=NOW + 900, uses=1, used_at=NOW + 1, saved_usd=0.25
        )

    def test_another_cache_starts_anew(self, store, put):
        """Uses belong to a name, and end with it."""
        put(HANDLE)
        store.note_use(HANDLE, saved_usd=0.25, now=NOW)
        other = replace(HANDLE, name="cachedContents/43")
        put(other)

        assert store.handle(KEY, now=NOW) == other

    def test_an_ended_cache_starts_anew(self, store, put):
        """What has ended has no say, swept or not."""
        put(HANDLE)
        store.note_use(HANDLE, saved_usd=0.25, now=NOW)
        put(replace(HANDLE, expires_at=NOW + 900), now=NOW + 601)

        assert store.handle(KEY, now=NOW + 601).uses == 0

    def test_uses_add_up(self, store, put):
        """A use without a price counts, and adds no money."""
        put(HANDLE)

        assert store.note_use(HANDLE, saved_usd=None, now=NOW + 1)
        assert store.handle(KEY, now=NOW).saved_usd is None
        assert store.note_use(HANDLE, saved_usd=0.1, now=NOW + 3)
        assert store.note_use(HANDLE, saved_usd=None, now=NOW + 2)
        assert store.note_use(HANDLE, saved_usd=0.2, now=NOW + 2)
        assert store.handle(KEY, now=NOW) == replace(
            HANDLE, uses=4, used_at=NOW + 3, saved_usd=0.1 + 0.2
        )

    def test_a_use_of_what_is_gone_is_not_counted(self, store, put):
        """An older name, an ended handle and an unknown key are all told."""
        put(HANDLE)

        assert not store.note_use(
            replace(HANDLE, name="cachedContents/1"), saved_usd=1.0, now=NOW
        )
        assert not store.note_use(HANDLE, saved_usd=1.0, now=NOW + 600)
        assert not store.note_use(replace(HANDLE, key=b"?"), saved_usd=1.0, now=NOW)
        assert store.handle(KEY, now=NOW) == HANDLE

    def test_only_the_cache_that_is_gone_is_dropped(self, store, put):
        """The one that another worker has put in its place stays."""
        newer = replace(HANDLE, name=HANDLE.name + "3")
        put(newer)

        assert not store.drop_handle(HANDLE)
        assert store.handle(KEY, now=NOW) == newer
        assert store.drop_handle(newer)
        assert not store.drop_handle(newer)
        assert store.handle(KEY, now=NOW) is None

    def test_one_has_the_lease(self, store):
        """Nobody gets it twice, its owner included; other keys are free."""
        lease = store.acquire(KEY, owner="a", seconds=30, now=NOW)

        assert lease == Lease(KEY, "a", lease.token, NOW + 30)
        assert store.acquire(KEY, owner="b", seconds=30, now=NOW + 29) is None
        assert store.acquire(KEY, owner="a", seconds=30, now=NOW + 29) is None
        assert store.acquire(b"other", owner="b", seconds=30, now=NOW) is not None

    def test_a_lease_of_a_crashed_owner_ends(self, store):
        """Whoever comes next gets it, with a greater token."""
        first = store.acquire(KEY, owner="a", seconds=30, now=NOW)
        second = store.acquire(KEY, owner="b", seconds=30, now=NOW + 30)

        assert second.owner == "b"
        assert second.token > first.token

    def test_tokens_grow_across_keys_releases_and_sweeps(self, store):
        """No token is ever given again."""
        tokens = []
        for number, key in enumerate([KEY, b"other", KEY, KEY]):
            now = NOW + number * 10_000
            lease = store.acquire(key, owner="a", seconds=30, now=now)
            store.release(lease)
            store.sweep(now=now + 9_000)
            tokens.append(lease.token)

        assert tokens == sorted(set(tokens))

    def test_what_comes_late_is_refused(self, store, put):
        """An older token writes nothing once there is a newer one."""
        old = store.acquire(KEY, owner="a", seconds=30, now=NOW)
        new = store.acquire(KEY, owner="b", seconds=30, now=NOW + 31)
        late = replace(HANDLE, name="cachedContents/late")

        assert not store.put_handle(late, old, now=NOW + 32)
        assert store.put_handle(HANDLE, new, now=NOW + 33)
        assert not store.put_handle(late, old, now=NOW + 34)
        assert not store.put_handle(late, replace(new, owner="a"), now=NOW + 34)
        assert store.handle(KEY, now=NOW + 34) == HANDLE

    def test_late_is_not_too_late_while_nobody_came(self, store):
        """A slow create is stored, for as long as the lease is remembered."""
        lease = store.acquire(KEY, owner="a", seconds=30, now=NOW)
        lasting = replace(HANDLE, expires_at=NOW + 9_000)
        end = NOW + 30 + LATE_SECONDS

        assert store.put_handle(lasting, lease, now=end - 1)
        assert not store.put_handle(lasting, lease, now=end)

    def test_a_released_lease_writes_nothing(self, store):
        """It is over for its owner and free for others."""
        lease = store.acquire(KEY, owner="a", seconds=30, now=NOW)
        store.release(lease)

        assert not store.put_handle(HANDLE, lease, now=NOW)
        assert store.renew(lease, seconds=30, now=NOW) is None
        assert store.acquire(KEY, owner="b", seconds=30, now=NOW) is not None

    def test_only_its_holder_releases_a_lease(self, store):
        """A release that comes late frees nothing."""
        old = store.acquire(KEY, owner="a", seconds=30, now=NOW)
        new = store.acquire(KEY, owner="b", seconds=30, now=NOW + 30)
        store.release(old)
        store.release(replace(new, owner="a"))

        assert store.acquire(KEY, owner="c", seconds=30, now=NOW + 31) is None

    def test_a_renewed_lease_ends_later(self, store):
        """It keeps its token; one that was taken over is not renewed."""
        lease = store.acquire(KEY, owner="a", seconds=30, now=NOW)
        renewed = store.renew(lease, seconds=30, now=NOW + 20)

        assert renewed == replace(lease, until=NOW + 50)
        assert store.acquire(KEY, owner="b", seconds=30, now=NOW + 49) is None
        assert store.acquire(KEY, owner="b", seconds=30, now=NOW + 50) is not None
        assert store.renew(renewed, seconds=30, now=NOW + 51) is None

    def test_a_backoff_holds_until_its_end(self, store):
        """The later of two counts, and others are not concerned."""
        long = Backoff(KEY, "quota", NOW + 100)
        store.put_backoff(long, now=NOW)
        store.put_backoff(Backoff(KEY, "too_small", NOW + 50), now=NOW)

        assert store.backoff(KEY, now=NOW + 99) == long
        assert store.backoff(KEY, now=NOW + 100) is None
        assert store.backoff(b"other", now=NOW) is None

        longer = Backoff(KEY, "no_quota", NOW + 100.5)
        store.put_backoff(longer, now=NOW)

        assert store.backoff(KEY, now=NOW + 100) == longer

    def test_counts_add_up(self, store):
        """Key by key and place by place, in each namespace by itself."""
        add = partial(store.add_counts, seconds=60, now=NOW)
        add("a", {KEY: (1, -2), b"2": (5,)})
        add("a", {KEY: (10, 20, 30)})
        add("a", {KEY: (100,)})
        add("a:until", {KEY: (7,)})
        add("b", {})

        assert store.counts("a", now=NOW) == {KEY: (111, 18, 30), b"2": (5,)}
        assert store.counts("a:until", now=NOW) == {KEY: (7,)}
        assert store.counts("b", now=NOW) == {}

    def test_counts_stop_at_what_is_exact(self, store):
        """Large sums are exact up to the limit, and no error beyond it."""
        half = COUNT_LIMIT // 2
        store.add_counts("a", {KEY: (half, -half, half)}, seconds=60, now=NOW)
        store.add_counts("a", {KEY: (half, -half, 7)}, seconds=60, now=NOW)

        assert store.counts("a", now=NOW) == {KEY: (2 * half, -2 * half, half + 7)}

        store.add_counts("a", {KEY: (half, -half)}, seconds=60, now=NOW)

        assert store.counts("a", now=NOW) == {
            KEY: (COUNT_LIMIT, -COUNT_LIMIT, half + 7)
        }

    def test_counts_end(self, store):
        """A key that nothing is added to is forgotten, and then starts at zero."""
        store.add_counts("a", {KEY: (1,), b"2": (2,)}, seconds=60, now=NOW)
        store.add_counts("a", {b"2": (2,)}, seconds=60, now=NOW + 30)
        store.add_counts("a", {b"2": (2,)}, seconds=1, now=NOW + 30)

        assert store.counts("a", now=NOW + 60) == {b"2": (6,)}

        store.add_counts("a", {KEY: (7,)}, seconds=60, now=NOW + 60)

        assert store.counts("a", now=NOW + 90) == {KEY: (7,)}

    def test_a_sweep_frees_what_has_ended(self, store, put):
        """It tells how much that was, and touches nothing else."""
        put(HANDLE)
        put(replace(HANDLE, key=b"2", expires_at=NOW + 601))
        for key, seconds in ((KEY, 600), (b"2", 601)):
            store.put_backoff(Backoff(key, "quota", NOW + seconds), now=NOW)
            store.add_counts("a", {key: (1,)}, seconds=seconds, now=NOW)
            store.add_counts("b", {key: (1,)}, seconds=seconds, now=NOW)
            store.acquire(key, owner="a", seconds=seconds, now=NOW - LATE_SECONDS)

        assert store.sweep(now=NOW + 600) == 5
        assert store.sweep(now=NOW + 600) == 0
        # Seen from before their ends, what was swept is gone and the rest is there.
        assert [it.key for it in store.handles(now=NOW)] == [b"2"]
        assert store.backoff(KEY, now=NOW) is None
        assert store.backoff(b"2", now=NOW) is not None
        assert list(store.counts("a", now=NOW)) == [b"2"]
        assert store.sweep(now=NOW + 601) == 5

    def test_room_is_bounded(self, open_store):
        """What ends soonest goes first, of each kind by itself."""
        store = open_store(max_records=3)
        for number in (3, 1, 5, 2, 4):
            key, seconds = bytes([number]), number * 100
            lease = store.acquire(key, owner="a", seconds=seconds, now=NOW)
            store.put_handle(
                replace(HANDLE, key=key, expires_at=NOW + seconds), lease, now=NOW
            )
            store.put_backoff(Backoff(key, "quota", NOW + seconds), now=NOW)
            store.add_counts("a", {key: (1,)}, seconds=seconds, now=NOW)
            store.add_counts("b", {bytes([number % 3]): (1,)}, seconds=9, now=NOW)

        kept = [bytes([number]) for number in (3, 4, 5)]
        assert [it.key for it in store.handles(now=NOW)] == kept
        assert sorted(store.counts("a", now=NOW)) == kept
        assert len(store.counts("b", now=NOW)) == 3
        keys = [bytes([number]) for number in range(1, 6)]
        assert [key for key in keys if store.backoff(key, now=NOW)] == kept
        # Of the leases, too: a key that was forgotten is free.
        assert store.acquire(b"\x01", owner="b", seconds=900, now=NOW) is not None
        assert store.acquire(b"\x05", owner="b", seconds=900, now=NOW) is None
        store.close()

    def test_the_secret_is_one(self, store, open_store):
        """Whoever opens the store has it, and it stays."""
        again = open_store()

        assert len(store.secret()) == 32
        assert store.secret() == again.secret() == store.secret()
        again.close()

    def test_all_who_open_it_share_it(self, store, open_store):
        """What one writes the other reads, and leases keep them apart."""
        again = open_store()
        lease = store.acquire(KEY, owner="a", seconds=30, now=NOW)

        assert again.acquire(KEY, owner="b", seconds=30, now=NOW) is None
        assert again.put_handle(HANDLE, lease, now=NOW)
        assert store.handle(KEY, now=NOW) == HANDLE
        again.close()

    def test_it_can_be_closed_and_used_again(self, store):
        """Closing forgets nothing."""
        store.add_counts("a", {KEY: (1,)}, seconds=60, now=NOW)
        store.close()
        store.close()

        assert store.counts("a", now=NOW) == {KEY: (1,)}

    def test_threads_lose_nothing(self, store, put):
        """Eight threads add at once, and ask for one lease at once."""
        put(HANDLE)

        def work(number):
            for _ in range(20):
                store.add_counts("a", {KEY: (1,)}, seconds=60, now=NOW)
                store.note_use(HANDLE, saved_usd=0.5, now=NOW)
            return store.acquire(KEY, owner=f"w{number}", seconds=30, now=NOW)

        with ThreadPoolExecutor(8) as pool:
            leases = list(pool.map(work, range(8)))

        assert sum(lease is not None for lease in leases) == 1
        assert store.counts("a", now=NOW) == {KEY: (160,)}
        found = store.handle(KEY, now=NOW)
        assert (found.uses, found.saved_usd) == (160, 80.0)

    @pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED.keys())
    def test_what_is_out_of_bounds_is_refused(self, store, call):
        """It is an error of the store's own, before anything is sent or written."""
        with pytest.raises(UnstorableError, match="cannot be stored; allowed: "):
            call(store)


class TestMemoryStore(StoreContract):
    """In one process, where to open it again is to have it."""

    @pytest.fixture
    def open_store(self):
        opened = {}

        def open_store(**given):
            return opened.setdefault("store", MemoryStore(**given))

        return open_store


class TestSqliteStore(StoreContract):
    """In a file."""

    @pytest.fixture
    def open_store(self, tmp_path):
        return partial(SqliteStore, tmp_path / "some where" / "50% #1?.db")


class TestRedisStore(StoreContract):
    """In a Redis server."""

    @pytest.fixture
    def open_store(self, redis_url, prefix):
        from promptcache.state.redis import RedisStore  # noqa: PLC0415

        return partial(RedisStore, redis_url, prefix=prefix)


BAD_RECORDS = {
    "no name": lambda: replace(HANDLE, name=""),
    "long name": lambda: replace(HANDLE, name="x" * 513),
    "name with a line break": lambda: replace(HANDLE, name="a\nb"),
    "half a character": lambda: replace(HANDLE, scope="\ud800"),
    "fewer than no tokens": lambda: replace(HANDLE, tokens=-1),
    "too many uses": lambda: replace(HANDLE, uses=COUNT_LIMIT + 1),
    "no end": lambda: replace(HANDLE, expires_at=float("inf")),
    "no use": lambda: replace(HANDLE, used_at=float("nan")),
    "no money": lambda: replace(HANDLE, saved_usd=float("nan")),
    "no key": lambda: replace(HANDLE, key=b""),
    "lease without owner": lambda: Lease(KEY, "", 1, NOW),
    "lease without token": lambda: Lease(KEY, "a", -1, NOW),
    "lease without end": lambda: Lease(KEY, "a", 1, float("inf")),
    "back-off without reason": lambda: Backoff(KEY, "", NOW),
    "back-off without key": lambda: Backoff(b"", "quota", NOW),
    "back-off without end": lambda: Backoff(KEY, "quota", float("inf")),
}


@pytest.mark.parametrize("make", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
def test_records_are_bounded(make):
    """What no store could hold comes into no record."""
    with pytest.raises(UnstorableError):
        make()


def test_errors_say_what_to_do():
    """They are ours, and carry the facts."""
    error = StoreError("/home/u/state.db", "the disk is full")
    refused = UnstorableError("key", "1 to 64 bytes")

    assert isinstance(error, PromptCacheError)
    assert isinstance(refused, StoreError)
    assert (
        str(error) == "The store at /home/u/state.db cannot be used: the disk is full."
    )
    assert (error.where, error.why) == ("/home/u/state.db", "the disk is full")
    assert str(refused) == "`key` cannot be stored; allowed: 1 to 64 bytes."
    assert (refused.where, refused.why) == ("key", "1 to 64 bytes")


def test_sums_are_place_by_place():
    """Missing places are zero on either side."""
    assert summed((1, 2), (10,)) == summed((10,), (1, 2)) == (11, 2)
