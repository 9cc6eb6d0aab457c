"""What listens is for this machine alone, what is written for this user alone."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptcache import JsonlReceipts, PromptCache, SqliteStore
from promptcache.emulator import Emulator, Fault
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.state import probed

ROOT = Path(__file__).parents[2]
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
        # Whoever made it, what is ours is in a folder of its own there.
        (tmp_path / "cache").mkdir(mode=0o700)
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
    """Return who may do what with all that is in a directory, by its name."""
    return {it.name: stat.S_IMODE(it.stat().st_mode) for it in directory.rglob("*")}


@posix
def test_a_page_is_for_this_user_alone(tmp_path, monkeypatch):
    """What is made of receipts is no more open than they are."""
    pytest.importorskip("typer", reason="the `cli` extra is not installed")
    from promptcache import cli  # noqa: PLC0415

    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    cache = PromptCache(listeners=[receipts])
    ask(cache, "hello")
    cache.close()
    receipts.close()
    page = tmp_path / "page.html"
    words = ["promptcache", "report", str(receipts.path), "--html", str(page)]
    monkeypatch.setattr(sys, "argv", words)
    before = os.umask(0)
    try:
        with pytest.raises(SystemExit):
            cli.main()
    finally:
        os.umask(before)

    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


# What opens sockets, in a process whose audit hook tells of each.
WATCHED = """
import json, sys
seen = []

def hook(name, arguments):
    if name in ("socket.bind", "socket.connect", "socket.getaddrinfo"):
        where = arguments[0] if name == "socket.getaddrinfo" else arguments[1]
        seen.append([name, where if isinstance(where, str) else list(where)[0]])

sys.addaudithook(hook)
sys.argv = ["promptcache", *sys.argv[1:]]
from promptcache.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
print("SEEN", json.dumps([code, seen]))
"""
COMMANDS = {
    "probe": [],
    "report": ["receipts.jsonl"],
    "explain": ["body.json"],
}
"""What is nobody's business but this process's, unless it is told to send."""


def watched(directory, *words, **environment):
    """Return how a command ended, and with whom it wanted to speak."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words],
        cwd=directory,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    _, _, told = done.stdout.rpartition("SEEN ")
    assert told, done.stderr
    return json.loads(told)


def test_what_is_not_to_send_opens_no_socket(tmp_path):
    """Nothing is looked up, reached or listened on, also by `probe` without --live."""
    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    cache = PromptCache(listeners=[receipts])
    ask(cache, "hello")
    cache.close()
    receipts.close()
    body = {
        "model": "claude-sonnet-5-5",
        "messages": [{"role": "user", "content": "a"}],
    }
    (tmp_path / "body.json").write_text(json.dumps(body))
    for name, words in COMMANDS.items():
        code, seen = watched(tmp_path, name, *words, ANTHROPIC_API_KEY="any")
        assert code in (0, None), (name, code)
        # HTTP libraries try whether there is an IPv6 when they are imported.
        assert [it for it in seen if it != ["socket.bind", "::1"]] == [], name


def test_a_live_probe_reaches_its_server_alone(tmp_path):
    """It listens on nothing and speaks to the server that it was given."""
    with Emulator() as emulator:
        words = ["probe", "--live", "--yes", "--base-url", emulator.url]
        # A key that is refused ends it before it waits.
        emulator.faults.push(Fault(status=401, message="no key", times=9))
        _, seen = watched(tmp_path, *words, ANTHROPIC_API_KEY="any")

    assert seen
    assert {where for _, where in seen} <= LOOPBACK
    assert any(name == "socket.connect" for name, _ in seen)


def ask(cache, text):
    body = {
        "model": "claude-sonnet-5-5",
        "system": "You help. " * 900,
        "messages": [{"role": "user", "content": text}],
    }
    prepared = cache.prepare(Request(ANTHROPIC, body, "anthropic"))
    cache.settle(prepared, {"input_tokens": 9, "output_tokens": 1}, message_id="m")
