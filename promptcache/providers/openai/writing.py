"""A plan, written back into a body of either API.

Rule 1: copy on write: what the plan does not touch is the caller's own object.
Rule 2: where breakpoints are taken, every non-empty string that may become a text part
does, whatever the plan, so that a message has the same form in every request.
Rule 3: elsewhere nothing is added but the key and the retention.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from promptcache.outline import Outline, Section
from promptcache.planning.plan import Plan
from promptcache.providers.openai.breakpoints import MARK, bare, bare_tool
from promptcache.providers.openai.values import fields_of, mapping_of
from promptcache.ttl import Ttl

__all__ = ["Wire", "written"]

_ITSELF = -1
_INSIDE = -2
"""Stand for the number of a part where the item itself is meant, or all of its parts
that may carry no breakpoint."""

_Changes = dict[int, dict[int, Ttl | None]]
"""New lifetime, or None for no breakpoint, by message and part."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How an API names things."""

    listed: str
    """The field that holds the messages or items."""
    text: str
    """The type of a text part."""
    place: Callable[[Mapping[str, Any]], tuple[str, bool]]
    """Where a message has its parts, and whether a string there becomes one."""


def written(
    body: Mapping[str, Any], outline: Outline, plan: Plan, wire: Wire
) -> dict[str, Any]:
    """Return the body with the plan's breakpoints, key and options.

    Args:
        body: What the outline was read from; it is not written to.
        outline: The body's outline.
        plan: What to place.
        wire: How the API names things.
    """
    changed: dict[str, Any] = {}
    if plan.mode is not None:
        changed = _planned(body, outline, plan, wire)
    elif plan.bare:
        changed = _bare(body, wire)
    for name, value in (
        ("prompt_cache_key", plan.key),
        ("prompt_cache_retention", plan.retention),
    ):
        if value is not None and body.get(name) is None:
            changed[name] = value
    planned = {**body, **changed}
    if plan.bare:
        planned.pop("prompt_cache_options", None)
    # The same body, if it can be sent as it is.
    unchanged = type(body) is dict and not changed and len(planned) == len(body)
    return cast("dict[str, Any]", body) if unchanged else planned


def _planned(
    body: Mapping[str, Any], outline: Outline, plan: Plan, wire: Wire
) -> dict[str, Any]:
    """Return the fields that change where breakpoints are taken."""
    in_tools = any(place.section is Section.TOOLS for place in outline.illegal)
    changed = _bare_tools(body) if in_tools else {}
    changes = _changes(outline, plan)
    if messages := body.get(wire.listed):
        planned = _messages(messages, changes, plan, wire)
        if planned is not messages:
            changed[wire.listed] = planned
    given = body.get("prompt_cache_options")
    # The plan's are the caller's own where these are legal.
    options = {**fields_of(given), "mode": plan.mode, "ttl": plan.ttl}
    if options != given:
        changed["prompt_cache_options"] = options
    return changed


def _changes(outline: Outline, plan: Plan) -> _Changes:
    """Return what changes on messages."""
    changes: _Changes = {}
    # What the provider puts first counts as a message, but the body does not have it.
    first = 0 if outline.trail is None else 1
    for place in outline.illegal:
        if place.section is Section.TOOLS:
            continue
        number = _ITSELF if place.block is None else place.block
        number = _INSIDE if place.inside else number
        changes.setdefault(place.index - first, {})[number] = None
    for point in plan.breakpoints:
        if point.position in outline.markers:
            continue
        message = bisect_right(outline.starts, point.position) - 1
        number = point.position - outline.starts[message]
        changes.setdefault(message - first, {})[number] = point.ttl
    return changes


def _messages(
    messages: Sequence[Any], changes: _Changes, plan: Plan, wire: Wire
) -> Sequence[Any]:
    planned: list[Any] | None = None
    for index, message in enumerate(messages):
        fields = message if type(message) is dict else mapping_of(message)
        name, splits = wire.place(fields)
        content = fields.get(name)
        is_text = splits and isinstance(content, str) and content != ""
        points = changes.get(index)
        if not is_text and points is None:
            continue
        planned = list(messages) if planned is None else planned
        if is_text:
            fields = {**fields, name: [{"type": wire.text, "text": content}]}
        planned[index] = (
            fields if points is None else _marked(fields, name, points, plan)
        )
    return messages if planned is None else planned


def _marked(
    message: Mapping[str, Any], name: str, points: Mapping[int, Ttl | None], plan: Plan
) -> dict[str, Any]:
    """Return a message with the breakpoints that are to stand on its parts."""
    marked = dict(bare(message) if _INSIDE in points else message)
    if _ITSELF in points:
        marked.pop(MARK, None)
    if any(number >= 0 for number in points):
        marked[name] = [
            _marked_part(part, points[number], plan) if number in points else part
            for number, part in enumerate(message[name])
        ]
    return marked


def _marked_part(part: Any, ttl: Ttl | None, plan: Plan) -> dict[str, Any]:
    marked = dict(mapping_of(part))
    marked.pop(MARK, None)
    if ttl is not None:
        # A part's lifetime is younger than the request's: older servers know none.
        own = {} if ttl == plan.ttl else {"ttl": ttl}
        marked[MARK] = {"mode": "explicit", **own}
    return marked


def _bare(body: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
    """Return the fields that change when every breakpoint is taken off."""
    changed = _bare_tools(body)
    messages = body.get(wire.listed)
    if isinstance(messages, (list, tuple)):
        stripped = [bare(message) for message in messages]
        if _differ(stripped, messages):
            changed[wire.listed] = stripped
    return changed


def _bare_tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lists of tools that change when breakpoints are taken off them."""
    changed: dict[str, Any] = {}
    for name in ("tools", "functions"):
        tools = body.get(name) or ()
        stripped = [bare_tool(tool) for tool in tools]
        if _differ(stripped, tools):
            changed[name] = stripped
    return changed


def _differ(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return any(one is not other for one, other in zip(new, old, strict=True))
