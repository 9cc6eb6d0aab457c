"""Receipts from files, one after the other.

Rule 1: no file is ever held in memory as a whole.
Rule 2: a line that is damaged costs itself, and is counted.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from promptcache.receipts.entry import Entry
from promptcache.receipts.lines import beginning_of_last, from_line

__all__ = ["ReceiptFiles", "UnreadableError"]

_LONGEST = 1 << 20
"""Bytes after which a line is damaged, whatever follows."""

_NAME = re.compile(r"(?P<base>.+?)(?:\.(?P<number>[0-9]{1,6}))?(?P<packed>\.gz)?")
_IN_FOLDER = ".jsonl"
_PACKED = b"\x1f\x8b"


class UnreadableError(Exception):
    """There are no receipts to read; the text says why."""


class ReceiptFiles:
    """The receipts in a file with those that were rotated away, or in a folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Look at nothing yet.

        Args:
            path: A file, whose rotated ones are read before it, or a folder, of which
                all `*.jsonl` are read with theirs. Files that end in `.gz` are
                unpacked.
        """
        self.path = Path(path)
        self.damaged = 0
        """Lines that hold no receipt, so far."""
        self.read = 0
        """Receipts, so far."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield what of each receipt is summed, oldest file first.

        Raises:
            UnreadableError: There is no such file, or none that can be read.
        """
        try:
            for family in self._families():
                yield from self._entries(family)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UnreadableError(
                f"{error.filename or self.path} cannot be read: {reason}."
            ) from error

    def _families(self) -> list[Path]:
        if not self.path.exists():
            raise UnreadableError(f"There is no file {self.path}.")
        if not self.path.is_dir():
            return [self.path]
        bases = {
            found["base"]
            for it in self.path.iterdir()
            if (found := _NAME.fullmatch(it.name))
            and found["base"].endswith(_IN_FOLDER)
            and it.is_file()
        }
        if not bases:
            raise UnreadableError(f"There is no *{_IN_FOLDER} file in {self.path}.")
        return [self.path / base for base in sorted(bases)]

    def _entries(self, base: Path) -> Iterator[Entry]:
        with ExitStack() as stack:
            for file in reversed(_opened(base, stack)):
                yield from self._in(file)

    def _in(self, file: IO[bytes]) -> Iterator[Entry]:
        for line in _lines(file):
            entry = from_line(line)
            if entry is None:
                if not line.strip():
                    continue
                self.damaged += 1
                # Half a line, and a whole one that another process put behind it.
                entry = from_line(line[beginning_of_last(line) :])
            if entry is not None:
                self.read += 1
                yield entry


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    reader = gzip.GzipFile(fileobj=file) if _is_packed(file) else file
    try:
        while line := reader.readline(_LONGEST):
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        # A packed file that ends too early; what was before is good.
        yield b"?"


def _is_packed(file: IO[bytes]) -> bool:
    beginning = file.read(len(_PACKED))
    file.seek(0)
    return beginning == _PACKED


def _opened(base: Path, stack: ExitStack) -> list[IO[bytes]]:
    """Return a file and those that were rotated away, newest first, each once.

    They are opened before any is read, and from the newest on, so that one that is
    rotated meanwhile is met again under its next name, and not missed.
    """
    files: list[IO[bytes]] = []
    seen: set[tuple[int, int]] = set()
    names = [base.name, *_rotated_names(base)]
    for name in names:
        for path in (base.with_name(name), base.with_name(f"{name}.gz")):
            try:
                file = stack.enter_context(path.open("rb"))
            except FileNotFoundError:
                continue
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                files.append(file)
    return files


def _rotated_names(base: Path) -> list[str]:
    numbers = {
        int(found["number"])
        for it in base.parent.iterdir()
        if (found := _NAME.fullmatch(it.name))
        and found["base"] == base.name
        and found["number"] is not None
    }
    # One more, in case all of them are moved on before they are opened.
    last = max(numbers, default=0)
    return [f"{base.name}.{number}" for number in sorted({*numbers, last + 1})]
