"""What befalls a store in a Redis server, and what it leaves there."""

import math
import socket
import subprocess
import sys
import time

import pytest
from redis_server import redis_server

redis = pytest.importorskip("redis", reason="the `redis` package is not installed")

from promptcache.errors import OptionError, StoreError
from promptcache.state.bounds import LATE_SECONDS
from promptcache.state.redis import RedisStore
from promptcache.state.stores import Backoff, Handle

NOW = 1_795_000_000.0
KEY = b"key"
HANDLE = Handle(
    key=KEY,
    name="cachedContents/42",
    model="models/gemini-3.8-flash",
    scope="gemini",
    tokens=7021,
    created_at=NOW,
    expires_at=NOW + 600,
    owner="a",
)


@pytest.fixture
def client(redis_url):
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def store(redis_url, prefix):
    store = RedisStore(redis_url, prefix=prefix)
    yield store
    store.close()


def fill(store, now=NOW):
    lease = store.acquire(KEY, owner="a", seconds=30, now=now)
    assert store.put_handle(HANDLE, lease, now=now)
    assert store.note_use(HANDLE, saved_usd=0.1, now=now)
    store.put_backoff(Backoff(KEY, "quota", NOW + 100), now=now)
    store.add_counts("a", {KEY: (1, 2)}, seconds=60, now=now)


def test_all_that_is_stored_expires(store, client, prefix):
    """Workers that are gone leave nothing but the secret."""
    store.secret()
    fill(store)

    names = list(client.scan_iter(f"{{{prefix}}}:*"))
    lives = {name: client.pttl(name) / 1000 for name in names}
    forever = f"{{{prefix}}}:1:secret"
    assert len(lives) == 12
    assert lives.pop(forever) < 0
    assert all(0 < life <= 600 + LATE_SECONDS for life in lives.values())
    assert lives[f"{{{prefix}}}:1:handles"] > LATE_SECONDS + 590
    assert lives[f"{{{prefix}}}:1:backoffs"] > LATE_SECONDS + 90


def test_a_shorter_record_shortens_no_life(store, client, prefix):
    """A key lives as long as the longest of what is in it."""
    store.put_backoff(Backoff(b"1", "quota", NOW + 9000), now=NOW)
    store.put_backoff(Backoff(b"2", "quota", NOW + 1), now=NOW)

    assert client.pttl(f"{{{prefix}}}:1:backoffs") > 8_000_000


def test_prefixes_share_nothing(redis_url, store, prefix):
    """Two applications on one server have state of their own."""
    other = RedisStore(redis_url, prefix=f"{prefix}-other")
    fill(store)

    assert other.handles(now=NOW) == []
    assert other.secret() != store.secret()
    other.close()


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_may_be_given(redis_url, prefix, decode, protocol, monkeypatch):
    """However it decodes answers, and to close it is left to its owner."""
    client = redis.Redis.from_url(redis_url, decode_responses=decode, protocol=protocol)
    store = RedisStore(client, prefix=prefix)
    fill(store)
    with monkeypatch.context() as patch:
        patch.setattr(client, "close", None)
        store.close()

    assert store.handle(KEY, now=NOW).uses == 1
    assert store.counts("a", now=NOW) == {KEY: (1, 2)}
    assert store.backoff(KEY, now=NOW).reason == "quota"
    assert store.secret() == store.secret()
    assert store.sweep(now=NOW + 9_000) == 4
    client.close()


def test_a_large_merge_is_cut(store):
    """No script holds the server for long, whatever is merged."""
    deltas = {b"%d" % number: (number, -number) for number in range(1_234)}
    store.add_counts("a", deltas, seconds=60, now=NOW)

    assert store.counts("a", now=NOW) == deltas
    assert store.sweep(now=NOW + 60) == 1_234


def test_money_is_summed_without_loss(store):
    """As a Python process would sum it."""
    fill(store)
    sums = 0.1
    for number in range(1, 20):
        assert store.note_use(HANDLE, saved_usd=1 / number, now=NOW)
        sums += 1 / number

    assert store.handle(KEY, now=NOW).saved_usd == sums


def test_times_are_kept_to_the_last_bit(store):
    """An end does not move by being stored."""
    until = math.nextafter(NOW, math.inf)
    store.put_backoff(Backoff(KEY, "quota", until), now=NOW)

    assert store.backoff(KEY, now=NOW).until == until
    assert store.backoff(KEY, now=until) is None


def test_a_script_is_sent_again_after_a_restart(store, client):
    """A server that forgot the scripts gets them anew."""
    fill(store)
    client.script_flush()

    assert store.handle(KEY, now=NOW).uses == 1


def test_a_connection_that_was_closed_is_opened_again(store, client):
    """As after a restart or a long quiet."""
    fill(store)
    client.client_kill_filter(_type="normal", skipme=True)

    assert store.handle(KEY, now=NOW).uses == 1


FOREIGN = {
    "secret": ("secret", lambda store: store.secret()),
    "short secret": ("secret", lambda store: store.secret()),
    "handle": ("handles", lambda store: store.handle(KEY, now=NOW)),
    "uses": ("handles:uses", lambda store: store.handles(now=NOW)),
    "another type": ("leases", fill),
}


@pytest.mark.parametrize(("part", "call"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_ours_is_an_error(part, call, store, client, prefix, request):
    """What others wrote under our names is told, and guessed at by nobody."""
    fill(store)
    name = f"{{{prefix}}}:1:{part}"
    if "handles" in part:
        client.hset(name, KEY.hex(), "no handle")
    elif part == "secret":
        client.set(name, "abcd" if "short" in request.node.name else "no secret")
    else:
        client.delete(name)
        client.set(name, "no hash")
        client.delete(name.replace("leases", "leases:until"))

    with pytest.raises(StoreError, match=r"cannot be used: "):
        call(store)


PARTS = (
    *("backoffs", "backoffs:until"),
    *("counts:sums:a", "counts:until:a"),
    *("handles", "handles:until", "handles:uses"),
    *("leases", "leases:until"),
    "tokens",
)


@pytest.mark.parametrize("part", PARTS)
def test_what_the_server_dropped_is_forgotten(part, store, client, prefix):
    """A server that is short of memory makes no errors, only losses."""
    fill(store)
    assert client.delete(f"{{{prefix}}}:1:{part}")

    kept = store.handle(KEY, now=NOW) is not None
    assert kept is (not part.startswith("handles"))
    assert len(store.handles(now=NOW)) == kept
    assert store.note_use(HANDLE, saved_usd=0.5, now=NOW) is kept
    assert (store.backoff(KEY, now=NOW) is None) is part.startswith("backoffs")
    assert (store.counts("a", now=NOW) == {}) is part.startswith("counts")
    # A whole cycle later everything is as if it had never been lost.
    fill(store, now=NOW + 30)
    assert store.handle(KEY, now=NOW).expires_at == NOW + 600
    assert store.counts("a", now=NOW)[KEY] in {(1, 2), (2, 4)}


def test_a_secret_that_cannot_be_kept_is_an_error(store, monkeypatch):
    """A server that forgets it at once gives no secret, rather than an empty one."""
    monkeypatch.setattr(store._client, "get", lambda name: None)

    with pytest.raises(StoreError, match="not ours"):
        store.secret()


def test_a_server_that_is_gone_is_an_error(tmp_path):
    """Of every method, and soon; the address is told, the password is not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        store = RedisStore(f"redis://me:hidden@127.0.0.1:{port}/0")
        for call in (store.secret, lambda: store.sweep(now=NOW), lambda: fill(store)):
            with pytest.raises(StoreError, match=f"127.0.0.1:{port}") as caught:
                call()
            assert "hidden" not in str(caught.value)
    store.close()


def test_a_server_that_says_nothing_is_an_error():
    """Nobody waits for it longer than the time-out, and it is not asked again."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        store = RedisStore(f"redis://127.0.0.1:{port}/0?socket_timeout=0.05")

        with pytest.raises(StoreError, match=r"[Tt]ime"):
            store.handle(KEY, now=NOW)
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
        store.close()


def test_tls_and_password(tmp_path):
    """Both come by the URL, and both are checked."""
    with redis_server(tmp_path, password="p@ss/w:rd", tls=True) as url:
        store = RedisStore(url)
        fill(store)
        assert store.handle(KEY, now=NOW).uses == 1
        store.close()

        stranger = RedisStore(url.replace("p%40ss", "wrong"))
        with pytest.raises(StoreError, match=r"(?i)password"):
            stranger.handle(KEY, now=NOW)
        stranger.close()

        distrustful = RedisStore(url.partition("?")[0])
        with pytest.raises(StoreError, match=r"(?i)certificate"):
            distrustful.handle(KEY, now=NOW)
        distrustful.close()


IN_CLUSTER = """
import sys
import redis
from promptcache.state.redis import RedisStore
from promptcache.state.stores import Backoff, Handle

store = RedisStore(redis.RedisCluster.from_url(sys.argv[1]))
handle = Handle(b"key", "n", "m", "s", 7, 1.0, 600.0, "a")
lease = store.acquire(b"key", owner="a", seconds=30, now=1.0)
lease = store.renew(lease, seconds=30, now=1.0)
assert store.put_handle(handle, lease, now=1.0)
store.release(lease)
assert store.note_use(handle, saved_usd=0.5, now=1.0)
store.put_backoff(Backoff(b"key", "quota", 100.0), now=1.0)
store.add_counts("a", {b"key": (1, 2)}, seconds=60, now=1.0)
print(store.handles(now=1.0)[0].uses, store.handle(b"key", now=1.0).saved_usd)
print(store.backoff(b"key", now=1.0).reason, store.counts("a", now=1.0))
print(len(store.secret()), store.sweep(now=9000.0), store.drop_handle(handle))
"""


def test_it_works_in_a_cluster(tmp_path):
    """All its keys are in one slot, so every script finds what it touches."""
    more = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    with redis_server(tmp_path, more=more) as url:
        node = redis.Redis.from_url(url)
        node.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        # A node waits for two seconds before it answers for its slots.
        while b"cluster_state:ok" not in node.execute_command("CLUSTER", "INFO"):
            time.sleep(0.02)
        node.close()
        # The cluster's client leaves sockets open: that is told in no other process.
        done = subprocess.run(
            [sys.executable, "-c", IN_CLUSTER, url],
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout.splitlines() == [
        "1 0.5",
        "quota {b'key': (1, 2)}",
        "32 3 False",
    ], done.stderr


WRONG = {
    "port": "redis://u:hidden@127.0.0.1:port/0",
    "option": "redis://u:hidden@127.0.0.1/0?no_such=1",
    "value": "redis://u:hidden@127.0.0.1/0?socket_timeout=soon",
    "scheme": "https://u:hidden@127.0.0.1/0",
}


@pytest.mark.parametrize("url", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_url_is_refused_at_once(url):
    """Without a word of its password."""
    with pytest.raises(OptionError, match="`store` cannot be") as caught:
        RedisStore(url)
    assert "hidden" not in str(caught.value)


def test_a_wrong_client_is_refused_at_once():
    """An asynchronous one would answer with coroutines."""
    with pytest.raises(OptionError, match="asynchronous"):
        RedisStore(redis.asyncio.Redis())


def test_without_the_package_the_extra_is_named():
    """The error says what to install."""
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from promptcache.state.opening import open_store\n"
        "open_store('redis://127.0.0.1')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert "pip install 'promptcache[redis]'" in done.stderr.splitlines()[-1]
