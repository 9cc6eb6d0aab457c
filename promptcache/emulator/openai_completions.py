"""Chat Completions as objects: the whole answer, its usage and its errors."""

from collections.abc import Mapping
from typing import Any

import orjson

from promptcache.emulator.replies import Reply
from promptcache.emulator.rules.openai_entries import InputUsage

__all__ = ["completion", "completion_usage", "error_object"]

FINISHED: Mapping[str, str] = {"max_tokens": "length", "tool_use": "tool_calls"}


def completion(
    reply: Reply,
    usage: Mapping[str, Any],
    *,
    model: str,
    name: str,
    at: float,
    choices: int,
    tier: str,
) -> dict[str, Any]:
    """Return the whole answer; a block of a given form is merged into the message.

    Args:
        reply: What was said, in each of the choices.
        usage: What it used.
        model: The model that was asked for.
        name: The id of the completion.
        at: When it was made.
        choices: How many answers were asked for.
        tier: The service tier.
    """
    texts = [block["text"] for block in reply.content if block["type"] == "text"]
    calls = [_call(block) for block in reply.content if block["type"] == "tool_use"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": None,
        "annotations": [],
    }
    for block in reply.content:
        if block["type"] not in ("text", "tool_use"):
            message |= {key: block[key] for key in block if key != "type"}
    if calls:
        message["tool_calls"] = calls
    choice = {
        "message": message,
        "logprobs": None,
        "finish_reason": FINISHED.get(reply.stop_reason, "stop"),
    }
    return {
        "id": name,
        "object": "chat.completion",
        "created": int(at),
        "model": model,
        "choices": [{"index": number, **choice} for number in range(choices)],
        "usage": usage,
        "service_tier": tier,
        "system_fingerprint": None,
    }


def completion_usage(
    used: InputUsage, output: int, *, writes: bool, cache_fields: bool = True
) -> dict[str, Any]:
    """Return the usage of an answer; writes are told only where they are billed.

    Source: `openai` 3.54, `types/completion_usage.py`.
    """
    usage: dict[str, Any] = {
        "prompt_tokens": used.total,
        "completion_tokens": output,
        "total_tokens": used.total + output,
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    if cache_fields:
        details = {"cached_tokens": used.read, "audio_tokens": 0}
        if writes:
            details["cache_write_tokens"] = used.written
        usage["prompt_tokens_details"] = details
    return usage


def error_object(
    message: str, *, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return the body of an error."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": error}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(block["input"]).decode()
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }
