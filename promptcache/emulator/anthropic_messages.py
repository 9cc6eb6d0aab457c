"""A message as the Messages API spells it."""

from collections.abc import Mapping
from typing import Any

from promptcache.emulator.replies import Reply
from promptcache.emulator.rules.anthropic_iterations import Bill
from promptcache.emulator.rules.anthropic_lookup import InputUsage

__all__ = ["error_body", "message", "started_usage", "usage"]


def error_body(kind: str, message: str, request_id: str) -> dict[str, Any]:
    """Return the body of an error answer."""
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": request_id}


def message(
    reply: Reply, usage: Mapping[str, Any], *, model: str, message_id: str
) -> dict[str, Any]:
    """Return the whole answer."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(reply.content),
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "usage": usage,
    }


def usage(
    reply: Reply, bill: Bill, *, tier: str, with_cache_fields: bool = True
) -> dict[str, Any]:
    """Return the usage of an answer; its iterations only where they say more.

    The documentation shows them on a pre-warming answer too.
    """
    alone = len(bill.iterations) == 1 and bill.iterations[0].kind == "message"
    output = reply.output_tokens if alone else bill.output_tokens
    fields = _input(bill.usage, with_cache_fields=with_cache_fields)
    fields |= {"output_tokens": output, "service_tier": tier}
    if with_cache_fields and not (alone and output):
        fields["iterations"] = [
            {
                "type": each.kind,
                **_input(each.usage),
                "output_tokens": each.output_tokens,
            }
            for each in bill.iterations
        ]
    return fields


def started_usage(
    bill: Bill, *, tier: str, with_cache_fields: bool = True
) -> dict[str, Any]:
    """Return the usage that a stream begins with: that of its first sampling."""
    fields = _input(bill.started, with_cache_fields=with_cache_fields)
    return {**fields, "output_tokens": 1, "service_tier": tier}


def _input(usage: InputUsage, *, with_cache_fields: bool = True) -> dict[str, Any]:
    if not with_cache_fields:
        return {"input_tokens": usage.uncached}
    return {
        "input_tokens": usage.uncached,
        "cache_creation_input_tokens": usage.written_5m + usage.written_1h,
        "cache_read_input_tokens": usage.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written_5m,
            "ephemeral_1h_input_tokens": usage.written_1h,
        },
    }
