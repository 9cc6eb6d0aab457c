"""A store in one SQLite file, shared by the processes of one machine."""

import sqlite3
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from secrets import token_bytes
from typing import Any

from promptcache.errors import StoreError
from promptcache.state.bounds import (
    LATE_SECONDS,
    MAX_RECORDS,
    SECRET_BYTES,
    check_counts,
    check_key,
    check_seconds,
    check_text,
    check_time,
    check_usd,
    summed,
)
from promptcache.state.database import Database
from promptcache.state.files import make_once
from promptcache.state.stores import Backoff, Handle, Lease, check_lease

__all__ = ["SqliteStore"]

_MIGRATIONS = (
    (
        """CREATE TABLE handles (
            key BLOB PRIMARY KEY, name TEXT NOT NULL, model TEXT NOT NULL,
            scope TEXT NOT NULL, tokens INTEGER, created_at REAL NOT NULL,
            until REAL NOT NULL, owner TEXT NOT NULL, uses INTEGER NOT NULL,
            used_at REAL, saved_usd REAL
        ) WITHOUT ROWID""",
        "CREATE INDEX handles_until ON handles (until, key)",
        """CREATE TABLE leases (
            key BLOB PRIMARY KEY, owner TEXT NOT NULL, token INTEGER NOT NULL,
            until REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX leases_until ON leases (until, key)",
        "CREATE TABLE tokens (newest INTEGER NOT NULL)",
        "INSERT INTO tokens VALUES (0)",
        """CREATE TABLE backoffs (
            key BLOB PRIMARY KEY, reason TEXT NOT NULL, until REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX backoffs_until ON backoffs (until, key)",
        """CREATE TABLE counts (
            namespace TEXT NOT NULL, key BLOB NOT NULL, sums TEXT NOT NULL,
            until REAL NOT NULL, PRIMARY KEY (namespace, key)
        ) WITHOUT ROWID""",
        "CREATE INDEX counts_until ON counts (namespace, until, key)",
    ),
)
"""Applied in order and never changed: files of every version are out there."""

_HANDLE = (
    "SELECT key, name, model, scope, tokens, created_at, until, owner, uses, used_at,"
    " saved_usd FROM handles WHERE until > :now"
)
_BOUND = """DELETE FROM {kind} WHERE key IN (
    SELECT key FROM {kind} ORDER BY until, key
    LIMIT max(0, (SELECT COUNT(*) FROM {kind}) - ?))"""
_BOUND_HANDLES = _BOUND.format(kind="handles")
_BOUND_LEASES = _BOUND.format(kind="leases")
_BOUND_BACKOFFS = _BOUND.format(kind="backoffs")
_BOUND_COUNTS = """DELETE FROM counts WHERE namespace = :namespace AND key IN (
    SELECT key FROM counts WHERE namespace = :namespace ORDER BY until, key
    LIMIT max(0, (SELECT COUNT(*) FROM counts WHERE namespace = :namespace) - :max))"""


class SqliteStore:
    """A `Store` in a file that only this user may read.

    A file that turns out to be damaged is moved to a name beside it: the call that
    finds it so raises `StoreError`, and the next one has a new and empty file.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        max_records: int = MAX_RECORDS,
    ) -> None:
        """Touch nothing yet; the file is made at the first use.

        Args:
            path: The file, on a local disk; None is one in the user's cache directory.
            max_records: Records of one kind to hold; of counts, in one namespace.
        """
        self._database = Database(None if path is None else Path(path), _MIGRATIONS)
        self._max_records = max_records

    def secret(self) -> bytes:
        """Return the key of this store's digests, from a file beside the database.

        Raises:
            StoreError: It can be neither read nor made.
        """
        database = self._database.path
        path = database.with_name(f"{database.name}.secret")
        try:
            make_once(path, token_bytes(SECRET_BYTES))
            secret = path.read_bytes()
        except OSError as error:
            raise StoreError(str(path), str(error)) from error
        if len(secret) != SECRET_BYTES:
            raise StoreError(str(path), f"it has not {SECRET_BYTES} bytes; remove it")
        return secret

    def handle(self, key: bytes, *, now: float) -> Handle | None:
        """Return the handle of a key, if one is alive."""
        check_key(key)
        check_time("now", now)
        asked = {"key": key, "now": now}
        return self._database.read(lambda connection: _handle(connection, asked))

    def handles(self, *, now: float) -> list[Handle]:
        """Return every handle that is alive, the one that ends soonest first."""
        check_time("now", now)
        ordered = f"{_HANDLE} ORDER BY until, key"
        return self._database.read(
            lambda connection: [
                Handle(*row) for row in connection.execute(ordered, {"now": now})
            ]
        )

    def put_handle(self, handle: Handle, lease: Lease, *, now: float) -> bool:
        """Store a handle under a lease; see `Store.put_handle`."""
        check_lease(handle, lease)
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> bool:
            if not _writes(connection, lease, now):
                return False
            before = _handle(connection, {"key": handle.key, "now": now})
            same = before is not None and before.name == handle.name
            kept = before if before is not None and same else handle
            connection.execute(
                "INSERT OR REPLACE INTO handles"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    handle.key,
                    handle.name,
                    handle.model,
                    handle.scope,
                    handle.tokens,
                    handle.created_at,
                    handle.expires_at,
                    handle.owner,
                    kept.uses,
                    kept.used_at,
                    kept.saved_usd,
                ),
            )
            connection.execute(_BOUND_HANDLES, (self._max_records,))
            return True

        return self._database.write(work)

    def note_use(self, handle: Handle, *, saved_usd: float | None, now: float) -> bool:
        """Count a request that named a handle; see `Store.note_use`."""
        check_usd(saved_usd)
        check_time("now", now)
        return self._changes(
            "UPDATE handles SET uses = uses + 1,"
            " used_at = max(ifnull(used_at, 0), :now),"
            " saved_usd = CASE WHEN :saved IS NULL THEN saved_usd"
            " ELSE ifnull(saved_usd, 0) + :saved END"
            " WHERE key = :key AND name = :name AND until > :now",
            {
                "key": handle.key,
                "name": handle.name,
                "now": now,
                "saved": saved_usd,
            },
        )

    def drop_handle(self, handle: Handle) -> bool:
        """Forget a handle that is gone; see `Store.drop_handle`."""
        return self._changes(
            "DELETE FROM handles WHERE key = :key AND name = :name",
            {"key": handle.key, "name": handle.name},
        )

    def acquire(
        self, key: bytes, *, owner: str, seconds: float, now: float
    ) -> Lease | None:
        """Take the lease on a key; see `Store.acquire`."""
        check_key(key)
        check_text("owner", owner)
        check_seconds(seconds)
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> Lease | None:
            taken = connection.execute(
                "SELECT 1 FROM leases WHERE key = ? AND until > ?", (key, now)
            ).fetchone()
            if taken is not None:
                return None
            connection.execute("UPDATE tokens SET newest = newest + 1")
            (token,) = connection.execute("SELECT newest FROM tokens").fetchone()
            lease = Lease(key, owner, token, now + seconds)
            connection.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)",
                (lease.key, lease.owner, lease.token, lease.until),
            )
            connection.execute(_BOUND_LEASES, (self._max_records,))
            return lease

        return self._database.write(work)

    def renew(self, lease: Lease, *, seconds: float, now: float) -> Lease | None:
        """Move the end of a lease; see `Store.renew`."""
        check_seconds(seconds)
        check_time("now", now)
        renewed = Lease(lease.key, lease.owner, lease.token, now + seconds)

        def work(connection: sqlite3.Connection) -> Lease | None:
            if not _writes(connection, lease, now):
                return None
            connection.execute(
                "UPDATE leases SET until = ? WHERE key = ?", (renewed.until, lease.key)
            )
            return renewed

        return self._database.write(work)

    def release(self, lease: Lease) -> None:
        """Give a lease back; see `Store.release`."""
        self._changes(
            "DELETE FROM leases WHERE key = :key AND token = :token AND owner = :owner",
            {"key": lease.key, "token": lease.token, "owner": lease.owner},
        )

    def backoff(self, key: bytes, *, now: float) -> Backoff | None:
        """Return the back-off of a key, if it is not over."""
        check_key(key)
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> Backoff | None:
            row = connection.execute(
                "SELECT key, reason, until FROM backoffs WHERE key = ? AND until > ?",
                (key, now),
            ).fetchone()
            return None if row is None else Backoff(*row)

        return self._database.read(work)

    def put_backoff(self, backoff: Backoff, *, now: float) -> None:
        """Store a back-off, unless one with its key ends later."""
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO backoffs SELECT :key, :reason, :until"
                " WHERE NOT EXISTS (SELECT 1 FROM backoffs"
                " WHERE key = :key AND until > :until)",
                {
                    "key": backoff.key,
                    "reason": backoff.reason,
                    "until": backoff.until,
                },
            )
            connection.execute(_BOUND_BACKOFFS, (self._max_records,))

        self._database.write(work)

    def add_counts(
        self,
        namespace: str,
        deltas: Mapping[bytes, tuple[int, ...]],
        *,
        seconds: float,
        now: float,
    ) -> None:
        """Add numbers to those that are stored; see `Store.add_counts`."""
        check_counts(namespace, deltas)
        check_seconds(seconds)
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> None:
            for key, numbers in deltas.items():
                row = connection.execute(
                    "SELECT sums, until FROM counts"
                    " WHERE namespace = ? AND key = ? AND until > ?",
                    (namespace, key, now),
                ).fetchone()
                before, until = ((), 0.0) if row is None else (_numbers(row[0]), row[1])
                sums = ",".join(map(str, summed(before, numbers)))
                connection.execute(
                    "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?)",
                    (namespace, key, sums, max(until, now + seconds)),
                )
            connection.execute(
                _BOUND_COUNTS, {"namespace": namespace, "max": self._max_records}
            )

        self._database.write(work)

    def counts(self, namespace: str, *, now: float) -> dict[bytes, tuple[int, ...]]:
        """Return the sums of every key that is remembered."""
        check_counts(namespace, {})
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> dict[bytes, tuple[int, ...]]:
            rows = connection.execute(
                "SELECT key, sums FROM counts WHERE namespace = ? AND until > ?",
                (namespace, now),
            )
            return {key: _numbers(sums) for key, sums in rows}

        return self._database.read(work)

    def sweep(self, *, now: float) -> int:
        """Free the room of records that have ended; see `Store.sweep`."""
        check_time("now", now)

        def work(connection: sqlite3.Connection) -> int:
            return sum(
                connection.execute(statement, (until,)).rowcount
                for statement, until in (
                    ("DELETE FROM handles WHERE until <= ?", now),
                    ("DELETE FROM leases WHERE until <= ?", now - LATE_SECONDS),
                    ("DELETE FROM backoffs WHERE until <= ?", now),
                    ("DELETE FROM counts WHERE until <= ?", now),
                )
            )

        return self._database.write(work)

    def close(self) -> None:
        """Let go of the file; a later call opens it again."""
        self._database.close()

    def _changes(self, statement: str, values: Mapping[str, Any]) -> bool:
        return self._database.write(
            lambda connection: connection.execute(statement, values).rowcount > 0
        )


def _handle(connection: sqlite3.Connection, asked: Mapping[str, Any]) -> Handle | None:
    row = connection.execute(f"{_HANDLE} AND key = :key", asked).fetchone()
    return None if row is None else Handle(*row)


def _writes(connection: sqlite3.Connection, lease: Lease, now: float) -> bool:
    found = connection.execute(
        "SELECT 1 FROM leases WHERE key = ? AND token = ? AND owner = ? AND until > ?",
        (lease.key, lease.token, lease.owner, now - LATE_SECONDS),
    ).fetchone()
    return found is not None


def _numbers(sums: str) -> tuple[int, ...]:
    return tuple(map(int, sums.split(",")))
