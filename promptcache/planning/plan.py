"""One request planned: which prefixes are cached, for how long, and why.

Rule 1: a plan is a function of its arguments; it knows no clock and no state.
Rule 2: whatever the caller marked, the result is what the provider accepts.
Rule 3: every breakpoint has a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from promptcache.options import CallOptions
from promptcache.outline import Mode, Outline
from promptcache.planning.candidates import candidates
from promptcache.planning.keys import cache_key
from promptcache.planning.marks import Marks
from promptcache.planning.past import NOTHING_KNOWN, Past
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import FIXED, Reason
from promptcache.planning.slots import Rules, Slots
from promptcache.ttl import Ttl

__all__ = ["Breakpoint", "Plan", "plan"]

NOTHING_SAID = CallOptions()


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Cache everything up to and including one block of the request."""

    position: int
    ttl: Ttl
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions for one request."""

    breakpoints: tuple[Breakpoint, ...] = ()
    """In the order of the prompt; `fixed` ones are the caller's own."""
    automatic: Ttl | None = None
    """Lifetime of what the provider caches at a place of its own choice."""
    automatic_position: int = -1
    """Where that falls; -1 if there is none or no block for it."""
    automatic_reason: Reason = FIXED
    """Why it is on."""
    mode: Mode | None = None
    """Whether the provider may choose a place; None where it cannot be told."""
    ttl: Ttl | None = None
    """Lifetime for the request as a whole, where it has one."""
    key: str | None = None
    """What brings requests that share a prefix together, where it can be named."""
    retention: Literal["24h"] | None = None
    """How long to keep what has no breakpoint, if the caller asked for that."""
    bare: bool = False
    """Every breakpoint of the caller's would be refused, so none is sent."""
    dropped: tuple[str, ...] = ()
    """The caller's markers that would have been refused."""
    shortened: tuple[str, ...] = ()
    """The caller's markers whose lifetime would have been refused."""
    notes: tuple[str, ...] = ()
    """What was decided against, and why."""

    @property
    def entries(self) -> tuple[tuple[int, Ttl], ...]:
        """Positions whose prefixes are written or read, with their lifetimes."""
        entries = [(point.position, point.ttl) for point in self.breakpoints]
        if self.automatic is not None and self.automatic_position >= 0:
            entries.append((self.automatic_position, self.automatic))
        return tuple(sorted(entries))


def plan(
    outline: Outline,
    *,
    rules: Rules,
    policy: Policy,
    past: Past = NOTHING_KNOWN,
    options: CallOptions = NOTHING_SAID,
) -> Plan:
    """Plan one request.

    Args:
        outline: The request.
        rules: What the provider accepts for this model on this host.
        policy: What to place.
        past: What is known of the requests before.
        options: What the caller said: the lifetime of what is placed, and whose
            request it is.
    """
    if policy.name == "off":
        return Plan()
    if rules.matching == "lookback":
        return _with_breakpoints(outline, rules, policy, past, options.ttl)
    if rules.matching == "named":
        return Plan(notes=_volatile(outline, past))
    key = cache_key(outline, rules=rules, past=past, options=options)
    if rules.matching == "prefix":
        return _without_breakpoints(outline, rules, past, options.ttl, key)
    marks = Marks.placed(
        outline, rules=rules, policy=policy, past=past, ttl=options.ttl
    )
    return Plan(
        breakpoints=_sorted(marks.taken),
        automatic=marks.automatic,
        automatic_position=outline.implicit,
        automatic_reason="tail" if outline.mode is None else FIXED,
        mode=marks.mode,
        ttl=marks.ttl,
        key=key,
        dropped=(*map(str, outline.illegal), *outline.illegal_options),
        notes=marks.notes,
    )


def _with_breakpoints(
    outline: Outline, rules: Rules, policy: Policy, past: Past, ttl: Ttl | None
) -> Plan:
    slots = Slots(outline, rules)
    wanted, notes = candidates(outline, rules=rules, policy=policy, past=past, ttl=ttl)
    for candidate in wanted:
        slots.place(candidate.position, candidate.ttl, candidate.reason)
    return Plan(
        breakpoints=_sorted(slots.taken),
        automatic=slots.automatic,
        automatic_position=slots.automatic_position,
        dropped=tuple(slots.dropped),
        shortened=tuple(slots.shortened),
        notes=notes,
    )


def _without_breakpoints(
    outline: Outline, rules: Rules, past: Past, ttl: Ttl | None, key: str | None
) -> Plan:
    bare, dropped = rules.refuses_breakpoints, list[str]()
    if bare:
        places = [*outline.illegal, *map(outline.place, sorted(outline.markers))]
        dropped = [str(place) for place in places]
        if outline.has_options:
            dropped.append("prompt_cache_options")
    notes = [*_volatile(outline, past)]
    if ttl not in (None, "24h") or (ttl == "24h" and not rules.retains):
        notes.append(f"{ttl} is not on offer for this model")
    return Plan(
        key=key,
        retention="24h" if ttl == "24h" and rules.retains else None,
        bare=bool(dropped),
        dropped=tuple(dropped),
        notes=tuple(notes),
    )


def _volatile(outline: Outline, past: Past) -> tuple[str, ...]:
    if past.volatile is None:
        return ()
    return (f"{outline.place(past.volatile)} changes on every call",)


def _sorted(taken: Mapping[int, tuple[Ttl, Reason]]) -> tuple[Breakpoint, ...]:
    return tuple(
        Breakpoint(position, ttl, reason)
        for position, (ttl, reason) in sorted(taken.items())
    )
