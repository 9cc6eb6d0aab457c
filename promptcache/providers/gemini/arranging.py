"""Volatile texts moved out of the system instruction, which then stays the same.

Rule 1: copy on write: what is not changed is the caller's own object.
Rule 2: an arranged body is arranged already: doing it again changes nothing.
Rule 3: nothing is split: a breakpoint stands nowhere, and a cached content holds the
instruction as a whole.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from promptcache.outline import Place, Section
from promptcache.planning.volatile import (
    BETWEEN,
    SYSTEM_NOTE,
    Arranged,
    Finder,
    separated,
)

__all__ = ["arranged"]

_INSTRUCTIONS = ("systemInstruction", "system_instruction")
_RESULTS = ("functionResponse", "function_response")


def arranged(
    body: Mapping[str, Any], find: Finder, *, blocks: Collection[int] = ()
) -> Arranged:
    """Return a body with the volatile texts of its instruction in the last turn.

    There is no system message between turns: the user's last turn begins with what was
    moved, behind the results of functions if it has some.

    Args:
        body: A body of `generateContent`; it is not written to.
        find: Finds the texts that were given out.
        blocks: Numbers of parts of the instruction that are volatile as a whole.
    """
    made = Arranged(body, body)
    name = next((it for it in _INSTRUCTIONS if _parts(body.get(it))), None)
    contents = body.get("contents")
    at = _last_user(contents if isinstance(contents, (list, tuple)) else ())
    if name is None or at is None or not isinstance(contents, (list, tuple)):
        return made
    parts = _parts(body[name])
    parted = separated([_text(part) for part in parts], find, blocks, stays=False)
    said = [text for it in parted for text in it.moved]
    if not said:
        return made
    kept = [
        {**part, "text": it.kept} if it.moved else part
        for part, it in zip(parts, parted, strict=True)
        if it.kept or not it.moved
    ]
    turn = contents[at]
    given = _parts(turn)
    first = 0
    while first < len(given) and any(name in given[first] for name in _RESULTS):
        first += 1
    part = {"text": SYSTEM_NOTE + BETWEEN.join(said)}
    changed = {**turn, "parts": [*given[:first], part, *given[first:]]}
    moved: dict[str, Any] = {**body}
    moved["contents"] = [*contents[:at], changed, *contents[at + 1 :]]
    moved[name] = {**body[name], "parts": kept}
    if not kept:
        del moved[name]
    place = Place(Section.MESSAGES, at, first)
    made.body = made.whole = moved
    made.volatile.append(place)
    made.moves += [
        f"moved volatile text from {Place(Section.SYSTEM, number)} to {place}"
        for number, it in enumerate(parted)
        if it.moved
    ]
    return made


def _last_user(contents: Sequence[Any]) -> int | None:
    turns = (
        at
        for at, it in enumerate(contents)
        if isinstance(it, Mapping) and it.get("role") in (None, "", "user")
    )
    return max(turns, default=None)


def _parts(content: Any) -> Sequence[Any]:
    parts = content.get("parts") if isinstance(content, Mapping) else None
    return parts if isinstance(parts, (list, tuple)) else ()


def _text(part: Any) -> str | None:
    """Return the text of a part that says nothing else."""
    if isinstance(part, Mapping) and len(part) == 1:
        text = part.get("text")
        return text if isinstance(text, str) else None
    return None
