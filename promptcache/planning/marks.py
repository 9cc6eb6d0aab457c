"""Breakpoints where a prefix is found only at the very place where one was written.

Rule 1: surplus breakpoints are not refused, only the latest ones are written: so the
caller's keep their slots, and ours take what is left.
Rule 2: the place that the provider chooses itself is the end of the request. It is
left to do so only where that end is likely to come again.
Rule 3: an entry that is still alive is named again: nothing else finds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from promptcache.outline import Mode, Outline
from promptcache.planning.candidates import (
    READ,
    WRITE,
    Lifetimes,
    Past,
    break_even,
    end_before_last,
    grows,
    head_end,
    lifetimes,
    markable,
    part_ends,
    reaches,
    stable_end,
    tail_chance,
)
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import FIXED, Reason
from promptcache.planning.slots import Rules
from promptcache.ttl import Ttl

__all__ = ["Marks"]


@dataclass(slots=True)
class Marks:
    """The breakpoints of one request, and who places the last one."""

    taken: dict[int, tuple[Ttl, Reason]] = field(default_factory=dict)
    """Lifetime and reason by position."""
    mode: Mode = "implicit"
    ttl: Ttl = "30m"
    """Lifetime for the request as a whole."""
    automatic: Ttl | None = None
    """Lifetime at the place that the provider chooses, if it may."""
    notes: tuple[str, ...] = ()

    @classmethod
    def placed(
        cls,
        outline: Outline,
        *,
        rules: Rules,
        policy: Policy,
        past: Past,
        ttl: Ttl | None,
    ) -> "Marks":
        """Return the breakpoints that are worth their price."""
        notes: list[str] = []
        if ttl is not None and ttl not in rules.ttls:
            notes.append(f"{ttl} is not on offer for this model here")
            ttl = None
        lives = lifetimes(policy, outline.automatic or rules.ttls[0], ttl)
        tail = _tail(outline, policy, past, lives, notes)
        mode = outline.mode or _mode(outline, past, tail)
        whole = outline.automatic or ttl or lives.tail or rules.ttls[0]
        whole = whole if whole in rules.ttls else rules.ttls[0]
        marks = cls(mode=mode, ttl=whole)
        if mode == "implicit" and outline.implicit >= 0:
            marks.automatic = whole
        for position, own in outline.markers.items():
            marks.taken[position] = (own, FIXED)
        room = rules.max_breakpoints - (mode == "implicit")
        for position, life, reason in _places(outline, past, lives, tail):
            if life is None or not reaches(outline, position, rules):
                continue
            if position in marks.taken:
                continue
            # One before the latest is not written, but what is there is found.
            read_only = reason == "previous" and _is_surplus(marks, position, room)
            if len(marks.taken) >= room and not read_only:
                continue
            if position == outline.implicit and mode == "implicit":
                continue
            offered = life if life in rules.ttls else rules.ttls[0]
            marks.taken[position] = (offered, reason)
        if past.volatile is not None:
            notes.append(f"{outline.place(past.volatile)} changes on every call")
        marks.notes = tuple(notes)
        return marks


def _tail(
    outline: Outline, policy: Policy, past: Past, lives: Lifetimes, notes: list[str]
) -> int:
    """Return the end of the request if that is to be written, else -1."""
    if outline.warms:
        return markable(outline, outline.length - 1)
    if lives.tail is None:
        return -1
    if policy.name == "auto":
        chance = tail_chance(outline, past)
        if chance <= break_even(lives.tail):
            notes.append(f"tail not written: {chance:.0%} likely to be read again")
            return -1
    return markable(outline, stable_end(outline, past))


def _mode(outline: Outline, past: Past, tail: int) -> Mode:
    # A request that has nothing but a head is written where the provider chooses, and
    # what it puts before a request is found only where it chose then.
    only_head = 0 <= outline.implicit < outline.system_end
    if past.unstable is not None and past.unstable <= outline.implicit:
        # What it would write is not there again.
        return "explicit" if outline.trail is None else "implicit"
    chosen = tail >= 0 or only_head or outline.trail is not None
    return "implicit" if chosen or _reads_unmarked(outline, past) else "explicit"


def _reads_unmarked(outline: Outline, past: Past) -> bool:
    """Tell whether an entry that takes no breakpoint is worth writing the end for."""
    if past.entry < 0 or not outline.blocks.refusals[past.entry]:
        return False
    read = outline.blocks.tokens[past.entry]
    saved, extra = read * (1 - READ), (outline.total_tokens - read) * (WRITE["30m"] - 1)
    return past.entry < outline.system_end and saved > extra


def _is_surplus(marks: Marks, position: int, room: int) -> bool:
    """Tell whether so many breakpoints come after a place that it is not written."""
    return sum(taken > position for taken in marks.taken) >= room


def _places(
    outline: Outline, past: Past, lives: Lifetimes, tail: int
) -> Iterator[tuple[int, Ttl | None, Reason]]:
    """Yield every place worth a breakpoint, the dearest to lose first."""
    head = markable(outline, head_end(outline, past))
    if tail > head:
        yield tail, lives.tail, "tail"
    if head >= outline.tools_end:
        yield head, lives.system, "system"
    yield from part_ends(outline, past, lives, head)
    entry = past.entry
    if entry >= outline.tools_end and not outline.blocks.refusals[entry]:
        yield entry, lives.history, "previous"
    shared = markable(outline, past.shared)
    if shared > head:
        yield shared, lives.history, "shared"
    if grows(outline, shared, head):
        stable = markable(outline, end_before_last(outline, past))
        if stable > shared:
            yield stable, lives.history, "stable"
    for position in range(outline.tools_end, head):
        if not outline.blocks.refusals[position]:
            yield position, lives.system, "system"
