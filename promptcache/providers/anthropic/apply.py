"""A plan, written back into a body of Anthropic's Messages API.

Rule 1: copy on write: what the plan does not touch is the caller's own object.
Rule 2: every non-empty string becomes one text block, whatever the plan, so that a
message has the same form in every request that it appears in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from promptcache.outline import Outline, Place, Section
from promptcache.planning.plan import Plan
from promptcache.providers.anthropic.blocks import mapping_of, without_nested_markers
from promptcache.ttl import Ttl

__all__ = ["apply"]

_Change = dict[tuple[int, int], Ttl | None]
"""New lifetime, or None for no marker, by message (or list) index and block number."""


def apply(body: Mapping[str, Any], outline: Outline, plan: Plan) -> dict[str, Any]:
    """Return the body with the plan's breakpoints in place of the caller's.

    Args:
        body: What the outline was read from; it is not written to.
        outline: The body's outline.
        plan: What to place.
    """
    changes = _changes(outline, plan)
    planned = dict(body)
    if tools := changes[Section.TOOLS]:
        planned["tools"] = _blocks(body["tools"], 0, tools)
    system = body.get("system")
    if system:
        planned["system"] = _blocks(_as_blocks(system), 0, changes[Section.SYSTEM])
    if messages := body.get("messages"):
        planned["messages"] = _messages(messages, changes[Section.MESSAGES], outline)
    if "cache_control" in body and plan.automatic != outline.automatic:
        del planned["cache_control"]
        if plan.automatic is not None:
            planned["cache_control"] = _marker(plan.automatic)
    elif outline.automatic_illegal:
        del planned["cache_control"]
    return planned


def _changes(outline: Outline, plan: Plan) -> dict[Section, _Change]:
    changes: dict[Section, _Change] = {section: {} for section in Section}
    planned = {point.position: point.ttl for point in plan.breakpoints}
    for position in {*outline.markers, *planned}:
        ttl = planned.get(position)
        if outline.markers.get(position) != ttl:
            _note(changes, outline.place(position), ttl)
    for place in outline.illegal:
        if place.section is Section.MESSAGES and place.block is None:
            continue
        start = outline.position(place)
        _note(changes, place, planned.get(start))
    return changes


def _note(changes: dict[Section, _Change], place: Place, ttl: Ttl | None) -> None:
    if place.block is None:
        changes[place.section][0, place.index] = ttl
    else:
        changes[place.section][place.index, place.block] = ttl


def _messages(messages: Sequence[Any], changes: _Change, outline: Outline) -> list[Any]:
    touched = {message for message, _ in changes}
    bare = {
        place.index
        for place in outline.illegal
        if place.section is Section.MESSAGES and place.block is None
    }
    planned = list(messages)
    for index, message in enumerate(messages):
        content = message.get("content")
        is_text = isinstance(content, str) and content
        if not (is_text or index in touched or index in bare):
            continue
        changed = dict(message)
        if is_text or index in touched:
            changed["content"] = _blocks(_as_blocks(content), index, changes)
        if index in bare:
            del changed["cache_control"]
        planned[index] = changed
    return planned


def _as_blocks(content: Any) -> Sequence[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks: Sequence[Any] = content
    return blocks


def _blocks(blocks: Sequence[Any], index: int, changes: _Change) -> list[Any]:
    return [
        _marked(block, changes[index, number]) if (index, number) in changes else block
        for number, block in enumerate(blocks)
    ]


def _marked(block: Any, ttl: Ttl | None) -> dict[str, Any]:
    marked = dict(without_nested_markers(mapping_of(block)))
    marked.pop("cache_control", None)
    if ttl is not None:
        marked["cache_control"] = _marker(ttl)
    return marked


def _marker(ttl: Ttl) -> dict[str, str]:
    # "5m" is the default, and older gateways know no `ttl`.
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
