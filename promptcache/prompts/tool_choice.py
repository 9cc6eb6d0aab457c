"""Tools that a request has for the sake of its prefix, and that are not to be called.

Tools stand first in a prompt. An agent that chooses other tools for each call keeps its
prefix only if every call has the same ones; which of them may be called is then said
beside the prompt, where the API has a place for that.

Rule 1: no tool is added, changed or taken out here.
Rule 2: what a caller's own `tool_choice` forbids stays forbidden.

OpenAI's `allowed_tools` is no part of the prefix. Anthropic only has "none of them".
Gemini's list needs another mode than the usual one, and is part of what a cached
content holds, so nothing is said there. Sources: OpenAI's guide on prompt caching, and
of `openai` 2.54 `types/responses/tool_choice_allowed.py` and
`types/chat/chat_completion_allowed_tools_param.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

__all__ = ["withheld"]

Body = Mapping[str, Any]

_ALLOWED = "allowed_tools"
_NAMED = ("function", "custom")
"""Kinds of OpenAI's tools that are referred to by their name."""

_NESTING = ("namespace",)
"""Kinds that hold others; how a choice refers to these is not documented."""


def withheld(
    body: Body, names: Collection[str], provider: str
) -> tuple[Body, tuple[str, ...]]:
    """Return a body whose choice of tools leaves some out, and what was done.

    Args:
        body: A request; it is not written to. The very same is returned if its API has
            no way to say it, or if nothing is to be said.
        names: The tools that are not to be called.
        provider: As receipts call it.
    """
    tools = body.get("tools")
    if not (names and _is_tools(tools)):
        return body, ()
    declared = [name for it in tools for name in _names(it)]
    kept = sum(name in names for name in declared)
    if not kept:
        return body, ()
    note = f"kept {kept} tools that are not to be called"
    chosen = _choice(body, tools, names, provider)
    if chosen is None:
        return body, (f"{note}; this API cannot forbid it",)
    said = chosen if isinstance(chosen, str) else chosen["type"]
    return {**body, "tool_choice": chosen}, (f"{note}; tool_choice: {said}",)


def _choice(
    body: Body, tools: Sequence[Body], names: Collection[str], provider: str
) -> Any:
    """Return the choice that leaves some tools out; None if there is no such."""
    if provider == "openai":
        return _openai_choice(body, tools, names)
    is_none = all(_is_out(it, names) for it in tools)
    return {"type": "none"} if is_none and provider == "anthropic" else None


def _openai_choice(body: Body, tools: Sequence[Body], names: Collection[str]) -> Any:
    choice = body.get("tool_choice") or "auto"
    mode = choice
    offered: Any = [_reference(it) for it in tools]
    if isinstance(choice, Mapping):
        said = choice.get(_ALLOWED) or choice
        mode, offered = said.get("mode") or "auto", said.get("tools")
        # One that forces a tool leaves all others out already.
        if choice.get("type") != _ALLOWED or not _is_tools(offered):
            return None
    elif any(it.get("type") in _NESTING for it in tools):
        return None
    left = [it for it in offered if not _is_out(it, names)]
    if mode == "none" or not left:
        return "none"
    allowed = {"mode": mode, "tools": left}
    if "messages" in body:
        return {"type": _ALLOWED, _ALLOWED: allowed}
    return {"type": _ALLOWED, **allowed}


def _reference(tool: Body) -> Body:
    """Return what a choice calls a tool of OpenAI's."""
    kind = str(tool.get("type"))
    if kind in _NAMED:
        held = tool.get(kind)
        if isinstance(held, Mapping):
            return {"type": kind, kind: {"name": held.get("name")}}
        return {"type": kind, "name": tool.get("name")}
    server = tool.get("server_label")
    return {"type": kind} if server is None else {"type": kind, "server_label": server}


def _names(tool: Body) -> list[str]:
    """Return the names of what a tool declares: several of Gemini's, else its own."""
    for key in ("functionDeclarations", "function_declarations"):
        declared = tool.get(key)
        if _is_tools(declared):
            return [name for it in declared for name in _names(it)]
    held = next((tool[it] for it in _NAMED if isinstance(tool.get(it), Mapping)), tool)
    name = held.get("name")
    return [name] if isinstance(name, str) else []


def _is_out(tool: Body, names: Collection[str]) -> bool:
    return any(name in names for name in _names(tool))


def _is_tools(value: Any) -> TypeGuard[Sequence[Body]]:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(it, Mapping) for it in value)
    )
