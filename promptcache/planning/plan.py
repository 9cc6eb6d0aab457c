"""One request planned: which prefixes are cached, for how long, and why.

Rule 1: a plan is a function of its arguments; it knows no clock and no state.
Rule 2: whatever the caller marked, the result is what the provider accepts.
Rule 3: every breakpoint has a reason.
"""

from dataclasses import dataclass

from promptcache.outline import Outline
from promptcache.planning.candidates import NOTHING_KNOWN, Past, candidates
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import Reason
from promptcache.planning.slots import Rules, Slots
from promptcache.ttl import Ttl

__all__ = ["Breakpoint", "Plan", "plan"]


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
    """Lifetime of the caller's automatic caching, where that stays."""
    automatic_position: int = -1
    """Where that falls; -1 if there is none or no block for it."""
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
    ttl: Ttl | None = None,
) -> Plan:
    """Plan one request.

    Args:
        outline: The request.
        rules: What the provider accepts for this model on this host.
        policy: What to place.
        past: What is known of the requests before.
        ttl: Lifetime of what is placed, if the caller chose one.
    """
    if policy.name == "off":
        return Plan()
    slots = Slots(outline, rules)
    wanted, notes = candidates(outline, rules=rules, policy=policy, past=past, ttl=ttl)
    for candidate in wanted:
        slots.place(candidate.position, candidate.ttl, candidate.reason)
    return Plan(
        breakpoints=tuple(
            Breakpoint(position, ttl, reason)
            for position, (ttl, reason) in sorted(slots.taken.items())
        ),
        automatic=slots.automatic,
        automatic_position=slots.automatic_position,
        dropped=tuple(slots.dropped),
        shortened=tuple(slots.shortened),
        notes=notes,
    )
