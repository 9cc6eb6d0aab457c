"""The tools of a request in one order, whatever order they came in.

Tools stand first in a prompt, so nothing behind them is read from the cache when they
come in another order. A set has none, an MCP server need not keep one, and what writes
the keys of a schema may not either.

Rule 1: what comes out depends on which tools there are, not on their order.
Rule 2: each tool stays: its name, its description, and its schema as a value.
Rule 3: a breakpoint stays at its place, and covers the tools that it covered.

Rule 3 is why tools are sorted between breakpoints: who marks `tools[2]` has the first
three cached, and so has them cached still, whichever of them comes third then. A mark
that moved with its tool would cover others, or bring back the order of the caller.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import is_not
from typing import Any, TypeGuard

import orjson

__all__ = ["MOST_KNOWN", "stable_tools"]

MOST_KNOWN = 1_024
"""Tools of which a process keeps whether they are in order: that takes a look at all
that they say, and most are the same on every request."""

_MARK = "cache_control"

_BY_NAME = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
"""Fields of a schema whose keys are names, not words of JSON Schema."""

_SCHEMAS = frozenset(
    {
        "inputSchema",
        "input_schema",
        "parameters",
        "parametersJsonSchema",
        "response",
        "responseJsonSchema",
    }
)
"""Where a tool has a schema."""

_DECLARED = ("functionDeclarations", "function_declarations", "tools")
"""Where a tool holds others: Gemini's, and a namespace of the Responses API."""

_NESTED = ("function", "custom")
"""Where a tool of the Chat Completions says what it is."""

_PLAIN = (str, int, float)
"""Most parts of a schema; they are passed over, as every request has hundreds."""

_NAMES = ("name", "server_label", "mcp_server_name", "type")


def stable_tools(
    body: Mapping[str, Any],
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return a body with its tools in a stable order, and what was changed for that.

    Tools are sorted by name. So are the keys of each schema, but for properties, which
    come as `required` lists them, and only then by name: models fill arguments in in
    that order. What `tool_choice` says goes by names, and is left alone. Tools that are
    deferred, which no prompt has until a search finds them, come before the others.

    Args:
        body: A request of any provider; it is not written to. The very same is returned
            if it is in order.
    """
    tools = body.get("tools")
    if not _is_tools(tools):
        return body, ()
    keyed = [it if _is_in_order(it) else _with_sorted_keys(it) for it in tools]
    changed = sum(new is not old for new, old in zip(keyed, tools, strict=True))
    arranged = _arranged(keyed)
    notes = [f"sorted the schema keys of {changed} tools"] if changed else []
    if _differs(arranged, keyed):
        notes.append("sorted tools")
    return ({**body, "tools": arranged} if notes else body), tuple(notes)


def _arranged(tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return tools in order, up to each breakpoint and behind the last one."""
    held = [_with_sorted_members(tool) for tool in tools]
    arranged: list[Mapping[str, Any]] = []
    stretch: list[Mapping[str, Any]] = []
    for tool in held:
        stretch.append(tool)
        if _is_marked(tool):
            *others, last = _sorted_tools(stretch)
            if last is not tool:
                others = [_unmarked(it) if it is tool else it for it in others]
                last = {**last, _MARK: tool[_MARK]}
            arranged += [*others, last]
            stretch = []
    return [*arranged, *_sorted_tools(stretch)]


def _with_sorted_members(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool whose own tools are in order; itself if they are."""
    for key in _DECLARED:
        members = tool.get(key)
        if _is_tools(members):
            arranged = _sorted_tools(members)
            return {**tool, key: arranged} if _differs(arranged, members) else tool
    return tool


def _sorted_tools(tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return tools by name; among those of one name, all that they say decides."""
    if len({_rank(it) for it in tools}) < len(tools):
        tools = sorted(tools, key=_written)
    return sorted(tools, key=_rank)


def _rank(tool: Mapping[str, Any]) -> tuple[bool, str]:
    # A deferred tool may carry no breakpoint, so none may come last.
    return not tool.get("defer_loading"), _name_of(tool)


def _name_of(tool: Mapping[str, Any]) -> str:
    """Return what a tool is called, or the first one that it holds."""
    said = next((tool[it] for it in _NESTED if _is_mapping(tool.get(it))), tool)
    found = _named(said)
    if found is None:
        members = next((tool[it] for it in _DECLARED if _is_tools(tool.get(it))), ())
        found = _named(members[0]) if members else None
    return found or ""


def _named(tool: Mapping[str, Any]) -> str | None:
    for name in _NAMES:
        found = tool.get(name)
        if isinstance(found, str):
            return found
    return None


def _written(tool: Mapping[str, Any]) -> str:
    """Return all that a tool says; a breakpoint is no part of it."""
    return json.dumps(_unmarked(tool), sort_keys=True, default=repr)


def _is_in_order(tool: Mapping[str, Any]) -> bool:
    """Tell whether the schemas of a tool are known to have their keys in order."""
    try:
        written = orjson.dumps(tool)
    except TypeError:
        return False
    return _is_written_in_order(written)


@lru_cache(maxsize=MOST_KNOWN)
def _is_written_in_order(written: bytes) -> bool:
    tool = orjson.loads(written)
    return _with_sorted_keys(tool) is tool


def _with_sorted_keys(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool whose schemas have their keys in order; itself if they have."""
    changes: dict[str, Any] = {}
    for key, value in tool.items():
        new = value
        if key in _SCHEMAS and _is_mapping(value):
            new = _sorted_schema(value)
        elif key in _NESTED and _is_mapping(value):
            new = _with_sorted_keys(value)
        elif key in _DECLARED and _is_tools(value):
            each = [_with_sorted_keys(it) for it in value]
            new = each if _differs(each, value) else value
        if new is not value:
            changes[key] = new
    return {**tool, **changes} if changes else tool


def _sorted_schema(value: Any) -> Any:
    """Return a schema, or a part of one, with its keys in order; itself if they are."""
    if isinstance(value, (list, tuple)):
        each = [it if isinstance(it, _PLAIN) else _sorted_schema(it) for it in value]
        return each if _differs(each, value) else value
    if not _is_mapping(value):
        return value
    made: dict[str, Any] = {}
    for key in sorted(value, key=str):
        part = value[key]
        if key in _BY_NAME and _is_mapping(part):
            part = _sorted_names(part, value.get("required"))
        elif not isinstance(part, _PLAIN):
            part = _sorted_schema(part)
        made[key] = part
    return made if _is_other(made, value) else value


def _sorted_names(named: Mapping[str, Any], required: Any) -> Mapping[str, Any]:
    """Return schemas by name: those that are required first, in their order.

    It is the same object if they are.
    """
    listed = required if isinstance(required, (list, tuple)) else ()
    first = dict.fromkeys([it for it in listed if isinstance(it, str) and it in named])
    rest = sorted([it for it in named if it not in first], key=str)
    made = {name: _sorted_schema(named[name]) for name in (*first, *rest)}
    return made if _is_other(made, named) else named


def _is_tools(value: Any) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(map(_is_mapping, value))
    )


def _is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    # Asking for the protocol takes several times as long, of every part of a schema.
    return isinstance(value, dict) or isinstance(value, Mapping)  # noqa: SIM101


def _is_marked(tool: Mapping[str, Any]) -> bool:
    return tool.get(_MARK) is not None and not tool.get("defer_loading")


def _unmarked(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tool.items() if key != _MARK}


def _is_other(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Tell whether keys have moved, or a value is another object."""
    return [*new] != [*old] or _differs([*new.values()], [*old.values()])


def _differs(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return any(map(is_not, new, old))
