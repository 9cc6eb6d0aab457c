"""Many processes on one store: who gets the lease, and what becomes of a dead one's."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store
from promptcache.state.stores import Handle, Lease

NOW = 1_795_000_000.0
KEY = b"key"
PROCESSES = 8
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

# Eight processes, forked before any of them has touched the store, begin when the pipe
# that all of them read from is closed. They live until they are killed.
WORKERS = """
import json, os, sys
from promptcache.state.opening import open_store

url, processes, now = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
open_store(url).close()
waiting, start = os.pipe()
for number in range(processes):
    if not os.fork():
        os.close(start)
        store = open_store(url)
        os.read(waiting, 1)
        lease = store.acquire(b"key", owner=f"w{number}", seconds=30, now=now)
        store.add_counts("a", {b"key": (1,)}, seconds=60, now=now)
        said = [os.getpid(), f"w{number}", lease and lease.token, store.secret().hex()]
        os.write(1, (json.dumps(said) + "\\n").encode())
        sys.stdin.read()
        os._exit(0)
os.close(start)
for _ in range(processes):
    os.wait()
"""


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/state.db"
    # Its database of another number is of nobody else.
    return request.getfixturevalue("redis_url").replace("/0", "/7")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_one_of_many_gets_the_lease(url):
    """All ask at once; a dead holder's lease ends, and its late write is refused."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKERS, url, str(PROCESSES), str(NOW)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as workers:
        said = [json.loads(workers.stdout.readline()) for _ in range(PROCESSES)]
        held = [(pid, owner, token) for pid, owner, token, _ in said if token]
        assert len(held) == 1
        assert len({secret for *_, secret in said}) == 1
        ((pid, owner, token),) = held
        # While it holds the lease, with no chance to give it back.
        os.kill(pid, signal.SIGKILL)
        workers.stdin.close()

    store = open_store(url)
    dead = Lease(KEY, owner, token, NOW + 30)
    assert store.acquire(KEY, owner="next", seconds=30, now=NOW + 29.9) is None
    lease = store.acquire(KEY, owner="next", seconds=30, now=NOW + 30)
    assert lease.token > dead.token
    # What it had sent before it died arrives now.
    assert not store.put_handle(
        replace(HANDLE, name="cachedContents/late"), dead, now=NOW + 31
    )
    assert store.put_handle(HANDLE, lease, now=NOW + 31)
    assert not store.put_handle(
        replace(HANDLE, name="cachedContents/late"), dead, now=NOW + 32
    )
    assert store.handle(KEY, now=NOW + 32) == HANDLE
    assert store.counts("a", now=NOW) == {KEY: (PROCESSES,)}
    store.close()
    if url.startswith("sqlite"):
        # Whoever made the file, its journal is the one that lets readers go on, as
        # these two bytes of the head say.
        head = Path(url.removeprefix("sqlite:///")).read_bytes()[:20]
        assert head[18:] == b"\x02\x02"


MEMORY = """
import os, threading
from promptcache.state.memory import MemoryStore

stores = [MemoryStore() for _ in range(3)]
stop = threading.Event()

def add(store, number):
    store.add_counts("a", {b"key": (number,)}, seconds=60, now=0.0)

def busily():
    while not stop.is_set():
        for store in stores:
            add(store, 0)

def fork():
    for _ in range(10):
        child = os.fork()
        if not child:
            for store in stores:
                add(store, 1)
                assert store.counts("a", now=0.0) == {b"key": (1,)}
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

adding = threading.Thread(target=busily)
adding.start()
forking = [threading.Thread(target=fork) for _ in range(2)]
for thread in forking:
    thread.start()
for thread in forking:
    thread.join()
stop.set()
adding.join()
print([store.counts("a", now=0.0) for store in stores])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_memory_lives_through_forks():
    """No child waits for a lock of its parent's threads, however many of these fork."""
    done = subprocess.run(
        # Newer versions of Python warn of forks beside threads.
        [sys.executable, "-W", "ignore", "-c", MEMORY],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == "[{b'key': (0,)}, {b'key': (0,)}, {b'key': (0,)}]\n"


def test_memory_stands_still_for_a_fork(monkeypatch):
    """No change is cut in two by it, and a lost thread does not hold it up for ever."""
    monkeypatch.setattr("promptcache.state.memory._PAUSE_SECONDS", 0.0)
    store = MemoryStore()

    assert store.pause()
    assert not store.pause()
    store.resume()
    assert store.pause()
    store.restart()
    assert store.pause()
