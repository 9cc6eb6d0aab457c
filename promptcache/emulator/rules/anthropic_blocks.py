"""Reading one content block of the Messages API."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

__all__ = [
    "UNMARKABLE",
    "Block",
    "as_blocks",
    "called_by_code",
    "code_call_ids",
    "is_markable",
    "is_server_result",
    "marker_of",
    "nested",
    "rendered",
]

Block: TypeAlias = Mapping[str, Any]

UNMARKABLE = frozenset(
    {"thinking", "redacted_thinking", "fallback", "mcp_tool_listing"}
)
"""Block types whose request type has no `cache_control`. Source: `anthropic` 2.12."""


def as_blocks(content: object) -> Sequence[Block]:
    """Return content as blocks; a string is one text block, an empty one is none.

    Source: the SDK's docstring calls both forms equivalent.
    """
    if isinstance(content, str):
        return ({"type": "text", "text": content},) if content else ()
    if isinstance(content, Sequence):
        return content
    return ()


def called_by_code(block: Block) -> bool:
    """Whether code execution made this call.

    Such blocks are not rendered in the model's context. Source: langchain#34579.
    """
    caller = block.get("caller")
    kind = caller.get("type") if isinstance(caller, Mapping) else None
    return isinstance(kind, str) and kind.startswith("code_execution")


def code_call_ids(messages: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the ids of all calls that code execution made."""
    return frozenset(
        str(block.get("id"))
        for message in messages
        for block in as_blocks(message.get("content"))
        if block.get("type") == "tool_use" and called_by_code(block)
    )


def is_markable(block: Block) -> bool:
    """Whether automatic caching may land on this block.

    The list is not published; blocks that cannot be cached directly are left out.
    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    if block.get("type") in UNMARKABLE:
        return False
    return block.get("type") != "text" or bool(str(block.get("text", "")).strip())


def is_server_result(block: Block) -> bool:
    """Whether this is what a tool that the provider runs gave."""
    kind = str(block.get("type"))
    return kind.endswith("_tool_result")


def marker_of(block: Block) -> Block | None:
    """Return the block's `cache_control`, or the one that is lifted to it.

    A marker on the last sub-block of a tool_result or document counts for its parent.
    Source: release notes of the Claude API.
    """
    own = block.get("cache_control")
    if own is not None:
        return own if isinstance(own, Mapping) else None
    parts = nested(block)
    last = parts[-1].get("cache_control") if parts else None
    return last if isinstance(last, Mapping) else None


def nested(block: Block) -> Sequence[Block]:
    """Return the blocks inside of a tool_result or document."""
    content: object = None
    if block.get("type") == "tool_result":
        content = block.get("content")
    elif block.get("type") == "document":
        source = block.get("source")
        content = source.get("content") if isinstance(source, Mapping) else None
    if isinstance(content, str) or not isinstance(content, Sequence):
        return ()
    return [part for part in content if isinstance(part, Mapping)]


def rendered(block: Block) -> bytes:
    """Return the bytes that enter the key of the prefix.

    Markers do not enter it. The order of a block's own fields does not matter, the
    order inside of a tool's input does.
    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    fields = {name: block[name] for name in sorted(block) if block[name] is not None}
    fields.pop("cache_control", None)
    if block.get("type") == "tool_result":
        inner = [_bare(part) for part in as_blocks(fields.get("content"))]
        fields["content"] = inner
    elif nested(block):
        inner = [_bare(part) for part in nested(block)]
        fields["source"] = {**block["source"], "content": inner}
    return orjson.dumps(fields)


def _bare(part: Block) -> Block:
    return {name: part[name] for name in part if name != "cache_control"}
