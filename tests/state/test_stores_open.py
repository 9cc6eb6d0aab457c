"""Stores by URL."""

import pytest

from promptcache.errors import OptionError
from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store
from promptcache.state.sqlite import SqliteStore

PATHS = {
    "absolute": ("sqlite:////var/lib/state.db", "/var/lib/state.db"),
    "relative": ("sqlite:///state.db", "state.db"),
    "escaped": ("sqlite:////var/50%25%20off/state.db", "/var/50% off/state.db"),
    "home": ("sqlite:///~/state.db", "~/state.db"),
}


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_memory(url):
    """A new one each time."""
    store = open_store(url)

    assert isinstance(store, MemoryStore)
    assert store is not open_store(url)


@pytest.mark.parametrize(("url", "path"), PATHS.values(), ids=PATHS.keys())
def test_sqlite(url, path, tmp_path, monkeypatch):
    """Three slashes and a path, which may begin with a fourth."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    store = open_store(url)

    assert isinstance(store, SqliteStore)
    expected = path.replace("~", str(tmp_path / "home"))
    assert store._database.path == tmp_path / expected


def test_sqlite_of_the_user(tmp_path, monkeypatch):
    """Without a path it is the one in the user's cache directory."""
    monkeypatch.setattr("promptcache.state.files.sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert (
        open_store("sqlite://")._database.path == tmp_path / "promptcache" / "state.db"
    )


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_redis(scheme):
    """It connects to nothing yet."""
    pytest.importorskip("redis", reason="the `redis` package is not installed")

    store = open_store(f"{scheme}://u:hidden@127.0.0.1:1/0")
    assert store._where == f"{scheme}://127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory:x",
        "sqlite:",
        "sqlite:///",
        "sqlite://host/path",
        "/var/lib/state.db",
        "postgres://u:hidden@h/d",
    ],
)
def test_what_names_no_store_is_refused(url):
    """The error lists what does, and repeats no password."""
    with pytest.raises(OptionError, match=r"`store` cannot be .* rediss://") as caught:
        open_store(url)
    assert "hidden" not in str(caught.value)
