"""One part, item or tool of a request: what it says, its size, its breakpoint.

Rule 1: nothing here looks beyond the part that it is given.
Rule 2: no breakpoint enters what a part says.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.providers.openai.breakpoints import MARK
from promptcache.providers.openai.values import encoded

__all__ = [
    "ADVISORY",
    "CHAT_PARTS",
    "INPUT_PARTS",
    "content_of",
    "refusal_of",
    "rendered",
    "size_of",
]

_TEXT_ONLY = frozenset({"text"})
CHAT_PARTS: Mapping[str, frozenset[str]] = {
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "system": _TEXT_ONLY,
    "developer": _TEXT_ONLY,
    "tool": _TEXT_ONLY,
    "function": _TEXT_ONLY,
}
"""Parts of Chat Completions that may carry a breakpoint, by role. Source: the SDK's
request types; that those of an assistant may not, several clients report."""

INPUT_PARTS = frozenset({"input_text", "input_image", "input_file"})
"""Parts of Responses that may carry one. Source: the SDK's request types."""

_TEXTS = frozenset({"text", "input_text", "output_text"})
_IMAGES = frozenset({"image_url", "input_image", "input_audio"})
_FILES = frozenset({"file", "input_file"})
_KNOWN = (
    _TEXTS
    | _IMAGES
    | _FILES
    | {"computer_screenshot", "reasoning_text", "refusal", "summary_text"}
)

ADVISORY = frozenset({"empty-text", "unknown-type"})
"""Refusals that are our caution: whether the provider refuses is in no source."""

_UNRENDERED = frozenset({"id", "status", MARK})
"""What clients may or may not send back of an answer's items; no prompt has it."""

_IMAGE_BYTES = 4_096
"""Prompt bytes that stand for an image or a sound, whose tokens follow its extent."""

_ENCODED_PER_PROMPT_BYTE = 12
"""A base64 document's bytes are mostly fonts and layout, not prompt."""


def content_of(part: Mapping[str, Any], kind: str) -> bytes:
    """Return the bytes that tell this part from another one, its breakpoint left out.

    A text part that says nothing else is its text, so that it equals the plain string
    that it may be written as. Notes on an answer's text are not rendered.
    """
    if kind in _TEXTS:
        text = part.get("text")
        plain = kind == "output_text" or len(part) == 2 + (MARK in part)
        if plain and isinstance(text, str):
            return text.encode("utf-8", "surrogatepass")
    if MARK in part:
        part = {key: part[key] for key in part if key != MARK}
    return encoded(part)


def size_of(kind: str, content: bytes) -> int:
    """Return the bytes of prompt that a part stands for."""
    if kind in _IMAGES:
        return _IMAGE_BYTES
    if kind in _FILES:
        return max(_IMAGE_BYTES, len(content) // _ENCODED_PER_PROMPT_BYTE)
    return len(content)


def refusal_of(part: Mapping[str, Any], kind: str, markable: frozenset[str]) -> str:
    """Return why a part may carry no breakpoint, else "".

    Args:
        part: The part.
        kind: Its type.
        markable: The types that may, where the part stands.
    """
    if kind in markable:
        return "empty-text" if kind in _TEXTS and not part.get("text") else ""
    return "no-marker-field" if kind in _KNOWN else "unknown-type"


def rendered(item: Mapping[str, Any]) -> bytes:
    """Return the bytes that tell an item from another one, ids of answers left out."""
    return encoded({key: item[key] for key in item if key not in _UNRENDERED})
