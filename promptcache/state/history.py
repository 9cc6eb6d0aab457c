"""Which prefixes were seen, where entries live, and which tails came again.

Rule 1: a history holds digests, times and counts; no text, no names.
Rule 2: it is bounded: the prefix used least recently goes first.
Rule 3: a tail counts as lost only when its lifetime is over.

Digests contain the model and the tenant, so prefixes of two tenants never meet.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from threading import Lock

from promptcache.outline import Outline
from promptcache.planning.candidates import Past, stable_end
from promptcache.planning.plan import Plan
from promptcache.ttl import TTL_SECONDS

__all__ = ["DEFAULT_NODES", "History"]

DEFAULT_NODES = 500_000

_A_HABIT = 2
"""Calls that must have differed before the next one is expected to."""

_MAX_KINDS = 10_000
_MAX_OPEN = 10_000


@dataclass(slots=True)
class _Node:
    """A prefix that some request had."""

    uses: int = 0
    """Requests that went on from here; counted in tools and system only."""
    branches: int = 0
    """Different blocks that came next; counted in tools and system only."""
    alive_until: float = 0.0
    """End of the entry that a breakpoint here wrote, if one did."""


@dataclass(slots=True, order=True)
class _Tail:
    """A request whose end may come again; the first to be over sorts first."""

    until: float
    digest: bytes
    kind: bytes
    came_again: bool = False


class History:
    """What the requests of this process have shown; safe from many threads."""

    def __init__(self, max_nodes: int = DEFAULT_NODES) -> None:
        """Start empty.

        Args:
            max_nodes: Prefixes to remember.
        """
        self._max_nodes = max_nodes
        self._lock = Lock()
        self._nodes: OrderedDict[bytes, _Node] = OrderedDict()
        self._open: list[_Tail] = []
        self._tails: dict[bytes, _Tail] = {}
        self._counts: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._nodes)

    def past(self, outline: Outline, *, now: float) -> Past:
        """Return what is known of a request that is about to be sent."""
        with self._lock:
            self._close_tails(now)
            shared = self._shared(outline)
            self._note_repeats(outline, shared)
            volatile = self._volatile(outline)
            kind = _kind(outline, volatile)
            repeated, lost = self._counts.get(kind, (0, 0))
            return Past(
                shared=shared,
                entry=self._entry(outline, shared, now),
                volatile=volatile,
                repeated=repeated,
                lost=lost,
            )

    def record(
        self,
        outline: Outline,
        plan: Plan,
        past: Past,
        *,
        now: float,
        built: Outline | None = None,
    ) -> None:
        """Remember a request that is being sent.

        Args:
            outline: The request.
            plan: Its breakpoints, which write or refresh entries.
            past: What `past` said of it.
            now: The start of the request, from which lifetimes count.
            built: The request before a block of its head was moved; what changes is
                counted in that, so that it stays moved as long as it changes.
        """
        digests = outline.blocks.digests
        with self._lock:
            self._count_branches(outline if built is None else built)
            for position in range(past.shared + 1, outline.length):
                self._node(digests[position])
            for position, ttl in plan.entries:
                node = self._node(digests[position])
                node.alive_until = max(node.alive_until, now + TTL_SECONDS[ttl])
            if outline.length:
                life = plan.entries[-1][1] if plan.entries else "5m"
                self._open_tail(outline, past, now + TTL_SECONDS[life])
            if built is not None:
                for position, _ in _boundaries(built):
                    self._node(built.blocks.digests[position])
            while len(self._nodes) > self._max_nodes:
                self._nodes.popitem(last=False)

    def _node(self, digest: bytes) -> _Node:
        node = self._nodes.get(digest)
        if node is None:
            node = self._nodes[digest] = _Node()
        else:
            self._nodes.move_to_end(digest)
        return node

    def _shared(self, outline: Outline) -> int:
        nodes, digests = self._nodes, outline.blocks.digests
        for position in range(outline.length - 1, -1, -1):
            if digests[position] in nodes:
                return position
        return -1

    def _entry(self, outline: Outline, shared: int, now: float) -> int:
        nodes, digests = self._nodes, outline.blocks.digests
        for position in range(shared, -1, -1):
            node = nodes.get(digests[position])
            if node is not None and node.alive_until > now:
                return position
        return -1

    def _volatile(self, outline: Outline) -> int | None:
        """Return the first block of the head that differs on every call."""
        digests = outline.blocks.digests
        for position, before in _boundaries(outline):
            node = self._nodes.get(before)
            if node is None or digests[position] in self._nodes:
                continue
            if node.branches == node.uses >= _A_HABIT:
                return position
        return None

    def _count_branches(self, outline: Outline) -> None:
        digests = outline.blocks.digests
        for position, before in _boundaries(outline):
            node = self._node(before)
            node.uses += 1
            node.branches += digests[position] not in self._nodes

    def _note_repeats(self, outline: Outline, shared: int) -> None:
        digests = outline.blocks.digests
        for position in range(outline.system_end, shared + 1):
            tail = self._tails.pop(digests[position], None)
            if tail is not None:
                tail.came_again = True
                self._count(tail.kind, repeated=1)

    def _open_tail(self, outline: Outline, past: Past, until: float) -> None:
        end = stable_end(outline, past)
        if past.unstable is not None and end < outline.system_end:
            return
        digest = outline.blocks.digests[end]
        if digest in self._tails:
            return
        tail = _Tail(until, digest, _kind(outline, past.volatile))
        self._tails[digest] = tail
        heappush(self._open, tail)
        if len(self._open) > _MAX_OPEN:
            self._forget_tail()

    def _close_tails(self, now: float) -> None:
        while self._open and self._open[0].until <= now:
            tail = self._forget_tail()
            if not tail.came_again:
                self._count(tail.kind, lost=1)

    def _forget_tail(self) -> _Tail:
        tail = heappop(self._open)
        if not tail.came_again:
            del self._tails[tail.digest]
        return tail

    def _count(self, kind: bytes, *, repeated: int = 0, lost: int = 0) -> None:
        counts = self._counts.pop(kind, (0, 0))
        self._counts[kind] = (counts[0] + repeated, counts[1] + lost)
        if len(self._counts) > _MAX_KINDS:
            self._counts.popitem(last=False)


def _boundaries(outline: Outline) -> Iterator[tuple[int, bytes]]:
    """Yield where the tools and each system block end, and the prefix before them."""
    if outline.tools_end:
        yield outline.tools_end - 1, outline.blocks.root
    for position in range(outline.tools_end, outline.system_end):
        yield position, outline.digest_before(position)


def _kind(outline: Outline, volatile: int | None) -> bytes:
    """Return what requests have in common whose tails are counted together."""
    head = outline.system_end if volatile is None else volatile
    turns = b"+" if outline.has_answers else b"-"
    form = b"!" if outline.forced else b"?"
    return outline.digest_before(min(head, outline.system_end)) + turns + form
