"""Which prefixes came again, and how often those like them do.

Rule 1: digests, counts and times; no text, no names.
Rule 2: memory is bounded: the prefix used least recently goes first.
Rule 3: nothing here reads a clock or takes a lock.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from promptcache.providers.gemini.gaps import Gaps

__all__ = ["Cut", "Kind", "Returns", "Seen"]

Kind = Literal["head", "turns"]
"""What a prefix ends with: the instruction and tools, or turns of a conversation."""

_MAX_NODES = 50_000
_LEVELS = 20
_PRIOR = 4.0
"""Prefixes that the rule "as often again as so far" counts for."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place at which a request may be cut: what is before it may be cached."""

    contents: int
    """Contents of the request that are before it."""
    digest: bytes
    tokens: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the prefix before a cut; the present request is counted."""

    cut: Cut
    uses: int
    returns: float
    """Requests with it that are expected to come."""
    gaps: Gaps
    alone: bool
    """Every request went on from here in the same way, as one conversation does."""
    idle: float | None
    """Seconds since it was used before; None if it never was."""


@dataclass(slots=True)
class _Node:
    uses: int = 0
    last: float | None = None
    branches: int = 0
    gaps: Gaps | None = None

    def note_gap(self, seconds: float, *, like: Gaps) -> None:
        if self.gaps is None:
            self.gaps = Gaps(wider=like)
        self.gaps.add(seconds)


@dataclass(slots=True)
class _Levels:
    """How many prefixes of a kind were used once, twice, four times and so on."""

    reached: list[float] = field(default_factory=lambda: [0.0] * _LEVELS)
    gaps: Gaps = field(default_factory=Gaps)

    def count(self, uses: int) -> None:
        level = uses.bit_length() - 1
        if uses == 1 << level and level < _LEVELS:
            self.reached[level] += 1.0

    def returns(self, uses: int) -> float:
        """Return how many uses are expected after so many.

        Where nothing is known: as many as it came again so far. Prefixes that are
        still young count as if they had ended, which errs on the side of caution.
        """
        level = min(uses.bit_length() - 1, _LEVELS - 1)
        # This one does not count: how often it comes is the question.
        known = max(self.reached[level] - 1.0, 0.0)
        further = sum(
            self.reached[higher] * float(1 << (higher - 1))
            for higher in range(level + 1, _LEVELS)
        )
        # Those of the level have come so often already, on average.
        return (further + _PRIOR * (uses - 1)) / (known + _PRIOR)


class Returns:
    """The prefixes that the requests of one process had."""

    def __init__(self, max_nodes: int = _MAX_NODES) -> None:
        """Start empty.

        Args:
            max_nodes: Prefixes to remember.
        """
        self._max_nodes = max_nodes
        self._nodes: OrderedDict[bytes, _Node] = OrderedDict()
        self._kinds: dict[Kind, _Levels] = {"head": _Levels(), "turns": _Levels()}

    def __len__(self) -> int:
        return len(self._nodes)

    def see(self, cuts: Sequence[Cut], *, now: float) -> list[Seen]:
        """Take note of a request, and return what is known of its prefixes.

        Args:
            cuts: Where it may be cut, in the order of the prompt.
            now: When it was sent.
        """
        nodes = [self._node(cut.digest) for cut in cuts]
        idle = [None if it.last is None else max(now - it.last, 0.0) for it in nodes]
        alone = False
        for index, (cut, node) in enumerate(zip(cuts, nodes, strict=True)):
            kind = self._kinds[_kind(cut)]
            node.uses += 1
            node.last = now
            kind.count(node.uses)
            if index + 1 < len(nodes) and nodes[index + 1].uses == 0:
                node.branches += 1
            gap = idle[index]
            if gap is not None:
                # The prefixes of one conversation rest together: count that once.
                if not alone:
                    node.note_gap(gap, like=kind.gaps)
                if _last(idle, index):
                    kind.gaps.add(gap)
            alone = _is_alone(cut, node)
        while len(self._nodes) > self._max_nodes:
            self._nodes.popitem(last=False)
        return self._seen(cuts, nodes, idle)

    def _node(self, digest: bytes) -> _Node:
        node = self._nodes.get(digest)
        if node is None:
            node = self._nodes[digest] = _Node()
        else:
            self._nodes.move_to_end(digest)
        return node

    def _seen(
        self,
        cuts: Sequence[Cut],
        nodes: Sequence[_Node],
        idle: Sequence[float | None],
    ) -> list[Seen]:
        found = []
        uses, gaps, alone = 0, None, False
        for cut, node, gap in zip(cuts, nodes, idle, strict=True):
            kind = self._kinds[_kind(cut)]
            # Behind the last fork there is one conversation: what is new in it is as
            # old as the conversation.
            if not alone:
                uses, gaps = node.uses, node.gaps
            alone = _is_alone(cut, node)
            returns = kind.returns(uses)
            known = gaps if gaps is not None else Gaps(wider=kind.gaps)
            found.append(Seen(cut, node.uses, returns, known, alone, gap))
        return found


def _kind(cut: Cut) -> Kind:
    return "turns" if cut.contents else "head"


def _is_alone(cut: Cut, node: _Node) -> bool:
    """Tell whether all went on from here in the same way; from a head, nobody knows."""
    return cut.contents > 0 and node.branches <= 1


def _last(idle: Sequence[float | None], index: int) -> bool:
    return index + 1 == len(idle) or idle[index + 1] is None
