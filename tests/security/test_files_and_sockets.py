"""What listens is for this machine alone, what is written for this user alone."""

import os
import re
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis_server import redis_server

from promptcache import JsonlReceipts, PromptCache, SqliteStore
from promptcache.emulator import Emulator
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.events import StoreFailed
from promptcache.state import probed
from promptcache.state.redis import RedisStore

LOOPBACK = {"127.0.0.1", "::1"}
TCP = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = "0A"
DEADLINE_SECONDS = 60.0

posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
proc = pytest.mark.skipif(
    not TCP[0].exists(), reason="the sockets of a process are told by /proc only"
)


def listening(pid):
    """Return the addresses that a process listens on, by the kernel's own tables."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
        except FileNotFoundError:
            continue
        inodes |= {found[1]} if found else set()
    rows = [
        line.split()
        for table in TCP
        if table.exists()
        for line in table.read_text(encoding="ascii").splitlines()[1:]
    ]
    return {
        address_of(row[1]) for row in rows if row[3] == LISTENING and row[9] in inodes
    }


def address_of(packed):
    """Return an address as the kernel's tables have it, in this machine's order."""
    words = bytes.fromhex(packed.partition(":")[0])
    turned = b"".join(words[it : it + 4][::-1] for it in range(0, len(words), 4))
    family = socket.AF_INET if len(words) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, turned)


@proc
def test_the_look_at_sockets_sees_all_of_them():
    """A socket for everybody is seen as such: else the next tests could not fail."""
    with socket.create_server(("0.0.0.0", 0)):
        assert "0.0.0.0" in listening(os.getpid())


@proc
def test_the_emulator_listens_on_loopback():
    """No interface but the machine's own."""
    before = listening(os.getpid())
    with Emulator():
        assert listening(os.getpid()) - before <= LOOPBACK
        assert listening(os.getpid()) & LOOPBACK


@proc
def test_the_command_listens_on_loopback(tmp_path):
    """`promptcache emulate` does likewise."""
    ready = tmp_path / "ready"
    code = "from promptcache.cli import main; main()"
    options = ["emulate", "--port", "0", "--ready-file", str(ready)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        end = time.monotonic() + DEADLINE_SECONDS
        while not ready.exists() and time.monotonic() < end:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)
        assert listening(process.pid) == {"127.0.0.1"}
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)


@posix
def test_files_are_for_this_user_alone(tmp_path, monkeypatch):
    """What is written of requests is 0600, also where others may usually read."""
    before = os.umask(0)
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        receipts = JsonlReceipts(tmp_path / "receipts.jsonl", max_bytes=300)
        store = SqliteStore(tmp_path / "own" / "state.db")
        cache = PromptCache(store=store, listeners=[receipts])
        for number in range(4):
            ask(cache, f"question {number}")
        cache.close()
        receipts.close()
        modes = modes_in(tmp_path)
        store.close()
        where = ("anthropic", "claude-sonnet-5-5", "anthropic")
        probed.remember(where, keeps=True, at=1.0)
    finally:
        os.umask(before)
    modes |= modes_in(tmp_path)

    assert {"receipts.jsonl", "receipts.jsonl.1", "state.db", "state.db.secret"} <= {
        *modes
    }
    assert {"state.db-wal", "probed.json"} <= {*modes}
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}


def modes_in(directory):
    """Return who may do what with the files in a directory, by their names."""
    files = [it for it in directory.rglob("*") if it.is_file()]
    return {it.name: stat.S_IMODE(it.stat().st_mode) for it in files}


def test_caches_learn_together_over_tls(tmp_path):
    """Redis with a certificate and a password: it works, and neither is told."""
    password = "p@ss/w:rd-canary"
    events = []
    with redis_server(tmp_path, password=password, tls=True) as url:
        stores = [RedisStore(url), RedisStore(url)]
        caches = [PromptCache(store=it, listeners=[events.append]) for it in stores]
        for cache in caches:
            ask(cache, "hello")
            cache.close()
        assert stores[0]._client.keys("*")
        assert [it for it in events if isinstance(it, StoreFailed)] == []
        wrong = RedisStore(url.replace("canary", "mistake"))
        stranger = PromptCache(store=wrong, listeners=[events.append])
        ask(stranger, "hello")
        stranger.close()
        for store in (*stores, wrong):
            store.close()
    failed = [it for it in events if isinstance(it, StoreFailed)]

    assert failed
    assert "canary" not in repr(events)
    assert "mistake" not in repr(events)


def ask(cache, text):
    body = {
        "model": "claude-sonnet-5-5",
        "system": "You help. " * 900,
        "messages": [{"role": "user", "content": text}],
    }
    prepared = cache.prepare(Request(ANTHROPIC, body, "anthropic"))
    cache.settle(prepared, {"input_tokens": 9, "output_tokens": 1}, message_id="m")
