"""A store that fails under a running application: no call notices, and it recovers."""

import contextlib
import resource
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from faulty_subjects import NAMED
from redis_server import redis_server
from sharing_workers import stored

from promptcache import PromptCache
from promptcache.providers.gemini import keeper
from promptcache.receipts.events import (
    CacheCreated,
    PlanningFailed,
    Settled,
    StoreFailed,
)
from promptcache.state import database
from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store

QUESTION = ["What is a tender?"]
SECONDS = 30.0
HOUR = 3_600.0
SHARING = "promptcache-sharing"


def join():
    """Wait for flushes that are on their way."""
    for thread in threading.enumerate():
        if thread.name == SHARING:
            thread.join(30)
            assert not thread.is_alive()


class World:
    """Clients of two providers on one cache, which a store is behind."""

    def __init__(self, faulty, cache, events):
        self.faulty, self.cache, self.events = faulty, cache, events
        self.asked = 0
        self.models = {
            name: NAMED[name].make(faulty.url, "cached", cache, SECONDS, 0)
            for name in ("sdk.anthropic", "sdk.google")
        }

    async def ask(self, *, seconds=6.0):
        """Ask all once, after a while; each receipt must equal its row."""
        self.faulty.clock.advance(seconds)
        for name, model in self.models.items():
            self.asked += 1
            subject = NAMED[name]
            way = next(iter(subject.ways.values()))
            with self.cache.collect() as receipts:
                assert "Understood" in await way(model, QUESTION)
            (receipt,), row = receipts, self.faulty.met["cached"][-1].row
            usage = receipt.usage
            assert usage.input_tokens == row.total_input_tokens
            assert usage.read_tokens == row.cache_read_input_tokens
            assert (usage.written_tokens or 0) == row.cache_creation_input_tokens
            assert usage.output_tokens == row.output_tokens
        join()

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    async def close(self):
        self.cache.close()
        for name, model in self.models.items():
            await NAMED[name].close(model)


@pytest.fixture
async def make_world(faulty, events):
    """Return a function that makes an application with a store."""
    made = []

    def make(store):
        cache = PromptCache(store=store, clock=faulty.clock, listeners=[events.append])
        made.append(World(faulty, cache, events))
        return made[-1]

    yield make
    for world in made:
        await world.close()


# What befalls a file, each as a function of its path that returns what mends it.


def deleted(path):
    for found in path.parent.glob(f"{path.name}*"):
        found.unlink()
    return lambda: None


def directory_deleted(path):
    shutil.rmtree(path.parent)
    return lambda: None


def home_is_a_file(path):
    shutil.rmtree(path.parent)
    path.parent.write_text("no directory any more")
    return path.parent.unlink


def corrupt(path):
    for found in path.parent.glob(f"{path.name}*"):
        if not found.name.endswith("secret"):
            found.write_bytes(b"no database any more " * 2_000)
    return lambda: None


def corrupt_secret(path):
    secret = path.with_name(f"{path.name}.secret")
    secret.chmod(0o600)
    secret.write_bytes(b"")
    return secret.unlink


def full_disk(path):
    del path
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)


BEFALLEN = [
    pytest.param(deleted, False, id="deleted"),
    pytest.param(directory_deleted, False, id="directory_deleted"),
    pytest.param(home_is_a_file, True, id="home_is_a_file"),
    pytest.param(corrupt, True, id="corrupt"),
    pytest.param(corrupt_secret, None, id="corrupt_secret"),
    pytest.param(full_disk, True, id="full_disk"),
]


@pytest.mark.parametrize(("befall", "is_told"), BEFALLEN)
async def test_a_file_that_something_befalls(
    befall, is_told, tmp_path, make_world, faulty, events
):
    """Calls go on, it is told where something failed, and used again later."""
    path = tmp_path / "home" / "state.db"
    world = make_world(f"sqlite:///{path}")
    for _ in range(3):
        await world.ask()
    mend = befall(path)
    try:
        for _ in range(3):
            await world.ask(seconds=HOUR)
    finally:
        mend()
    failures = world.told(StoreFailed)
    world.cache.keeper.idle()
    events.clear()
    for _ in range(3):
        await world.ask(seconds=HOUR)
    world.cache.close()
    store = open_store(f"sqlite:///{path}")
    learned = stored(store, now=faulty.clock.now())
    store.close()

    if is_told is not None:
        assert bool(failures) is is_told
    assert world.told(StoreFailed) == []
    assert world.told(PlanningFailed) == []
    assert learned


async def test_a_home_that_is_no_directory(tmp_path, make_world):
    """An application that starts there asks and answers like any other."""
    (tmp_path / "home").write_text("a file")
    world = make_world(f"sqlite:///{tmp_path / 'home' / 'state.db'}")
    for _ in range(4):
        await world.ask(seconds=HOUR)

    assert [it for it in world.told(StoreFailed) if "sharing history" in it.what]
    assert world.told(PlanningFailed) == []
    assert len(world.told(Settled)) == world.asked


async def test_a_file_that_may_only_be_read(tmp_path, make_world, faulty):
    """As on a file system that was mounted anew: it is told of, and used later."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    world, connect = make_world(url), sqlite3.connect

    def connected(address, **given):
        return connect(address.replace("mode=rw", "mode=ro"), **given)

    await world.ask()
    world.cache.store.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database.sqlite3, "connect", connected)
        for _ in range(3):
            await world.ask(seconds=HOUR)
        failures = world.told(StoreFailed)
        world.cache.keeper.idle()
        world.events.clear()
    for _ in range(3):
        await world.ask(seconds=HOUR)
    world.cache.close()
    store = open_store(url)
    learned = stored(store, now=faulty.clock.now())
    store.close()

    assert [it for it in failures if "readonly" in it.what]
    assert world.told(StoreFailed) == []
    assert world.told(PlanningFailed) == []
    assert learned


@pytest.mark.parametrize("home", ["none", "a file"])
async def test_a_home_that_cannot_be_used(home, tmp_path, make_world, monkeypatch):
    """Handles stay in memory, which one event says, and are created all the same."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").write_text("a file")
    world = make_world(None)
    if home == "none":
        # The SDKs look for files of theirs in it before.
        monkeypatch.setattr(Path, "expanduser", _nowhere)
    for _ in range(6):
        await world.ask(seconds=310.0)
        world.cache.keeper.idle()

    assert len(world.told(StoreFailed)) == 1
    assert "in memory" in world.told(StoreFailed)[0].what
    assert world.told(CacheCreated)
    assert world.told(PlanningFailed) == []


def _nowhere(path):
    raise RuntimeError(path)


class Stuck(MemoryStore):
    """A store that does not answer before it is let go."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.free.set()

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        is_call = not name.startswith("_") and name != "free" and callable(found)
        if is_call and not self.free.is_set():
            assert self.free.wait(2)
        return found


@pytest.mark.parametrize("since", ["start", "later"])
async def test_a_store_that_does_not_answer(since, make_world, monkeypatch):
    """No call waits for it, from the first one on."""
    monkeypatch.setattr(keeper, "_START_SECONDS", 0.05)
    store = Stuck()
    world = make_world(store)
    begun = 0
    if since == "later":
        await world.ask()
    store.free.clear()
    try:
        for _ in range(3):
            for name, model in world.models.items():
                world.faulty.clock.advance(60.0)
                way = next(iter(NAMED[name].ways.values()))
                assert "Understood" in await way(model, QUESTION)
                begun += 1
    finally:
        store.free.set()
    join()

    assert begun == 6
    assert world.told(PlanningFailed) == []
    await world.ask(seconds=HOUR)


@contextlib.contextmanager
def restarted(port, password):
    """Run a server on the port of one that has gone."""
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    process = subprocess.Popen(
        [shutil.which("redis-server"), *options, "--requirepass", password],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if "Ready to accept connections" in line:
                break
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_a_server_that_is_killed_and_comes_back(tmp_path, make_world, faulty):
    """Calls go on; what it has forgotten is told anew, with its new secret."""
    with redis_server(tmp_path, password="first") as url:
        world = make_world(url)
        for _ in range(3):
            await world.ask()
        port = urlsplit(url).port
        import redis  # noqa: PLC0415  # the line above has skipped without it

        with redis.Redis.from_url(url) as client:
            client.shutdown(nosave=True)
        for _ in range(3):
            await world.ask(seconds=HOUR)
        failures = world.told(StoreFailed)
        world.cache.keeper.idle()
        world.events.clear()
        with restarted(port, "first"):
            for _ in range(3):
                await world.ask(seconds=HOUR)
            world.cache.close()
            store = open_store(url)
            learned = stored(store, now=faulty.clock.now())
            store.close()

    # The history, and the keeper for what it does by itself.
    assert sum("sharing history" in it.what for it in failures) == 1
    assert world.told(StoreFailed) == []
    assert world.told(PlanningFailed) == []
    assert learned


async def test_a_server_that_is_full(tmp_path, make_world, faulty):
    """Calls go on; what could not be told is told once there is room."""
    with redis_server(tmp_path) as url:
        world = make_world(url)
        await world.ask()
        import redis  # noqa: PLC0415  # the line above has skipped without it

        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", "1")
            for _ in range(3):
                await world.ask(seconds=HOUR)
            failures = world.told(StoreFailed)
            world.cache.keeper.idle()
            world.events.clear()
            client.config_set("maxmemory", "0")
        for _ in range(3):
            await world.ask(seconds=HOUR)
        world.cache.close()
        store = open_store(url)
        learned = stored(store, now=faulty.clock.now())
        store.close()

    assert [it for it in failures if "maxmemory" in it.what]
    assert world.told(StoreFailed) == []
    assert world.told(PlanningFailed) == []
    assert learned


async def test_a_wrong_password(tmp_path, make_world):
    """Calls go on, and no event has the password, neither the wrong nor the right."""
    with redis_server(tmp_path, password="right-one") as url:
        world = make_world(url.replace("right-one", "wrong-one"))
        for _ in range(3):
            await world.ask(seconds=HOUR)
        told = repr(world.events)

    assert world.told(StoreFailed)
    assert "wrong-one" not in told
    assert "right-one" not in told
    assert len(world.told(Settled)) == world.asked
