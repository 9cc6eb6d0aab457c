"""Which parts of a prompt are written, and for how long.

A prompt has up to four parts that are not alive: what is missing of its head (tools and
system prompt), what another request has shown before (the second sight), new turns, and
the last turn. Each is written if it is likely enough to come again.

Rule 1: an agent's new turns come again nearly always; what is left to decide is for how
long, and that goes by the books of its kind of traffic.
Rule 2: whatever is likely, writing never costs more than there is room for.
Rule 3: what was decided is said in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log2
from typing import Final

from promptcache.outline import Outline
from promptcache.planning.chances import Chance
from promptcache.planning.past import Again, Past
from promptcache.planning.places import end_before_last
from promptcache.planning.terms import Terms
from promptcache.planning.ways import is_cheap_to_promote
from promptcache.planning.worth import Part, choose, premium
from promptcache.ttl import Ttl

__all__ = [
    "NAMES",
    "Context",
    "Writing",
    "bounds_of",
    "context_of",
    "decide",
    "new_tokens",
    "prior",
]

Context = str
"""What a request looks like: `agent`, `tools` (a first question with tools), `chat`,
`single` (a first question) or `forced` (one whose answer has a given form)."""

NAMES: Final = ("head", "seen", "turns", "last")

HEAD_PRIOR = 0.6
SEEN_PRIOR = 0.35
FRESH_PRIORS = {
    "agent": 0.9,
    "tools": 0.5,
    "chat": 0.35,
    "single": 0.12,
    "forced": 0.12,
}
"""How likely a part comes again within five minutes, before anything is known. Source:
recorded sessions of coding agents, and an hour of a public chat service; those of
`tools` and `forced`, and of heads, stand in no source."""

LATER_SECONDS, LATER = 1_800.0, 1.5
"""Within half an hour and more, each has so many times as many chances. Source: that
hour of the chat service, where 17 % of what was new came again within five minutes and
26 % within thirty, and 43 % and 55 % of what had come before."""

LATER_PRIOR = 0.35
"""The least that is taken for granted of what is new, with half an hour to come again:
in that hour of the chat service, writing all of it was cheapest then, so it is written
until counts tell otherwise. So much clears the break-even with all doubt taken off."""

SLIGHT = 0.03
"""Part of a request below which what is new is not taken for the likelier to come
again the smaller it is: little is at stake, and questions about one long text are as
short."""

SMALLEST = 512
"""Tokens of the smallest of what was counted there; what is smaller is taken for one of
these, as it costs little if it is wrong."""


@dataclass(slots=True)
class Writing:
    """What of a request is worth writing, and for how long."""

    head: Ttl | None = None
    seen: Ttl | None = None
    turns: Ttl | None = None
    last: Ttl | None = None
    """None if the end of the request is not written."""
    until: int = -1
    """The last block that is written, or alive already."""
    premium: float = 0.0
    """What it costs beyond the price of plain input, in input tokens."""
    notes: list[str] = field(default_factory=list)


def context_of(outline: Outline) -> Context:
    """Return what kind of traffic a request looks like."""
    if outline.forced:
        return "forced"
    if outline.has_tools:
        return "agent" if outline.has_answers else "tools"
    return "chat" if outline.has_answers else "single"


def prior(
    part: str, context: Context, seconds: float = 300.0, tokens: float = 1e9
) -> float:
    """Return how likely a part comes again, before anything is known of it.

    Args:
        part: One of `NAMES`.
        context: What the request looks like.
        seconds: Within which time.
        tokens: Those of what is new in the request.
    """
    least = 0.0
    if part == "head":
        chance = HEAD_PRIOR
    elif part == "seen":
        chance = SEEN_PRIOR
    else:
        chance = FRESH_PRIORS[context]
        if context in ("chat", "single"):
            chance = max(chance, _by_size(tokens))
            least = LATER_PRIOR
    if seconds < LATER_SECONDS:
        return chance
    later: float = 1 - (1 - chance) ** LATER
    # An hour is dearer: nothing is taken for granted there beyond what was seen.
    return max(later, least) if seconds == LATER_SECONDS else later


def _by_size(tokens: float) -> float:
    """Return how likely what is new comes again, by how much it is.

    In an hour of the chat service it was 41 % of what had 512 tokens, 23 % of what had
    some 4,000, and 12 % of what had 20,000 and more.
    """
    return max(0.4 - 0.053 * log2(max(tokens / SMALLEST, 1)), 0.0)


def new_tokens(outline: Outline, shared: int) -> float:
    """Return what of a request is new behind its head, in tokens; boundless if slight.

    Args:
        outline: The request.
        shared: The last block that another request had, too; -1 if none had any.
    """
    tokens, before = outline.blocks.tokens, max(shared, outline.system_end - 1)
    new = outline.total_tokens - (tokens[before] if before >= 0 else 0)
    return inf if new < SLIGHT * outline.total_tokens else new


def bounds_of(
    outline: Outline, *, live: int, head: int, shared: int, tail: int
) -> tuple[int, int, int, int, int]:
    """Return the last block before the parts of a request, and that of each of them.

    A part that is not there ends where the one before it does.
    """
    head = max(live, head)
    shared = max(head, min(shared, tail))
    turns = max(shared, min(end_before_last(outline, tail), tail))
    return live, head, shared, turns, max(turns, tail)


def decide(
    outline: Outline, past: Past, terms: Terms, *, head: int, tail: int
) -> Writing:
    """Decide what of a request is written.

    Args:
        outline: The request.
        past: What is known of it.
        terms: What the provider asks for.
        head: The last block of the head that may come again; -1 if there is none.
        tail: The last block that is worth writing at all; -1 if none is.
    """
    context = context_of(outline)
    bounds = bounds_of(
        outline, live=past.entry, head=head, shared=past.shared, tail=tail
    )
    new = new_tokens(outline, past.shared)
    parts = [
        _part(
            outline,
            bounds[number : number + 2],
            past.chances.get(name) or _usual(name, context, terms, new),
            past.shared,
        )
        for number, name in enumerate(NAMES)
    ]
    lives: Sequence[Ttl | None] = choose(parts, terms, room=past.room)
    notes = list[str]()
    until = _until(bounds, parts, lives)
    if until < tail:
        most = _until(bounds, parts, choose(parts, terms, room=inf))
        notes.append(_why_not(parts, is_worth=most >= tail))
    elif context in ("agent", "tools") and any(part.tokens for part in parts):
        lives, notes = _for_an_agent(outline, past, terms, parts, lives)
        until = _until(bounds, parts, lives)
    head_life, seen, turns, last = _with_empty(parts, lives)
    return Writing(
        head_life,
        seen,
        turns,
        last,
        until=until,
        premium=premium(parts, lives, terms),
        notes=notes,
    )


def _usual(name: str, context: Context, terms: Terms, tokens: float) -> Again:
    """Return what is taken for granted of a part of which nothing is known."""
    spans = (terms.short_seconds, terms.long_seconds)
    return Again(*(Chance(prior(name, context, it, tokens), 0.0) for it in spans))


def _until(
    bounds: Sequence[int], parts: Sequence[Part], lives: Sequence[Ttl | None]
) -> int:
    """Return the last block that is written, or alive already."""
    until = bounds[0]
    for end, part, life in zip(bounds[1:], parts, lives, strict=True):
        if life is None and part.tokens:
            break
        until = end
    return until


def _with_empty(parts: Sequence[Part], lives: Sequence[Ttl | None]) -> list[Ttl | None]:
    """Return the lifetimes, with that of the part before for each that is empty."""
    filled: list[Ttl | None] = []
    for part, life in zip(parts, lives, strict=True):
        filled.append(filled[-1] if filled and not part.tokens else life)
    return filled


def _why_not(parts: Sequence[Part], *, is_worth: bool) -> str:
    if is_worth:
        return "tail not written: writing has cost as much as it may"
    last = [part for part in parts if part.tokens][-1]
    return f"tail not written: {last.short.mean:.0%} likely to be read again"


def _for_an_agent(
    outline: Outline,
    past: Past,
    terms: Terms,
    parts: Sequence[Part],
    lives: Sequence[Ttl | None],
) -> tuple[Sequence[Ttl | None], list[str]]:
    """Return the lifetimes by the books of the traffic."""
    if past.way == "none":
        note = "nothing written: by the books, that is cheapest here"
        return [None] * len(parts), [note]
    is_long = False
    if past.way == "long":
        # What follows a prefix that dies sooner is not read for longer either.
        is_long = past.entry < 0 or past.is_firm
    elif past.way == "promote" and past.entry >= 0:
        tokens = outline.blocks.tokens
        held = tokens[past.held] if past.held >= 0 else 0
        is_long = is_cheap_to_promote(
            sum(part.tokens for part in parts),
            tokens[past.entry] - held,
            pauses=past.pauses,
            gaps=past.gaps,
            terms=terms,
        )
    for life in (terms.long if is_long else None, terms.short):
        whole = [life] * len(parts)
        if life is not None and premium(parts, whole, terms) <= past.room:
            return whole, []
    return lives, []


def _part(outline: Outline, bounds: Sequence[int], again: Again, shared: int) -> Part:
    """Return the part behind one block and up to another."""
    start, end = bounds
    tokens, size = outline.blocks.tokens, 0
    if end > start:
        size = tokens[end] - (tokens[start] if start >= 0 else 0)
    return Part(size, again.short, again.long, is_new=end > shared)
