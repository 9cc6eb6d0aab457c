"""What was decided for a request as a whole, and what was decided against."""

from collections.abc import Iterable, Iterator

from promptcache.analysis.explain.weighing import Stretch
from promptcache.outline import Outline
from promptcache.planning.past import Past
from promptcache.planning.places import head_end, reaches
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules

__all__ = ["notes_on", "options_of"]


def options_of(decided: Plan) -> dict[str, str]:
    """Return what a plan says for the request as a whole, by name."""
    said = {
        "key": decided.key,
        "mode": decided.mode,
        "lifetime": decided.ttl,
        "retention": decided.retention,
    }
    return {name: str(value) for name, value in said.items() if value is not None}


def notes_on(
    outline: Outline,
    past: Past,
    decided: Plan,
    *,
    rules: Rules,
    parts: Iterable[Stretch],
) -> Iterator[str]:
    """Yield what was decided against, and why.

    Args:
        outline: The request.
        past: What was known of it.
        decided: Its plan.
        rules: What its provider accepts.
        parts: What of it is not alive.
    """
    yield from (f"{path} dropped: it would be refused" for path in decided.dropped)
    for path in decided.shortened:
        yield f"{path} shortened: no longer lifetime may follow a shorter one"
    yield from decided.notes
    if rules.matching == "prefix":
        yield "nothing marked: this model reads what it had lately, and writes for free"
    elif rules.matching == "named":
        yield "nothing marked: a cached content is made once those to come pay for it"
    if not reaches(outline, outline.length - 1, rules):
        yield f"nothing cached: {_too_short(outline, outline.length - 1, rules)}"
        return
    head = head_end(outline, past)
    if past.entry < head and not reaches(outline, head, rules):
        yield f"no breakpoint after the head: {_too_short(outline, head, rules)}"
    for part in parts:
        # The plan itself says it of the last turn.
        if part.ttl is None and part.name != "last":
            likely = f"{part.short.mean:.0%} likely to be read again"
            yield f"{part.name} not written: {part.tokens:,} tokens, {likely}"


def _too_short(outline: Outline, position: int, rules: Rules) -> str:
    size = outline.blocks.tokens[position] if position >= 0 else 0
    return (
        f"about {size:,} tokens, and this model caches from {rules.minimum_tokens:,} on"
    )
