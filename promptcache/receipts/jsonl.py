"""Receipts as lines of JSON in a file.

Rule 1: a full or missing disk costs lines, never a model call.
Rule 2: one line is one write to a file opened for appending, so that processes that
share the file do not mix their lines.
"""

import logging
import os
import threading
import weakref
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, final

import orjson

from promptcache.interrupts import undisturbed
from promptcache.receipts import metadata
from promptcache.receipts.events import Event, Settled
from promptcache.receipts.receipt import Receipt

__all__ = ["JsonlReceipts"]

_LOGGER = logging.getLogger("promptcache")


@final
class JsonlReceipts:
    """Appends every receipt to a file, one JSON object per line.

    The file is created with the first receipt, readable by its owner only. If a line
    cannot be written, one warning is logged and the next receipt tries again.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Remember where to write.

        Args:
            path: The file; its folder must exist.
        """
        self.path = Path(path)
        """The file that is written."""
        self._lock = threading.Lock()
        self._file: FileIO | None = None
        self._finish: Callable[[], object] = bool
        self._warned = False
        self._torn = False

    def __call__(self, event: Event) -> None:
        """Append the receipt of an answered request; other events are left alone."""
        if not isinstance(event, Settled):
            return
        line = orjson.dumps(_fields(event.receipt), option=orjson.OPT_APPEND_NEWLINE)
        with undisturbed(), self._lock:
            try:
                self._append(line)
            except OSError as error:
                failure = error
            else:
                return
            warned, self._warned = self._warned, True
        if not warned:
            _LOGGER.warning(
                "Receipts cannot be written to %s (%s); model calls go on, and this "
                "is not logged again.",
                self.path,
                failure,
            )

    def close(self) -> None:
        """Close the file; a later receipt opens it again."""
        with undisturbed(), self._lock:
            self._file = None
            self._finish()

    def __enter__(self) -> "JsonlReceipts":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._file = FileIO(self.path, "a", opener=_private)
            self._finish = weakref.finalize(self, self._file.close)
        # After half a line, start a new one, so that only one line is unreadable.
        whole = b"\n" + line if self._torn else line
        written = self._file.write(whole)
        self._torn = written != len(whole)
        if self._torn:
            reason = "only a part of a line was written"
            raise OSError(reason)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _fields(receipt: Receipt) -> dict[str, Any]:
    return {"time": metadata.moment(receipt.at), **receipt.as_dict()}
