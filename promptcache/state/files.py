"""Private files: where they are, and how one is made by exactly one process."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from promptcache.errors import StoreError

__all__ = ["default_path", "in_home", "make_once"]

_WINDOWS = os.name == "nt"


def default_path() -> Path:
    """Return where the state of this user is kept, by the custom of the platform.

    That is in `%LOCALAPPDATA%` on Windows, `~/Library/Caches` on macOS, and
    `$XDG_CACHE_HOME`, else `~/.cache`, elsewhere.

    Raises:
        StoreError: The user has no home.
    """
    return _cache_directory() / "promptcache" / "state.db"


def in_home(path: Path) -> Path:
    """Return a path with the user's home in place of a leading `~`.

    Raises:
        StoreError: The user has no home.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise StoreError(str(path), "there is no home directory") from error


def make_once(path: Path, content: bytes) -> None:
    """Make a file that only this user may read, unless there is one.

    Whoever finds it finds all of it, and all processes find the same.

    Raises:
        OSError: The file can be neither found nor made.
    """
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Give a file its name, or fail if another has it."""
    if _WINDOWS:
        draft.rename(path)
    else:
        os.link(draft, path)


def _cache_directory() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else in_home(Path("~/AppData/Local"))
    if sys.platform == "darwin":
        return in_home(Path("~/Library/Caches"))
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rules say that a relative path is to be ignored.
    return Path(given) if Path(given).is_absolute() else in_home(Path("~/.cache"))
