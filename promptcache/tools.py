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
from typing import Any, TypeGuard

__all__ = ["stable_tools"]

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
    keyed = [_with_sorted_keys(tool) for tool in tools]
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
            *others, last = sorted(stretch, key=_rank)
            if last is not tool:
                others = [_unmarked(it) if it is tool else it for it in others]
                last = {**last, _MARK: tool[_MARK]}
            arranged += [*others, last]
            stretch = []
    return [*arranged, *sorted(stretch, key=_rank)]


def _with_sorted_members(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool whose own tools are in order; itself if they are."""
    for key in _DECLARED:
        members = tool.get(key)
        if _is_tools(members):
            arranged = sorted(members, key=_rank)
            return {**tool, key: arranged} if _differs(arranged, members) else tool
    return tool


def _rank(tool: Mapping[str, Any]) -> tuple[bool, str, str]:
    """Return what tools are sorted by; a breakpoint is no part of it."""
    # A deferred tool may carry no breakpoint, so none may come last.
    said = next((tool[it] for it in _NESTED if isinstance(tool.get(it), Mapping)), tool)
    members = next((tool[it] for it in _DECLARED if _is_tools(tool.get(it))), ())
    named = [said, *members[:1]]
    names = (it.get(name) for it in named for name in _NAMES)
    name = next((it for it in names if isinstance(it, str)), "")
    whole = json.dumps(_unmarked(tool), sort_keys=True, default=repr)
    return not tool.get("defer_loading"), name, whole


def _with_sorted_keys(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool whose schemas have their keys in order; itself if they have."""
    changes: dict[str, Any] = {}
    for key, value in tool.items():
        new = value
        if key in _SCHEMAS and isinstance(value, Mapping):
            new = _sorted_schema(value)
            new = value if _is_same(new, value) else new
        elif key in _NESTED and isinstance(value, Mapping):
            new = _with_sorted_keys(value)
        elif key in _DECLARED and _is_tools(value):
            each = [_with_sorted_keys(it) for it in value]
            new = each if _differs(each, value) else value
        if new is not value:
            changes[key] = new
    return {**tool, **changes} if changes else tool


def _sorted_schema(value: Any) -> Any:
    """Return a schema, or a part of one, with its keys in order; lists stay."""
    if isinstance(value, (list, tuple)):
        return [_sorted_schema(it) for it in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _sorted_names(value[key], value.get("required"))
        if key in _BY_NAME and isinstance(value[key], Mapping)
        else _sorted_schema(value[key])
        for key in sorted(value, key=str)
    }


def _sorted_names(named: Mapping[str, Any], required: Any) -> dict[str, Any]:
    """Return schemas by name: those that are required first, in their order."""
    listed = required if isinstance(required, (list, tuple)) else ()
    first = dict.fromkeys(it for it in listed if isinstance(it, str) and it in named)
    rest = sorted((it for it in named if it not in first), key=str)
    return {name: _sorted_schema(named[name]) for name in (*first, *rest)}


def _is_tools(value: Any) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(it, Mapping) for it in value)
    )


def _is_marked(tool: Mapping[str, Any]) -> bool:
    return tool.get(_MARK) is not None and not tool.get("defer_loading")


def _unmarked(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tool.items() if key != _MARK}


def _is_same(one: Any, other: Any) -> bool:
    """Tell whether two values are written with the same bytes."""
    return json.dumps(one, default=repr) == json.dumps(other, default=repr)


def _differs(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return any(one is not other for one, other in zip(new, old, strict=True))
