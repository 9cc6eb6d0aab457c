"""What an emulated model answers, before the answer has the form of an API."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from promptcache.emulator.answers import Json, Part, ToolCall
from promptcache.emulator.rules.tokens import (
    BYTES_PER_TOKEN,
    block_tokens,
    text_tokens,
)
from promptcache.emulator.schema_values import named_object, schema_value

__all__ = ["Reply", "reply_to"]

DEFAULT_TEXT = "Understood. This is the emulator's answer."
SUMMARY = "The emulator's summary of all that was said so far."
ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
# "get_weather" is asked for by "weather": the verb seldom stands in the question.
VERB = re.compile(r"^(get|fetch|find|search|look up|lookup|calculate|compute) ")


@dataclass(frozen=True, slots=True)
class Reply:
    """The content of one answer, and how it ended."""

    content: tuple[Mapping[str, Any], ...]
    stop_reason: str
    output_tokens: int
    stop_sequence: str | None = None


def reply_to(
    body: Mapping[str, Any], scripted: Sequence[Part] | None, ids: Iterator[str]
) -> Reply:
    """Return the answer to a valid request.

    Args:
        body: The request.
        scripted: The answer that was ordered for it, if any.
        ids: Fresh ids for tool calls.
    """
    if body["max_tokens"] == 0:
        return Reply((), "max_tokens", 0)
    parts = _spontaneous(body) if scripted is None else scripted
    content = tuple(_block(part, ids) for part in parts)
    reply = Reply(content, _stop_reason(content), 0)
    reply = _stopped(reply, body.get("stop_sequences") or ())
    reply = _cut(reply, body["max_tokens"])
    return replace(reply, output_tokens=max(1, sum(map(block_tokens, reply.content))))


def _stop_reason(content: Sequence[Mapping[str, Any]]) -> str:
    if any(block["type"] == "tool_use" for block in content):
        return "tool_use"
    # Source: compaction page of the documentation; the client is to go on from it.
    paused = bool(content) and content[-1]["type"] == "compaction"
    return "compaction" if paused else "end_turn"


def _block(part: Part, ids: Iterator[str]) -> Mapping[str, Any]:
    match part:
        case str():
            return {"type": "text", "text": part}
        case ToolCall(name, args):
            return {"type": "tool_use", "id": next(ids), "name": name, "input": args}
        case Json(value):
            return {"type": "text", "text": orjson.dumps(value).decode()}
        case _:
            return part


def _spontaneous(body: Mapping[str, Any]) -> Sequence[Part]:
    """Answer without an order: by schema, by the forced tool, by the tool asked for."""
    if body.get("compaction"):
        return [{"type": "compaction", "content": SUMMARY}]
    text = _last_user_text(body)
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    choice = (body.get("tool_choice") or {}).get("type", "auto")
    tool: Mapping[str, Any] | None = None
    if choice == "tool":
        wanted = body["tool_choice"]["name"]
        tool = next((tool for tool in tools if tool["name"] == wanted), None)
    elif choice == "any":
        tool = _asked_for(tools, text) or (tools[0] if tools else None)
    elif choice == "auto" and not _just_got_results(body):
        tool = _asked_for(tools, text)
    if tool is not None:
        return [ToolCall(tool["name"], schema_value(tool["input_schema"], text) or {})]
    schema = _wanted_schema(body)
    if schema == ANY_OBJECT:
        schema = named_object(text)
    return [DEFAULT_TEXT if schema is None else Json(schema_value(schema, text))]


def _wanted_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = body.get("output_config") or {}
    wanted = config.get("format") or body.get("output_format")
    schema = wanted.get("schema") if isinstance(wanted, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def _asked_for(
    tools: Sequence[Mapping[str, Any]], text: str
) -> Mapping[str, Any] | None:
    """Return the tool whose name stands in the text, the longest name first.

    The words of the name may be separated by spaces, underscores or hyphens, and a
    leading verb like "get" may be missing.
    """
    plain = f" {_words(text)} "
    for tool in sorted(tools, key=lambda tool: -len(tool["name"])):
        name = _words(tool["name"])
        if f" {name} " in plain or f" {VERB.sub('', name)} " in plain:
            return tool
    return None


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _last_user_text(body: Mapping[str, Any]) -> str:
    """Return the text of the last user turn that has any."""
    for message in reversed(body["messages"]):
        if message["role"] != "user":
            continue
        content = message["content"]
        if isinstance(content, str):
            return content
        texts = [block["text"] for block in content if block.get("type") == "text"]
        if texts:
            return "\n".join(texts)
    return ""


def _just_got_results(body: Mapping[str, Any]) -> bool:
    content = body["messages"][-1]["content"]
    return not isinstance(content, str) and any(
        block.get("type") == "tool_result" for block in content
    )


def _stopped(reply: Reply, sequences: Sequence[str]) -> Reply:
    """Cut the answer at the first stop sequence in it."""
    for index, block in enumerate(reply.content):
        found = [s for s in sequences if s and s in block.get("text", "")]
        if not found:
            continue
        stop = min(found, key=block["text"].index)
        text = block["text"][: block["text"].index(stop)]
        content = (*reply.content[:index], {**block, "text": text})
        return replace(
            reply, content=content, stop_reason="stop_sequence", stop_sequence=stop
        )
    return reply


def _cut(reply: Reply, max_tokens: int) -> Reply:
    """Cut text that is longer than the request allows."""
    left = max_tokens
    for index, block in enumerate(reply.content):
        text = block.get("text")
        if isinstance(text, str) and text_tokens(text) > left:
            size = left * BYTES_PER_TOKEN
            short = text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
            content = (*reply.content[:index], {**block, "text": short})
            return replace(reply, content=content, stop_reason="max_tokens")
        left = max(0, left - block_tokens(block))
    return reply
