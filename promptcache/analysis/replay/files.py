"""The files of a trace, line by line."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from promptcache.analysis.replay.traces import UnreadableTraceError

__all__ = ["files_of", "lines_of", "whole"]


def files_of(path: Path, endings: Sequence[str]) -> list[Path]:
    """Return the files of a trace: the path itself, or those in a folder, by name.

    Args:
        path: A file or a folder.
        endings: How the names of a trace's files end, packed with gzip or not.

    Raises:
        UnreadableTraceError: There is none.
    """
    if not path.is_dir():
        if not path.exists():
            raise UnreadableTraceError(f"There is no file {path}.")
        return [path]
    allowed = (*endings, *(f"{ending}.gz" for ending in endings))
    found = sorted(it for it in path.iterdir() if it.name.endswith(allowed))
    if not found:
        raise UnreadableTraceError(f"There is no file *{endings[0]} in {path}.")
    return found


def lines_of(path: Path) -> Iterator[Any]:
    """Yield what the lines of a file say.

    Raises:
        UnreadableTraceError: A line is not JSON, or the file cannot be read.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _read(line, f"Line {number} of {path}")
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableTraceError(f"{path} cannot be read: {error}") from error


def whole(path: Path) -> Any:
    """Return what a file says as a whole.

    Raises:
        UnreadableTraceError: It is not JSON, or cannot be read.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            return _read(file.read(), str(path))
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableTraceError(f"{path} cannot be read: {error}") from error


def _read(text: bytes, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableTraceError(f"{where} is not JSON: {error}") from error
