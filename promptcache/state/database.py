"""One SQLite file, shared by threads and processes.

Rule 1: nothing is opened or made before the first use.
Rule 2: a process has one connection; its threads take turns, each for one transaction.
Rule 3: no connection crosses a fork (see `forks`).
Rule 4: the file is opened and closed by SQLite alone. If this process closed a
    descriptor of its own, all its locks on the file would be gone, SQLite's included.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

from promptcache.errors import StoreError
from promptcache.state.files import default_path, in_home, make_once
from promptcache.state.forks import let_go_at_forks

__all__ = ["BUSY_SECONDS", "Database"]

BUSY_SECONDS = 2.0
"""How long a transaction waits for those of other processes."""

_APPLICATION = 0x70726370
"""Says in the file's head that it is one of ours."""

_T = TypeVar("_T")

_left_open: list[sqlite3.Connection] = []
"""Connections that must not be closed: that would harm files of others."""


class Database:
    """A database that is made when it is missing and replaced when it is damaged."""

    def __init__(self, path: Path | None, migrations: Sequence[Sequence[str]]) -> None:
        """Touch nothing yet.

        Args:
            path: The file; None is one in the user's cache directory.
            migrations: What brings the tables from each version to the next.
        """
        # A relative path means the same after a change of directory. A `~` waits for
        # the first use, since a missing home is an error of that.
        self._given = path and (path if path.parts[:1] == ("~",) else path.absolute())
        self._path: Path | None = None
        self._migrations = migrations
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        let_go_at_forks(self)

    def __del__(self) -> None:
        self._close()

    @property
    def path(self) -> Path:
        """Where the file is or will be.

        Raises:
            StoreError: No path was given, and the user has no home.
        """
        if self._path is None:
            self._path = in_home(self._given) if self._given else default_path()
        return self._path

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what is read in a transaction.

        Raises:
            StoreError: The file cannot be used.
        """
        return self._run("BEGIN", work)

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Change the file in a transaction, alone among all processes.

        Raises:
            StoreError: The file cannot be used, and nothing was changed.
        """
        return self._run("BEGIN IMMEDIATE", work)

    def close(self) -> None:
        """Let go of the file until the next use."""
        with self._lock:
            self._close()

    def pause(self) -> bool:
        """Close the file and keep it closed, before a fork."""
        if not self._lock.acquire(timeout=2 * BUSY_SECONDS):
            return False
        self._close()
        return True

    def resume(self) -> None:
        """Allow its use again, after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Begin anew in the child of a fork."""
        self._lock = Lock()
        self._leave()

    def _run(self, begin: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._lock:
            try:
                connection = self._opened()
                return _transaction(connection, begin, work)
            except StoreError:
                self._close()
                raise
            except (sqlite3.Error, OSError) as error:
                self._close()
                raise StoreError(str(self._path), self._remedy(error)) from error
            except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
                # A column takes any value; another program may have written one.
                why = "a record holds what no store has written; remove the file"
                raise StoreError(str(self._path), why) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None:
            if _identity(self.path) == self._file:
                return self._connection
            # Its file was removed. To close it would remove the journal by its name,
            # which may be that of a new file by now.
            self._leave()
        make_once(self.path, b"")
        self._file = _identity(self.path)
        self._connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        # Before anything is changed, as the file may be none of ours.
        self._version(self._connection)
        # Another process may be doing the same just now; one of them is enough.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._migrate(self._connection)
        return self._connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        newest = len(self._migrations)
        if self._version(connection) < newest:
            _transaction(connection, "BEGIN IMMEDIATE", self._upgrade)
        if self._version(connection) > newest:
            raise StoreError(
                str(self._path), "a newer promptcache made it; upgrade, or name another"
            )

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        for script in self._migrations[self._version(connection) :]:
            for statement in script:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute(f"PRAGMA user_version={len(self._migrations)}")

    def _version(self, connection: sqlite3.Connection) -> int:
        # Tables first: another process may be making both between the two questions.
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION and (application or tables):
            raise StoreError(str(self._path), "it is a database of another program")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _remedy(self, error: Exception) -> str:
        """Return what is wrong, after doing what can be done about it."""
        if not _is_damage(error):
            return str(error)
        aside = self._move_aside()
        if aside is None:
            return f"{error}; if it stays so, remove it"
        return f"{error}; it was moved to {aside}, and the next use starts afresh"

    def _move_aside(self) -> Path | None:
        """Move the damaged file away, unless another process does."""
        path, damaged = self.path, self._file
        if damaged is None:
            return None
        aside = path.with_name(f"{path.name}.damaged-{damaged[1]}")
        # By its inode in the name, one of all processes gets to remove this very file,
        # and none removes the new one that takes its place.
        try:
            os.link(path, aside)
            if _identity(aside) != damaged:
                aside.unlink()
                return None
            # No new file can exist before the old name is free, so these are the old's.
            for journal in ("-wal", "-shm"):
                path.with_name(path.name + journal).unlink(missing_ok=True)
            path.unlink()
        except OSError:
            return None
        return aside

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _left_open.append(connection)


def _transaction(
    connection: sqlite3.Connection,
    begin: str,
    work: Callable[[sqlite3.Connection], _T],
) -> _T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _is_damage(error: Exception) -> bool:
    # Python 3.10 does not tell SQLite's own code of an error.
    return isinstance(error, sqlite3.DatabaseError) and any(
        words in str(error) for words in ("not a database", "malformed")
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
