"""The parts of requests that may be sent again, and what each is counted under.

Rule 1: parts are counted by what the traffic looks like, by the head that they stand
behind, and by turns and size; the more special count has its say as it grows.
"""

from collections.abc import Mapping, Sequence
from math import log1p

from promptcache.outline import Outline
from promptcache.planning.past import Again, Past
from promptcache.planning.terms import Terms
from promptcache.planning.writing import (
    NAMES,
    bounds_of,
    context_of,
    new_tokens,
    prior,
)
from promptcache.state.paths import Key, Lineage, Path
from promptcache.state.reuse import Reuse

__all__ = ["Keys", "chances_of", "follow", "keys_of", "note", "see", "windows_of"]

_MAX_TURNS = 3
_MAX_SIZE = 6
"""Requests are told apart by turns, and by the size of what is new, up to these."""

EARLY_SECONDS = 300.0

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


def windows_of(terms: Terms) -> tuple[float, ...]:
    """Return within which times it is watched what comes again, the shortest first.

    Five minutes are among them whatever the lifetimes: most of what comes again does so
    early, so what they show is known long before a longer lifetime is over.
    """
    lives = {EARLY_SECONDS, terms.short_seconds, terms.long_seconds}
    return tuple(sorted(lives))


def chances_of(
    reuse: Reuse,
    outline: Outline,
    path: Path,
    keys: Keys,
    lineage: Lineage,
    *,
    terms: Terms,
) -> dict[str, Again]:
    """Return how likely each part of a request comes again, by lifetimes."""
    context, new = context_of(outline), new_tokens(outline, path.shared)
    short, long = map(reuse.windows.index, (terms.short_seconds, terms.long_seconds))
    found, owned = {}, ("seen", *_TURNS) if _goes_on(lineage, path) else _TURNS
    lived = _own(lineage, reuse.windows)
    for name in NAMES:
        usual = [prior(name, context, it, new) for it in reuse.windows]
        if short:
            usual[short] = _like_early(reuse, keys[name], usual[0], usual[short])
        chances = [
            reuse.chance(keys[name], it, window, own if name in owned else None)
            for window, (it, own) in enumerate(zip(usual, lived, strict=True))
        ]
        found[name] = Again(chances[short], chances[long])
    return found


def _like_early(reuse: Reuse, keys: Sequence[Key], first: float, usual: float) -> float:
    """Return what is usual of a lifetime by what was counted long before it is over.

    It is as much likelier, or less, as what came again early: the chances not to come
    again are powers of each other.
    """
    early = reuse.chance(keys, first, 0).mean
    later: float = (1 - usual) ** (log1p(-early) / log1p(-first))
    return 1 - later


def _goes_on(lineage: Lineage, path: Path) -> bool:
    """Tell whether a request repeats the end of the one before it in a conversation."""
    if lineage.end < 0 or path.shared < 0:
        return False
    return path.depths[path.shared] >= lineage.end


def _own(
    lineage: Lineage, windows: Sequence[float]
) -> Sequence[tuple[float, float] | None]:
    """Return how often the end of a conversation came again, and of how often.

    That it has not ended so far does not say that it never will: one more gap counts
    that may have no end.
    """
    if lineage.ends < _SEVERAL or lineage.windows != windows:
        return [None] * len(windows)
    return [(times, lineage.ends + 1) for times in lineage.again]


def follow(lineage: Lineage, path: Path, windows: Sequence[float], now: float) -> None:
    """Count whether a conversation goes on from its end, or from something before.

    Questions about one long text share most of what they send, and yet the end of none
    of them ever comes again.

    Args:
        lineage: The conversation.
        path: What was seen of its next request.
        windows: What `windows_of` returned.
        now: The start of that request.
    """
    if not lineage.turns or lineage.end < 0:
        return
    if lineage.windows != windows:
        # It was asked for another lifetime, or another model.
        lineage.windows, lineage.ends = windows, 0.0
        lineage.again = (0.0,) * len(windows)
    came = _goes_on(lineage, path)
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
