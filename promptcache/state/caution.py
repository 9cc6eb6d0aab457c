"""What may be planned where little may be lost any more.

What is taken to be alive may be gone, and then naming it writes it. So a request names
no more than what may be paid for even then, and the dear lifetime only if that may.
"""

from dataclasses import replace

from promptcache.outline import Outline
from promptcache.planning.chances import Chance
from promptcache.planning.past import Again, Past
from promptcache.planning.terms import Terms

__all__ = ["within_room"]

NEVER = Chance(0.0, 0.0)


def within_room(past: Past, outline: Outline, terms: Terms) -> Past:
    """Return the past with as much of it as a plan may rely on.

    Args:
        past: What is known of a request, and what it may cost beyond plain input.
        outline: The request.
        terms: What the provider asks for.
    """
    dear = terms.write(terms.long or terms.short) - 1
    if past.entry < 0 or past.room >= dear * outline.total_tokens:
        return past
    lost = (terms.write(terms.short) - 1) * outline.blocks.tokens[past.entry]
    if past.room < lost:
        return replace(past, entry=-1, held=-1, is_firm=False)
    return replace(
        past,
        held=-1,
        is_firm=False,
        chances={name: Again(it.short, NEVER) for name, it in past.chances.items()},
        way="none" if past.way == "none" else "short",
        room=past.room - lost,
    )
