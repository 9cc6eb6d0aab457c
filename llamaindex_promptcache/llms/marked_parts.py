"""Messages with a `CachePoint`, written as OpenAI's APIs mark the end of a prefix.

LlamaIndex makes one string of the text blocks of a message, and raises on a cache
point. Here a message that has one becomes parts: each ends where a point stands, and
carries a breakpoint there.

Rule 1: the text is the very one that LlamaIndex sends without the points.
Rule 2: a point is the caller's word: whether model and server take it, and how long it
may live, is for the client's seam to say.
Rule 3: the caller's messages are read, never written.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import CachePoint, ChatMessage, MessageRole

from llamaindex_promptcache.llms.lent_messages import without_cache_points

__all__ = ["has_cache_points", "marked_messages"]

Converted = Callable[[list[ChatMessage]], Any]
"""What LlamaIndex makes of messages: a list of dicts, or a lone user's text."""

_MARK = "prompt_cache_breakpoint"
_TTLS = frozenset({"30m", "12h"})
"""Lifetimes that a breakpoint has. Source: the request types of `openai` 3.54."""

_PLACES = ("content", "output")
"""Where a message, or the result of a tool, has its text."""

_MARKED = frozenset(
    {MessageRole.SYSTEM, MessageRole.DEVELOPER, MessageRole.USER, MessageRole.TOOL}
)
"""Whose parts take breakpoints; those of answers take none. Source: the guide."""


def has_cache_points(messages: Sequence[ChatMessage]) -> bool:
    """Tell whether any message has a cache point."""
    return any(_is_point(block) for message in messages for block in message.blocks)


def marked_messages(
    messages: Sequence[ChatMessage], converted: Converted, *, text: str
) -> list[dict[str, Any]]:
    """Return messages as the API takes them, with breakpoints for cache points.

    A point that has nothing before it in its message, or stands in an answer of the
    model, is left out.

    Args:
        messages: What is to be sent.
        converted: LlamaIndex's own conversion.
        text: The type of a text part.
    """
    made: list[dict[str, Any]] = []
    for message in messages:
        for plain in without_cache_points([message]):
            items = _listed(converted([plain]))
            points = any(map(_is_point, message.blocks))
            if points and message.role in _MARKED and len(items) == 1:
                items = [_marked(items[0], message, converted, text)]
            made.extend(items)
    return made


def _marked(
    item: dict[str, Any], message: ChatMessage, converted: Converted, text: str
) -> dict[str, Any]:
    """Return an item with its text as parts; as it is if these said anything else."""
    place = next((name for name in _PLACES if item.get(name)), None)
    if place is None:
        return item
    parts: list[dict[str, Any]] = []
    for piece, point in _pieces(message):
        said = _listed(converted([piece]))
        found = _parts(said[0].get(place), text) if len(said) == 1 else []
        if found and point is not None:
            found[-1] = {**found[-1], _MARK: _breakpoint(point)}
        parts.extend(found)
    is_same = _said(parts) == _said(_parts(item[place], text))
    return {**item, place: parts} if is_same else item


def _pieces(message: ChatMessage) -> Iterator[tuple[ChatMessage, CachePoint | None]]:
    """Yield what stands before each cache point, and what follows the last."""
    blocks: list[Any] = []
    for block in message.blocks:
        if not isinstance(block, CachePoint):
            blocks.append(block)
        elif blocks:
            yield message.model_copy(update={"blocks": blocks}), block
            blocks = []
    if blocks:
        yield message.model_copy(update={"blocks": blocks}), None


def _breakpoint(point: CachePoint) -> dict[str, Any]:
    ttl = point.cache_control.ttl
    # Anthropic's lifetimes, of which five minutes are the default, are none here.
    return {"mode": "explicit", **({"ttl": ttl} if ttl in _TTLS else {})}


def _parts(content: Any, text: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": text, "text": content}] if content else []
    return [*content] if isinstance(content, list) else []


def _said(parts: Sequence[dict[str, Any]]) -> list[Any]:
    """Return what parts say, however their text is split."""
    said: list[Any] = [""]
    for part in parts:
        if "text" in part:
            said[-1] += part["text"]
        else:
            said += [{key: part[key] for key in part if key != _MARK}, ""]
    return said


def _listed(items: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": items}] if isinstance(items, str) else items


def _is_point(block: object) -> bool:
    return isinstance(block, CachePoint)
