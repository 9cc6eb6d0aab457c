"""Conversations in OpenAI's form, as requests, and as Anthropic takes them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

__all__ = ["for_anthropic", "is_foreign", "turns"]

_HEADS = ("system", "developer")

_BARE = frozenset({"messages", "model", "tools"})
"""What recorded conversations have; answers that are only begun stand in requests."""

_SHARED = ("model", "max_tokens", "stream", "temperature", "top_p")
"""Parameters that both APIs have, by the same name and meaning."""


def turns(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the requests of a body: one, or one for each answer in a conversation.

    `messages` in OpenAI's form that end with an answer are a conversation that is over.
    """
    messages = body.get("messages")
    if not isinstance(messages, list | tuple) or not messages:
        yield body
        return
    is_talk = is_foreign(body) or set(body) <= _BARE
    if _role(messages[-1]) != "assistant" or not is_talk:
        yield body
        return
    for number, message in enumerate(messages):
        if number and _role(message) == "assistant":
            yield {**body, "messages": messages[:number]}


def is_foreign(body: Mapping[str, Any]) -> bool:
    """Tell whether a body has what only OpenAI's form of messages has."""
    messages, tools = body.get("messages"), body.get("tools")
    found = messages if isinstance(messages, list | tuple) else ()
    offered = tools if isinstance(tools, list | tuple) else ()
    if found and _role(found[0]) in _HEADS:
        return True
    return any(_role(it) == "tool" or _calls(it) for it in found) or any(
        isinstance(it, Mapping) and "function" in it for it in offered
    )


def for_anthropic(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body in OpenAI's form as one of the Messages API.

    What is said and offered is kept; of parameters, those that both have.
    """
    messages: Sequence[Any] = body["messages"]
    heads = [it for it in messages if _role(it) in _HEADS]
    made = {name: body[name] for name in _SHARED if name in body}
    made["messages"] = [*_joined(messages)]
    if heads:
        made["system"] = [block for it in heads for block in _blocks(it)]
    if isinstance(body.get("tools"), list | tuple):
        made["tools"] = [_tool(it) for it in body["tools"]]
    return made


def _joined(messages: Sequence[Any]) -> Iterator[Any]:
    """Yield turns; results of tools in a row are one turn of the user's."""
    results: list[dict[str, Any]] = []
    for message in messages:
        if _role(message) in _HEADS:
            continue
        if _role(message) == "tool":
            results.append(_result(message))
            continue
        if results:
            yield {"role": "user", "content": results}
            results = []
        if not isinstance(message, Mapping):
            # Whoever reads the body says what is wrong with it.
            yield message
            continue
        content = [*_blocks(message), *map(_call, _calls(message))]
        yield {"role": message.get("role"), "content": content}
    if results:
        yield {"role": "user", "content": results}


def _role(message: Any) -> object:
    return message.get("role") if isinstance(message, Mapping) else None


def _calls(message: Any) -> Sequence[Any]:
    calls = message.get("tool_calls") if isinstance(message, Mapping) else None
    return calls if isinstance(calls, list | tuple) else ()


def _blocks(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [*content] if isinstance(content, list | tuple) else []


def _result(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id"),
        "content": message.get("content"),
    }


def _call(call: Any) -> dict[str, Any]:
    given = call.get("function", {}) if isinstance(call, Mapping) else {}
    arguments = given.get("arguments")
    try:
        read = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        read = {"arguments": arguments}
    name, number = given.get("name"), call.get("id") if given else None
    return {"type": "tool_use", "id": number, "name": name, "input": read}


def _tool(tool: Any) -> Any:
    if not isinstance(tool, Mapping) or not isinstance(tool.get("function"), Mapping):
        return tool
    given = tool["function"]
    made = {"name": given.get("name"), "input_schema": given.get("parameters", {})}
    if "description" in given:
        made["description"] = given["description"]
    return made
