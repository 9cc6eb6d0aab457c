"""One block of a Messages request: what it says, its size, whether it takes a marker.

Rule 1: nothing here looks beyond the block that it is given.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from promptcache.errors import UnreadableBodyError

__all__ = [
    "ADVISORY",
    "NESTING",
    "content_of",
    "mapping_of",
    "nested_markers",
    "refusal_of",
    "size_of",
    "without_nested_markers",
]

_MARKABLE = frozenset(
    {
        "bash_code_execution_tool_result",
        "browser_state",
        "code_execution_tool_result",
        "compaction",
        "container_upload",
        "document",
        "image",
        "mcp_tool_result",
        "mcp_tool_use",
        "search_result",
        "server_tool_use",
        "text",
        "text_editor_code_execution_tool_result",
        "tool_reference",
        "tool_result",
        "tool_search_tool_result",
        "tool_use",
        "web_fetch_tool_result",
        "web_search_tool_result",
    }
)
"""Types whose request form has `cache_control`. Source: the SDK's request types."""

_UNMARKABLE = frozenset(
    {"fallback", "mcp_tool_listing", "redacted_thinking", "thinking"}
)
"""Types whose request form lacks it, so that a marker is a 400. Source: as above."""

ADVISORY = frozenset({"blank-text", "system-turn", "unknown-type"})
"""Refusals that are our caution; the provider refuses a marker for all the others.

An entry that ends on a trailing `role: system` turn was reported never to be read
again (anthropics/claude-code issue 96101), so the block before takes the marker.
"""

NESTING = frozenset({"document", "mcp_tool_result", "search_result", "tool_result"})
"""Types whose parts may carry a marker, by mistake or by an old custom."""

_NONE: dict[str, Sequence[Any]] = {}

_IMAGE_BYTES = 6_400
"""Prompt bytes that stand for an image, whose tokens follow its pixels."""

_ENCODED_PER_PROMPT_BYTE = 12
"""A base64 document's bytes are mostly fonts and layout, not prompt."""


def mapping_of(block: Any) -> Mapping[str, Any]:
    """Return a block as a mapping; callers may pass back the SDK's response objects.

    Raises:
        UnreadableBodyError: It is neither.
    """
    if type(block) is dict or isinstance(block, Mapping):
        return block
    dump = getattr(block, "model_dump", None)
    if dump is not None:
        dumped = dump(mode="json", exclude_unset=True, by_alias=True)
        if isinstance(dumped, Mapping):
            return dumped
    if isinstance(block, str):
        return {"type": "text", "text": block}
    raise UnreadableBodyError(f"a block is a {type(block).__name__}")


def content_of(block: Mapping[str, Any], kind: str = "") -> bytes:
    """Return the bytes that tell this block from another one, markers left out.

    A text block that says nothing else is hashed by its text, so that it equals the
    plain string that it may be written as.
    """
    if kind == "text" and len(block) == 2 + ("cache_control" in block):
        text = block.get("text")
        if isinstance(text, str):
            return text.encode("utf-8", "surrogatepass")
    if kind in NESTING:
        try:
            block = without_nested_markers(block)
        except RecursionError as error:
            raise UnreadableBodyError("a block is nested too deeply") from error
    if "cache_control" in block:
        block = {key: block[key] for key in block if key != "cache_control"}
    return _encoded(block)


def size_of(block: Mapping[str, Any], kind: str, content: bytes) -> int:
    """Return the bytes of prompt that a block stands for."""
    if kind == "text":
        return len(content)
    if kind == "image":
        return _IMAGE_BYTES
    if kind == "document":
        source = block.get("source")
        if isinstance(source, Mapping) and source.get("type") == "base64":
            return max(_IMAGE_BYTES, len(content) // _ENCODED_PER_PROMPT_BYTE)
    if kind == "tool_result" and b'"base64"' in content:
        return min(len(content), _IMAGE_BYTES)
    return len(content)


def refusal_of(block: Mapping[str, Any], kind: str, code_calls: set[str]) -> str:
    """Return why a message or system block may carry no breakpoint, else "".

    Args:
        block: The block.
        kind: Its type.
        code_calls: Ids of the tool calls that code execution made so far; added to.
    """
    if kind == "text":
        text = block.get("text")
        if not text:
            return "empty-text"
        return "blank-text" if isinstance(text, str) and text.isspace() else ""
    if kind == "tool_use" and _called_by_code(block):
        code_calls.add(str(block.get("id")))
        return "code-call"
    if kind == "tool_result" and code_calls and block.get("tool_use_id") in code_calls:
        return "code-call"
    if kind in _MARKABLE:
        return ""
    return "no-marker-field" if kind in _UNMARKABLE else "unknown-type"


def nested_markers(block: Mapping[str, Any]) -> tuple[bool, Any]:
    """Tell of markers on the parts of a block.

    Returns:
        Whether a part other than a tool result's last one is marked, and the marker
        of that last one, which the provider takes for the tool result's own.
    """
    inner, last = False, None
    for parts in _nested(block).values():
        for number, part in enumerate(parts):
            if not isinstance(part, Mapping):
                continue
            if part.get("cache_control") is not None:
                if number + 1 == len(parts) and block.get("type") == "tool_result":
                    last = part["cache_control"]
                else:
                    inner = True
            deeper = nested_markers(part)
            inner = inner or deeper[0] or deeper[1] is not None
    return inner, last


def without_nested_markers(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the block with no marker on any of its parts; itself if there is none."""
    changed: dict[str, Any] = {}
    for key, parts in _nested(block).items():
        bare = [_bare(part) for part in parts]
        if any(new is not old for new, old in zip(bare, parts, strict=True)):
            changed[key] = {**block[key], "content": bare} if key == "source" else bare
    return {**block, **changed} if changed else block


def _nested(block: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    content, source = block.get("content"), block.get("source")
    if isinstance(content, (list, tuple)):
        return {"content": content}
    if isinstance(source, Mapping) and isinstance(source.get("content"), (list, tuple)):
        return {"source": source["content"]}
    return _NONE


def _bare(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    bare = without_nested_markers(part)
    if "cache_control" in bare:
        return {key: bare[key] for key in bare if key != "cache_control"}
    return bare


def _called_by_code(block: Mapping[str, Any]) -> bool:
    caller = block.get("caller")
    return isinstance(caller, Mapping) and str(caller.get("type", "")).startswith(
        "code_execution"
    )


def _encoded(block: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(block, default=_plain)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, which the SDK does send.
        try:
            return json.dumps(block, default=_plain).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise UnreadableBodyError(f"a block is no JSON: {error}") from error


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return repr(value) if dump is None else dump(mode="json", exclude_unset=True)
