"""Breakpoints where a prefix is found only at the very place where one was written.

Rule 1: surplus breakpoints are not refused, only the latest ones are written: so the
caller's keep their slots, and ours take what is left.
Rule 2: the place that the provider chooses itself is the end of the request. It is
left to do so only where that end is likely to come again.
Rule 3: an entry that is still alive is named again: nothing else finds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from promptcache.outline import Mode, Outline
from promptcache.planning.lifetimes import Lifetimes, lifetimes, terms_of
from promptcache.planning.past import Past
from promptcache.planning.places import (
    end_before_last,
    head_end,
    markable,
    reaches,
    stable_end,
)
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import FIXED, Reason
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.ttl import Ttl

__all__ = ["Marks"]

_Wanted: TypeAlias = tuple[int, Ttl | None, Reason]


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
        asked = outline.automatic or (ttl if ttl in rules.ttls else None)
        lives, tail, notes = lifetimes(
            outline, rules=rules, policy=policy, past=past, ttl=asked
        )
        if ttl not in (None, *rules.ttls):
            notes.append(f"{ttl} is not on offer for this model here")
        if outline.warms:
            tail, notes = markable(outline, outline.length - 1), []
        terms = terms_of(rules, asked, policy)
        mode = outline.mode or _mode(outline, past, lives, terms, tail)
        whole = asked or lives.tail or rules.ttls[0]
        marks = cls(mode=mode, ttl=whole if whole in rules.ttls else rules.ttls[0])
        if mode == "implicit" and outline.implicit >= 0:
            marks.automatic = marks.ttl
        for position, own in outline.markers.items():
            marks.taken[position] = (own, FIXED)
        room = rules.max_breakpoints - (mode == "implicit")
        for position, life, reason in _places(outline, past, lives, tail):
            is_allowed = lives.allows(position, past)
            if life and is_allowed and reaches(outline, position, rules):
                offered = life if life in rules.ttls else rules.ttls[0]
                marks._take(outline, position, (offered, reason), room=room)
        if past.volatile is not None:
            notes.append(f"{outline.place(past.volatile)} changes on every call")
        marks.notes = tuple(notes)
        return marks

    def _take(
        self, outline: Outline, position: int, mark: tuple[Ttl, Reason], *, room: int
    ) -> None:
        """Place a breakpoint if there is room, and if it is not there without it."""
        chosen = position == outline.implicit and self.mode == "implicit"
        if position in self.taken or chosen:
            return
        later = sum(taken > position for taken in self.taken)
        # One before the latest is not written, but what is there is found.
        if len(self.taken) < room or (mark[1] == "previous" and later >= room):
            self.taken[position] = mark


def _mode(
    outline: Outline, past: Past, lives: Lifetimes, terms: Terms, tail: int
) -> Mode:
    """Return whether the provider may write up to the place that it chooses."""
    tokens, alive = outline.blocks.tokens, past.entry
    read = tokens[alive] if alive >= 0 else 0
    extra = (outline.total_tokens - read) * (terms.write(terms.short) - 1)
    if outline.trail is not None:
        # What it puts before a request is found only where it chose then.
        return "implicit" if extra <= lives.room else "explicit"
    if past.unstable is not None and past.unstable <= outline.implicit:
        # What it would write is not there again.
        return "explicit"
    if tail >= 0 and extra <= lives.room:
        return "implicit"
    if alive >= 0 and outline.blocks.refusals[alive] and alive < outline.system_end:
        # What takes no breakpoint is read at the price of writing the end.
        return "implicit" if read * (1 - terms.read) > extra else "explicit"
    # A head with nothing behind it is written where the provider chooses.
    only_head = 0 <= outline.implicit < outline.system_end and extra <= lives.room
    return "implicit" if only_head and lives.system is not None else "explicit"


def _places(
    outline: Outline, past: Past, lives: Lifetimes, tail: int
) -> Iterator[_Wanted]:
    """Yield every place worth a breakpoint, the dearest to lose first."""
    head = markable(outline, head_end(outline, past))
    if tail > head:
        yield tail, lives.tail, "tail"
    entry = past.entry
    is_named = entry == head and lives.system is not None
    if (
        entry >= outline.tools_end
        and entry == markable(outline, entry)
        and not is_named
    ):
        yield entry, lives.history, "previous"
    if head >= outline.tools_end:
        yield head, lives.system, "system"
    for position in lives.parts:
        yield position, lives.part, "part"
    shared = markable(outline, past.shared)
    if shared > head:
        yield shared, lives.shared, "shared"
    end = markable(outline, stable_end(outline, past))
    stable = markable(outline, end_before_last(outline, end))
    if stable > max(shared, head):
        yield stable, lives.history, "stable"
    for position in range(outline.tools_end, head):
        if not outline.blocks.refusals[position]:
            yield position, lives.system, "system"
