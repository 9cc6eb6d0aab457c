"""A request read into positions: tools and format, then the conversation.

Rule 1: hidden content aside, tools and the format's schema come first, then
instructions and developer messages, then the conversation. Source: the cookbook's
"Prompt Caching 201" and the guide's figure.
Rule 2: a key stands for every byte before it and for the parameters that the guide
lists under what breaks a prefix.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from promptcache.emulator.rules.openai_chat import (
    chat_format,
    chat_tools,
    chat_turns,
)
from promptcache.emulator.rules.openai_responses import (
    response_format,
    response_tools,
    response_turns,
)
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_tiers import tier_used
from promptcache.emulator.rules.openai_turns import Api, Body, Turn
from promptcache.emulator.rules.tokens import BYTES_PER_TOKEN, MESSAGE, TOOL
from promptcache.emulator.rules.tokens import json_tokens as tokens_of

__all__ = ["DIGEST_BYTES", "Position", "Prompt", "Segment", "read_prompt"]

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes that are rendered as so many tokens."""

    path: str
    lead: bytes
    content: bytes
    tokens: int

    def first(self, tokens: int) -> bytes:
        """Return what the first tokens of it stand for."""
        kept = self.content[: max(0, tokens - 1) * BYTES_PER_TOKEN]
        return b"%b\0%d\0%b" % (self.lead, min(tokens, 1), kept)


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a part, where a breakpoint may be."""

    path: str
    key: bytes
    tokens: int
    ttl: str | None = None
    """The lifetime that its own breakpoint asks for; None without a breakpoint."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request as it is rendered and matched."""

    seed: bytes
    segments: tuple[Segment, ...]
    positions: tuple[Position, ...]
    endings: tuple[int, ...]
    """Positions that end an eligible message."""
    initial: int | None
    """The position that ends the initial group of developer messages."""
    total_tokens: int


def read_prompt(api: Api, body: Body, settings: OpenAISettings) -> Prompt:
    """Return the positions of a valid request."""
    if api == "chat":
        turns, tools = chat_turns(body, settings), chat_tools(body)
        form = chat_format(body)
    else:
        turns, tools = response_turns(body, settings), response_tools(body)
        form = response_format(body)
    head = [*_head(tools, form["format"])]
    seed = _seed(body, form)
    options = body.get("prompt_cache_options") or {}
    reader = _Reader(seed, head, options.get("ttl") or "30m")
    ends = [reader.read(turn) for turn in turns]
    return Prompt(
        seed=seed,
        segments=tuple(reader.segments),
        positions=tuple(reader.positions),
        endings=tuple(_endings(turns, ends)),
        initial=_initial(turns, ends),
        total_tokens=reader.tokens + settings.trailing_tokens,
    )


def _seed(body: Body, form: Body) -> bytes:
    return orjson.dumps(
        [
            body.get("model"),
            form["effort"],
            form["verbosity"],
            body.get("parallel_tool_calls") is not False,
            body.get("context_management"),
            tier_used(body),
        ],
        option=orjson.OPT_SORT_KEYS,
    )


def _head(tools: Sequence[Any], form: object) -> Iterator[Segment]:
    for index, tool in enumerate(tools):
        # The order of its keys is part of what a tool renders to.
        content = orjson.dumps(tool)
        tokens = TOOL + tokens_of(tool)
        yield Segment(f"tools[{index}]", b"tool", content, tokens)
    if form is not None:
        yield Segment("format", b"format", orjson.dumps(form), 1 + tokens_of(form))


class _Reader:
    """Renders turns one after the other, and keeps count."""

    def __init__(self, seed: bytes, head: Sequence[Segment], ttl: str) -> None:
        self.segments = list(head)
        self.positions: list[Position] = []
        self.tokens = sum(segment.tokens for segment in head)
        self._ttl = ttl
        self._digest = blake2b(seed, digest_size=DIGEST_BYTES)
        for segment in head:
            self._digest.update(b"\0%b\0%b" % (segment.lead, segment.content))

    def read(self, turn: Turn) -> int | None:
        """Take in a turn and return the position that ends it, if it has any."""
        frame = orjson.dumps([turn.role, turn.name])
        self._add(Segment("", frame, b"", MESSAGE))
        for piece in turn.pieces:
            self._add(Segment(piece.path, piece.kind, piece.content, piece.tokens))
            marker, ttl = piece.marker, None
            if marker is not None:
                ttl = str(marker.get("ttl") or self._ttl)
            key = self._digest.digest()
            self.positions.append(Position(piece.path, key, self.tokens, ttl))
        return len(self.positions) - 1 if turn.pieces else None

    def _add(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.tokens += segment.tokens
        size = len(segment.content)
        self._digest.update(b"\0%b\0%d\0" % (segment.lead, size))
        self._digest.update(segment.content)


def _endings(turns: Sequence[Turn], ends: Sequence[int | None]) -> Iterator[int]:
    """Yield the ends of eligible messages.

    These are user messages, the last of a group of tool responses, and the last
    developer message of the initial group. Source: the guide.
    """
    initial = _initial(turns, ends)
    for index, (turn, end) in enumerate(zip(turns, ends, strict=True)):
        following = turns[index + 1].role if index + 1 < len(turns) else None
        last_result = turn.role == "tool" and following != "tool"
        if end is not None and (turn.role == "user" or last_result or end == initial):
            yield end


def _initial(turns: Sequence[Turn], ends: Sequence[int | None]) -> int | None:
    found = None
    for turn, end in zip(turns, ends, strict=True):
        if turn.role != "developer":
            break
        found = end if end is not None else found
    return found
