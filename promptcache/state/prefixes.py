"""Which prefixes were seen and when: a trie whose edges are runs of blocks.

A conversation that only grows is one run, however many turns it has; a request that
goes another way begins a run of its own where it leaves. What holds for every block of
a run is kept once, so a block costs little more than the digest that finds it.

Rule 1: using a prefix uses every prefix of it.
Rule 2: it is bounded; the run used least recently goes first, and with it nothing that
is still needed, as what a run grew from was used no earlier.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import eq

from promptcache.outline import Outline
from promptcache.state.paths import Lineage, Path, Run

__all__ = ["RUN_NODES", "Prefixes"]

RUN_NODES = 5
"""Blocks that a run counts for beside those it has: so much does it keep itself."""


class Prefixes:
    """The trie; whoever uses it from many threads holds a lock."""

    def __init__(self, max_nodes: int) -> None:
        """Begin empty.

        Args:
            max_nodes: How much to remember: blocks, and some for every run of them.
        """
        self._max_nodes = max_nodes
        self._runs: dict[bytes, Run] = {}
        self._order: dict[Run, None] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._runs

    def path(self, outline: Outline) -> Path:
        """Return what was seen of a request before."""
        digests, known = outline.blocks.digests, self._runs
        depths = self._depths(outline)
        for position in range(outline.length - 1, -1, -1):
            run = known.get(digests[position])
            if run is not None and depths[position] >= 0:
                covered = depths[position] + 1
                return Path(position, tuple(_climbed(run, covered)), depths)
        return Path(-1, (), depths)

    def grow(self, outline: Outline, path: Path, now: float, lineage: Lineage) -> Path:
        """Note that a request is sent.

        Args:
            outline: The request.
            path: What was seen of it before, as nothing has grown since.
            now: The start of the request.
            lineage: What it belongs to.

        Returns:
            All of the request, as what it is now.
        """
        fresh = _fresh(outline, path)
        runs = path.runs
        if fresh:
            runs = _lengthened(path, fresh, lineage)
            self._runs.update(dict.fromkeys(fresh, runs[0][0]))
        # The deepest first, so that what it grew from goes after it.
        for run, covered in runs:
            run.touch(covered, now)
            self._order.pop(run, None)
            self._order[run] = None
        if runs:
            runs[0][0].lineage = lineage
        while self._size() > self._max_nodes and len(self._order) > 1:
            self._forget_oldest()
        self._shorten_the_last()
        return Path(outline.length - 1, runs, path.depths)

    def _size(self) -> int:
        return len(self._runs) + RUN_NODES * len(self._order)

    def _depths(self, outline: Outline) -> Sequence[int]:
        """Return how many different prefixes end before each block."""
        digests, length = outline.blocks.digests, outline.length
        first = 0
        if outline.trail is not None and digests[:1] == [outline.trail.digest]:
            first = self._depth_of(outline.trail.digest)
        is_plain = not first and digests[:1] != [outline.blocks.root]
        if is_plain and not any(map(eq, digests, islice(digests, 1, length))):
            return range(length)
        depths, before, depth = list[int](), outline.blocks.root, first - 1
        for digest in islice(digests, length):
            depth += digest != before
            before = digest
            depths.append(depth)
        return depths

    def _depth_of(self, digest: bytes) -> int:
        run = self._runs.get(digest)
        if run is None:
            return 0
        return run.end - len(run.digests) + run.digests.index(digest)

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._order))
        del self._order[oldest]
        for digest in oldest.digests:
            del self._runs[digest]

    def _shorten_the_last(self) -> None:
        """Keep only the end of a run that is longer than what is to be remembered."""
        surplus = len(self._runs) - self._max_nodes
        if surplus <= 0:
            return
        last = next(iter(self._order))
        for digest in last.digests[:surplus]:
            del self._runs[digest]
        del last.digests[:surplus]


def _fresh(outline: Outline, path: Path) -> list[bytes]:
    """Return the digests of a request that were not seen before, each once."""
    digests = outline.blocks.digests[path.shared + 1 : outline.length]
    if isinstance(path.depths, range):
        return digests
    return [it for it in dict.fromkeys(digests) if it != outline.blocks.root]


def _lengthened(
    path: Path, fresh: Sequence[bytes], lineage: Lineage
) -> tuple[tuple[Run, int], ...]:
    """Return the runs of a request that has more than what was seen of it."""
    parent, start = path.runs[0] if path.runs else (None, path.depths[-1] + 1)
    older = path.runs
    if parent is None:
        start -= len(fresh)
    if parent is not None and start == parent.end:
        run, older = parent, path.runs[1:]
    else:
        run = Run(parent, start, start, lineage)
    run.digests += fresh
    run.end += len(fresh)
    return ((run, run.end), *older)


def _climbed(run: Run, covered: int) -> Iterator[tuple[Run, int]]:
    """Yield a run and those that it grew from, with how far each is shared."""
    at: Run | None = run
    while at is not None:
        yield at, covered
        covered, at = at.start, at.parent
