"""A breakpoint on a part: its form, and how it is taken off.

Source: the request types of `openai` 3.54.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.providers.openai.values import fields_of, mapping_of
from promptcache.ttl import Ttl

__all__ = ["MARK", "bare", "bare_tool", "is_marked_inside", "lifetime"]

MARK = "prompt_cache_breakpoint"

_KEYS = frozenset({"mode", "ttl"})
_TTLS: Mapping[Any, Ttl] = {"30m": "30m", "12h": "12h"}

_NESTING = ("content", "output", "tools")
"""Where an item has parts of its own."""


def lifetime(marker: Any, whole: Ttl) -> Ttl | None:
    """Return how long a breakpoint asks to live, or None if it would be refused.

    Args:
        marker: The value of `prompt_cache_breakpoint`.
        whole: The lifetime of the request, which one without its own has.
    """
    said = fields_of(marker)
    if said.get("mode") != "explicit" or not _KEYS.issuperset(said):
        return None
    ttl = said.get("ttl")
    if ttl is None:
        return whole
    return _TTLS.get(ttl) if isinstance(ttl, str) else None


def is_marked_inside(item: Mapping[str, Any]) -> bool:
    """Tell whether a part of an item carries a breakpoint."""
    for key in _NESTING:
        parts = item.get(key)
        if isinstance(parts, (list, tuple)):
            for part in parts:
                if isinstance(part, Mapping) and part.get(MARK) is not None:
                    return True
    return False


def bare(item: Any) -> Any:
    """Return an item with no breakpoint on it or its parts; itself if it has none."""
    fields = mapping_of(item)
    changed: dict[str, Any] = {}
    for key in _NESTING:
        parts = fields.get(key)
        if isinstance(parts, (list, tuple)):
            stripped = [_bare_part(part) for part in parts]
            if any(new is not old for new, old in zip(stripped, parts, strict=True)):
                changed[key] = stripped
    if MARK not in fields and not changed:
        return item
    return {
        key: changed.get(key, value) for key, value in fields.items() if key != MARK
    }


def bare_tool(tool: Any) -> Any:
    """Return a tool with no breakpoint on it or its function; itself if it has none."""
    fields = mapping_of(tool)
    function = fields.get("function")
    stripped = _bare_part(function)
    if MARK not in fields and stripped is function:
        return tool
    stripped_tool = {key: fields[key] for key in fields if key != MARK}
    if stripped is not function:
        stripped_tool["function"] = stripped
    return stripped_tool


def _bare_part(part: Any) -> Any:
    if isinstance(part, Mapping) and MARK in part:
        return {key: part[key] for key in part if key != MARK}
    return part
