"""Volatile texts moved behind what does not change, and strings split where texts end.

Rule 1: copy on write: what is not changed is the caller's own object.
Rule 2: an arranged body is arranged already: doing it again changes nothing.
Rule 3: only the system prompt is moved from; a turn is never changed after it was sent.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from promptcache.outline import Place, Section
from promptcache.planning.volatile import (
    BETWEEN,
    SYSTEM_NOTE,
    Arranged,
    Finder,
    Kind,
    Text,
    ends_of,
    is_moved,
    parts_of,
    renumbered,
    separated,
)

__all__ = ["arranged"]

_PLAIN = frozenset({"type", "text", "cache_control"})
"""Fields of a text block that says nothing but its text."""


def arranged(
    body: Mapping[str, Any],
    find: Finder,
    *,
    later_system: bool,
    splits: bool,
    blocks: Collection[int] = (),
) -> Arranged:
    """Return a body with its volatile texts moved and its strings split.

    Volatile text becomes the last system block before the first answer. From then on it
    is the last message, a system message, on models that have these: that may stand
    behind a user's turn only. Else it is put into the user's last turn, before what the
    user says and behind the results of tools, which have to come first.

    Args:
        body: A body of `POST /v1/messages`; it is not written to.
        find: Finds the texts that were given out.
        later_system: The model takes system messages between turns.
        splits: Strings may be split.
        blocks: Numbers of system blocks that are volatile as a whole.
    """
    made = Arranged(body, body)
    _move(made, find, blocks, later_system=later_system)
    made.whole = made.body
    if splits:
        _split(made, find)
    return made


def _move(
    made: Arranged, find: Finder, blocks: Collection[int], *, later_system: bool
) -> None:
    messages = _listed(made.body.get("messages"))
    system = _blocks(made.body.get("system"))
    answered = any(_role(message) == "assistant" for message in messages)
    parted = separated(
        [_text(block) for block in system], find, blocks, stays=not answered
    )
    said = [text for it in parted for text in it.moved]
    user = _last_user(messages)
    if said and (user is not None or not answered):
        text = BETWEEN.join(said)
        kept = _kept(system, parted)
        sources = [number for number, it in enumerate(parted) if it.moved]
        if not answered:
            kept.append({"type": "text", "text": text})
            place = Place(Section.SYSTEM, len(kept) - 1)
            made.body = _with_system(made.body, kept)
        else:
            turns, place = _said_later(messages, text, later_system=later_system)
            made.adds_turn = len(turns) > len(messages)
            made.body = {**_with_system(made.body, kept), "messages": turns}
        made.volatile.append(place)
        made.moves += [
            f"moved volatile text from {Place(Section.SYSTEM, number)} to {place}"
            for number in sources
        ]
    made.volatile += [
        Place(Section.SYSTEM, number) for number, it in enumerate(parted) if it.stays
    ]
    if not made.volatile:
        made.volatile += _said_already(messages, find)


def _said_already(messages: Sequence[Any], find: Finder) -> Iterator[Place]:
    """Yield where the last turn has what was moved into it before."""
    for index, message in enumerate(messages):
        if index < _last_answer(messages) or _role(message) not in ("user", "system"):
            continue
        for number, block in enumerate(_blocks(message.get("content"))):
            if is_moved(_text(block), find, by_system=_role(message) == "system"):
                yield Place(Section.MESSAGES, index, number)


def _with_system(body: Mapping[str, Any], kept: list[Any]) -> dict[str, Any]:
    if kept:
        return {**body, "system": kept}
    return {name: value for name, value in body.items() if name != "system"}


def _kept(system: Sequence[Any], parted: Sequence[Text]) -> list[Any]:
    """Return what stays of the system prompt; a block without text goes."""
    return [
        {**block, "text": it.kept} if it.moved else block
        for block, it in zip(system, parted, strict=True)
        if it.kept or not it.moved
    ]


def _said_later(
    messages: Sequence[Any], text: str, *, later_system: bool
) -> tuple[list[Any], Place]:
    """Return the turns with a text of the system prompt in them, and where it is.

    A system message has to follow a user's turn and to be the last message, or to be
    followed by an answer. Source: the page on mid-conversation system messages.
    """
    last = len(messages) - 1
    if later_system and _role(messages[last]) == "user":
        message = {"role": "system", "content": text}
        return [*messages, message], Place(Section.MESSAGES, last + 1, 0)
    number = _last_user(messages)
    assert number is not None  # noqa: S101 - whoever calls this has looked
    content = _blocks(messages[number].get("content"))
    at = 0
    while at < len(content) and _kind(content[at]) == "tool_result":
        at += 1
    block = {"type": "text", "text": SYSTEM_NOTE + text}
    changed = {**messages[number], "content": [*content[:at], block, *content[at:]]}
    turns = [*messages[:number], changed, *messages[number + 1 :]]
    return turns, Place(Section.MESSAGES, number, at)


def _split(made: Arranged, find: Finder) -> None:
    given = made.body.get("system")
    place = Place(Section.SYSTEM, 0)
    system, _ = _pieces(made, given, place, find, lasting=False)
    if system is not given:
        made.body = {**made.body, "system": system}
    messages = _listed(made.body.get("messages"))
    last_answer = _last_answer(messages)
    turns = list(messages)
    for index, message in enumerate(messages):
        if _role(message) != "user":
            continue
        given, is_old = message.get("content"), index < last_answer
        place = Place(Section.MESSAGES, index, 0)
        content, ends = _pieces(made, given, place, find, lasting=is_old)
        if content is not given:
            turns[index] = {**message, "content": content}
        if not is_old:
            made.ends += ends
    if any(new is not old for new, old in zip(turns, messages, strict=True)):
        made.body = {**made.body, "messages": turns}


def _pieces(
    made: Arranged, given: Any, first: Place, find: Finder, *, lasting: bool
) -> tuple[Any, list[tuple[Place, Kind]]]:
    """Return a content with its texts split, itself if none is, and where they end."""
    blocks = _blocks(given)
    parted = parts_of([_text(block) for block in blocks], find, lasting=lasting)
    ends = [(_moved(first, number), kind) for number, kind in ends_of(parted)]
    if all(len(it) <= 1 for it in parted):
        return given, ends
    content: list[Any] = []
    for number, (block, it) in enumerate(zip(blocks, parted, strict=True)):
        if len(it) <= 1:
            content.append(block)
            continue
        made.splits.append(f"split {_moved(first, number)} into {len(it)}")
        *texts, last = [piece.text for piece in it]
        content += [{"type": "text", "text": text} for text in texts]
        content.append({**block, "text": last})
    numbers = renumbered(parted)
    made.volatile = [
        _moved(first, numbers[_number(it)]) if _is_beside(it, first) else it
        for it in made.volatile
    ]
    return content, ends


def _moved(first: Place, number: int) -> Place:
    """Return the place of a block by that of the first one beside it."""
    if first.block is None:
        return Place(first.section, number)
    return Place(first.section, first.index, number)


def _number(place: Place) -> int:
    return place.index if place.block is None else place.block


def _is_beside(place: Place, first: Place) -> bool:
    return _moved(first, _number(place)) == place


def _last_answer(messages: Sequence[Any]) -> int:
    answers = (at for at, it in enumerate(messages) if _role(it) == "assistant")
    return max(answers, default=-1)


def _last_user(messages: Sequence[Any]) -> int | None:
    turns = (at for at, it in enumerate(messages) if _role(it) == "user")
    return max(turns, default=None)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _blocks(content: Any) -> Sequence[Any]:
    if isinstance(content, str):
        return ({"type": "text", "text": content},) if content else ()
    return _listed(content)


def _role(message: Any) -> str | None:
    return message.get("role") if isinstance(message, Mapping) else None


def _kind(block: Any) -> str | None:
    return block.get("type") if isinstance(block, Mapping) else None


def _text(block: Any) -> str | None:
    """Return the text of a block that says nothing else."""
    if _kind(block) == "text" and _PLAIN.issuperset(block):
        text = block.get("text")
        return text if isinstance(text, str) else None
    return None
