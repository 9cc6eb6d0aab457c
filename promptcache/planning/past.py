"""What earlier requests say about one that is about to be sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from promptcache.planning.chances import Chance
from promptcache.planning.volatile import Kind
from promptcache.planning.ways import Way

__all__ = ["NOTHING_KNOWN", "Again", "Past"]


@dataclass(frozen=True, slots=True)
class Again:
    """How likely something is sent again within the lifetimes on offer."""

    short: Chance
    long: Chance

    @classmethod
    def certain(cls, chance: float) -> "Again":
        """Return the same for both lifetimes, without any doubt."""
        it = Chance(chance, 0.0)
        return cls(it, it)


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier requests say about this one; positions are this request's."""

    shared: int = -1
    """Deepest block that an earlier request had too, in the same prefix."""
    entry: int = -1
    """Deepest block at which an earlier request placed a breakpoint still alive."""
    held: int = -1
    """Deepest block whose prefix lives for the long lifetime."""
    is_firm: bool = False
    """All that is alive was written for the long lifetime."""
    volatile: int | None = None
    """Last block of the first part of the head that was another on every call so far.

    The tools are one part, and so is each system block.
    """
    chances: Mapping[str, Again] = field(default_factory=dict)
    """How likely each part of it comes again; what is not named is taken as usual."""
    way: Way = "short"
    """How an agent's requests are written at the least price."""
    pauses: float = 0.0
    """Gaps of this conversation that only the long lifetime bridges, and what others
    show more or less of them than is taken for granted."""
    gaps: int = 0
    """All gaps of this conversation."""
    room: float = inf
    """What writing may cost beyond the price of plain input, in input tokens."""
    shards: int = 1
    """Keys that the requests with this head are split over, so often do they come."""
    unstable: int | None = None
    """Where text stands that was given out as volatile; it will not be there again."""
    ends: tuple[tuple[int, Kind], ...] = ()
    """Blocks of the last turn that end with a static text or a document."""


NOTHING_KNOWN = Past()
