"""Many processes on one store: one creates, and the dead leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from gemini_remote import HttpRemote, World
from redis_server import redis_server

from promptcache.emulator import Emulator
from promptcache.limits import Limits
from promptcache.providers.gemini.handles.naming import DisplayName, is_pending
from promptcache.receipts.events import StoreFailed
from promptcache.state.opening import open_store

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this platform has no fork"
)

SUPPORT = Path(__file__).parents[3] / "support"
PROCESSES = 8
MOMENTS = 50
LEASE = 60.0
LIMITS = Limits(usd_per_hour=1000.0, live_caches=1000)

HEAD = """
import json, os, sys

sys.path.insert(0, sys.argv[1])
from gemini_remote import HttpRemote, StillClock, World
from promptcache.clock import SystemClock
from promptcache.limits import Limits
from promptcache.state.opening import open_store

url, server = sys.argv[2], sys.argv[3]
limits = Limits(usd_per_hour=1000.0, live_caches=1000)
# Loads what the kind of store needs, and opens nothing.
open_store(url)
"""

# Processes that were forked before any of them has touched the store begin when the
# pipe that all of them read from is closed. Each has a clock that runs.
WORKERS = """
waiting, start = os.pipe()
for number in range(int(sys.argv[4])):
    if not os.fork():
        os.close(start)
        world = World(open_store(url), SystemClock())
        worker = world.worker(limits=limits)
        remote = HttpRemote(server)
        creation = world.creation(remote=remote)
        os.read(waiting, 1)
        said = []
        for name in (b"a", b"b", b"c"):
            key = worker.key(remote.scope, name)
            begun = world.clock.now()
            handle = worker.create(key, creation) or worker.await_handle(key, 20.0)
            said.append([handle and handle.name, world.clock.now() - begun])
        said.append([type(event).__name__ for event in world.events])
        os.write(1, (json.dumps(said) + "\\n").encode())
        os._exit(0)
os.close(start)
for _ in range(int(sys.argv[4])):
    os.wait()
"""

# For each line that says a time, a process that creates one after another and writes
# a dot before whatever it asks of the store or the provider; then, when it was killed,
# an "x".
NURSERY = """
class Dotted:
    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if not callable(value):
            return value
        def call(*args, **options):
            os.write(1, b".")
            return value(*args, **options)
        return call

for line in sys.stdin:
    number, now = json.loads(line)
    child = os.fork()
    if not child:
        world = World(Dotted(open_store(url)), StillClock(now))
        worker = world.worker(limits=limits)
        remote = Dotted(HttpRemote(server))
        os.write(1, f"{os.getpid()}\\n".encode())
        creation = world.creation(remote=remote, seconds=86400.0)
        for index in range(10_000):
            key = worker.key(remote.scope, f"{number} {index}".encode())
            worker.create(key, creation)
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"x")
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/state.db"
    number = 1 + request.node.name.startswith("test_killed")
    return request.getfixturevalue("redis_url").replace("/0", f"/{number}")


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


def started(script, url, emulator, *more):
    """Start a script that is handed the store and the provider."""
    command = [sys.executable, "-c", HEAD + script, str(SUPPORT), url, emulator.url]
    return subprocess.Popen(
        [*command, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


def test_one_of_many_creates(url, emulator):
    """All ask at once for three prefixes: each is created once, and all get it."""
    with started(WORKERS, url, emulator, str(PROCESSES)) as workers:
        output, errors = workers.communicate()
    said = [json.loads(line) for line in output.splitlines()]

    assert errors == b""
    assert len(said) == PROCESSES
    assert len(emulator.caches) == 3
    for place in range(3):
        assert len({each[place][0] for each in said}) == 1
        assert max(each[place][1] for each in said) < 20.0
    names = {name for each in said for name, _ in each[:3]}
    assert names == {row.name for row in emulator.caches}
    assert [event for each in said for event in each[3]] == ["CacheCreated"] * 3


@pytest.mark.timeout(300)
def test_killed_at_any_moment(url, emulator):
    """Whenever a creator is killed, the next one gets the one content of the prefix.

    It is killed while it goes on after as many steps as chance says, a creation having
    about twenty.
    """
    chance = Random(42)
    with started(NURSERY, url, emulator) as nursery:
        try:
            pending = sum(
                survived(nursery, url, emulator, number, chance.randrange(1, 60))
                for number in range(MOMENTS)
            )
        finally:
            nursery.stdin.close()
        assert nursery.stderr.read() == b""

    # Some of them were in the middle of a creation.
    assert pending >= MOMENTS / 10


def survived(nursery, url, emulator, number, steps):
    """Kill a creator, go on after it, and tell whether it had begun a creation."""
    now = emulator.clock.now()
    nursery.stdin.write(json.dumps([number, now]).encode() + b"\n")
    pid = int(nursery.stdout.readline())
    nursery.stdout.read(1)
    for _ in range(steps - 1):
        nursery.stdout.read(1)
    os.kill(pid, signal.SIGKILL)
    while nursery.stdout.read(1) != b"x":
        pass

    store = open_store(url)
    world = World(store, emulator.clock)
    there = {handle.key for handle in store.handles(now=now)}
    begun = any(is_pending(handle.name) for handle in store.handles(now=now))
    worker = world.worker(limits=LIMITS)
    remote = HttpRemote(emulator.url)
    # What the dead one sent last has arrived by then.
    list(remote.listed())
    emulator.clock.advance(LEASE)
    handles = []
    # All that it has begun, and one more.
    while len(handles) == 0 or handles[-1].key in there:
        key = worker.key(remote.scope, f"{number} {len(handles)}".encode())
        creation = world.creation(remote=remote, seconds=86400.0)
        handles.append(worker.create(key, creation))
    worker.refresh()

    live = [row for row in emulator.caches if row.live]
    keys = Counter(DisplayName.read(row.display_name).key for row in live)
    assert set(keys.values()) == {1}
    assert {handle.name for handle in handles} <= {row.name for row in live}
    assert {handle.key for handle in handles} <= set(keys)
    assert world.told(StoreFailed) == []
    assert not any(
        is_pending(it.name) for it in store.handles(now=emulator.clock.now())
    )
    store.close()
    return begun
