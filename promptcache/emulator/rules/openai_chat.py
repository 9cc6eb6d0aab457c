"""A body of `POST /v1/chat/completions`, read into turns."""

from typing import Any

from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_turns import (
    Body,
    Piece,
    Role,
    Turn,
    contents,
    json_piece,
)

__all__ = ["chat_format", "chat_tools", "chat_turns"]

ROLES: dict[str, Role] = {
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def chat_turns(body: Body, settings: OpenAISettings) -> tuple[Turn, ...]:
    """Return the conversation, in the order in which it is rendered."""
    return tuple(
        Turn(
            role=_role(message, settings),
            pieces=_pieces(message, f"messages[{index}]", settings),
            name=str(message.get("name") or ""),
        )
        for index, message in enumerate(body["messages"])
    )


def chat_tools(body: Body) -> list[Any]:
    """Return the tools that are rendered before the conversation."""
    return [*(body.get("tools") or ()), *(body.get("functions") or ())]


def chat_format(body: Body) -> dict[str, Any]:
    """Return what else is rendered before it. Source: the guide, "what breaks"."""
    return {
        "format": body.get("response_format"),
        "effort": body.get("reasoning_effort"),
        "verbosity": body.get("verbosity"),
    }


def _role(message: Body, settings: OpenAISettings) -> Role:
    if message["role"] == "system":
        return "developer" if settings.system_is_developer else "system"
    return ROLES[message["role"]]


def _pieces(message: Body, path: str, settings: OpenAISettings) -> tuple[Piece, ...]:
    pieces = contents(message.get("content"), path, settings)
    calls = message.get("tool_calls") or ()
    spoken = message.get("refusal")
    return (
        *pieces,
        *([json_piece(spoken, path)] if spoken else ()),
        *(
            json_piece(
                {"id": "", **call, "call": call.get("id")}, f"{path}.tool_calls[{at}]"
            )
            for at, call in enumerate(calls)
        ),
    )
