"""Receipts as lines of JSON in a file.

Rule 1: a full or missing disk costs lines, never a model call.
Rule 2: one line is one write to a file opened for appending, so that processes that
share the file do not mix their lines.
Rule 3: half a line, wherever it comes from, costs that line only.
Rule 4: no event loop waits for a disk.
"""

import asyncio
import logging
import os
import stat
import weakref
from collections import deque
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import final

from promptcache.interrupts import undisturbed
from promptcache.receipts import rotation
from promptcache.receipts.events import Event, Settled
from promptcache.receipts.lines import to_line
from promptcache.state.forks import let_go_at_forks

__all__ = ["JsonlReceipts"]

_LOGGER = logging.getLogger("promptcache")

_PAUSE_SECONDS = 1.0
"""How long a fork waits for a write."""


@final
class JsonlReceipts:
    """Appends every receipt to a file, one JSON object per line.

    The file is created with the first receipt, readable by its owner only. If a line
    cannot be written, one warning is logged and the next receipt tries again. Threads
    and processes may share the file, also while it is rotated; if it is moved or
    removed, the next receipt begins a new one. Where an event loop runs, a thread of
    that writes; `close` returns when all is written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
        keep: int = 5,
    ) -> None:
        """Remember where to write.

        Args:
            path: The file; its folder must exist.
            max_bytes: Where the file would become longer, it is renamed to `path.1`,
                what was `path.1` to `path.2`, and so on; None lets it grow.
            keep: How many renamed files are kept; the oldest is deleted then.

        Raises:
            ValueError: A number is below 1.
        """
        if keep < 1 or (max_bytes is not None and max_bytes < 1):
            given = f"max_bytes={max_bytes}, keep={keep}"
            raise ValueError(f"`max_bytes` and `keep` are 1 or more; got {given}.")
        self.path = Path(path)
        """The file that is written."""
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = Lock()
        self._lines: deque[bytes] = deque()
        self._is_due = False
        """Whether a thread will write what is in `_lines`, and has not begun."""
        self._file: FileIO | None = None
        self._identity: tuple[int, int] | None = None
        self._finish: Callable[[], object] = bool
        self._warned = False
        self._torn = False
        let_go_at_forks(self)

    def __call__(self, event: Event) -> None:
        """Append the receipt of an answered request; other events are left alone."""
        if not isinstance(event, Settled):
            return
        self._lines.append(to_line(event.receipt))
        try:
            loop = asyncio.get_running_loop()
            # One that waits is enough: a slow disk holds two of the loop's threads at
            # most, not all of them.
            if not self._is_due:
                self._is_due = True
                loop.run_in_executor(None, self._write)
        except RuntimeError:
            # There is no loop, or one that is closing and takes no more work.
            self._write()

    def close(self) -> None:
        """Close the file; a later receipt opens it again."""
        self._write()
        with undisturbed(), self._lock:
            self._close()

    def pause(self) -> bool:
        """Stand still before a fork."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Go on in the child of a fork: its parent writes what is not written yet."""
        self._lock = Lock()
        self._lines = deque()
        self._is_due = False

    def __enter__(self) -> "JsonlReceipts":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self) -> None:
        """Write the lines that nobody else is writing, in their order."""
        failure: OSError | None = None
        with undisturbed(), self._lock:
            self._is_due = False
            while self._lines:
                try:
                    self._append(self._lines.popleft())
                except OSError as error:
                    failure = error
            if failure is None:
                return
            warned, self._warned = self._warned, True
        if not warned:
            _LOGGER.warning(
                "Receipts cannot be written to %s (%s); model calls go on, and this "
                "is not logged again.",
                self.path,
                failure,
            )

    def _append(self, line: bytes) -> None:
        size, limit = self._size(), self._max_bytes
        if limit is not None and 0 < size > limit - len(line):
            # Windows renames no file that is open.
            self._close()
            rotation.rotate(self.path, limit=limit - len(line), keep=self._keep)
        file = self._file or self._opened()
        # After half a line, start a new one, so that only one line is unreadable.
        whole = b"\n" + line if self._torn else line
        written = file.write(whole)
        self._torn = written != len(whole)
        if self._torn:
            reason = "only a part of a line was written"
            raise OSError(reason)

    def _size(self) -> int:
        """Return how long the file is; let go of one that has moved away."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._close()
            return 0
        if self._identity != (status.st_dev, status.st_ino):
            self._close()
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def _opened(self) -> FileIO:
        file = FileIO(self.path, "a+", opener=_private)
        status = os.fstat(file.fileno())
        self._identity = (status.st_dev, status.st_ino)
        self._torn = stat.S_ISREG(status.st_mode) and _is_torn(file)
        self._file = file
        self._finish = weakref.finalize(self, file.close)
        return file

    def _close(self) -> None:
        self._file = self._identity = None
        self._finish()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_torn(file: FileIO) -> bool:
    """Tell whether a file ends within a line, as its writer was killed in it.

    It is asked of the open file, which another process may have renamed by now. That
    may also be writing the end of it; then there is an empty line more, which readers
    pass over.
    """
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
