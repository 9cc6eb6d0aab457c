"""What an emulated GPT answers: the content of both APIs, before it has their form.

What to say is decided as for every other model; only the question is spelled anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptcache.emulator.answers import Part
from promptcache.emulator.replies import Reply, reply_to
from promptcache.emulator.rules.openai_responses import input_items
from promptcache.emulator.rules.openai_turns import Api, Body

__all__ = ["openai_reply"]

UNLIMITED = 1_000_000


def openai_reply(
    api: Api, body: Body, scripted: Sequence[Part] | None, ids: Iterator[str]
) -> Reply:
    """Return the answer to a valid request.

    Args:
        api: Which of the two APIs was called.
        body: The request.
        scripted: The answer that was ordered for it, if any.
        ids: Fresh ids for tool calls.
    """
    if (body.get("prompt_cache_options") or {}).get("prewarm"):
        return Reply((), "end_turn", 0)
    asked = _chat(body) if api == "chat" else _responses(body)
    stop = body.get("stop") or ()
    asked["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    tools = [_function(tool) for tool in body.get("tools") or ()]
    asked["tools"] = [tool for tool in tools if "input_schema" in tool]
    asked |= _choice(body.get("tool_choice"), asked["tools"])
    return reply_to(asked, scripted, ids)


def _chat(body: Body) -> dict[str, Any]:
    wanted = body.get("response_format") or {}
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    schema = (wanted.get("json_schema") or {}).get("schema")
    return {
        "max_tokens": limit or UNLIMITED,
        "messages": [
            _message(str(message["role"]), message.get("content"))
            for message in body["messages"]
        ],
        "output_config": {"format": {"schema": _schema(wanted, schema)}},
    }


def _responses(body: Body) -> dict[str, Any]:
    wanted = (body.get("text") or {}).get("format") or {}
    messages = [_item(item) for item in input_items(body.get("input"))]
    return {
        "max_tokens": body.get("max_output_tokens") or UNLIMITED,
        "messages": messages or [_message("user", "")],
        "output_config": {"format": {"schema": _schema(wanted, wanted.get("schema"))}},
    }


def _schema(wanted: Body, schema: Any) -> Any:
    # Any object will do where no schema says which.
    return {"type": "object"} if wanted.get("type") == "json_object" else schema


def _item(item: Body) -> Body:
    if str(item.get("type", "")).endswith("_output"):
        return _message("tool", item.get("output"))
    return _message(str(item.get("role", "assistant")), item.get("content"))


def _message(role: str, content: object) -> Body:
    if role in ("tool", "function"):
        return {"role": "user", "content": [{"type": "tool_result"}]}
    if isinstance(content, str):
        return {"role": role, "content": content}
    texts = [
        {"type": "text", "text": part["text"]}
        for part in (content if isinstance(content, list) else ())
        if isinstance(part.get("text"), str)
    ]
    return {"role": role, "content": texts}


def _function(tool: Body) -> Body:
    """Return a function tool in one form; both APIs call its schema `parameters`."""
    if tool.get("type") != "function":
        return {}
    function = tool.get("function") or tool
    schema = function.get("parameters") or {"type": "object"}
    return {"name": function["name"], "input_schema": schema}


def _choice(choice: Any, tools: Sequence[Body]) -> dict[str, Any]:
    if choice in ("auto", "none", None):
        return {"tool_choice": {"type": choice or "auto"}}
    if choice == "required":
        return {"tool_choice": {"type": "any"}}
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or choice
        names = [_name(tool) for tool in allowed.get("tools") or ()]
        kind = "any" if allowed.get("mode") == "required" else "auto"
        left = [tool for tool in tools if tool["name"] in names]
        return {"tool_choice": {"type": kind}, "tools": left}
    return {"tool_choice": {"type": "tool", "name": _name(choice)}}


def _name(tool: Body) -> object:
    return (tool.get("function") or tool).get("name")
