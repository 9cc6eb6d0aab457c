"""Bodies and rows of Gemini behind LangChain, made comparable."""

import json
import re

__all__ = ["answered", "bodies_of", "whole_bodies", "without_ids"]

# The emulator counts its ids on, whoever asks; LangChain makes some of its own.
IDS = re.compile(
    r"\b(call|resp)_\w+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


def without_ids(value):
    """Return a value with every id that is made at random the same."""
    if isinstance(value, str):
        return IDS.sub("id", value)
    if isinstance(value, (list, tuple)):
        return type(value)(without_ids(item) for item in value)
    if isinstance(value, dict):
        return {key: without_ids(item) for key, item in value.items()}
    return value


def bodies_of(rows):
    """Return bodies as they were sent, in an order of their own."""
    return sorted((without_ids(row.body) for row in rows), key=_as_text)


def answered(rows):
    """Return the rows of requests for an answer, without those of cached contents."""
    return [row for row in rows if "enerateContent" in row.path]


def whole_bodies(rows, emulator):
    """Return bodies with what the cached contents hold that they name."""
    names = {row.display_name: row.name for row in emulator.caches}
    held = {
        names[row.body["displayName"]]: row.body
        for row in emulator.ledger
        if row.method == "POST"
        and row.path.endswith("/cachedContents")
        and row.status == 200
    }
    return sorted((without_ids(_whole(row.body, held)) for row in rows), key=_as_text)


def _as_text(body):
    return json.dumps(body, sort_keys=True)


def _whole(body, held):
    name = body.get("cachedContent")
    if name is None:
        return body
    left = {key: value for key, value in body.items() if key != "cachedContent"}
    cached = {
        key: value
        for key, value in held[name].items()
        if key not in ("displayName", "expireTime", "model", "ttl")
    }
    # What stands in both would be billed twice, and is refused but for contents.
    assert not left.keys() & cached.keys() - {"contents"}
    contents = [*cached.get("contents", ()), *left["contents"]]
    return {**cached, **left, "contents": contents}
