"""An order of documents in which prefixes that are cached are read again.

Rule 1: every document that was given comes back, once.
Rule 2: the order follows from what was noted before and from which documents are given,
never from the order in which they are given.
Rule 3: nothing is known of a document but its digest and its weight.

A retriever returns documents by score, so in another order for each question, and a
prompt that begins with another document shares nothing with the one before. Here the
orders that were sent are kept as a tree: a node is the prefix that ends with one of
their documents, and knows until when that is alive. The heaviest live path of which
every document is given comes first, since all of it is read; then what was shared most
of late, since that is likely to be shared again; at the end what nobody has seen, where
it breaks nothing.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, log2
from typing import TypeAlias

__all__ = ["Orders", "Weighed", "ranking"]

Weighed: TypeAlias = tuple[bytes, int]
"""A document's digest, and its weight: its tokens, or what all are measured by."""

_MAX_NODES = 50_000
_MAX_VISITS = 500
"""Prefixes that are looked at for one order: about half a millisecond."""
_HALF_LIFE_SECONDS = 3_600.0
"""After which a use counts half of a new one."""


@dataclass(slots=True, eq=False)
class _Node:
    """The prefix that ends with a document."""

    digest: bytes = b""
    parent: "_Node | None" = None
    until: float = -inf
    """When it is forgotten by the provider; no child lives longer."""
    uses: int = 0
    children: "dict[bytes, _Node] | None" = None
    """None while there are none: most nodes end a path."""


@dataclass(slots=True)
class _Best:
    """The best path that a search has found so far."""

    node: _Node
    rank: tuple[int, int, float] = (0, 0, -inf)
    """Live weight, then uses, then end."""


@dataclass(slots=True)
class Orders:
    """The orders that were sent, and what follows from them for the next one.

    Not safe from threads; whoever shares it holds a lock.
    """

    max_nodes: int = _MAX_NODES
    """Prefixes, and documents, to remember: least recently used out."""
    _root: _Node = field(default_factory=_Node)
    _nodes: OrderedDict[_Node, None] = field(default_factory=OrderedDict)
    """Least recently used first; a parent is always used after its children."""
    _shares: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """How much each document was used of late, as a logarithm; see `_share`."""

    def __len__(self) -> int:
        """Return how many prefixes are known."""
        return len(self._nodes)

    def arranged(self, documents: Sequence[Weighed], *, now: float) -> list[int]:
        """Return the positions of documents in the order to send them in.

        Args:
            documents: Digest and weight of each; of two alike the first counts.
            now: The time, in UTC seconds.
        """
        first: dict[bytes, int] = {}
        for position, (digest, _) in enumerate(documents):
            first.setdefault(digest, position)
        weights = {it: documents[first[it]][1] for it in sorted(first)}
        path = self._live_path(weights, now)
        taken = set(path)
        left = [it for it in weights if it not in taken]
        # Stable: what was shared alike stays in the order of its digests.
        left.sort(key=lambda it: -self._shares.get(it, -inf))
        return [first[it] for it in (*path, *left)]

    def note(self, digests: Iterable[bytes], *, now: float, until: float) -> None:
        """Remember an order that is being sent.

        Args:
            digests: That of each document, in that order.
            now: The time, in UTC seconds.
            until: When the provider forgets it, unless it comes again.
        """
        node, path = self._root, []
        for digest in dict.fromkeys(digests):
            node = _child(node, digest)
            node.until = max(node.until, until)
            node.uses += 1
            path.append(node)
            self._share(digest, now)
        for node in reversed(path):
            self._nodes[node] = None
            self._nodes.move_to_end(node)
        while len(self._nodes) > self.max_nodes:
            _cut(self._nodes.popitem(last=False)[0])
        while len(self._shares) > self.max_nodes:
            self._shares.popitem(last=False)

    def _share(self, digest: bytes, now: float) -> None:
        """Count one more use of a document.

        One that is h half-lives old counts 2^-h, so whenever they are compared, uses at
        times t are worth the sum of 2^t. Its logarithm is kept, since 2^t is too large.
        """
        new, old = now / _HALF_LIFE_SECONDS, self._shares.get(digest, -inf)
        high, low = max(new, old), min(new, old)
        self._shares[digest] = high + log2(1 + 2 ** (low - high))
        self._shares.move_to_end(digest)

    def _live_path(self, weights: dict[bytes, int], now: float) -> list[bytes]:
        """Return the live prefix of the most weight, all of whose documents are given.

        Of a great many that fit, the first ones are looked at.
        """
        best, total = _Best(self._root), sum(weights.values())
        pending, visits = [(self._root, 0)], 0
        while pending and visits < _MAX_VISITS and best.rank[0] < total:
            node, weight = pending.pop()
            visits += 1
            rank = (weight, node.uses, node.until)
            if rank > best.rank:
                best.node, best.rank = node, rank
            # No path has a document twice, so what was passed is no child.
            for digest in weights if node.children else ():
                child = (node.children or {}).get(digest)
                if child is not None and child.until > now:
                    pending.append((child, weight + weights[digest]))
        return _path(best.node)


def ranking(ranks: Sequence[int]) -> str:
    """Return a line that says which of the documents before it matter most.

    It names places, not ids, so documents need not be labelled with anything that would
    change their text from one question to the next.

    Args:
        ranks: Of each document in the order in which they stand, 1 for the best.

    Returns:
        The line; nothing for less than two documents.
    """
    if len(ranks) < len(("one", "another")):
        return ""
    places = sorted(range(1, len(ranks) + 1), key=lambda place: ranks[place - 1])
    listed = ", ".join(map(str, places))
    return (
        "The documents above by relevance, most relevant first, where 1 is the document"
        f" that stands first: {listed}."
    )


def _child(node: _Node, digest: bytes) -> _Node:
    if node.children is None:
        node.children = {}
    child = node.children.get(digest)
    if child is None:
        child = node.children[digest] = _Node(digest, node)
    return child


def _cut(leaf: _Node) -> None:
    """Take a node off its parent; those that came after it are gone already."""
    if leaf.parent is not None and leaf.parent.children is not None:
        del leaf.parent.children[leaf.digest]
        leaf.parent.children = leaf.parent.children or None
        leaf.parent = None


def _path(node: _Node) -> list[bytes]:
    path = []
    while node.parent is not None:
        path.append(node.digest)
        node = node.parent
    return path[::-1]
