"""Where a breakpoint would be worth a slot, the most valuable place first.

Rule 1: a block that may not carry a marker hands it to the one before.
Rule 2: a prefix below the provider's minimum is no candidate.
Rule 3: what changes on every call is never the last block of a candidate.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from promptcache.outline import Outline
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import Reason
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Kind
from promptcache.ttl import Ttl

__all__ = [
    "NOTHING_KNOWN",
    "READ",
    "WRITE",
    "Candidate",
    "Lifetimes",
    "Past",
    "break_even",
    "candidates",
    "end_before_last",
    "grows",
    "head_end",
    "lifetimes",
    "markable",
    "part_ends",
    "reaches",
    "stable_end",
    "tail_chance",
]

SLACK = 0.85
"""Sizes are estimates: a prefix within 15 % of the minimum is taken to reach it."""

PRIOR_WEIGHT = 8
"""Observations that the prior counts for, so that a few of them can turn it."""

DOCUMENT_PRIOR = 0.35
"""How likely the documents of a request come again, before anything is known."""

# What twelve hours cost is in no source; two is what an hour costs elsewhere.
WRITE: Mapping[Ttl, float] = {
    "5m": 1.25,
    "30m": 1.25,
    "1h": 2.0,
    "12h": 2.0,
    "24h": 2.0,
}
"""Price of a token that is written, in input tokens, by lifetime."""

READ = 0.1
"""Price of one that is read; some models ask less."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier requests say about this one; positions are this request's."""

    shared: int = -1
    """Deepest block that an earlier request had too, in the same prefix."""
    entry: int = -1
    """Deepest block at which an earlier request placed a breakpoint still alive."""
    volatile: int | None = None
    """Last block of the first part of the head that was another on every call so far.

    The tools are one part, and so is each system block.
    """
    repeated: int = 0
    """Requests like this one whose tail came again in a later request."""
    lost: int = 0
    """Requests like this one whose tail did not, for its lifetime."""
    shards: int = 1
    """Keys that the requests with this head are split over, so often do they come."""
    unstable: int | None = None
    """Where text stands that was given out as volatile; it will not be there again."""
    ends: tuple[tuple[int, Kind], ...] = ()
    """Blocks of the last turn that end with a static text or a document."""


NOTHING_KNOWN = Past()


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
    lives = lifetimes(policy, rules.ttls[0], ttl)
    notes: list[str] = []
    tail = markable(outline, stable_end(outline, past))
    if outline.warms:
        notes.append("tail not written: the request only warms what is before it")
        tail = -1
    elif lives.tail is not None and policy.name == "auto":
        chance = tail_chance(outline, past)
        if chance <= break_even(lives.tail):
            notes.append(f"tail not written: {chance:.0%} likely to be read again")
            tail = -1
    found = (
        Candidate(position, life, reason)
        for position, life, reason in _places(outline, rules, past, lives, tail)
        if life is not None and reaches(outline, position, rules)
    )
    if past.volatile is not None:
        notes.append(f"{outline.place(past.volatile)} changes on every call")
    return tuple(found), tuple(notes)


def tail_chance(outline: Outline, past: Past) -> float:
    """Return how likely the end of this request comes again while it lives.

    The priors are those of the traffic that was studied: agent loops repeat nearly
    every tail, chats about a third, single questions one in eight.
    """
    if outline.forced or not (outline.has_tools or outline.has_answers):
        prior = 0.12
    elif outline.has_tools:
        prior = 0.9 if outline.has_answers else 0.5
    else:
        prior = 0.35
    seen = past.repeated + past.lost
    return (PRIOR_WEIGHT * prior + past.repeated) / (PRIOR_WEIGHT + seen)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what is placed lives, by section; None places nothing there."""

    tools: Ttl | None
    system: Ttl | None
    history: Ttl | None
    tail: Ttl | None


def lifetimes(policy: Policy, default: Ttl, ttl: Ttl | None) -> Lifetimes:
    """Return the lifetimes that the policy and the caller's `ttl` ask for."""
    if policy.name == "auto":
        life = ttl or default
        return Lifetimes(life, life, life, life)
    given = (policy.tools, policy.system, policy.history, policy.tail)
    return Lifetimes(*(ttl if life and ttl else life for life in given))


def break_even(ttl: Ttl) -> float:
    """Return the chance of a reading from which on a write pays."""
    return (WRITE[ttl] - 1) / (WRITE[ttl] - READ)


def _places(
    outline: Outline, rules: Rules, past: Past, lives: Lifetimes, tail: int
) -> Iterator[tuple[int, Ttl | None, Reason]]:
    """Yield every place worth a breakpoint, the dearest to lose first."""
    units = outline.blocks.units
    head = markable(outline, head_end(outline, past))
    shared = markable(outline, past.shared)
    deepest = tail if tail > head else shared
    if tail > head:
        yield tail, lives.tail, "tail"
    # Beyond the look-back of the deepest breakpoint an entry must be named itself.
    entry = markable(outline, past.entry)
    if head < entry < deepest and units[deepest] - units[entry] >= rules.lookback:
        yield entry, lives.history, "previous"
    yield from _heads(outline, head, lives)
    yield from part_ends(outline, past, lives, head)
    if shared > head:
        yield shared, lives.history, "shared"
    if tail > head or outline.warms or grows(outline, shared, head):
        stable = markable(outline, end_before_last(outline, past))
        if stable > head:
            yield stable, lives.history, "stable"
    if tail > head:
        floor = max(head, entry)
        for position in _spaced(outline, floor, tail, rules.lookback):
            yield position, lives.history, "spaced"
    for position in range(outline.tools_end, head):
        yield from _heads(outline, markable(outline, position), lives)
    if head >= outline.tools_end:
        yield from _heads(outline, markable(outline, outline.tools_end - 1), lives)


def _heads(
    outline: Outline, position: int, lives: Lifetimes
) -> Iterator[tuple[int, Ttl | None, Reason]]:
    if position >= outline.tools_end:
        yield position, lives.system, "system"
    elif position >= 0:
        yield position, lives.tools, "tools"


def head_end(outline: Outline, past: Past) -> int:
    """Return the last block of the head before any that changes on every call."""
    if past.volatile is None:
        return outline.system_end - 1
    return past.volatile - 1 if past.volatile >= outline.tools_end else -1


def stable_end(outline: Outline, past: Past) -> int:
    """Return the last block of what the next request may have too."""
    return (outline.length if past.unstable is None else past.unstable) - 1


def end_before_last(outline: Outline, past: Past) -> int:
    """Return the end of the turns before the last one that may come again."""
    last = bisect_right(outline.starts, stable_end(outline, past)) - 1
    return outline.message_end(last - 1)


def grows(outline: Outline, shared: int, head: int) -> bool:
    """Tell whether a conversation is known to go on, even if its last turns do not.

    The last turn of a chat about documents has them, and the history of the next one
    does not: all turns but that come again.

    Args:
        outline: The request.
        shared: Deepest block that an earlier request had too.
        head: Last block of the head.
    """
    return outline.has_answers and shared > head


def part_ends(
    outline: Outline, past: Past, lives: Lifetimes, head: int
) -> Iterator[tuple[int, Ttl | None, Reason]]:
    """Yield where static texts and documents of the last turn end, the latest first.

    A static text is said to come again. Of documents only the last one's end is worth
    a breakpoint, as long as requests like this one are not known for coming once.
    """
    refusals, end = outline.blocks.refusals, stable_end(outline, past)
    stable = [it for it in past.ends if head < it[0] <= end and not refusals[it[0]]]
    documents = [position for position, kind in stable if kind == "document"]
    if documents and lives.history is not None:
        seen = past.repeated + past.lost
        again = PRIOR_WEIGHT * DOCUMENT_PRIOR + past.repeated
        if again / (PRIOR_WEIGHT + seen) > break_even(lives.history):
            yield documents[-1], lives.history, "part"
    for position, kind in reversed(stable):
        if kind == "static":
            yield position, lives.history, "part"


def _spaced(outline: Outline, floor: int, tail: int, step: int) -> Iterator[int]:
    """Yield places a look-back apart, from the tail backwards to the floor."""
    units = outline.blocks.units
    reached = units[tail]
    for position in range(tail - 1, floor, -1):
        if units[position] <= reached - step and not outline.blocks.refusals[position]:
            reached = units[position]
            yield position


def markable(outline: Outline, position: int) -> int:
    """Return the last block up to a position that may carry a breakpoint, or -1."""
    refusals = outline.blocks.refusals
    while position >= 0 and refusals[position]:
        position -= 1
    return position


def reaches(outline: Outline, position: int, rules: Rules) -> bool:
    """Tell whether the prefix that ends with a block is long enough to be cached."""
    return outline.blocks.tokens[position] >= SLACK * rules.minimum_tokens
