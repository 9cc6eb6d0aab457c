"""Responses as objects: the whole answer and its usage."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from promptcache.emulator.replies import Reply
from promptcache.emulator.rules.openai_entries import InputUsage
from promptcache.emulator.rules.openai_tiers import tier_used
from promptcache.emulator.rules.openai_turns import Body

__all__ = ["output_items", "response_object", "response_usage"]

PARTS = ("output_text", "refusal")
ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


def response_object(
    body: Body,
    output: list[Mapping[str, Any]],
    usage: Mapping[str, Any],
    *,
    name: str,
    at: float,
    cut: bool,
) -> dict[str, Any]:
    """Return the whole answer.

    Args:
        body: The request; its fields are echoed.
        output: The items that were said.
        usage: What it used.
        name: The id of the response.
        at: When it was made.
        cut: Whether the token limit ended it.
    """
    echoed = {
        key: usual if body.get(key) is None else body[key]
        for key, usual in ECHOED.items()
    }
    return {
        "id": name,
        "object": "response",
        "created_at": int(at),
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "model": body["model"],
        "output": output,
        "service_tier": tier_used(body),
        "usage": usage,
        **echoed,
    }


def output_items(
    reply: Reply, message_ids: Iterator[str], call_ids: Iterator[str]
) -> list[Mapping[str, Any]]:
    """Return what was said as items: texts as messages, calls, and given items."""
    items: list[Mapping[str, Any]] = []
    for block in reply.content:
        match block["type"]:
            case "text":
                items.append(_message(_text(block["text"]), next(message_ids)))
            case "tool_use":
                items.append(_call(block, next(call_ids)))
            case kind if kind in PARTS:
                items.append(_message(block, next(message_ids)))
            case _:
                items.append(block)
    return items


def response_usage(
    used: InputUsage, output: int, *, writes: bool, cache_fields: bool = True
) -> dict[str, Any]:
    """Return the usage of an answer; the split of writes only where they are billed.

    Source: `openai` 3.54, `types/responses/response_usage.py`.
    """
    usage: dict[str, Any] = {
        "input_tokens": used.total,
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.total + output,
    }
    if cache_fields:
        details: dict[str, Any] = {
            "cached_tokens": used.read,
            "cache_write_tokens": used.written,
        }
        if writes:
            details["cache_write_tokens_details"] = {
                "ttl_30m_tokens": used.written_30m,
                "ttl_12h_tokens": used.written_12h,
            }
        usage["input_tokens_details"] = details
    return usage


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(part: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _call(block: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "function_call",
        "status": "completed",
        "call_id": block["id"],
        "name": block["name"],
        "arguments": orjson.dumps(block["input"]).decode(),
    }
