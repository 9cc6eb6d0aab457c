"""Stores by URL."""

from urllib.parse import unquote

from promptcache.errors import OptionError
from promptcache.state.memory import MemoryStore
from promptcache.state.stores import Store

__all__ = ["open_store"]

_SQLITE = "sqlite://"


def open_store(url: str) -> Store:
    """Return the store that a URL names; it is reached at its first use.

    Args:
        url: `memory:`, of this process. `sqlite:///path`, where a path from the root
            has four slashes in all and `~` is the user's home; `sqlite://` is a file in
            the user's cache directory. `redis://user:password@host:port/number`, or
            `rediss://` with TLS.

    Raises:
        OptionError: The URL names none.
        ImportError: The store needs a package that is not installed.
    """
    scheme = url.partition(":")[0]
    if url in {"memory:", "memory://"}:
        return MemoryStore()
    # Each store is imported by whoever asks for it: SQLite is missing in some builds of
    # Python, and Redis needs an extra.
    if url == _SQLITE or (url.startswith(f"{_SQLITE}/") and url != f"{_SQLITE}/"):
        from promptcache.state.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(unquote(url[len(_SQLITE) + 1 :]) or None)
    if scheme in {"redis", "rediss"}:
        from promptcache.state.redis import RedisStore  # noqa: PLC0415

        return RedisStore(url)
    # The rest of a URL may hold a password.
    raise OptionError("store", scheme, "memory:, sqlite:///path, redis:// or rediss://")
