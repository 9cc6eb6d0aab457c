"""How long what is placed lives, by where it stands, and up to where it is written.

Rule 1: a policy that was fixed by the caller is followed to the letter.
Rule 2: `auto` writes nothing behind what it decided to write, but for the end of a text
that the caller said comes again, and of documents that are likely to.
Rule 3: what is alive is named whatever was decided, since nothing else reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from promptcache.outline import Outline
from promptcache.planning.past import Past
from promptcache.planning.places import head_end, lasting_ends, markable, stable_end
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.terms import WRITE, Terms
from promptcache.planning.writing import Writing, context_of, decide, prior
from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["Lifetimes", "lifetimes", "terms_of"]

DOCUMENT_PRIOR = 0.35
"""How likely the documents of a request come again, before anything is known."""

_WARMS = "tail not written: the request only warms what is before it"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what is placed lives, by what it ends; None places nothing there."""

    tools: Ttl | None
    system: Ttl | None
    shared: Ttl | None
    """What an earlier request had too."""
    history: Ttl | None
    part: Ttl | None
    """Texts within the last turn."""
    tail: Ttl | None
    until: int
    """The last block up to which all is worth writing."""
    parts: tuple[int, ...] = ()
    """Where texts end that are worth writing also behind that, the best first."""
    room: float = inf
    """What all writing may cost beyond plain input, in input tokens."""
    held: Ttl | None = None
    """What is alive for so long is named with it again, where that may be."""

    def allows(self, position: int, past: Past) -> bool:
        """Tell whether a breakpoint writes nothing that is not to be written."""
        return position <= max(self.until, past.entry) or position in self.parts


def lifetimes(
    outline: Outline, *, rules: Rules, policy: Policy, past: Past, ttl: Ttl | None
) -> tuple[Lifetimes, int, list[str]]:
    """Return what to write for how long, the end to write up to, and why not further.

    The end is -1 if the end of the request is not to be written.
    """
    tail = markable(outline, stable_end(outline, past))
    notes = [_WARMS] if outline.warms else []
    end = -1 if outline.warms else tail
    if policy.name != "auto":
        fixed = _fixed(outline, policy, past, rules, ttl)
        return fixed, end if fixed.tail is not None else -1, notes
    terms = terms_of(rules, ttl, policy)
    head = markable(outline, head_end(outline, past))
    if past.volatile is not None and past.shared < past.volatile:
        # What stands behind something that changes on every call is never read again.
        tail = end = -1
    if outline.warms:
        # It is sent to write, so there is nothing to decide but for how long.
        life = terms.short
        made = Writing(life, life, life, life, until=outline.length - 1)
    else:
        made = decide(outline, past, terms, head=head, tail=tail)
    lives = Lifetimes(
        tools=made.head or terms.short,
        system=made.head or terms.short,
        shared=made.seen or terms.short,
        history=made.turns or terms.short,
        part=made.last or terms.short,
        tail=made.last or terms.short,
        until=made.until,
        parts=tuple(_parts(outline, past, terms, made, head=head)),
        room=inf if outline.warms else past.room,
        held=terms.long,
    )
    return lives, end if end <= made.until else -1, [*notes, *made.notes]


def terms_of(rules: Rules, ttl: Ttl | None, policy: Policy | None = None) -> Terms:
    """Return the prices and lifetimes that may be chosen from.

    Args:
        rules: What the provider accepts.
        ttl: What the caller asked for; what is not on offer is not followed.
        policy: It may allow short lifetimes only.
    """
    if ttl is not None and ttl in rules.ttls:
        return Terms(rules.read, ttl, None, judged=WRITE[rules.ttls[0]])
    # What other long lifetimes cost is in no source, so none is chosen unasked.
    is_short = policy is not None and TTL_SECONDS[policy.max_ttl] < TTL_SECONDS["1h"]
    long: Ttl | None = "1h" if "1h" in rules.ttls[1:] and not is_short else None
    return Terms(rules.read, rules.ttls[0], long)


def _fixed(
    outline: Outline, policy: Policy, past: Past, rules: Rules, ttl: Ttl | None
) -> Lifetimes:
    given = (policy.tools, policy.system, policy.history, policy.tail)
    tools, system, history, tail = (ttl if it and ttl else it for it in given)
    parts: tuple[int, ...] = ()
    if history is not None:
        head = markable(outline, head_end(outline, past))
        documents, statics = lasting_ends(outline, past, head)
        terms = Terms(rules.read, history, None)
        parts = (*(documents if _are_worth(outline, past, terms) else ()), *statics)
    return Lifetimes(
        tools=tools,
        system=system,
        shared=history,
        history=history,
        part=history,
        tail=tail,
        until=outline.length - 1,
        parts=parts,
    )


def _parts(
    outline: Outline, past: Past, terms: Terms, made: Writing, *, head: int
) -> Iterator[int]:
    """Yield the ends of texts in the last turn that are worth a breakpoint.

    A static text is said to come again. Documents are worth one as long as requests
    like this one are not known for coming once.
    """
    documents, statics = lasting_ends(outline, past, head)
    if not _are_worth(outline, past, terms):
        documents = ()
    tokens, before = outline.blocks.tokens, max(made.until, past.entry)
    written = tokens[before] if before >= 0 else 0
    extra = terms.write(terms.short) - 1
    for position in (*documents, *statics):
        if extra * (tokens[position] - written) <= past.room - made.premium:
            yield position


def _are_worth(outline: Outline, past: Past, terms: Terms) -> bool:
    """Tell whether documents are likely enough to come again."""
    context = context_of(outline)
    usual = prior("last", context, terms.short_seconds)
    known = past.chances.get("last")
    mean = usual if known is None else known.short.mean
    return DOCUMENT_PRIOR * mean / usual > terms.break_even(terms.short)
