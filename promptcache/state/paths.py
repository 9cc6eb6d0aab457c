"""What a request has in common with those before it: runs of blocks.

Rule 1: blocks are counted by depth, which is how many different prefixes end up to
them: a block that the prompt does not carry ends none of its own, and what a provider
puts before a request has all the depth of what was sent then.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["Key", "Lineage", "Mark", "Path", "Run", "Sight"]

MAX_MARKS = 64
"""Places of one run that are remembered as written; the oldest go first."""

MAX_TOUCHES = 32
"""Uses of a part of a run that are remembered, each by its length."""

Key = tuple[object, ...]


@dataclass(slots=True, eq=False)
class Lineage:
    """Requests that grew from one another, as far as they go on within an hour."""

    turns: int = 0
    used: float = 0.0
    """Start of its last request."""
    size: float = 0.0
    """Tokens of that."""
    tokens: float = 0.0
    """Tokens of all its requests, which is what not caching costs."""
    bills: Sequence[float] = ()
    """What each way of writing would have cost."""
    promoted: float = 0.0
    """Tokens that promoting would protect for the long lifetime."""
    gaps: int = 0
    pauses: int = 0
    """Gaps that only the long lifetime bridges."""
    end: int = -1
    """Depth of the end of what its last request may repeat."""
    windows: Sequence[float] = ()
    """Within which times it is watched what comes again, in seconds."""
    ends: float = 0.0
    """How many such ends were followed by a request."""
    again: Sequence[float] = ()
    """How many of them that repeated, by these times."""
    over_after: float = 3600.0
    """Seconds of silence after which nothing of it is alive."""
    stop: str | None = None
    """Why the model stopped last, as the provider says it; None if it is not known."""
    trailing: float = 0.0
    """What pings would cost from now on if it is over, in input tokens."""

    def is_over(self, now: float) -> bool:
        """Tell whether what comes next begins anew."""
        return self.turns > 0 and now - self.used >= self.over_after


@dataclass(slots=True, eq=False)
class Mark:
    """Where a request of ours wrote, or would have read."""

    ttl: Ttl
    firm: Ttl
    """The shortest lifetime that any token up to here was written with."""
    used: float
    built_on: int
    """Depth of what was read or written before it by the same request; -1 if nothing
    was."""

    def is_live(self, now: float, *, firmly: bool) -> bool:
        """Tell whether it can be read.

        Args:
            now: The start of the request that asks.
            firmly: Also if a prefix dies with the first of its tokens that does.
        """
        return now < self.until(firmly=firmly)

    def until(self, *, firmly: bool = False) -> float:
        """Return when it cannot be read any more, unless it is before that."""
        return self.used + TTL_SECONDS[self.firm if firmly else self.ttl]


@dataclass(slots=True, eq=False)
class Sight:
    """Something that was sent, and that may be sent again."""

    keys: tuple[Key, ...]
    """What it is counted under, the most general first."""
    begun: float
    run: "Run"
    depth: int
    """Where it ends."""
    again: float | None = None
    """When it was sent again for the first time."""

    def leave(self) -> None:
        """Wait no more: its time is over."""
        if self.run.sights.get(self.depth) is self:
            del self.run.sights[self.depth]


@dataclass(slots=True, eq=False)
class Run:
    """Blocks that one request had behind what it shared with others before it."""

    parent: "Run | None"
    start: int
    """Depth of its first block."""
    end: int
    """The depth behind its last block."""
    lineage: Lineage
    digests: list[bytes] = field(default_factory=list)
    """Those of its blocks that are remembered: all, or the last ones."""
    touches: list[tuple[int, float]] = field(default_factory=list)
    """Up to where it was used and when, the longest and oldest first."""
    marks: dict[int, Mark] = field(default_factory=dict)
    """By depth, the oldest first."""
    sights: dict[int, Sight] = field(default_factory=dict)
    """What waits for a block to be used again, by depth."""

    def used(self, depth: int) -> float:
        """Return when a block of it was used last."""
        for end, when in reversed(self.touches):
            if end > depth:
                return when
        return 0.0

    def touch(self, end: int, when: float) -> None:
        """Note that its blocks before a depth are used."""
        touches = self.touches
        while touches and touches[-1][0] <= end and touches[-1][1] <= when:
            touches.pop()
        if any(other >= end and later >= when for other, later in touches):
            return
        if touches and touches[-1][0] <= end:
            # Requests of several threads may come a little out of their order.
            touches[:] = [it for it in touches if it[0] > end or it[1] > when]
        touches.append((end, when))
        touches.sort(reverse=True)
        if len(touches) > MAX_TOUCHES:
            # What is forgotten counts as used as early as something longer.
            del touches[1:-1:2]

    def mark(self, depth: int, mark: Mark) -> None:
        """Note that its prefix up to a block is written."""
        self.marks.pop(depth, None)
        self.marks[depth] = mark
        if len(self.marks) > MAX_MARKS:
            oldest = next(iter(self.marks))
            before = self.marks.pop(oldest).built_on
            for other in self.marks.values():
                if other.built_on == oldest:
                    other.built_on = before


@dataclass(frozen=True, slots=True)
class Path:
    """The part of a request that was seen before: runs, and how far each is shared."""

    shared: int
    """Its last block; -1 if there is none."""
    runs: tuple[tuple[Run, int], ...]
    """The deepest run first, each with the depth behind what is shared of it."""
    depths: Sequence[int]
    """That of each block of the request."""

    def deepest(self, since: float) -> int:
        """Return the last block that was used since some time; -1 if none was."""
        for run, covered in self.runs:
            for end, when in run.touches:
                if when >= since:
                    return self.position(min(end, covered) - 1)
        return -1

    def used(self) -> float:
        """Return when its last block was used last; 0.0 if it was never."""
        return self.runs[0][0].used(self.runs[0][1] - 1) if self.runs else 0.0

    def marks(self) -> Iterator[tuple[int, Mark]]:
        """Yield what was written of it and which block ends it, the deepest first."""
        for run, covered in self.runs:
            for depth in sorted(run.marks, reverse=True):
                if depth < covered:
                    position = self.position(depth)
                    if position >= 0:
                        yield position, run.marks[depth]

    def mark_at(self, depth: int) -> Mark | None:
        """Return what was written up to a depth of it."""
        run = self.run_at(depth)
        return None if run is None else run.marks.get(depth)

    def run_at(self, depth: int) -> Run | None:
        """Return the run that holds a depth of it."""
        for run, covered in self.runs:
            if run.start <= depth < covered:
                return run
        return None

    def position(self, depth: int) -> int:
        """Return the last block of the request up to a depth; -1 if it has none."""
        if isinstance(self.depths, range):
            return depth
        return bisect_right(self.depths, depth) - 1
