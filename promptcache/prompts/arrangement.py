"""What a caller asked for by name, done to a request before it is planned.

Rule 1: a request of a caller who asked for nothing is handed on as it is.
Rule 2: everything that is changed is said, in words and positions; so is what was
changed on the way here, as far as that was noted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from promptcache.outline import Outline, Place, Section
from promptcache.planning.past import Past
from promptcache.planning.volatile import Arranged, Span
from promptcache.prompts import parts
from promptcache.prompts.tool_choice import withheld
from promptcache.prompts.tools import stable_tools
from promptcache.providers import Facts, Request

__all__ = ["Asked", "arranged", "moved_block", "noted_in", "with_known"]

_TURNS = ("messages", "input", "contents")
_SAID = frozenset(
    {
        *_TURNS,
        "content",
        "functionResponse",
        "function_response",
        "instructions",
        "output",
        "parts",
        "response",
        "result",
        "system",
        "systemInstruction",
        "system_instruction",
        "text",
    }
)
"""Fields that have text, or what has some; files and images are in none of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What may be done to a request."""

    tools: bool = False
    """Its tools may be sorted."""
    withheld: tuple[str, ...] = ()
    """Tools of it that are not to be called."""
    splits: bool = True
    """Its strings may be split, where the wire takes blocks."""
    later_system: bool = True
    """System messages between turns were not refused so far."""
    tenant: str | None = None
    """Whose request it is."""
    facts: Facts = field(default_factory=dict)
    """Provider rules that are laid over those that ship."""


def noted_in(body: Mapping[str, Any], *, tenant: str | None) -> tuple[str, ...]:
    """Return what is noted about the texts in a body, each note once.

    Args:
        body: Of any provider.
        tenant: Whose request it is.
    """
    if not (parts.has_notes() and isinstance(body, Mapping)):
        return ()
    return parts.notes(_said(body), tenant=tenant)


def arranged(request: Request, asked: Asked) -> Arranged:
    """Return a request's body, arranged as far as that was asked for."""
    body, notes = request.body, tuple[str, ...]()
    if asked.tools and isinstance(body, Mapping):
        body, notes = stable_tools(body)
    chosen, said = body, tuple[str, ...]()
    if asked.withheld and isinstance(body, Mapping):
        chosen, said = withheld(body, asked.withheld, request.provider.name)
    narrows, body = chosen is not body, chosen
    made = Arranged(body, body)
    if not parts.is_idle() and isinstance(body, Mapping):
        made = _by_provider(request, body, asked)
    made.moves[:0] = (*notes, *said)
    made.narrows = narrows
    return made


def moved_block(
    request: Request, made: Arranged, number: int, asked: Asked
) -> Arranged:
    """Return a body with a block of its system prompt moved as a whole.

    Args:
        request: The request.
        made: Its body, arranged without splitting it.
        number: Of the block, in the system prompt.
        asked: What may be done.
    """
    again = _by_provider(request, made.whole, asked, blocks=(number,))
    again.moves[:0] = made.moves
    again.adds_turn = again.adds_turn or made.adds_turn
    again.narrows = made.narrows
    return again


def with_known(past: Past, outline: Outline, made: Arranged) -> Past:
    """Return the past with what is known of a request from how it was arranged."""
    if not (made.volatile or made.ends):
        return past
    volatile = [_position(outline, place) for place in made.volatile]
    unstable = min(volatile, default=None)
    changes = past.volatile
    if unstable is not None and outline.tools_end <= unstable < outline.system_end:
        changes = unstable if changes is None else min(changes, unstable)
    ends = [(_position(outline, place), kind) for place, kind in made.ends]
    return replace(past, volatile=changes, unstable=unstable, ends=tuple(ends))


def _by_provider(
    request: Request,
    body: Mapping[str, Any],
    asked: Asked,
    *,
    blocks: Sequence[int] = (),
) -> Arranged:
    return request.provider.arranged(
        body,
        _nothing if parts.is_idle() else partial(parts.found, tenant=asked.tenant),
        model=request.model,
        host=request.host,
        overrides=asked.facts,
        splits=asked.splits,
        later_system=asked.later_system,
        blocks=blocks,
    )


def _nothing(text: str, *, lasting: bool = False) -> Sequence[Span]:  # noqa: ARG001
    return ()


def _said(body: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield what a body says, and whether that was answered before."""
    for name, value in body.items():
        if name not in _SAID:
            continue
        if name not in _TURNS or isinstance(value, str):
            yield from ((text, False) for text in _texts(value))
            continue
        turns = value if isinstance(value, (list, tuple)) else ()
        answers = [at for at, it in enumerate(turns) if _is_answer(it)]
        last = max(answers, default=-1)
        for at, turn in enumerate(turns):
            if not _is_answer(turn):
                yield from ((text, at < last) for text in _texts(turn))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name in value:
            if name in _SAID:
                yield from _texts(value[name])
    elif isinstance(value, (list, tuple)):
        for it in value:
            yield from _texts(it)


def _is_answer(turn: Any) -> bool:
    if not isinstance(turn, Mapping):
        return False
    # One API has calls of tools beside the turns.
    kind = turn.get("type")
    is_call = isinstance(kind, str) and kind.endswith("_call")
    return is_call or turn.get("role") in ("assistant", "model")


def _position(outline: Outline, place: Place) -> int:
    # What the provider puts first counts as a message, but the body does not have it.
    if place.section is Section.MESSAGES and outline.trail is not None:
        place = replace(place, index=place.index + 1)
    return outline.position(place)
