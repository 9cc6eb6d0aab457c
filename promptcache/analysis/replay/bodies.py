"""Messages of Chat Completions as the body of a request to a provider."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from promptcache.analysis.replay.messages import Message, ToBody
from promptcache.analysis.replay.traces import Body

__all__ = ["to_anthropic", "to_openai"]

MAX_TOKENS = 1024
"""An answer's limit, which a request to Anthropic has to name."""


def to_openai(model: str) -> ToBody:
    """Return what makes bodies for OpenAI's Chat Completions.

    Args:
        model: What is asked.
    """

    def body(messages: Sequence[Message], tools: Sequence[Message]) -> Body:
        sent = [
            {name: value for name, value in it.items() if name != "at"}
            for it in messages
        ]
        made: dict[str, Any] = {"model": model, "messages": sent}
        if tools:
            made["tools"] = list(tools)
        return made

    return body


def to_anthropic(model: str) -> ToBody:
    """Return what makes bodies for Anthropic's Messages API.

    System messages at the beginning are the system prompt; results of tools are in the
    user's turn, with what the user says next.

    Args:
        model: What is asked.
    """

    def body(messages: Sequence[Message], tools: Sequence[Message]) -> Body:
        system = [*_system(messages)]
        made: dict[str, Any] = {
            "model": model,
            "max_tokens": MAX_TOKENS,
            "messages": _turns(messages[len(system) :]),
        }
        blocks = [block for it in system for block in _texts(it.get("content"))]
        if blocks:
            made["system"] = blocks
        if tools:
            made["tools"] = [_tool(it["function"]) for it in tools]
        return made

    return body


def _system(messages: Sequence[Message]) -> Iterator[Message]:
    for message in messages:
        if message["role"] not in ("system", "developer"):
            return
        yield message


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    names = _Names()
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message, names)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


class _Names:
    """Ids of calls that are used once, as Anthropic wants them.

    Some collections give the same id to several calls. Which one a result is for is
    told by what was called last.
    """

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}

    def call(self, said: str) -> str:
        """Return the id of a new call."""
        self._uses[said] = self._uses.get(said, 0) + 1
        return self.result(said)

    def result(self, said: str) -> str:
        """Return the id of the call that a result is for."""
        uses = self._uses.get(said, 1)
        return said if uses == 1 else f"{said}-{uses}"


def _blocks(message: Message, names: _Names) -> list[dict[str, Any]]:
    if message["role"] == "tool":
        said = names.result(message["tool_call_id"])
        result = {"type": "tool_result", "tool_use_id": said}
        return [{**result, "content": _texts(message.get("content"))}]
    blocks = _texts(message.get("content"))
    for call in message.get("tool_calls") or ():
        function = call["function"]
        blocks.append(
            {
                "type": "tool_use",
                "id": names.call(call["id"]),
                "name": function["name"],
                "input": orjson.loads(function.get("arguments") or "{}"),
            }
        )
    return blocks


def _texts(content: object) -> list[dict[str, Any]]:
    """Return content as blocks of text.

    Raises:
        TypeError: Some of it is no text.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    blocks: list[dict[str, Any]] = []
    for part in content if isinstance(content, Sequence) else (content,):
        text = part.get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            raise TypeError("only text can be replayed")
        blocks += _texts(text)
    return blocks


def _tool(function: Message) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function["description"],
        "input_schema": function["parameters"],
    }
