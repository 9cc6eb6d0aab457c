"""A store in Redis, shared by the workers of many machines."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from promptcache.errors import OptionError, StoreError
from promptcache.state import redis_scripts
from promptcache.state.bounds import (
    COUNT_LIMIT,
    LATE_SECONDS,
    MAX_RECORDS,
    SECRET_BYTES,
    check_counts,
    check_key,
    check_seconds,
    check_text,
    check_time,
    check_usd,
)
from promptcache.state.redis_records import (
    NOT_OURS,
    counted,
    handle_of,
    mark_of,
    or_dash,
    packed,
    text_of,
    use_of,
)
from promptcache.state.stores import Backoff, Handle, Lease, check_lease

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisClusterException, RedisError
    from redis.retry import Retry
except ImportError as error:
    message = (
        "`promptcache.state.redis` needs the `redis` extra: "
        "pip install 'promptcache[redis]'"
    )
    raise ImportError(message) from error

__all__ = ["RedisStore"]

_FORM = 1
"""Form of what is stored; each has keys of its own, so that versions never meet."""

_TIMEOUT_SECONDS = 2.0
_SPARE_SECONDS = LATE_SECONDS
"""How much longer than its records a key of Redis lives."""

_AT_ONCE = 500
"""Records that one script adds or sweeps, since Redis does nothing else meanwhile."""

_LEASES = ("leases:until", "leases")
_HANDLES = ("handles:until", "handles", "handles:uses")
_BACKOFFS = ("backoffs:until", "backoffs")

_ALLOWED = "a redis:// or rediss:// URL, or a client that is not asynchronous"
_FAILURES = (RedisError, RedisClusterException, OSError, UnicodeDecodeError)
"""What a client raises; the last one has its client read text where there is none."""


class RedisStore:
    """A `Store` in a Redis server, Sentinel or cluster.

    Its keys begin with the prefix in braces, so that a cluster keeps them together.
    """

    def __init__(
        self,
        server: "str | redis.Redis | redis.RedisCluster",
        *,
        prefix: str = "promptcache",
        max_records: int = MAX_RECORDS,
    ) -> None:
        """Connect to nothing yet.

        Args:
            server: A URL, `redis://` or `rediss://` with TLS, user and password, or a
                client of the `redis` package that is not asynchronous.
            prefix: What applications that share a server, but no state, call theirs.
            max_records: Records of one kind to hold; of counts, in one namespace.

        Raises:
            OptionError: The URL or the client is none.
        """
        self._owned = isinstance(server, str)
        if isinstance(server, str):
            self._where = _address(server)
            server = _connected(server)
        elif isinstance(server, redis.Redis | redis.RedisCluster):
            self._where = "the client that was given"
        else:
            raise OptionError("store", type(server), _ALLOWED)
        self._client = server
        check_text("prefix", prefix)
        self._prefix = f"{{{prefix}}}:{_FORM}"
        self._max_records = max_records
        self._scripts = {
            name: self._client.register_script(getattr(redis_scripts, name))
            for name in redis_scripts.__all__
        }

    def secret(self) -> bytes:
        """Return the key of this store's digests, made by whoever asked first."""
        name = self._name("secret")
        try:
            self._client.set(name, token_hex(SECRET_BYTES), nx=True)
            secret = bytes.fromhex(text_of(self._client.get(name) or ""))
        except (*_FAILURES, ValueError) as error:
            raise StoreError(self._where, str(error)) from error
        if len(secret) != SECRET_BYTES:
            raise StoreError(self._where, f"`{name}` is not ours; remove it")
        return secret

    def handle(self, key: bytes, *, now: float) -> Handle | None:
        """Return the handle of a key, if one is alive."""
        check_key(key)
        check_time("now", now)
        found = self._run("ONE", _HANDLES, key.hex(), repr(now))
        return None if found is None else self._handle(key.hex(), *found)

    def handles(self, *, now: float) -> list[Handle]:
        """Return every handle that is alive, the one that ends soonest first."""
        check_time("now", now)
        rows = self._run("ALIVE", _HANDLES, repr(now))
        return [self._handle(*row) for row in rows]

    def put_handle(self, handle: Handle, lease: Lease, *, now: float) -> bool:
        """Store a handle under a lease; see `Store.put_handle`."""
        check_lease(handle, lease)
        check_time("now", now)
        done = self._run(
            "PUT_HANDLE",
            (*_LEASES, *_HANDLES),
            handle.key.hex(),
            mark_of(lease),
            repr(now - LATE_SECONDS),
            repr(now),
            handle.name,
            packed(handle),
            use_of(handle),
            repr(handle.expires_at),
            self._max_records,
            _milliseconds(handle.expires_at - now),
        )
        return bool(done)

    def note_use(self, handle: Handle, *, saved_usd: float | None, now: float) -> bool:
        """Count a request that named a handle; see `Store.note_use`."""
        check_usd(saved_usd)
        check_time("now", now)
        done = self._run(
            "NOTE_USE",
            _HANDLES,
            handle.key.hex(),
            repr(now),
            handle.name,
            or_dash(saved_usd),
        )
        return bool(done)

    def drop_handle(self, handle: Handle) -> bool:
        """Forget a handle that is gone; see `Store.drop_handle`."""
        return bool(self._run("DROP_HANDLE", _HANDLES, handle.key.hex(), handle.name))

    def acquire(
        self, key: bytes, *, owner: str, seconds: float, now: float
    ) -> Lease | None:
        """Take the lease on a key; see `Store.acquire`."""
        check_key(key)
        check_text("owner", owner)
        check_seconds(seconds)
        check_time("now", now)
        until = now + seconds
        token = self._run(
            "ACQUIRE",
            (*_LEASES, "tokens"),
            key.hex(),
            owner,
            repr(now),
            repr(until),
            self._max_records,
            _milliseconds(seconds),
        )
        return None if token is None else Lease(key, owner, int(token), until)

    def renew(self, lease: Lease, *, seconds: float, now: float) -> Lease | None:
        """Move the end of a lease; see `Store.renew`."""
        check_seconds(seconds)
        check_time("now", now)
        renewed = Lease(lease.key, lease.owner, lease.token, now + seconds)
        done = self._run(
            "RENEW",
            _LEASES,
            lease.key.hex(),
            mark_of(lease),
            repr(now - LATE_SECONDS),
            repr(renewed.until),
            self._max_records,
            _milliseconds(seconds),
        )
        return renewed if done else None

    def release(self, lease: Lease) -> None:
        """Give a lease back; see `Store.release`."""
        self._run("RELEASE", _LEASES, lease.key.hex(), mark_of(lease))

    def backoff(self, key: bytes, *, now: float) -> Backoff | None:
        """Return the back-off of a key, if it is not over."""
        check_key(key)
        check_time("now", now)
        found = self._run("ONE", _BACKOFFS, key.hex(), repr(now))
        if found is None:
            return None
        until, reason = found
        with self._reading("back-off"):
            return Backoff(key, text_of(reason), float(until))

    def put_backoff(self, backoff: Backoff, *, now: float) -> None:
        """Store a back-off, unless one with its key ends later."""
        check_time("now", now)
        self._run(
            "PUT_BACKOFF",
            _BACKOFFS,
            backoff.key.hex(),
            backoff.reason,
            repr(backoff.until),
            self._max_records,
            _milliseconds(backoff.until - now),
        )

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
        for batch in _batches(deltas):
            self._run(
                "ADD_COUNTS",
                (*_counts(namespace), "namespaces"),
                namespace,
                repr(now),
                repr(now + seconds),
                COUNT_LIMIT,
                self._max_records,
                _milliseconds(seconds),
                *batch,
            )

    def counts(self, namespace: str, *, now: float) -> dict[bytes, tuple[int, ...]]:
        """Return the sums of every key that is remembered."""
        check_counts(namespace, {})
        check_time("now", now)
        rows = self._run("ALIVE", _counts(namespace), repr(now))
        with self._reading("count"):
            found = dict(counted(key, sums) for key, _, sums in rows)
            check_counts(namespace, found)
            return found

    def sweep(self, *, now: float) -> int:
        """Free the room of records that have ended; see `Store.sweep`."""
        check_time("now", now)
        try:
            namespaces = self._client.smembers(self._name("namespaces"))
        except _FAILURES as error:
            raise StoreError(self._where, str(error)) from error
        with self._reading("namespace"):
            kinds = [_counts(text_of(it)) for it in namespaces]
        swept = self._sweep(_LEASES, now - LATE_SECONDS)
        for kind in (_HANDLES, _BACKOFFS, *kinds):
            swept += self._sweep(kind, now)
        return swept

    def close(self) -> None:
        """Let go of the sockets, unless they are those of a client that was given."""
        if self._owned:
            self._client.close()

    def _name(self, part: str) -> str:
        return f"{self._prefix}:{part}"

    def _run(self, script: str, parts: Sequence[str], *values: str | int) -> Any:
        try:
            return self._scripts[script](
                keys=[self._name(part) for part in parts], args=values
            )
        except _FAILURES as error:
            raise StoreError(self._where, str(error)) from error

    def _sweep(self, parts: Sequence[str], until: float) -> int:
        swept = 0
        while True:
            ended = int(self._run("SWEEP", parts, repr(until), _AT_ONCE))
            swept += ended
            if ended < _AT_ONCE:
                return swept

    def _handle(self, *row: Any) -> Handle:
        with self._reading("handle"):
            return handle_of(*row)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Take a record that another program has written for an error of the store."""
        try:
            yield
        except NOT_OURS as error:
            # What it holds is not told: nobody knows what it is.
            kind = type(error).__name__
            raise StoreError(self._where, f"a {what} is not ours: {kind}") from None


def _connected(url: str) -> "redis.Redis":
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            # A change whose answer was lost may have been made: once is enough.
            retry=Retry(NoBackoff(), 0),
        )
        # Options of the URL that there are not would else be found at the first use.
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, RedisError):
        # The error may quote the URL, with its password.
        raise OptionError("store", _address(url), _ALLOWED) from None
    return client


def _address(url: str) -> str:
    """Return a URL without its user, password and options."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition(':')[0]}://..."
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        # A password with a `/`, `?` or `#` that was not quoted is cut in two.
        return f"{parts.scheme}://..."
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _counts(namespace: str) -> tuple[str, str]:
    return f"counts:until:{namespace}", f"counts:sums:{namespace}"


def _batches(deltas: Mapping[bytes, tuple[int, ...]]) -> Iterator[list[str]]:
    rest = iter(deltas.items())
    while batch := list(islice(rest, _AT_ONCE)):
        yield [
            text
            for key, numbers in batch
            for text in (key.hex(), ",".join(map(str, numbers)))
        ]


def _milliseconds(seconds: float) -> int:
    return int((max(seconds, 0.0) + _SPARE_SECONDS) * 1000)
