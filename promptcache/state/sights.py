"""The parts of requests that may be sent again, and what each is counted under.

Rule 1: parts are counted by what the traffic looks like, by the head that they stand
behind, and by turns and size; the more special count has its say as it grows.
"""

from collections.abc import Mapping, Sequence

from promptcache.outline import Outline
from promptcache.planning.past import Again, Past
from promptcache.planning.writing import (
    NAMES,
    bounds_of,
    context_of,
    new_tokens,
    prior,
)
from promptcache.state.paths import Key, Lineage, Path
from promptcache.state.reuse import Reuse

__all__ = ["Keys", "chances_of", "follow", "keys_of", "note", "see"]

_MAX_TURNS = 3
_MAX_SIZE = 6
"""Requests are told apart by turns, and by the size of what is new, up to these."""

_TURNS = ("turns", "last")
_SEVERAL = 2
"""Requests after which a conversation has a pace of its own."""

_MANY = 200
"""Requests of a conversation after which the older half counts for half."""

Keys = Mapping[str, list[Key]]
"""What each part of a request is counted under, the most general first."""


def keys_of(
    outline: Outline, path: Path, lineage: Lineage, volatile: int | None
) -> Keys:
    """Return what the parts of a request are counted under."""
    end = outline.system_end if volatile is None else min(volatile, outline.system_end)
    context, head = context_of(outline), outline.digest_before(end)
    root = outline.blocks.root
    new = outline.length - 1 - path.shared
    turns, size = min(lineage.turns, _MAX_TURNS), min(new.bit_length(), _MAX_SIZE)
    return {
        "head": [(root, "head"), (head, "head")],
        "seen": [(root, context, "seen"), (head, context, "seen")],
        "turns": [
            (root, context, "turns"),
            (head, context, "turns"),
            (head, context, "turns", turns, size),
        ],
        "last": [(root, context), (head, context), (head, context, turns, size)],
    }


def chances_of(
    reuse: Reuse, outline: Outline, path: Path, keys: Keys, lineage: Lineage
) -> dict[str, Again]:
    """Return how likely each part of a request comes again."""
    context, new = context_of(outline), new_tokens(outline, path.shared)
    return {
        name: Again(
            *(
                reuse.chance(
                    keys[name],
                    prior(name, context, seconds, new),
                    window,
                    _own(lineage, window) if name in _TURNS else None,
                )
                for window, seconds in enumerate(reuse.windows)
            )
        )
        for name in NAMES
    }


def _own(lineage: Lineage, window: int) -> tuple[float, float] | None:
    """Return how often the end of a conversation came again, and of how often.

    That it has not ended so far does not say that it never will: one more gap counts
    that may have no end.
    """
    if lineage.ends < _SEVERAL:
        return None
    return lineage.again[window], lineage.ends + 1


def follow(lineage: Lineage, path: Path, windows: Sequence[float], now: float) -> None:
    """Count whether a conversation goes on from its end, or from something before.

    Questions about one long text share most of what they send, and yet the end of none
    of them ever comes again.

    Args:
        lineage: The conversation.
        path: What was seen of its next request.
        windows: The lifetimes in seconds, the short one first.
        now: The start of that request.
    """
    if not lineage.turns or lineage.end < 0:
        return
    came = path.shared >= 0 and path.depths[path.shared] >= lineage.end
    gap = now - lineage.used
    lineage.ends += 1
    lineage.again = tuple(
        times + (came and gap < life)
        for times, life in zip(lineage.again, windows, strict=True)
    )
    if lineage.ends > _MANY:
        lineage.ends /= 2
        lineage.again = tuple(times / 2 for times in lineage.again)


def note(path: Path, now: float) -> None:
    """Tell those that wait for a block to come again that it has."""
    for run, covered in path.runs:
        for depth in [it for it in run.sights if it < covered]:
            run.sights.pop(depth).again = now


def see(
    reuse: Reuse,
    keys: Keys,
    outline: Outline,
    path: Path,
    past: Past,
    *,
    lineage: Lineage,
    now: float,
) -> None:
    """Begin to wait for the parts of a request to come again.

    Args:
        reuse: What counts them.
        keys: What each is counted under.
        outline: The request.
        path: All of it.
        past: What was known of it.
        lineage: Its conversation.
        now: Its start.
    """
    head = outline.system_end if past.volatile is None else past.volatile
    tail = outline.length if past.unstable is None else past.unstable
    bounds = bounds_of(
        outline, live=past.entry, head=head - 1, shared=past.shared, tail=tail - 1
    )
    lineage.end = path.depths[bounds[-1]] if bounds[-1] >= 0 else -1
    for number, name in enumerate(NAMES):
        position = bounds[number + 1]
        if position <= bounds[number]:
            continue
        depth = path.depths[position]
        run = path.run_at(depth)
        if run is None or depth in run.sights:
            continue
        sight = reuse.see(keys[name], now, run, depth)
        if sight is not None:
            run.sights[depth] = sight
