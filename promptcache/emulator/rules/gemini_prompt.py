"""A request rendered into segments: instruction, tools, their choice, contents.

Rule 1: what a cached content holds stands before what the request adds; both are
rendered alike, so that a prefix costs the same wherever it stands.
Rule 2: an object is rendered with its fields in one order: protocol buffers and their
maps have none.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from promptcache.emulator.rules.gemini_rejection import bad_value
from promptcache.emulator.rules.gemini_spelling import Body
from promptcache.emulator.rules.tokens import (
    BLOCK,
    BYTES_PER_TOKEN,
    DOCUMENT,
    IMAGE,
    MESSAGE,
    TOOL,
    json_tokens,
    text_tokens,
)

__all__ = ["End", "Segment", "ends", "modalities", "rendered", "total_tokens"]

DIGEST_BYTES = 16
MEDIA: Mapping[str, str] = {"image": "IMAGE", "audio": "AUDIO", "video": "VIDEO"}
# A client may leave them out when it sends back what it was sent.
UNRENDERED = ("id", "thoughtSignature", "videoMetadata")


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes that are rendered as so many tokens."""

    path: str
    lead: bytes
    content: bytes
    tokens: int
    modality: str = "TEXT"

    def first(self, tokens: int) -> bytes:
        """Return what the first tokens of it stand for."""
        size = max(0, tokens - 1) * BYTES_PER_TOKEN
        # The tokens of an image are no slices of its bytes: each depends on all.
        kept = self.content[:size] if self.modality == "TEXT" else self.content
        return b"%b\0%d\0%b" % (self.lead, min(tokens, 1), kept)


@dataclass(frozen=True, slots=True)
class End:
    """Where a prefix of so many tokens ends."""

    path: str
    key: bytes
    tokens: int


def rendered(body: Body) -> tuple[Segment, ...]:
    """Return the segments of a valid request or cached content."""
    return (
        *_instruction(body.get("systemInstruction") or {}),
        *_tools(body.get("tools") or ()),
        *_choice(body.get("toolConfig")),
        *_contents(body.get("contents") or ()),
    )


def total_tokens(segments: Iterable[Segment]) -> int:
    """Return the tokens of all segments."""
    return sum(segment.tokens for segment in segments)


def modalities(segments: Iterable[Segment], tokens: int) -> dict[str, int]:
    """Return the first tokens of a prompt by what they are made of."""
    left, found = tokens, Counter[str]()
    for segment in segments:
        taken = min(segment.tokens, left)
        found[segment.modality] += taken
        left -= taken
    return {name: count for name, count in found.items() if count}


def ends(
    seed: bytes, segments: Iterable[Segment], *, step: int, minimum: int
) -> Iterator[End]:
    """Yield where the prefixes end that are at least so long, one each step.

    Args:
        seed: What a prefix depends on besides its tokens.
        segments: The prompt.
        step: Tokens between two ends.
        minimum: Tokens before the first end.
    """
    digest = blake2b(seed, digest_size=DIGEST_BYTES)
    at, begun = -(-max(minimum, 1) // step) * step, 0
    for segment in segments:
        while at <= begun + segment.tokens:
            head = digest.copy()
            head.update(segment.first(at - begun))
            yield End(segment.path, head.digest(), at)
            at += step
        digest.update(b"%d\0" % len(segment.content) + segment.first(segment.tokens))
        begun += segment.tokens


def _instruction(instruction: Body) -> Iterator[Segment]:
    # Its role is not rendered: one client sends a role and another none.
    parts = instruction.get("parts") or ()
    if parts:
        yield Segment("systemInstruction", b"system", b"", MESSAGE)
    for index, part in enumerate(parts):
        yield _part(part, f"systemInstruction.parts[{index}]")


def _tools(tools: Iterable[Body]) -> Iterator[Segment]:
    for index, tool in enumerate(tools):
        for kind, value in sorted(tool.items()):
            path = f"tools[{index}].{kind}"
            if kind != "functionDeclarations":
                yield _tool(path, kind, value)
                continue
            for number, declared in enumerate(value):
                yield _tool(f"{path}[{number}]", kind, declared)


def _tool(path: str, kind: str, value: object) -> Segment:
    return Segment(path, kind.encode(), _sorted(value), TOOL + json_tokens(value))


def _choice(config: object) -> Iterator[Segment]:
    if config is not None:
        # It is no text that the model reads, but another one is another prefix.
        yield Segment("toolConfig", b"toolConfig\0" + _sorted(config), b"", 0)


def _contents(contents: Iterable[Body]) -> Iterator[Segment]:
    for index, content in enumerate(contents):
        path = f"contents[{index}]"
        role = str(content.get("role") or "user").encode()
        yield Segment(path, b"role\0" + role, b"", MESSAGE)
        for number, part in enumerate(content.get("parts") or ()):
            yield _part(part, f"{path}.parts[{number}]")


def _part(part: Body, path: str) -> Segment:
    if "text" in part:
        lead = b"thought" if part.get("thought") else b"text"
        text = part["text"]
        content = text.encode("utf-8", "surrogatepass")
        return Segment(path, lead, content, BLOCK + text_tokens(text))
    kept = {name: _unsigned(it) for name, it in _unsigned(part).items()}
    content, modality = _sorted(kept), "TEXT"
    tokens = -(-len(content) // BYTES_PER_TOKEN)
    media = part.get("inlineData") or part.get("fileData")
    if media is not None:
        kind, _, _ = str(media.get("mimeType") or "").partition("/")
        modality = MEDIA.get(kind, "DOCUMENT")
        tokens = IMAGE if modality == "IMAGE" else DOCUMENT
    return Segment(path, b"part", content, BLOCK + tokens, modality)


def _unsigned(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: it for name, it in value.items() if name not in UNRENDERED}


def _sorted(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        # What was read from JSON can only be too deep.
        raise bad_value("", "its values are nested too deeply") from error
