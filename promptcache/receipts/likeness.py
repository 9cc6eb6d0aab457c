"""Whether two blocks that differ are the same thing changed, or two things.

Of two requests that part at a block, this block is the same thing changed if one of
these holds; else the prompts are different ones:

1. both have the name of one conversation;
2. the blocks are equal but for white space, line ends, case or Unicode form;
3. the blocks begin and end alike, for at least 64 bytes and a third of the shorter one;
4. what follows agrees, wherever it stands, in at least 32 tokens and a quarter of what
   follows in the shorter prompt;
5. an answer of the model stands before them: one conversation went two ways.

Where the block is of the last message of the later request, a new question was asked:
then all but the second are *weak*. Weak too is that they are blocks of the system
section, and that one before them in it is the same. What is weak counts only where
nothing at all was read: a new question that reads what it shares is no miss.
"""

from collections.abc import Callable
from dataclasses import dataclass

from promptcache.receipts.footprint import Footprint
from promptcache.receipts.miss import Form
from promptcache.receipts.sketch import STEP, Sketch, common_bytes, common_end, form_of

__all__ = ["Likeness", "Sketches", "likeness"]

Sketches = Callable[[bytes], Sketch | None]
"""Returns the sketch of a block by its digest, if there is one."""

_ALIKE_SHARE = 1 / 3
_FOLLOWING_TOKENS = 32
_FOLLOWING_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Likeness:
    """What two blocks, where two requests part, have in common."""

    near: int | None
    """Bytes that they begin with alike; None if that is not known."""
    form: Form | None
    """What alone is different."""
    strong: bool
    """Whether it says enough where something was read."""
    follows: bool
    """Whether what follows them agrees."""
    rank: tuple[int, ...]
    """The greater, the more alike the requests are."""


def likeness(
    asked: Footprint, earlier: Footprint, position: int, sketches: Sketches
) -> Likeness | None:
    """Compare two requests that part at a block; None if these are two things.

    Args:
        asked: The later request.
        earlier: The earlier one.
        position: The number of the block, in both.
        sketches: Where their sketches are.
    """
    one = _sketch(asked, position, sketches)
    other = _sketch(earlier, position, sketches)
    form = near = None
    resembles = False
    is_there = asked.section(position) == earlier.section(position)
    if is_there and one is not None and other is not None:
        form, near = form_of(one, other), common_bytes(one, other)
        same = near + common_end(one, other)
        resembles = same >= max(STEP, _ALIKE_SHARE * min(one.size, other.size))
    named = asked.conversation is not None and (
        asked.conversation == earlier.conversation
    )
    following = _following(asked, earlier, position)
    went_two_ways = asked.answered < position
    alike = named or resembles or went_two_ways or following > 0
    is_new_question = position >= asked.last
    in_system = asked.tools_end < position < asked.system_end
    if form is None and not alike and not in_system:
        return None
    strong = form is not None or (alike and not is_new_question)
    rank = (strong, named, following, near or 0)
    return Likeness(near, form, strong, following > 0, tuple(map(int, rank)))


def _following(asked: Footprint, earlier: Footprint, position: int) -> int:
    """Return the tokens of the blocks that follow in both, wherever they stand."""
    theirs = {
        content
        for it in range(position, earlier.length)
        if (content := earlier.content(it)) is not None
    }
    common = [
        asked.weight(it)
        for it in range(position, asked.length)
        if asked.content(it) in theirs
    ]
    tokens, rests = sum(common), [_rest(asked, position), _rest(earlier, position)]
    enough = max(_FOLLOWING_TOKENS, _FOLLOWING_SHARE * min(rests))
    return tokens if tokens >= enough else 0


def _rest(it: Footprint, position: int) -> int:
    """Return the estimated tokens of all that follows a block."""
    return it.tokens[-1] - it.tokens[position]


def _sketch(it: Footprint, position: int, sketches: Sketches) -> Sketch | None:
    content = it.content(position)
    return None if content is None else sketches(content)
