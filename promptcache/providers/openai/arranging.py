"""Volatile texts moved behind what does not change, and strings split where texts end.

Rule 1: copy on write: what is not changed is the caller's own object.
Rule 2: an arranged body is arranged already: doing it again changes nothing.
Rule 3: only the instructions and the initial system messages are moved from.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from promptcache.providers.openai.breakpoints import MARK
from promptcache.providers.openai.values import fields_of
from promptcache.providers.openai.writing import Wire

__all__ = ["arranged"]

_HEAD = ("system", "developer")
_TEXTS = ("text", "input_text", "output_text")
_PLAIN = frozenset({"type", "text", MARK})
"""Fields of a text part that says nothing but its text."""


def arranged(
    body: Mapping[str, Any],
    find: Finder,
    wire: Wire,
    *,
    later_system: bool,
    splits: bool,
    blocks: Collection[int] = (),
) -> Arranged:
    """Return a body with its volatile texts moved and its strings split.

    Volatile text becomes a message of its own with the role that it had, directly
    before the user's last one, or at the end where results of tools came after that.
    Where a server takes no such message, what the user says begins with it.

    Args:
        body: A body of either API; it is not written to.
        find: Finds the texts that were given out.
        wire: How the API names things.
        later_system: The server takes system messages between others.
        splits: Strings may be split.
        blocks: Numbers of blocks of the head that are volatile as a whole.
    """
    made = Arranged(body, body)
    _move(made, find, wire, blocks, later_system=later_system)
    made.whole = made.body
    if splits:
        _split(made, find, wire)
    return made


@dataclass(frozen=True, slots=True)
class _Source:
    """A text of the head."""

    text: str | None
    item: int = -1
    """Of the message; -1 for the instructions."""
    part: int | None = None
    """Of the part; None where the content is a string."""

    def __str__(self) -> str:
        if self.item < 0:
            return "instructions"
        return str(Place(Section.MESSAGES, self.item, self.part or 0))


def _move(
    made: Arranged,
    find: Finder,
    wire: Wire,
    blocks: Collection[int],
    *,
    later_system: bool,
) -> None:
    items = _items(made.body, wire)
    sources = list(_sources(made.body, items))
    head = _head_length(items)
    users = [at for at, it in enumerate(items) if _role(it) == "user"]
    at = _target(items, users)
    stays = at == head if later_system else False
    texts = [it.text for it in sources]
    parted = separated(texts, find, blocks, stays=stays)
    for source, it in zip(sources, parted, strict=True):
        if it.stays and source.item >= 0:
            made.volatile.append(Place(Section.MESSAGES, source.item, source.part or 0))
    said = [text for it in parted for text in it.moved]
    if not said or not (later_system or users):
        if not made.volatile:
            made.volatile += _said_already(items, find)
        return
    moving = [it for it, text in zip(sources, parted, strict=True) if text.moved]
    text = BETWEEN.join(said)
    if later_system:
        first = moving[0].item
        role = "developer" if first < 0 else _role(items[first])
        turns = [*items[:at], {"role": role, "content": text}, *items[at:]]
        made.adds_turn = True
    else:
        at = users[-1]
        noted = _noted(items[at], SYSTEM_NOTE + text, wire)
        turns = [*items[:at], noted, *items[at + 1 :]]
    turns = _without(turns, sources, parted)
    place = Place(Section.MESSAGES, at - (len(items) + later_system - len(turns)), 0)
    made.body = {**made.body, wire.listed: turns}
    if sources[0].item < 0 and parted[0].moved:
        made.body["instructions"] = parted[0].kept
        if not parted[0].kept:
            del made.body["instructions"]
    made.volatile.append(place)
    made.moves += [f"moved volatile text from {it} to {place}" for it in moving]


def _said_already(items: Sequence[Any], find: Finder) -> Iterator[Place]:
    """Yield where the last turn has what was moved into it before."""
    for index, item in enumerate(items):
        role = _role(item)
        if index < _last_answer(items) or role not in ("user", *_HEAD):
            continue
        content = item.get("content")
        parts = _listed(content)
        texts = [content] if isinstance(content, str) else [_text(it) for it in parts]
        for number, text in enumerate(texts):
            if is_moved(text, find, by_system=role in _HEAD):
                yield Place(Section.MESSAGES, index, number)


def _target(items: Sequence[Any], users: Sequence[int]) -> int:
    """Return before which item the text goes."""
    if users and all(_role(it) in _HEAD for it in items[users[-1] + 1 :]):
        return users[-1]
    return len(items)


def _noted(item: Any, text: str, wire: Wire) -> dict[str, Any]:
    content = item.get("content")
    if isinstance(content, str):
        return {**item, "content": text + BETWEEN + content}
    part = {"type": wire.text, "text": text}
    return {**item, "content": [part, *_listed(content)]}


def _without(
    items: Sequence[Any], sources: Sequence[_Source], parted: Sequence[Text]
) -> list[Any]:
    """Return the messages without what is moved; one that says nothing then goes."""
    changed = list(items)
    gone: set[int] = set()
    for source, it in reversed(list(zip(sources, parted, strict=True))):
        if not it.moved or source.item < 0:
            continue
        item = changed[source.item]
        if source.part is None:
            content: Any = it.kept
        else:
            content = list(item["content"])
            part = {**content[source.part], "text": it.kept}
            content[source.part : source.part + 1] = [part] if it.kept else []
        changed[source.item] = {**item, "content": content}
        if not content:
            gone.add(source.item)
    return [it for at, it in enumerate(changed) if at not in gone]


def _sources(body: Mapping[str, Any], items: Sequence[Any]) -> list[_Source]:
    """Return the texts of the head, one for each block that it is read into."""
    sources = []
    instructions = body.get("instructions")
    if instructions:
        text = instructions if isinstance(instructions, str) else None
        sources.append(_Source(text))
    for number, item in enumerate(items[: _head_length(items)]):
        content = item.get("content")
        if isinstance(content, str):
            sources.append(_Source(content, number))
            continue
        for at, part in enumerate(_listed(content)):
            sources.append(_Source(_text(part), number, at))
    return sources


def _split(made: Arranged, find: Finder, wire: Wire) -> None:
    items = _items(made.body, wire)
    last_answer = _last_answer(items)
    turns = list(items)
    for index, item in enumerate(items):
        name, splits = wire.place(fields_of(item)) if _is_object(item) else ("", False)
        # A tool's result stands behind the id of its call: no other prompt has it.
        if not splits or _is_result(item):
            continue
        is_old = index < last_answer
        given = item.get(name)
        content, ends = _pieces(made, given, index, find, wire, lasting=is_old)
        if content is not given:
            turns[index] = {**item, name: content}
        if not is_old:
            made.ends += ends
    if any(new is not old for new, old in zip(turns, items, strict=True)):
        made.body = {**made.body, wire.listed: turns}


def _pieces(
    made: Arranged, given: Any, index: int, find: Finder, wire: Wire, *, lasting: bool
) -> tuple[Any, list[tuple[Place, Kind]]]:
    """Return a content with its texts split, itself if none is, and where they end."""
    parts = _listed(given)
    if isinstance(given, str):
        parts = ({"type": wire.text, "text": given},)
    parted = parts_of([_text(part) for part in parts], find, lasting=lasting)
    ends = [
        (Place(Section.MESSAGES, index, number), kind)
        for number, kind in ends_of(parted)
    ]
    if all(len(it) <= 1 for it in parted):
        return given, ends
    content: list[Any] = []
    for number, (part, it) in enumerate(zip(parts, parted, strict=True)):
        if len(it) <= 1:
            content.append(part)
            continue
        place = Place(Section.MESSAGES, index, number)
        made.splits.append(f"split {place} into {len(it)}")
        *texts, last = [piece.text for piece in it]
        content += [{"type": part["type"], "text": text} for text in texts]
        content.append({**part, "text": last})
    numbers = renumbered(parted)
    made.volatile = [
        Place(it.section, index, numbers[it.block or 0]) if it.index == index else it
        for it in made.volatile
    ]
    return content, ends


def _items(body: Mapping[str, Any], wire: Wire) -> Sequence[Any]:
    given = body.get(wire.listed)
    if isinstance(given, str):
        return ({"role": "user", "content": given},) if given else ()
    return _listed(given)


def _head_length(items: Sequence[Any]) -> int:
    for number, item in enumerate(items):
        if _role(item) not in _HEAD:
            return number
    return len(items)


def _is_answer(item: Any) -> bool:
    return _role(item) == "assistant" or str(_kind(item)).endswith("_call")


def _is_result(item: Any) -> bool:
    return _role(item) == "tool" or str(_kind(item)).endswith("_output")


def _last_answer(items: Sequence[Any]) -> int:
    answers = (at for at, it in enumerate(items) if _is_answer(it))
    return max(answers, default=-1)


def _is_object(item: Any) -> bool:
    return isinstance(item, Mapping)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _role(item: Any) -> str | None:
    return item.get("role") if isinstance(item, Mapping) else None


def _kind(item: Any) -> str | None:
    return item.get("type") if isinstance(item, Mapping) else None


def _text(part: Any) -> str | None:
    """Return the text of a part that says nothing else."""
    if _kind(part) in _TEXTS and _PLAIN.issuperset(part):
        text = part.get("text")
        return text if isinstance(text, str) else None
    return None
