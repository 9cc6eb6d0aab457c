"""What both of OpenAI's APIs are read into: turns of pieces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.tokens import BLOCK, DOCUMENT, IMAGE, text_tokens

__all__ = [
    "BREAKPOINT",
    "Api",
    "Body",
    "Piece",
    "Role",
    "Turn",
    "contents",
    "json_piece",
]

Api: TypeAlias = Literal["chat", "responses"]
Body: TypeAlias = Mapping[str, Any]
Role: TypeAlias = Literal["developer", "system", "user", "assistant", "tool", "other"]

BREAKPOINT = "prompt_cache_breakpoint"
TEXTS = ("text", "input_text", "output_text")
IMAGES = ("image_url", "input_image")
FILES = ("file", "input_file", "input_audio")
# What a client may or may not send back of what it was sent; it is not rendered.
UNRENDERED = ("id", "status", BREAKPOINT)


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a turn: the smallest thing that a breakpoint can follow."""

    path: str
    kind: bytes
    content: bytes
    tokens: int
    marker: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One message or item."""

    role: Role
    pieces: tuple[Piece, ...]
    name: str = ""
    """What is rendered with the role."""


def contents(
    content: object, path: str, settings: OpenAISettings, *, field: str = "content"
) -> tuple[Piece, ...]:
    """Return the pieces of a message's content, a string or a list of parts."""
    if isinstance(content, str):
        kind = b"text" if settings.string_is_part else b"string"
        return (_text_piece(content, path, kind),)
    if not isinstance(content, Sequence):
        return ()
    return tuple(
        _piece(part, f"{path}.{field}[{index}]") for index, part in enumerate(content)
    )


def json_piece(value: object, path: str) -> Piece:
    """Return what is rendered as JSON as a piece, ids and states left out."""
    if isinstance(value, Mapping):
        value = {key: it for key, it in value.items() if key not in UNRENDERED}
    content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return Piece(path, b"json", content, BLOCK + text_tokens(content.decode()))


def _piece(part: Mapping[str, Any], path: str) -> Piece:
    marker, kind = part.get(BREAKPOINT), part.get("type")
    if kind in TEXTS:
        return _text_piece(str(part.get("text", "")), path, b"text", marker)
    rendered = json_piece(part, path)
    tokens = rendered.tokens
    if kind in IMAGES:
        tokens = BLOCK + IMAGE
    elif kind in FILES:
        tokens = BLOCK + DOCUMENT
    return Piece(path, str(kind).encode(), rendered.content, tokens, marker)


def _text_piece(
    text: str, path: str, kind: bytes, marker: Mapping[str, Any] | None = None
) -> Piece:
    content = text.encode("utf-8", "surrogatepass")
    return Piece(path, kind, content, BLOCK + text_tokens(text), marker)
