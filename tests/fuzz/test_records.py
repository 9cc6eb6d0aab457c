"""Records that another program wrote or damaged are errors of the store, or nothing."""

import json
import logging
import sqlite3

import orjson
import pytest
from fuzz_payloads import mangled, mutated
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from redis_server import redis_server

from promptcache import PromptCache
from promptcache.errors import StoreError
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.events import Settled, StoreFailed
from promptcache.state import probed
from promptcache.state.sqlite import SqliteStore
from promptcache.state.stores import Backoff, Handle

EXAMPLES = 60
NOW = 1_000.0
KEY = b"k" * 16
USAGE = {
    "input_tokens": 9,
    "output_tokens": 1,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
HANDLE = Handle(KEY, "n", "m", "s", 7, NOW, NOW + 600, "a")

TABLES = ("handles", "leases", "backoffs", "counts", "tokens")
CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=6),
    st.binary(max_size=20),
)


def fill(store):
    """Put a record of each kind into a store."""
    lease = store.acquire(KEY, owner="a", seconds=30, now=NOW)
    assert store.put_handle(HANDLE, lease, now=NOW)
    assert store.note_use(HANDLE, saved_usd=0.1, now=NOW)
    store.put_backoff(Backoff(KEY, "quota", NOW + 100), now=NOW)
    store.add_counts("n", {KEY: (1, 2)}, seconds=60, now=NOW)
    return lease


def use(store, lease=None):
    """Call all that reads records: it works, or says that the store is no good."""
    calls = [
        store.secret,
        lambda: store.handle(KEY, now=NOW),
        lambda: store.handles(now=NOW),
        lambda: store.note_use(HANDLE, saved_usd=0.5, now=NOW),
        lambda: store.renew(lease, seconds=9, now=NOW) if lease else None,
        lambda: store.acquire(KEY, owner="b", seconds=9, now=NOW),
        lambda: store.backoff(KEY, now=NOW),
        lambda: store.counts("n", now=NOW),
        lambda: store.add_counts("n", {KEY: (1,)}, seconds=9, now=NOW),
        lambda: store.drop_handle(HANDLE),
        lambda: store.sweep(now=NOW + 9_000),
    ]
    said = []
    for call in calls:
        try:
            call()
        except StoreError as error:
            said.append(str(error))
    assert "secret-of-others" not in " ".join(said)


def test_cells(tmp_path):
    """A cell that is not ours is an error of the store, or reads as nothing."""
    store = SqliteStore(tmp_path / "state.db")
    fill(store)
    store.close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        columns = [
            (table, row[1])
            for table in TABLES
            for row in connection.execute(f"PRAGMA table_info({table})")
        ]
    connection.close()
    numbers = iter(range(10**9))

    @fuzzed(EXAMPLES)
    @given(column=st.sampled_from(columns), cell=CELLS)
    def check(column, cell):
        path = tmp_path / f"state-{next(numbers)}.db"
        store = SqliteStore(path)
        fill(store)
        connection = sqlite3.connect(path)
        try:
            with connection:
                connection.execute(f"UPDATE {column[0]} SET {column[1]} = ?", (cell,))
        except sqlite3.IntegrityError:
            return
        finally:
            connection.close()
        use(store)
        store.close()
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()

    check()


STRANGE = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            *(b"", b"-1", b"nan", b"inf", b"1e999", b"secret-of-others", b"\xff\xfe"),
            *(b"9" * 5_000, b"1,2,x", b"x 1 2", b"n\n[]", b"n\n" + b"[" * 100_000),
            *(b'n\n[1,{},"x",null,[]]', b"n\n{}", b"n\n[NaN,0,0,0,0]", b"1 nan -"),
        ]
    ),
)
SCORES = st.sampled_from([float("inf"), float("-inf"), -1.0, 1e300, NOW + 9])
FORMS = ("string", "hash", "zset", "list", "set")


def written(client, name, how, value, score):
    """Write to one of our keys as a program would that knows nothing of us."""
    form = client.type(name)
    form = form.decode() if isinstance(form, bytes) else form
    if how != "inside":
        client.delete(name)
        form = how
    if form == "hash":
        for key in client.hkeys(name) or [KEY.hex()]:
            client.hset(name, key, value)
    elif form == "zset":
        client.zadd(name, dict.fromkeys([value, *client.zrange(name, 0, -1)], score))
    elif form == "list":
        client.rpush(name, value)
    elif form == "set":
        client.sadd(name, value)
    else:
        client.set(name, value)


@pytest.mark.parametrize("decodes", [False, True], ids=["bytes", "text"])
def test_redis(decodes, tmp_path):
    """The same for what is in Redis, whether its client reads bytes or text."""
    pytest.importorskip("redis", reason="the `redis` package is not installed")
    import redis  # noqa: PLC0415

    from promptcache.state.redis import RedisStore  # noqa: PLC0415

    body = {
        "model": "claude-sonnet-5-5",
        "messages": [{"role": "user", "content": "a"}],
    }
    with (
        redis_server(tmp_path) as url,
        redis.Redis.from_url(url) as other,
        redis.Redis.from_url(url, decode_responses=decodes) as client,
    ):
        store = RedisStore(client)
        fill(store)
        store.secret()
        names = sorted(other.keys("*"))
        assert len(names) == 12

        @fuzzed(EXAMPLES)
        @given(
            name=st.sampled_from(names),
            how=st.sampled_from(["inside", "inside", "inside", *FORMS]),
            value=STRANGE,
            score=SCORES,
        )
        def check(name, how, value, score):
            other.flushdb()
            lease = fill(store)
            store.secret()
            written(other, name, how, value, score)
            use(store, lease)
            events = []
            cache = PromptCache(store=store, listeners=[events.append])
            prepared = cache.prepare(Request(ANTHROPIC, body, "anthropic"))
            cache.settle(prepared, USAGE)
            cache._sharing.flush()
            cache.close()
            assert {type(it) for it in events} <= {Settled, StoreFailed}
            assert "secret-of-others" not in repr(events)

        check()


def test_answers_of_a_probe(tmp_path, monkeypatch):
    """A file that is damaged says nothing."""
    path = tmp_path / "probed.json"
    monkeypatch.setattr(probed, "path_of_answers", lambda: path)
    probed.remember(("anthropic", "claude-sonnet-5-5", "anthropic"), keeps=True, at=1)
    rows = orjson.loads(path.read_bytes())
    values = mutated(rows).map(json.dumps).map(str.encode)

    @fuzzed(EXAMPLES)
    @given(content=values | mangled(orjson.dumps(rows)))
    def check(content):
        path.write_bytes(content)
        for where, keeps in probed.recalled().items():
            assert all(isinstance(it, str) for it in where)
            assert isinstance(keeps, bool)

    check()


@pytest.fixture(autouse=True)
def quiet():
    """Log nothing: each example would add lines to what a failure shows."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
