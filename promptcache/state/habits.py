"""Which parts of a head change: tools or a system block that are new on every call.

Rule 1: what was the same once is not volatile; a habit takes several calls.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from promptcache.outline import Outline
from promptcache.state.prefixes import Prefixes

__all__ = ["Habits"]

_A_HABIT = 2
"""Calls that must have differed before the next one is expected to."""

_MAX_HEADS = 10_000


@dataclass(slots=True)
class _Head:
    """A prefix within the tools and the system prompt."""

    uses: int = 0
    """Requests that went on from here."""
    branches: int = 0
    """Different blocks that came next."""


class Habits:
    """What came next within tools and system prompts; its user holds a lock."""

    def __init__(self, prefixes: Prefixes) -> None:
        """Begin with nothing counted.

        Args:
            prefixes: What was seen before.
        """
        self._prefixes = prefixes
        self._heads: OrderedDict[bytes, _Head] = OrderedDict()

    def _head(self, digest: bytes) -> _Head:
        head = self._heads.get(digest)
        if head is None:
            head = self._heads[digest] = _Head()
            if len(self._heads) > _MAX_HEADS:
                self._heads.popitem(last=False)
        else:
            self._heads.move_to_end(digest)
        return head

    def _was_seen(self, digest: bytes) -> bool:
        return digest in self._prefixes or digest in self._heads

    def volatile(self, outline: Outline) -> int | None:
        """Return the first block of the head that differs on every call."""
        digests = outline.blocks.digests
        for position, before in _boundaries(outline):
            head = self._heads.get(before)
            if head is None or self._was_seen(digests[position]):
                continue
            if head.branches == head.uses >= _A_HABIT:
                return position
        return None

    def count(self, outline: Outline) -> None:
        """Count what a request has after each part of its head."""
        digests = outline.blocks.digests
        for position, before in _boundaries(outline):
            head = self._head(before)
            head.uses += 1
            head.branches += not self._was_seen(digests[position])

    def know(self, outline: Outline) -> None:
        """Remember the head of a request that is sent in another form."""
        for position, _ in _boundaries(outline):
            self._head(outline.blocks.digests[position])


def _boundaries(outline: Outline) -> Iterator[tuple[int, bytes]]:
    """Yield where the tools and each system block end, and the prefix before them."""
    if outline.tools_end:
        yield outline.tools_end - 1, outline.blocks.root
    for position in range(outline.tools_end, outline.system_end):
        yield position, outline.digest_before(position)
