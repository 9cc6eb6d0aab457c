"""Conversations as far as receipts tell of them.

A receipt has counts, times and names, and no digest of what was sent. So this is taken
for granted, and nothing else is:

* A conversation's prompt that is no shorter than the one before begins with that. It
  does not if less was read than was cached within the lifetime of five minutes: then it
  begins with what was read.
* A prompt that is shorter begins with what was read of it.
* What the first request of a conversation reads is a head that all conversations of
  that tenant and model have which read as much.

Rule 1: what has no conversation, no count or several requests is left out and counted.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

from promptcache.analysis.replay.billing import Billed
from promptcache.analysis.replay.files import lines_of
from promptcache.analysis.replay.traces import (
    Asked,
    BlockTrace,
    Session,
    UnreadableTraceError,
)
from promptcache.receipts.usage import read_count
from promptcache.ttl import Ttl

__all__ = ["Receipts"]

BLOCK_TOKENS = 64
SHORT_SECONDS = 300.0
NEARLY = 0.9
"""Part of what was cached that is read, if nothing of it has changed."""

_COUNTS = ("input", "read", "written")
_NAME = re.compile(r".+\.jsonl(\.[0-9]+)?(\.gz)?")
_Key: TypeAlias = tuple[str | None, str, str]
"""Tenant, model, conversation."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A receipt of one request in a conversation."""

    key: _Key
    at: float
    billed: Billed
    has_tools: bool

    @property
    def cached(self) -> float:
        """Tokens that it left in the cache."""
        return self.billed.read + sum(self.billed.written.values())


@dataclass(slots=True)
class Receipts:
    """The conversations of a file of receipts, or of a folder of such."""

    path: Path
    left_out: int = 0
    """Receipts that cannot be replayed, once they were read."""
    _trace: BlockTrace = field(default_factory=lambda: BlockTrace(BLOCK_TOKENS))

    def sessions(self) -> Iterator[Session]:
        """Yield a session for each conversation, in the order of their beginnings.

        Raises:
            UnreadableTraceError: There is no such file, or none can be read.
        """
        found: dict[_Key, list[_Line]] = {}
        for file in self._files():
            for values in lines_of(file):
                line = _line(values)
                if line is None:
                    self.left_out += 1
                else:
                    found.setdefault(line.key, []).append(line)
        for lines in found.values():
            lines.sort(key=lambda it: it.at)
        for key, lines in sorted(found.items(), key=lambda it: it[1][0].at):
            yield Session(key[2], list(self._asked(key, lines)))

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            if not self.path.exists():
                raise UnreadableTraceError(f"There is no file {self.path}.")
            return [self.path]
        found = [it for it in self.path.iterdir() if _NAME.fullmatch(it.name)]
        if not found:
            raise UnreadableTraceError(f"There is no file *.jsonl in {self.path}.")
        return sorted(found)

    def _asked(self, key: _Key, lines: list[_Line]) -> Iterator[Asked]:
        has_tools = any(it.has_tools for it in lines)
        root = b"receipts\0" + repr(key[:2]).encode()
        digests: list[bytes] = []
        before: _Line | None = None
        for number, line in enumerate(lines):
            length = int(line.billed.total) // BLOCK_TOKENS
            if before is None:
                head = int(line.billed.read) // BLOCK_TOKENS
                digests = [_digest(key[:2], head, it) for it in range(head)]
            else:
                digests = digests[: _shared(before, line)]
            digests = digests[:length]
            first = len(digests)
            digests = [
                *digests,
                *(_digest(key, number, it) for it in range(first, length)),
            ]
            outline = self._trace.outline(
                digests, root=root, tools=int(has_tools), answered=number > 0
            )
            yield Asked(
                line.at - lines[0].at,
                outline,
                int(line.billed.total),
                conversation=f"{key!r}",
                recorded=line.billed,
            )
            before = line


def _shared(before: _Line, line: _Line) -> int:
    """Return how many blocks a prompt shares with the one before it."""
    read, soon = line.billed.read, line.at - before.at < SHORT_SECONDS
    changed = soon and read < NEARLY * before.cached
    if changed or line.billed.total < before.billed.total:
        return int(read) // BLOCK_TOKENS
    return int(before.billed.total) // BLOCK_TOKENS


def _line(values: Any) -> _Line | None:
    """Return what a receipt says; None if that is not enough."""
    if not isinstance(values, Mapping) or values.get("requests", 1) != 1:
        return None
    name = values.get("conversation")
    counts = [read_count(values.get(f"{it}_tokens")) for it in _COUNTS]
    total, read, written = counts
    if name is None or total is None or read is None or written is None:
        return None
    try:
        at = datetime.fromisoformat(str(values.get("time"))).timestamp()
    except (OSError, OverflowError, ValueError):
        return None
    tenant, points = values.get("tenant"), values.get("breakpoints")
    if not isinstance(points, list):
        points = []
    return _Line(
        (
            None if tenant is None else str(tenant),
            str(values.get("model")),
            str(name),
        ),
        at,
        Billed(total, read, _written(values, written)),
        any(str(it).startswith("tools") for it in points),
    )


def _written(values: Mapping[str, Any], total: int) -> dict[Ttl, float]:
    """Return what was written by lifetime; what is not told is the shortest one's."""
    lives: tuple[Ttl, ...] = ("30m", "1h", "12h")
    made: dict[Ttl, float] = {
        life: read_count(values.get(f"written_{life}_tokens")) or 0 for life in lives
    }
    made["5m"] = max(total - sum(made.values()), 0)
    return made


def _digest(*what: object) -> bytes:
    return blake2b(repr(what).encode(), digest_size=16).digest()
