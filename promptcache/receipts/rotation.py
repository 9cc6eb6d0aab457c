"""Renaming a file that has become long, among processes that all write to it.

Rule 1: whoever does not get the lock goes on writing; nobody waits for a rename.
Rule 2: with the lock, the length is looked at again: another process may have been
first.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has none
    fcntl = None  # type: ignore[assignment]

__all__ = ["rotate", "rotated"]


def rotate(path: Path, *, limit: int, keep: int) -> bool:
    """Rename a file to `.1`, that one to `.2`, and so on; tell whether that was done.

    Args:
        path: The file.
        limit: It is left alone if it has at most so many bytes.
        keep: How many renamed files are kept.
    """
    try:
        with _locked(path.with_name(f"{path.name}.lock")):
            if path.stat().st_size <= limit:
                return False
            for number in range(keep - 1, 0, -1):
                with suppress(FileNotFoundError):
                    rotated(path, number).replace(rotated(path, number + 1))
            path.replace(rotated(path, 1))
            _prune(path, keep)
    except OSError:
        # Held by another process, or renames are not possible: the file grows on.
        return False
    return True


def rotated(path: Path, number: int) -> Path:
    """Return the name of a file that was renamed so often."""
    return path.with_name(f"{path.name}.{number}")


def _prune(path: Path, keep: int) -> None:
    """Delete what an earlier, larger `keep` has left."""
    number = keep + 1
    while True:
        try:
            rotated(path, number).unlink()
        except FileNotFoundError:
            return
        number += 1


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with its process, however that ends.

    Raises:
        OSError: Another process holds it, or it cannot be had.
    """
    if fcntl is None:  # pragma: no cover - Windows renames no file that others use
        yield
        return
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
