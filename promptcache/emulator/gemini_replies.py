"""What an emulated Gemini answers, before it has the form of the API.

What to say is decided as for every other model; only the question is spelled anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptcache.emulator.answers import Part
from promptcache.emulator.replies import Reply, reply_to
from promptcache.emulator.rules.gemini_spelling import Body

__all__ = ["GIVEN", "gemini_reply"]

UNLIMITED = 1_000_000
GIVEN = "given"
"""What a block is called that holds a part in the form of the API."""
JSON = "application/json"
CHOICES: Mapping[str, str] = {"ANY": "any", "NONE": "none"}


def gemini_reply(
    body: Body, scripted: Sequence[Part] | None, ids: Iterator[str]
) -> Reply:
    """Return the answer to a valid request.

    Args:
        body: The request in one spelling, with the tools of what it uses from cache.
        scripted: The answer that was ordered for it, if any.
        ids: Fresh ids for tool calls.
    """
    config = body.get("generationConfig") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or ()
    tools = [
        _function(declared)
        for tool in body.get("tools") or ()
        for declared in tool.get("functionDeclarations") or ()
        if not allowed or declared["name"] in allowed
    ]
    asked = {
        "max_tokens": config.get("maxOutputTokens") or UNLIMITED,
        "messages": [_message(content) for content in body["contents"]],
        "output_config": {"format": {"schema": _wanted(config)}},
        "stop_sequences": config.get("stopSequences") or (),
        "tools": tools,
        "tool_choice": {"type": CHOICES.get(str(calling.get("mode")), "auto")},
    }
    if scripted is not None:
        scripted = [_kept(part) for part in scripted]
    return reply_to(asked, scripted, ids)


def _message(content: Body) -> Body:
    role = "assistant" if content.get("role") == "model" else "user"
    blocks = [
        {"type": "tool_result"}
        if "functionResponse" in part
        else {"type": "text", "text": part["text"]}
        for part in content["parts"]
        if "text" in part or "functionResponse" in part
    ]
    return {"role": role, "content": blocks}


def _function(declared: Body) -> Body:
    schema = declared.get("parametersJsonSchema")
    if schema is None:
        schema = _json_schema(declared.get("parameters") or {"type": "OBJECT"})
    return {"name": declared["name"], "input_schema": schema}


def _wanted(config: Body) -> Any:
    if config.get("responseJsonSchema") is not None:
        return config["responseJsonSchema"]
    if config.get("responseSchema") is not None:
        return _json_schema(config["responseSchema"])
    # Any object will do where no schema says which.
    return {"type": "object"} if config.get("responseMimeType") == JSON else None


def _json_schema(schema: Any) -> Any:
    """Return the API's own kind of schema as a JSON schema."""
    if isinstance(schema, list):
        return [_json_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    turned = {name: _json_schema(it) for name, it in schema.items()}
    if isinstance(turned.get("type"), str):
        turned["type"] = turned["type"].lower()
    # Counts are 64-bit integers, which travel as texts.
    for name in ("minItems", "maxItems", "minLength", "maxLength"):
        if str(turned.get(name)).isdecimal():
            turned[name] = int(turned[name])
    return turned


def _kept(part: Part) -> Part:
    """Return a part in the form of the API as a block that passes through."""
    if isinstance(part, Mapping) and "type" not in part:
        return {"type": GIVEN, "part": part}
    return part
