"""Answers of OpenAI's APIs as they are streamed.

Rule 1: a Chat stream ends with a chunk of usage and no choices, only if
`stream_options.include_usage` asks for it; all other chunks then say `usage: null`.
Rule 2: a Responses stream has its usage on the event that ends it.
Source: `openai` 3.54, types of chunks and events.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

__all__ = ["DONE", "chat_chunks", "encoded_chunk", "encoded_event", "response_events"]

Event = Mapping[str, Any]

CHUNK = 16
DONE = b"data: [DONE]\n\n"


def chat_chunks(whole: Event, *, with_usage: bool) -> Iterator[Event]:
    """Yield the chunks of a completion."""
    kept = ("id", "created", "model", "service_tier", "system_fingerprint")
    base = {key: whole[key] for key in kept}
    base["object"] = "chat.completion.chunk"
    if with_usage:
        base["usage"] = None
    for choice in whole["choices"]:
        at = choice["index"]
        for delta in _deltas(choice["message"]):
            yield {**base, "choices": [_choice(at, delta, None)]}
        yield {**base, "choices": [_choice(at, {}, choice["finish_reason"])]}
    if with_usage:
        yield {**base, "choices": [], "usage": whole["usage"]}


def _choice(index: int, delta: Event, finished: str | None) -> Event:
    said = {"index": index, "delta": delta}
    return {**said, "logprobs": None, "finish_reason": finished}


def _deltas(message: Event) -> Iterator[Event]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for field in ("content", "refusal"):
        for piece in _pieces(message.get(field) or ""):
            yield {field: piece}
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = {"name": call["function"]["name"], "arguments": ""}
        opened = {"index": index, **call, "function": function}
        yield {"tool_calls": [opened]}
        for piece in _pieces(call["function"]["arguments"]):
            delta = {"index": index, "function": {"arguments": piece}}
            yield {"tool_calls": [delta]}


def response_events(whole: Event) -> Iterator[Event]:
    """Yield the events of a response, numbered."""
    for number, event in enumerate(_events(whole)):
        yield {**event, "sequence_number": number}


def _events(whole: Event) -> Iterator[dict[str, Any]]:
    begun = {
        **{key: it for key, it in whole.items() if key != "prompt_cache_diagnostics"},
        "status": "in_progress",
        "output": [],
        "usage": None,
        "incomplete_details": None,
    }
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        yield from _item_events(index, item)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _item_events(index: int, item: Event) -> Iterator[dict[str, Any]]:
    opened = {**item, "status": "in_progress"}
    at = {"output_index": index}
    if item["type"] == "message":
        opened["content"] = []
    elif item["type"] == "function_call":
        opened["arguments"] = ""
    yield {"type": "response.output_item.added", **at, "item": opened}
    if item["type"] == "message":
        for number, part in enumerate(item["content"]):
            where = {**at, "item_id": item["id"], "content_index": number}
            yield from _part_events(where, part)
    elif item["type"] == "function_call":
        where = {**at, "item_id": item["id"]}
        kind = "response.function_call_arguments"
        for piece in _pieces(item["arguments"]):
            yield {"type": f"{kind}.delta", **where, "delta": piece}
        said = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": f"{kind}.done", **where, **said}
    yield {"type": "response.output_item.done", **at, "item": item}


def _part_events(where: Event, part: Event) -> Iterator[dict[str, Any]]:
    field = "refusal" if part["type"] == "refusal" else "text"
    kind = f"response.{part['type']}"
    extra: Event = {"logprobs": []} if field == "text" else {}
    opened = {**part, field: ""}
    yield {"type": "response.content_part.added", **where, "part": opened}
    for piece in _pieces(part[field]):
        yield {"type": f"{kind}.delta", **where, "delta": piece, **extra}
    yield {"type": f"{kind}.done", **where, field: part[field], **extra}
    yield {"type": "response.content_part.done", **where, "part": part}


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), CHUNK):
        yield text[at : at + CHUNK]


def encoded_chunk(chunk: Event) -> bytes:
    """Return a chunk of a Chat stream, which has no name."""
    return b"data: %s\n\n" % orjson.dumps(chunk)


def encoded_event(event: Event) -> bytes:
    """Return an event of a Responses stream."""
    return b"event: %s\ndata: %s\n\n" % (
        str(event["type"]).encode(),
        orjson.dumps(event),
    )
