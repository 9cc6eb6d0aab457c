"""A body of `POST /v1/responses`, read into turns."""

from collections.abc import Sequence
from typing import Any

from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_turns import (
    Body,
    Role,
    Turn,
    contents,
    json_piece,
)

__all__ = ["input_items", "response_format", "response_tools", "response_turns"]

OUTPUTS = "_output"
# Appended by the client, but said by nobody.
NEUTRAL = ("additional_tools", "configuration_update", "item_reference")
ROLES: dict[str, Role] = {
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}


def input_items(value: object) -> list[Any]:
    """Return `input` as a list of items; a string is one user message."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return list(value) if isinstance(value, Sequence) else []


def response_turns(body: Body, settings: OpenAISettings) -> tuple[Turn, ...]:
    """Return instructions and conversation, in the order in which they are rendered.

    `instructions` count as a developer message of the initial group.
    """
    turns = []
    instructions = body.get("instructions")
    if instructions:
        pieces = contents(instructions, "instructions", settings)
        turns.append(Turn("developer", pieces))
    items = input_items(body.get("input"))
    turns += [
        _turn(item, f"input[{index}]", settings) for index, item in enumerate(items)
    ]
    return tuple(turns)


def response_tools(body: Body) -> list[Any]:
    """Return the tools that are rendered first; deferred ones are searched for."""
    return [tool for tool in body.get("tools") or () if not tool.get("defer_loading")]


def response_format(body: Body) -> dict[str, Any]:
    """Return what else is rendered before the conversation.

    Source: the guide, "what breaks the prefix".
    """
    text = body.get("text") or {}
    form = text.get("format")
    return {
        "format": None if (form or {}).get("type") == "text" else form,
        "effort": (body.get("reasoning") or {}).get("effort"),
        "verbosity": text.get("verbosity"),
    }


def _turn(item: Body, path: str, settings: OpenAISettings) -> Turn:
    kind = str(item.get("type") or "message")
    if kind == "message":
        return Turn(_role(item, settings), contents(item["content"], path, settings))
    if kind.endswith(OUTPUTS):
        call = str(item.get("call_id", ""))
        output = item.get("output")
        if not isinstance(output, (str, list)):
            return Turn("tool", (json_piece(item, path),))
        return Turn("tool", contents(output, path, settings, field="output"), call)
    if kind == "item_reference":
        item = {"type": kind, "refers": item.get("id")}
    role: Role = "other" if kind in NEUTRAL else "assistant"
    return Turn(role, (json_piece(item, path),))


def _role(item: Body, settings: OpenAISettings) -> Role:
    if item["role"] == "system":
        return "developer" if settings.system_is_developer else "system"
    return ROLES[item["role"]]
