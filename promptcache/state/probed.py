"""What `promptcache probe` found out, in a file of this user's.

Rule 1: it holds names of hosts and models, a yes or no, and times; no text.
Rule 2: a file that is not there or cannot be read says nothing, and stops nothing.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson

from promptcache.errors import StoreError
from promptcache.state.files import default_path

__all__ = ["Where", "path_of_answers", "recalled", "remember"]

Where = tuple[str, str, str]
"""The provider, the model and the host."""

_NAMES = ("provider", "model", "host")


def path_of_answers() -> Path:
    """Return where answers are kept: a file in the user's cache directory.

    Raises:
        StoreError: The user has no home.
    """
    return default_path().with_name("probed.json")


def recalled() -> dict[Where, bool]:
    """Return whether promoted prefixes are kept, by where that was asked."""
    try:
        rows = _rows(path_of_answers())
    except (OSError, StoreError):
        return {}
    return {
        (row["provider"], row["model"], row["host"]): row["keeps"]
        for row in rows
        if _is_answer(row)
    }


def remember(where: Where, *, keeps: bool, at: float) -> Path:
    """Keep an answer, in place of the one that there was; return where it is kept.

    Args:
        where: The provider, the model and the host.
        keeps: Whether a promoted prefix lives for the long lifetime.
        at: When it was asked, in UTC seconds.

    Raises:
        StoreError: It cannot be kept.
    """
    path = path_of_answers()
    named = dict(zip(_NAMES, where, strict=True))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows = [
            row
            for row in _rows(path)
            if _is_answer(row) and any(row[name] != named[name] for name in _NAMES)
        ]
        _replace(path, orjson.dumps([*rows, {**named, "keeps": keeps, "at": at}]))
    except OSError as error:
        raise StoreError(str(path), str(error)) from error
    return path


def _rows(path: Path) -> list[Any]:
    try:
        rows = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []
    return rows if isinstance(rows, list) else []


def _is_answer(row: object) -> bool:
    if not isinstance(row, Mapping) or not isinstance(row.get("keeps"), bool):
        return False
    return all(isinstance(row.get(name), str) for name in _NAMES)


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, so that a reader finds all of either."""
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
