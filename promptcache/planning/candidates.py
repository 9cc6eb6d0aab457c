"""Where a breakpoint would be worth a slot, the most valuable place first.

Rule 1: a prefix below the provider's minimum is no candidate.
Rule 2: what is alive is named where no breakpoint that is sure of a slot looks back as
far as to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from promptcache.outline import Outline
from promptcache.planning.lifetimes import Lifetimes, lifetimes
from promptcache.planning.past import Past
from promptcache.planning.places import (
    end_before_last,
    head_end,
    markable,
    reaches,
    spaced,
    stable_end,
)
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import Reason
from promptcache.planning.slots import Rules
from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["Candidate", "candidates"]

_Wanted: TypeAlias = tuple[int, Ttl | None, Reason]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place worth a slot."""

    position: int
    ttl: Ttl
    reason: Reason


def candidates(
    outline: Outline,
    *,
    rules: Rules,
    policy: Policy,
    past: Past,
    ttl: Ttl | None = None,
) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Return the places worth a slot, best first, and notes on what is left out."""
    lives, tail, notes = lifetimes(
        outline, rules=rules, policy=policy, past=past, ttl=ttl
    )
    found = (
        Candidate(position, _longer(life, position, past, lives), reason)
        for position, life, reason in _places(outline, rules, past, lives, tail)
        if life is not None
        and lives.allows(position, past)
        and reaches(outline, position, rules)
    )
    if past.volatile is not None:
        notes.append(f"{outline.place(past.volatile)} changes on every call")
    return tuple(found), tuple(notes)


def _longer(life: Ttl, position: int, past: Past, lives: Lifetimes) -> Ttl:
    """Return the long lifetime for what lives so long already: it costs nothing."""
    held = lives.held
    if held and position <= past.held and TTL_SECONDS[held] > TTL_SECONDS[life]:
        return held
    return life


def _places(
    outline: Outline, rules: Rules, past: Past, lives: Lifetimes, tail: int
) -> Iterator[_Wanted]:
    """Yield every place worth a breakpoint, the dearest to lose first."""
    head = markable(outline, head_end(outline, past))
    shared = markable(outline, past.shared)
    entry = markable(outline, past.entry)
    seen: list[_Wanted] = [(shared, lives.shared, "shared")] if shared > head else []
    ends: list[_Wanted] = [(tail, lives.tail, "tail")] if tail > head else []
    yield from ends
    sure = [*(ends or seen), *_heads(outline, head, lives)]
    placed = [it[0] for it in sure if it[1] and lives.allows(it[0], past)]
    if entry >= 0 and not _is_reached(outline, entry, placed, rules.lookback):
        yield entry, lives.history, "previous"
    yield from _heads(outline, head, lives)
    if head < past.held != entry and past.held == markable(outline, past.held):
        yield past.held, lives.held, "held"
    for position in lives.parts:
        yield position, lives.part, "part"
    if shared > entry:
        yield from seen
    end = markable(outline, stable_end(outline, past))
    stable = markable(outline, end_before_last(outline, end))
    if stable > head:
        yield stable, lives.history, "stable"
    yield from seen
    if tail > head:
        for position in spaced(outline, max(head, entry), tail, rules.lookback):
            yield position, lives.tail or lives.history, "spaced"
    for position in range(outline.tools_end, head):
        yield from _heads(outline, markable(outline, position), lives)
    if head >= outline.tools_end:
        yield from _heads(outline, markable(outline, outline.tools_end - 1), lives)


def _is_reached(outline: Outline, entry: int, placed: list[int], lookback: int) -> bool:
    """Tell whether one of some breakpoints looks back as far as to an entry."""
    units = outline.blocks.units
    return any(
        entry <= position and units[position] - units[entry] < lookback
        for position in placed
    )


def _heads(outline: Outline, position: int, lives: Lifetimes) -> Iterator[_Wanted]:
    if position >= outline.tools_end:
        yield position, lives.system, "system"
    elif position >= 0:
        yield position, lives.tools, "tools"
