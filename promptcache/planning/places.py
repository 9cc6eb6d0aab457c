"""Where the parts of a request end, and where a breakpoint may stand.

Rule 1: a block that may not carry a breakpoint hands it to the one before.
Rule 2: a prefix below the provider's minimum is not cached.
Rule 3: what changes on every call ends no part.
"""

from bisect import bisect_right
from collections.abc import Iterator

from promptcache.outline import Outline
from promptcache.planning.past import Past
from promptcache.planning.slots import Rules

__all__ = [
    "SLACK",
    "end_before_last",
    "head_end",
    "lasting_ends",
    "markable",
    "reaches",
    "spaced",
    "stable_end",
]

SLACK = 0.85
"""Sizes are estimates: a prefix within 15 % of the minimum is taken to reach it."""


def head_end(outline: Outline, past: Past) -> int:
    """Return the last block of the head before any that changes on every call."""
    if past.volatile is None:
        return outline.system_end - 1
    return past.volatile - 1 if past.volatile >= outline.tools_end else -1


def stable_end(outline: Outline, past: Past) -> int:
    """Return the last block of what the next request may have too."""
    return (outline.length if past.unstable is None else past.unstable) - 1


def end_before_last(outline: Outline, tail: int) -> int:
    """Return the end of the turns before the one that a block stands in."""
    last = bisect_right(outline.starts, max(tail, 0)) - 1
    return outline.message_end(last - 1)


def markable(outline: Outline, position: int) -> int:
    """Return the last block up to a position that may carry a breakpoint, or -1."""
    refusals = outline.blocks.refusals
    while position >= 0 and refusals[position]:
        position -= 1
    return position


def reaches(outline: Outline, position: int, rules: Rules) -> bool:
    """Tell whether the prefix that ends with a block is long enough to be cached.

    Nothing ends at -1.
    """
    shortest = SLACK * rules.minimum_tokens
    return position >= 0 and outline.blocks.tokens[position] >= shortest


def lasting_ends(
    outline: Outline, past: Past, head: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return where documents and where static texts of the last turn end.

    Args:
        outline: The request.
        past: Where texts end that were given out as either.
        head: Last block of the head; what is in it needs no breakpoint of its own.

    Returns:
        The end of the last document, and of each static text, the latest first.
    """
    refusals, end = outline.blocks.refusals, stable_end(outline, past)
    ends = [it for it in past.ends if head < it[0] <= end and not refusals[it[0]]]
    documents = [position for position, kind in ends if kind == "document"]
    statics = [position for position, kind in ends if kind == "static"]
    return tuple(documents[-1:]), tuple(reversed(statics))


def spaced(outline: Outline, floor: int, tail: int, step: int) -> Iterator[int]:
    """Yield places a look-back apart, from the tail backwards to the floor."""
    units = outline.blocks.units
    reached = units[tail]
    for position in range(tail - 1, floor, -1):
        if units[position] <= reached - step and not outline.blocks.refusals[position]:
            reached = units[position]
            yield position
