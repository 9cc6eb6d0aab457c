"""System messages with a `CachePoint`, which LlamaIndex flattens into one string.

Rule 1: the text is the very one that LlamaIndex sends; only its blocks are ours.
Rule 2: the caller's messages are read, never written.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import CachePoint, ChatMessage, TextBlock
from llama_index.core.llms import MessageRole

__all__ = ["marked_system"]

_BETWEEN = "\n"
"""What LlamaIndex puts between the text blocks of system messages."""


def marked_system(messages: Sequence[ChatMessage]) -> list[dict[str, Any]] | None:
    """Return the system prompt as text blocks that end at its cache points.

    Returns:
        The blocks, or None if no system message has a cache point behind some text.
    """
    done: list[dict[str, Any]] = []
    text, is_first = "", True
    for block in _system_blocks(messages):
        if isinstance(block, TextBlock):
            text += block.text if is_first else _BETWEEN + block.text
            is_first = False
        elif isinstance(block, CachePoint) and text.strip():
            marker = block.cache_control.model_dump(include={"type", "ttl"})
            done.append({"type": "text", "text": text, "cache_control": marker})
            text = ""
    if not done:
        return None
    return [*done, {"type": "text", "text": text}] if text else done


def _system_blocks(messages: Sequence[ChatMessage]) -> Iterator[Any]:
    for message in messages:
        if message.role == MessageRole.SYSTEM:
            yield from message.blocks
