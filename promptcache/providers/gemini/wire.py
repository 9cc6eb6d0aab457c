"""A body of `generateContent`: what it says, and what of it a cached content may hold.

Rule 1: nothing of the caller's is written to; what is kept are the same objects.
Rule 2: no field of the body's own enters a digest besides instruction, tools, their
choice and contents: the rest says how to answer, and is no prompt.
Rule 3: nothing is marked in a body: it names a cached content or it does not.
"""

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from promptcache.errors import UnreadableBodyError
from promptcache.outline import DIGEST_BYTES, Blocks, Outline

__all__ = ["bare", "cuts", "end_of", "members", "named", "outline", "rest"]

_HELD = ("systemInstruction", "tools", "toolConfig")
"""What moves into a cached content, since no request may have it beside one. Source:
https://ai.google.dev/gemini-api/docs/caching"""

_CACHED = "cachedContent"
_CONTENTS = "contents"
_OTHER_SPELLINGS: Mapping[str, str] = {
    "cached_content": _CACHED,
    "system_instruction": "systemInstruction",
    "tool_config": "toolConfig",
}
"""What a caller may have put in beside what the SDK spells."""

_REFUSAL = "named"
"""Why no block takes a breakpoint: a cached content is named instead."""

_MODELS = re.compile(
    r"^(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/google/)?models/"
)
"""What precedes the names of models; tuned ones and endpoints have other paths."""

_ROLES: Mapping[str, str] = {"model": "assistant"}
"""Roles in the words of outlines, where those have others."""

_USERS = ("user", "function")
_MEDIA_BYTES = 4_096
"""Prompt bytes that stand for an image or a file that is only referred to."""

_ENCODED_PER_PROMPT_BYTE: Mapping[str, int] = {"audio": 160, "video": 160}
"""Base64 bytes of a second of sound or pictures for each byte of its tokens."""

_ENCODED_PER_DOCUMENT_BYTE = 12
"""A base64 document's bytes are mostly fonts and layout, not prompt."""


def outline(
    body: Mapping[str, Any],
    *,
    model: str,
    tenant: str | None,
    wanted: Container[int] = (),
) -> Outline:
    """Read a body of `POST .../MODEL:generateContent`.

    Args:
        body: The body as the SDK encodes it; what begins with `_` is no part of it.
        model: The model as the path names it.
        tenant: Enters every digest, so that tenants share none.
        wanted: Positions whose contents the outline is to hold.

    Raises:
        UnreadableBodyError: It is no request of this API.
    """
    fields = _fields(body)
    blocks = Blocks(_root(bare(model), tenant, named(body)), wanted=wanted)
    for kind, declared in _tools(fields.get("tools")):
        content, opening = _encoded(declared), b"T%b\0" % kind.encode()
        blocks.add(content, len(content), kind, _REFUSAL, opening=opening)
    if fields.get("toolConfig") is not None:
        config = _encoded(fields["toolConfig"])
        blocks.add(config, 0, "toolConfig", _REFUSAL, opening=b"C")
    tools_end = len(blocks.digests)
    instruction = fields.get("systemInstruction")
    for part in () if instruction is None else _parts(instruction, "systemInstruction"):
        _add(blocks, part, b"S")
    system_end = len(blocks.digests)
    starts, roles = [], []
    for content in _contents(fields):
        role = _role(content)
        starts.append(len(blocks.digests))
        roles.append(_ROLES.get(role, role))
        opening = b"M%b\0" % role.encode("utf-8", "surrogatepass")
        for part in _parts(content, _CONTENTS) or (None,):
            _add(blocks, part, opening)
            opening = b"P"
    return Outline(
        blocks=blocks,
        length=len(blocks.digests),
        tools_end=tools_end,
        system_end=system_end,
        starts=tuple(starts),
        roles=tuple(roles),
        markers={},
        names_cached=named(body) is not None,
    )


def cuts(body: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how many contents may go into a cached content: each choice, ascending.

    At least one content stays, and the first that stays is the user's. None go where
    only instruction, tools or their choice are held; a body that names a cached content
    already has no choice at all.
    """
    if named(body) is not None:
        return ()
    fields = _fields(body)
    has_head = any(_given(fields.get(name)) for name in _HELD)
    return tuple(
        number
        for number, content in enumerate(_contents(fields))
        if (number or has_head) and _role(content) in _USERS
    )


def end_of(outline: Outline, n: int) -> int:
    """Return how many blocks a cut holds: the head's and those of `n` contents.

    Args:
        outline: The body's outline.
        n: One of its cuts.
    """
    return outline.starts[n] if n < len(outline.starts) else outline.length


def members(body: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Return what a cut puts into a cached content, the same objects."""
    fields = _fields(body)
    held = {name: fields[name] for name in _HELD if _given(fields.get(name))}
    if n:
        held[_CONTENTS] = list(_contents(fields)[:n])
    return held


def rest(body: Mapping[str, Any], n: int, name: str) -> dict[str, Any]:
    """Return the body that names a cached content and sends only what a cut leaves.

    Args:
        body: The whole body; it is not written to.
        n: The cut that the cached content was made at.
        name: The cached content's name.
    """
    fields = _fields(body)
    kept = {key: value for key, value in fields.items() if key not in _HELD}
    return {**kept, _CACHED: name, _CONTENTS: list(_contents(fields)[n:])}


def named(body: Mapping[str, Any]) -> str | None:
    """Return the cached content that the caller's own body names, if any."""
    for key in (_CACHED, "cached_content"):
        name = body.get(key)
        if name:
            return name if isinstance(name, str) else repr(name)
    return None


def bare(model: str) -> str:
    """Return a model's name without the path that all of the provider's models have."""
    return _MODELS.sub("", model)


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is sent of a body, in the spelling of the API."""
    if not isinstance(body, Mapping):
        raise UnreadableBodyError(f"it is a {type(body).__name__}, not an object")
    fields: dict[str, Any] = {}
    for key, value in body.items():
        if key.startswith("_"):
            continue
        name = _OTHER_SPELLINGS.get(key, key)
        if name in fields:
            raise UnreadableBodyError(f"`{name}` stands there twice")
        fields[name] = value
    return fields


def _given(value: object) -> bool:
    # The provider takes a list of nothing for no field, but not an object of nothing.
    return value is not None and value != []


def _contents(fields: Mapping[str, Any]) -> Sequence[Any]:
    return _listed(fields.get(_CONTENTS), _CONTENTS)


def _listed(value: Any, path: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise UnreadableBodyError(f"`{path}` is a {type(value).__name__}, not a list")
    return value


def _role(content: Any) -> str:
    # A content without a role is the user's: the SDK and the API agree on that.
    role = content.get("role") if isinstance(content, Mapping) else None
    if role is None or role == "":
        return "user"
    return role if isinstance(role, str) else repr(role)


def _parts(content: Any, path: str) -> Sequence[Any]:
    if not isinstance(content, Mapping):
        raise UnreadableBodyError(
            f"`{path}` holds a {type(content).__name__}, not an object"
        )
    return _listed(content.get("parts"), f"{path}.parts")


def _tools(tools: Any) -> Iterator[tuple[str, Any]]:
    """Yield each declared function and each other tool with its kind."""
    for tool in _listed(tools, "tools"):
        if not isinstance(tool, Mapping):
            raise UnreadableBodyError(f"a tool is a {type(tool).__name__}")
        for key in sorted(tool):
            if key not in ("functionDeclarations", "function_declarations"):
                yield key, {key: tool[key]}
                continue
            for declared in _listed(tool[key], f"tools.{key}"):
                yield "functionDeclaration", declared


def _add(blocks: Blocks, part: Any, opening: bytes) -> None:
    """Append one part of the instruction or of a content; None is a part of nothing."""
    if type(part) is dict and len(part) == 1 and isinstance(part.get("text"), str):
        content = part["text"].encode("utf-8", "surrogatepass")
        blocks.add(content, len(content), "text", _REFUSAL, opening=opening + b"t")
        return
    kind, size, content = "empty", 0, b""
    if part is not None:
        content = _encoded(part)
        kind, size = _kind(part), _size(part, len(content))
    blocks.add(content, size, kind, _REFUSAL, opening=opening + b"j")


def _kind(part: Any) -> str:
    if not isinstance(part, Mapping):
        return type(part).__name__
    kinds = (key for key in sorted(part) if key not in ("thought", "thoughtSignature"))
    return next(kinds, "empty")


def _size(part: Any, length: int) -> int:
    """Return the bytes of prompt that a part stands for.

    Args:
        part: The part.
        length: Bytes of its JSON.
    """
    if isinstance(part, Mapping):
        for key in ("inlineData", "fileData", "inline_data", "file_data"):
            media = part.get(key)
            if isinstance(media, Mapping):
                return _media_size(media)
        if isinstance(part.get("text"), str):
            return len(part["text"].encode("utf-8", "surrogatepass"))
    return length


def _media_size(media: Mapping[str, Any]) -> int:
    data = media.get("data")
    kind = str(media.get("mimeType") or media.get("mime_type") or "").partition("/")[0]
    if kind == "image" or not isinstance(data, (str, bytes)):
        return _MEDIA_BYTES
    each = _ENCODED_PER_PROMPT_BYTE.get(kind, _ENCODED_PER_DOCUMENT_BYTE)
    return max(_MEDIA_BYTES, len(data) // each)


def _root(model: str, tenant: str | None, cached: str | None) -> bytes:
    """Return the digest of what stands before the first block."""
    said = orjson.dumps([model, tenant, cached])
    return blake2b(b"gemini" + said, digest_size=DIGEST_BYTES).digest()


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, which the SDK does send.
        try:
            return json.dumps(value, sort_keys=True).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise UnreadableBodyError(f"a part is no JSON: {error}") from error
