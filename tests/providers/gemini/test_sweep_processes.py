"""Creators that are killed at any moment, and the one sweep that settles all of it."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest

pytest.importorskip("google.genai", reason="google-genai is not installed")

from gemini_remote import World
from gemini_sdk import MODEL, client_of, members
from redis_server import redis_server

from promptcache.emulator import Emulator
from promptcache.limits import Limits
from promptcache.providers.gemini.handles import Creation
from promptcache.providers.gemini.handles.naming import DisplayName, is_pending
from promptcache.providers.gemini.remote import GenaiRemote
from promptcache.providers.gemini.sweep import Sweeper
from promptcache.state.opening import open_store

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this platform has no fork"
)

SUPPORT = Path(__file__).parents[2] / "support"
MOMENTS = 50
LEASE = 60.0
TURN = 11.0
FORGOTTEN = 4
LIMITS = Limits(usd_per_hour=1000.0, live_caches=1000)

# For each line that says a time, a process that creates and deletes, one after another,
# a prefix of a few that all of them share, and writes a dot before whatever it asks of
# the store or the provider; then, when it was killed, an "x".
NURSERY = """
import json, os, sys
from random import Random

sys.path.insert(0, sys.argv[1])
from gemini_remote import StillClock, World
from gemini_sdk import MODEL, client_of, members
from promptcache.limits import Limits
from promptcache.providers.gemini.handles import Creation
from promptcache.providers.gemini.remote import GenaiRemote
from promptcache.state.opening import open_store

url, server = sys.argv[2], sys.argv[3]
limits = Limits(usd_per_hour=1000.0, live_caches=1000)
# Loads what the kind of store needs, and opens nothing.
open_store(url)


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
        os.write(1, f"{os.getpid()}\\n".encode())
        chance = Random(number)
        world = World(Dotted(open_store(url)), StillClock(now))
        worker = world.worker(limits=limits)
        remote = Dotted(GenaiRemote(client_of(server)._api_client))
        creation = Creation(remote, MODEL, members(), 5000, 86400.0, None)
        while True:
            key = worker.key(remote.scope, b"%d" % chance.randrange(100))
            handle = worker.create(key, creation)
            if handle is not None and chance.random() < 0.3:
                worker.delete(handle, remote)
    os.waitpid(child, 0)
    os.write(1, b"x")
"""


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
        return
    with redis_server(tmp_path) as address:
        yield address


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def remote(emulator):
    client = client_of(emulator.url)
    remote = GenaiRemote(client._api_client)
    yield remote
    remote.close()
    client.close()


@pytest.mark.timeout(240)
def test_one_sweep_after_fifty_kills(url, emulator, remote):
    """Nothing is orphaned or there twice, and who lives is not disturbed."""
    chance = Random(7)
    command = [sys.executable, "-c", NURSERY, str(SUPPORT), url, emulator.url]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as nursery:
        try:
            for number in range(MOMENTS):
                kill_one(nursery, emulator, number, steps=chance.randrange(1, 60))
        finally:
            nursery.stdin.close()
        assert nursery.stderr.read() == b""

    store = open_store(url)
    sweeper = Sweeper(store, remote, clock=emulator.clock)
    emulator.clock.advance(LEASE)
    forget_some(store, emulator, remote)
    with_nobody = Counter(row.state for row in sweeper.standing())
    with Living(store, emulator, remote) as (made, finish):
        deeds = sweeper.sweep()
        during = Counter(row.state for row in sweeper.standing())
        kept = finish()

    # Some kills were in the middle of a creation, and all of it was settled.
    done = Counter(deed.what for deed in deeds)
    assert with_nobody["pending"] >= 2
    assert with_nobody["orphan"] == 2 * FORGOTTEN
    assert done["deleted"] >= FORGOTTEN
    assert done["adopted"] >= FORGOTTEN
    assert done["failed"] == 0
    assert [deed.name for deed in deeds if deed.what == "left"] == [made]
    assert during == {"known": during["known"], "pending": 1}
    # The living worker has what it has made, and the store has all that lives.
    assert kept.name == made
    rows = sweeper.standing()
    assert {row.state for row in rows} == {"known"}
    live = [row for row in emulator.caches if row.live]
    assert {row.name for row in live} == {row.name for row in rows}
    keys = Counter(DisplayName.read(row.display_name).key for row in live)
    assert set(keys.values()) == {1}
    handles = store.handles(now=emulator.clock.now())
    assert not any(is_pending(handle.name) for handle in handles)
    assert len(handles) == len(live)
    assert sweeper.sweep() == []
    store.close()


def kill_one(nursery, emulator, number, *, steps):
    """Have a process create, and kill it while it goes on after so many steps."""
    now = emulator.clock.now()
    nursery.stdin.write(json.dumps([number, now]).encode() + b"\n")
    pid = int(nursery.stdout.readline())
    for _ in range(steps):
        assert nursery.stdout.read(1) == b"."
    os.kill(pid, signal.SIGKILL)
    while nursery.stdout.read(1) != b"x":
        pass
    # The dead may have had the lease that all need who spend.
    emulator.clock.advance(TURN)


def forget_some(store, emulator, remote):
    """Have the store lose some, of which a worker then makes half once more."""
    worker = World(store, emulator.clock).worker(limits=LIMITS)
    creation = Creation(remote, MODEL, members(), 5000, 3600.0, None)
    names = {held.name for held in remote.listed()}
    handles = store.handles(now=emulator.clock.now())
    there = [handle for handle in handles if handle.name in names]
    for number, handle in enumerate(there[: 2 * FORGOTTEN]):
        assert store.drop_handle(handle)
        if number % 2:
            made = worker.create(handle.key, creation)
            assert made.name != handle.name


class Living:
    """A worker that has just made one, and has not yet stored it."""

    def __init__(self, store, emulator, remote):
        self.made, self.may_go_on = Event(), Event()
        self.name = self.handle = None
        self.worker = World(store, emulator.clock).worker(limits=LIMITS)
        self.key = self.worker.key(remote.scope, b"of the living")
        self.remote = remote
        self.creation = Creation(self, MODEL, members(), 5000, 86400.0, None)
        self.scope = remote.scope
        self.thread = Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        assert self.made.wait(30)
        return self.name, self.finish

    def __exit__(self, *_):
        self.may_go_on.set()
        self.thread.join()

    def run(self):
        self.handle = self.worker.create(self.key, self.creation)

    def create(self, *args, **fields):
        held = self.remote.create(*args, **fields)
        self.name = held.name
        self.made.set()
        assert self.may_go_on.wait(30)
        return held

    def finish(self):
        self.may_go_on.set()
        self.thread.join()
        return self.handle
