"""A message as the Messages API streams it.

Rule 1: full usage is on `message_start`; the cumulative usage of `message_delta` has no
split by lifetime. Source: `anthropic` 2.12, `types/message_delta_usage.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

__all__ = ["Event", "encoded", "events"]

Event = Mapping[str, Any]

CHUNK = 16


def events(whole: Event, started: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the events that stream a message, in the provider's order.

    Args:
        whole: The message at its end.
        started: The usage at its beginning.
    """
    usage = whole["usage"]
    start = {
        **whole,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": started,
    }
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        yield from _block_events(index, block)
    delta = {key: whole[key] for key in ("stop_reason", "stop_sequence")}
    omitted = ("cache_creation", "service_tier")
    final = {key: value for key, value in usage.items() if key not in omitted}
    yield {"type": "message_delta", "delta": delta, "usage": final}
    yield {"type": "message_stop"}


def _block_events(index: int, block: Event) -> Iterator[Event]:
    opened, deltas = _opened(block)
    start = {"type": "content_block_start", "index": index}
    yield {**start, "content_block": opened}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _opened(block: Event) -> tuple[Event, Iterator[Event]]:
    """Return a block as it starts, and what fills it."""
    match block["type"]:
        case "text":
            return {**block, "text": ""}, _filled("text", "text", block["text"])
        case "tool_use":
            # The first delta of a tool call is always empty.
            json = orjson.dumps(block["input"]).decode() if block["input"] else ""
            deltas = _filled("input_json", "partial_json", json, first="")
            return {**block, "input": {}}, deltas
        case "thinking":
            return {**block, "thinking": "", "signature": ""}, _thought(block)
        case "compaction":
            delta = {"type": "compaction_delta", "content": block["content"]}
            return {**block, "content": None}, iter([delta])
        case _:
            return block, iter(())


def _thought(block: Event) -> Iterator[Event]:
    yield from _filled("thinking", "thinking", block["thinking"])
    yield {"type": "signature_delta", "signature": block["signature"]}


def _filled(
    kind: str, field: str, text: str, *, first: str | None = None
) -> Iterator[Event]:
    if first is not None:
        yield {"type": f"{kind}_delta", field: first}
    for at in range(0, len(text), CHUNK):
        yield {"type": f"{kind}_delta", field: text[at : at + CHUNK]}


def encoded(event: Event) -> bytes:
    """Return an event in the form of server-sent events."""
    return b"event: %s\ndata: %s\n\n" % (
        str(event["type"]).encode(),
        orjson.dumps(event),
    )
