"""What was written of a prefix, for how long, and what of it can still be read.

Rule 1: nothing is taken to be alive that may not be. What reading refreshes besides the
prefix that is read are those that it was built on.
"""

from collections.abc import Sequence

from promptcache.outline import Outline
from promptcache.planning.terms import Terms
from promptcache.state.paths import Mark, Path
from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["Entries", "alive", "found", "mark", "premium", "promise", "rewrite"]

Entries = tuple[tuple[int, Ttl], ...]
"""Where a request had breakpoints, in its order, and for how long."""


def alive(
    path: Path, now: float, terms: Terms, *, firmly: bool
) -> tuple[int, int, bool]:
    """Return the deepest entry alive, the deepest that lives long, and if that is all.

    Args:
        path: What was seen of a request.
        now: Its start.
        terms: What the provider asks for.
        firmly: A prefix dies with the first of its tokens that does.
    """
    entry, held, is_firm = -1, -1, False
    for position, mark in path.marks():
        if not mark.is_live(now, firmly=firmly):
            continue
        life = mark.firm if firmly else mark.ttl
        if entry < 0:
            entry, is_firm = position, mark.firm == terms.long
        if life == terms.long:
            held = position
            break
    return entry, held, is_firm


def found(
    outline: Outline,
    path: Path,
    entries: Entries,
    now: float,
    *,
    firmly: bool,
    reach: int | None,
) -> int:
    """Return the last block of what a request reads; -1 if that is nothing.

    Args:
        outline: The request.
        path: What was seen of it before.
        entries: Where it has breakpoints.
        now: Its start.
        firmly: A prefix dies with the first of its tokens that does.
        reach: Look-back positions that are searched from each breakpoint; None: all.
    """
    units = outline.blocks.units
    live = [at for at, it in path.marks() if it.is_live(now, firmly=firmly)]
    for end, _ in reversed(entries):
        for position in live:
            is_near = reach is None or units[end] - units[position] < reach
            if position <= end and is_near:
                return position
    return -1


def mark(path: Path, entries: Entries, read: int, now: float, *, firmly: bool) -> None:
    """Note what a request writes, and that it keeps alive what it reads.

    Args:
        path: All of it.
        entries: Where it has breakpoints.
        read: The last block of what it reads.
        now: Its start.
        firmly: A prefix dies with the first of its tokens that does.
    """
    depths, base = path.depths, None
    at = depths[read] if read >= 0 else -1
    if at >= 0:
        base = path.mark_at(at)
    _refresh(path, at, now)
    for position, ttl in entries:
        depth = depths[position]
        if depth < 0 or depth == at:
            continue
        if position <= read:
            if base is not None:
                _stamp(path, depth, at, base, now, firmly=firmly)
            continue
        firm = ttl if base is None else _shorter(ttl, base.firm)
        made = Mark(ttl, firm, now, at)
        _put(path, depth, made, firmly=firmly)
        at, base = depth, made


def rewrite(path: Path, entries: Entries, now: float, *, firmly: bool) -> None:
    """Note that a request has written what it was to read."""
    for run, covered in path.runs:
        for depth in [it for it in run.marks if it < covered]:
            if run.marks[depth].used <= now:
                del run.marks[depth]
    mark(path, entries, -1, now, firmly=firmly)


def promise(path: Path, read: int, now: float, terms: Terms) -> int:
    """Return what is read if a promoted prefix is kept for the long lifetime."""
    idle = now - path.used()
    if read < 0 or not terms.short_seconds < idle < terms.long_seconds - 100:
        return -1
    mark = path.mark_at(path.depths[read])
    if mark is None or mark.firm == mark.ttl:
        return -1
    return read


def premium(
    outline: Outline,
    entries: Sequence[tuple[int, Ttl]],
    terms: Terms,
    *,
    read: int = -1,
) -> float:
    """Return what a request writes beyond the price of plain input.

    What stands before a breakpoint is written for the longest lifetime from there on.

    Args:
        outline: The request.
        entries: Where it has breakpoints.
        terms: What the provider asks for.
        read: The last block of what it reads; -1 if nothing of it is alive.
    """
    tokens, extra, price, end = outline.blocks.tokens, 0.0, 0.0, 0.0
    for position, ttl in sorted(entries, reverse=True):
        if position <= read:
            break
        extra += price * (end - tokens[position])
        price, end = max(price, terms.write(ttl) - 1), tokens[position]
    return extra + price * (end - (tokens[read] if read >= 0 else 0.0))


def _refresh(path: Path, depth: int, now: float) -> None:
    """Begin the lifetime of an entry anew, and of all that it was built on."""
    while depth >= 0:
        mark = path.mark_at(depth)
        if mark is None:
            return
        if mark.is_live(now, firmly=False):
            mark.used = max(mark.used, now)
        depth = mark.built_on


def _stamp(
    path: Path, depth: int, read: int, base: Mark, now: float, *, firmly: bool
) -> None:
    """Note an entry within what is read, which is found from now on, for as long."""
    at = read
    while at > depth:
        built_on = path.mark_at(at)
        at = -1 if built_on is None else built_on.built_on
    known = path.mark_at(depth) if at == depth else None
    if known is None or not known.is_live(now, firmly=False):
        # What stood here may be gone, and nothing is built on itself.
        before = known.built_on if known is not None else at if at < depth else -1
        made = Mark(base.ttl, base.firm, now, before)
        _put(path, depth, made, firmly=firmly)


def _put(path: Path, depth: int, made: Mark, *, firmly: bool) -> None:
    """Note an entry, unless there is one that lives longer."""
    run = path.run_at(depth)
    if run is None:
        return
    known = run.marks.get(depth)
    if known is None or known.until(firmly=firmly) <= made.until(firmly=firmly):
        run.mark(depth, made)


def _shorter(one: Ttl, other: Ttl) -> Ttl:
    return min(one, other, key=lambda it: TTL_SECONDS[it])
