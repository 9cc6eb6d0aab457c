"""The file of a SQLite store: where it is, who may read it, and what may befall it."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from promptcache.errors import StoreError
from promptcache.state import database, files
from promptcache.state.sqlite import SqliteStore
from promptcache.state.stores import Backoff, Handle, Lease

NOW = 1_795_000_000.0
KEY = b"key"

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "state.db"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


def add(store, number=1):
    store.add_counts("a", {KEY: (number,)}, seconds=60, now=NOW)


def counted(store):
    return store.counts("a", now=NOW).get(KEY, (0,))[0]


def test_nothing_is_made_before_the_first_use(store, path):
    """A store that nobody uses leaves no trace."""
    assert not path.parent.exists()

    add(store)

    assert path.exists()


@posix
def test_only_the_user_may_read_it(store, path):
    """The directory, the database, its journals and the secret."""
    before = os.umask(0)
    try:
        store.secret()
        add(store)
        found = {
            it.name: stat.S_IMODE(it.stat().st_mode) for it in path.parent.iterdir()
        }
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert found == dict.fromkeys(
        ("state.db", "state.db-wal", "state.db-shm", "state.db.secret"), 0o600
    )


@posix
def test_a_directory_of_the_user_stays_as_it_is(tmp_path):
    """Only what the store makes is the store's."""
    tmp_path.chmod(0o755)
    store = SqliteStore(tmp_path / "state.db")
    add(store)
    store.close()

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


PLACES = {
    "linux": ("linux", {}, "home/.cache"),
    "linux, moved": ("linux", {"XDG_CACHE_HOME": "xdg"}, "xdg"),
    "macos": ("darwin", {"XDG_CACHE_HOME": "xdg"}, "home/Library/Caches"),
    "windows": ("win32", {"LOCALAPPDATA": "local"}, "local"),
    "windows, bare": ("win32", {}, "home/AppData/Local"),
}


@pytest.mark.parametrize(
    ("platform", "environment", "place"), PLACES.values(), ids=PLACES.keys()
)
def test_the_default_is_the_users_cache(
    platform, environment, place, tmp_path, monkeypatch
):
    """By the custom of the platform, and found at the first use."""
    store = SqliteStore()
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(files.sys, "platform", platform)

    add(store)
    store.close()

    assert (tmp_path / place / "promptcache" / "state.db").exists()


def test_a_relative_cache_home_is_ignored(tmp_path, monkeypatch):
    """As the XDG rules demand; the current directory is no cache."""
    monkeypatch.setattr(files.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert files.default_path() == tmp_path / ".cache/promptcache/state.db"


@pytest.mark.parametrize("given", [None, "~/state.db"])
def test_without_a_home_the_first_use_fails(given, monkeypatch):
    """Not the construction: a program without a home still starts."""

    def nowhere(self):
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", nowhere)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    store = SqliteStore(given)

    with pytest.raises(StoreError, match="there is no home directory"):
        store.handles(now=NOW)
    with pytest.raises(StoreError, match="there is no home directory"):
        store.secret()


def test_a_home_that_cannot_be_written_is_an_error(tmp_path):
    """Of every use, until it can."""
    (tmp_path / "home").write_text("a file, no directory")
    store = SqliteStore(tmp_path / "home" / "state.db")

    with pytest.raises(StoreError, match=r"home.state\.db cannot be used"):
        store.handles(now=NOW)
    with pytest.raises(StoreError, match=r"home.state\.db\.secret cannot be used"):
        store.secret()

    (tmp_path / "home").unlink()
    add(store)

    assert counted(store) == 1
    store.close()


def test_a_file_that_cannot_be_written_is_an_error(store, path):
    """A read-only file system, a foreign owner: reading alone is of no use."""
    add(store)
    store.close()
    connect = sqlite3.connect

    def read_only(address, **given):
        return connect(address.replace("mode=rw", "mode=ro"), **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database.sqlite3, "connect", read_only)
        with pytest.raises(StoreError, match="readonly"):
            add(store)

    assert counted(store) == 1


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    """It is that of the directory in which the store was made."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("state.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    add(store)
    store.close()

    assert (tmp_path / "state.db").exists()


def test_a_directory_is_no_database(tmp_path):
    """It is told, and nothing is moved."""
    with pytest.raises(StoreError, match="unable to open"):
        SqliteStore(tmp_path).handles(now=NOW)


DAMAGE = {
    "no database": lambda path: path.write_bytes(b"not a database at all " * 100),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 20_000),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_moved_aside(damage, path):
    """One call fails and says so; the next has an empty file, for all who share it."""
    store, other = SqliteStore(path), SqliteStore(path)
    for number in range(50):
        store.add_counts("a", {b"%d" % number: (1,)}, seconds=60, now=NOW)
    store.close()
    damage(path)
    damaged = path.read_bytes()

    with pytest.raises(
        StoreError, match=r"moved to .*damaged-.*starts afresh"
    ) as caught:
        store.counts("a", now=NOW)

    (aside,) = path.parent.glob("*.damaged-*")
    assert str(aside) in str(caught.value)
    assert aside.read_bytes() == damaged
    assert counted(store) == 0
    add(store)
    assert counted(other) == 1
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    store.close()
    other.close()


def test_a_journal_of_the_damaged_file_is_not_that_of_the_new(store, path, monkeypatch):
    """What it holds would otherwise be written into the new file."""
    close = database.Database._close

    def close_with_journals(self):
        close(self)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).write_bytes(b"of the damaged file")

    path.parent.mkdir()
    path.write_bytes(b"not a database at all " * 100)
    monkeypatch.setattr(database.Database, "_close", close_with_journals)
    with pytest.raises(StoreError, match="moved to"):
        store.handles(now=NOW)
    monkeypatch.undo()

    assert [it.name for it in path.parent.iterdir() if "damaged" not in it.name] == []


def test_a_new_file_is_not_moved_for_the_damage_of_the_old(path):
    """One that found the damage late takes no file from under those who go on."""
    store, late = SqliteStore(path), SqliteStore(path)
    add(store)
    counted(late)
    damaged = late._database
    path.rename(path.with_name("old"))
    add(store, 7)

    assert damaged._move_aside() is None
    assert SqliteStore(path)._database._move_aside() is None
    assert counted(store) == 7
    assert not list(path.parent.glob("*.damaged-*"))
    store.close()
    late.close()


def test_a_damaged_file_that_cannot_be_moved_stays(store, path, monkeypatch):
    """The error says what to do."""

    def refuse(source, target):
        raise OSError(1, "not permitted")

    path.parent.mkdir()
    path.write_bytes(b"not a database at all " * 100)
    monkeypatch.setattr(database.os, "link", refuse)

    with pytest.raises(StoreError, match="not a database; if it stays so, remove it"):
        store.handles(now=NOW)
    assert path.exists()


def test_a_removed_file_is_made_again(store, path):
    """Whoever empties caches meanwhile harms nobody."""
    add(store)
    for it in path.parent.iterdir():
        it.unlink()
    other = SqliteStore(path)
    add(other, 5)

    assert counted(store) == 5
    store.close()
    other.close()


def test_the_database_of_another_program_is_left_alone(store, path):
    """Not a byte of it is changed."""
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE users (name TEXT)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="another program"):
        store.handles(now=NOW)
    assert path.read_bytes() == before


def test_a_newer_file_is_left_alone(store, path):
    """An older version does not guess what a newer one wrote."""
    add(store)
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(StoreError, match="a newer promptcache made it"):
        store.handles(now=NOW)
    assert not list(path.parent.glob("*.damaged-*"))


def test_an_older_file_is_brought_forward(store, path):
    """With what is in it, by the migrations that it has not had."""
    add(store)
    store.close()
    store._database._migrations = (
        *store._database._migrations,
        ("ALTER TABLE handles ADD COLUMN note TEXT", "DELETE FROM backoffs"),
    )

    assert counted(store) == 1
    assert store._database.read(
        lambda connection: connection.execute("PRAGMA user_version").fetchone()
    ) == (2,)


def test_a_failed_migration_changes_nothing(store, path):
    """The file stays at its version, whole."""
    add(store)
    store.close()
    whole = store._database._migrations
    store._database._migrations = (*whole, ("DELETE FROM counts", "NONSENSE"))

    with pytest.raises(StoreError, match="syntax error"):
        counted(store)
    store._database._migrations = whole
    assert counted(store) == 1


def test_a_failed_write_changes_nothing(store):
    """Nor does it stand in the way of the next."""
    add(store)

    def half(connection):
        connection.execute("DELETE FROM counts")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._database.write(half)
    assert counted(store) == 1
    add(store)
    assert counted(store) == 2


def test_a_write_that_sqlite_gave_up_is_an_error(store):
    """As on a full disk, where it has undone the transaction already."""
    add(store)

    def give_up(connection):
        connection.execute("DELETE FROM counts")
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(StoreError, match="disk is full"):
        store._database.write(give_up)
    assert counted(store) == 1


def test_it_waits_for_other_writers_but_not_for_ever(store, path, monkeypatch):
    """A process that holds the file too long makes an error, which passes."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    add(store)
    store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="locked"):
        add(store)
    other.execute("COMMIT")
    other.close()
    add(store)
    assert counted(store) == 2


LEASE = Lease(KEY, "a", 1, NOW + 30)
HANDLE = Handle(KEY, "n", "m", "s", 7, NOW, NOW + 60, "a")
CHANGES = {
    "acquire": lambda store: store.acquire(KEY, owner="a", seconds=9, now=NOW),
    "renew": lambda store: store.renew(LEASE, seconds=9, now=NOW),
    "release": lambda store: store.release(LEASE),
    "put_handle": lambda store: store.put_handle(HANDLE, LEASE, now=NOW),
    "note_use": lambda store: store.note_use(HANDLE, saved_usd=None, now=NOW),
    "drop_handle": lambda store: store.drop_handle(HANDLE),
    "put_backoff": lambda store: store.put_backoff(
        Backoff(KEY, "quota", NOW + 9), now=NOW
    ),
    "add_counts": add,
    "sweep": lambda store: store.sweep(now=NOW),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_alone_from_its_start(change, store):
    """What it decides by cannot have changed before it writes."""
    add(store)
    said = []
    store._database._connection.set_trace_callback(said.append)
    change(store)

    assert said[0] == "BEGIN IMMEDIATE"
    assert said[-1] == "COMMIT"


def test_readers_do_not_wait_for_writers(store, path):
    """The journal is one that lets them read on."""
    add(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM counts")

    assert counted(store) == 1
    other.execute("ROLLBACK")
    other.close()


def test_a_secret_of_the_wrong_length_is_an_error(store, path):
    """An empty one would be no secret."""
    path.parent.mkdir()
    path.with_name("state.db.secret").write_bytes(b"")

    with pytest.raises(
        StoreError, match=r"state\.db\.secret cannot be used.*remove it"
    ):
        store.secret()


def test_a_file_is_made_once(tmp_path):
    """Of many at once, one wins and all find the whole of it."""
    path = tmp_path / "d" / "secret"
    contents = [bytes([number]) * 32 for number in range(16)]
    start = threading.Barrier(16)
    found = []

    def make(content):
        start.wait()
        files.make_once(path, content)
        found.append(path.read_bytes())

    threads = [threading.Thread(target=make, args=(it,)) for it in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 16
    assert len(set(found)) == 1
    assert found[0] in contents
    assert [it.name for it in path.parent.iterdir()] == ["secret"]


def test_windows_has_other_means(tmp_path, monkeypatch):
    """There a rename does not overwrite; who comes second leaves what is there."""

    def rename(source, target):
        os.link(source, target)

    path = tmp_path / "secret"
    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    files.make_once(path, b"first")
    files.make_once(path, b"second")

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


FORK = """
import os, sys, threading
from promptcache.state import database
from promptcache.state.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])

def add(number):
    store.add_counts("a", {b"key": (number,)}, seconds=60, now=0.0)

add(1)
stop = threading.Event()

def busily():
    while not stop.is_set():
        add(0)

thread = threading.Thread(target=busily)
thread.start()
for _ in range(10):
    child = os.fork()
    if not child:
        assert store._database._connection is None
        assert database._left_open == []
        add(1)
        assert store.secret()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    add(1)
stop.set()
thread.join()
print(store.counts("a", now=0.0))
store.close()
"""


@posix
def test_it_lives_through_forks(path):
    """Nothing is open across one, whatever other threads do, and nothing is lost."""
    done = subprocess.run(
        # Newer versions of Python warn of forks beside threads.
        [sys.executable, "-W", "ignore", "-c", FORK, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == "{b'key': (21,)}\n"


BARE_FORK = """
import os, sys
from promptcache.state import forks
from promptcache.state.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
store.add_counts("a", {b"key": (1,)}, seconds=60, now=0.0)
inherited = store._database._connection
# As in servers that fork beneath Python: only the child learns of it.
forks._forks._before = forks._forks._in_parent = lambda: None
store._database._lock.acquire()
forks._forks._gate.acquire()
forks._forks._in_child()
store.add_counts("a", {b"key": (1,)}, seconds=60, now=0.0)
assert store._database._connection is not inherited
inherited.execute("SELECT 1")
print(store.counts("a", now=0.0))
SqliteStore(sys.argv[1])
store.close()
"""


def test_a_child_that_was_not_announced_begins_anew(path):
    """It neither uses nor closes what it inherits, and waits for no lost thread."""
    done = subprocess.run(
        [sys.executable, "-c", BARE_FORK, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout == "{b'key': (2,)}\n", done.stderr


def test_a_store_that_is_dropped_lets_go(path):
    """Nobody is warned of a connection that was left open."""
    store = SqliteStore(path)
    add(store)
    connection = store._database._connection
    del store

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
