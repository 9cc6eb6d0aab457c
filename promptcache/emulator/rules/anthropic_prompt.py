"""A request body read into positions: tools, then system, then messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from promptcache.emulator.rules.anthropic_blocks import (
    Block,
    as_blocks,
    is_markable,
    marker_of,
    rendered,
)
from promptcache.emulator.rules.anthropic_context import (
    Context,
    cleared_calls,
    context_of,
)
from promptcache.emulator.rules.anthropic_keys import (
    SERVER_PROMPTED,
    Section,
    section_seeds,
)
from promptcache.emulator.rules.settings import Settings
from promptcache.emulator.rules.tokens import (
    MESSAGE,
    TOOL_PREAMBLE,
    block_tokens,
    tool_tokens,
)

__all__ = ["Position", "Prompt", "read_prompt"]

KEY_BYTES = 16
FRAME_AFTER_USER = 4
FRAME_AFTER_ASSISTANT = 2


@dataclass(frozen=True, slots=True)
class Position:
    """One place where a prefix can end."""

    section: Section
    path: str
    """Where the block stands in the body, as error messages spell it."""
    key: bytes
    """A digest of everything up to and including this block, markers left out."""
    tokens: int
    """The tokens of the prefix that ends here."""
    unit: int
    """The number of the position in the look-back; a run of tool calls shares one."""
    ttl: str | None
    """The lifetime its own marker asks for, if it has one."""
    markable: bool
    """Whether automatic caching may land here."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """All positions of a request, and its length."""

    positions: tuple[Position, ...]
    total_tokens: int
    """Everything the request sends, the closing frame included."""


def read_prompt(
    body: Mapping[str, Any], settings: Settings, *, betas: Sequence[str] = ()
) -> Prompt:
    """Return the positions of a request that has passed validation.

    Order and cumulative hash: "Cache prefixes are created in the following order:
    tools, system, then messages."
    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    seeds = section_seeds(body, settings, betas)
    prompt = _read(body, settings, seeds, context_of(body))
    cleared = cleared_calls(body, prompt.total_tokens)
    if cleared:
        prompt = _read(body, settings, seeds, context_of(body, cleared))
    return prompt


def _read(
    body: Mapping[str, Any],
    settings: Settings,
    seeds: Mapping[Section, bytes],
    context: Context,
) -> Prompt:
    reader = _Reader(settings, seeds)
    reader.read_tools(body.get("tools") or ())
    reader.read_system(body.get("system"))
    reader.read_messages(body["messages"], context)
    frame = _closing_frame(body) if settings.closing_frame else 0
    return Prompt(tuple(reader.positions), reader.tokens + frame)


def _closing_frame(body: Mapping[str, Any]) -> int:
    """Measured: a few tokens follow the last block, so `input_tokens` is never 0."""
    last = body["messages"][-1:]
    after_assistant = bool(last) and last[0].get("role") == "assistant"
    return FRAME_AFTER_ASSISTANT if after_assistant else FRAME_AFTER_USER


@dataclass(slots=True)
class _Reader:
    """Walks through a body once, keeping the running digest and token sum."""

    settings: Settings
    seeds: Mapping[Section, bytes]
    positions: list[Position] = field(default_factory=list)
    tokens: int = 0
    key: bytes = b""
    unit: int = -1
    run: str = ""
    """The kind of the last block, to see whether the next continues its run."""
    system_preamble: int = 0
    """Tokens that server tools add in front of the system prompt."""

    def read_tools(self, tools: Any) -> None:
        """Read the tool definitions; deferred ones are not in the prefix.

        Source: tool-search-tool page of the documentation.
        """
        self._mix(b"tools", self.seeds["tools"])
        for index, tool in enumerate(tools):
            if tool.get("defer_loading"):
                continue
            # These change the system prompt, so their text counts there and not here.
            if str(tool.get("type", "")).startswith(SERVER_PROMPTED):
                self.system_preamble += tool_tokens(tool)
            else:
                self._mix(_definition(tool))
                self.tokens += tool_tokens(tool)
            self._end("tools", f"tools.{index}", tool)

    def read_system(self, system: Any) -> None:
        """Read the system prompt; a string is one block."""
        self._mix(b"system", self.seeds["system"], self._form(system))
        self.tokens += self.system_preamble
        for index, block in enumerate(as_blocks(system)):
            self._block("system", f"system.{index}", block)

    def read_messages(self, messages: Any, context: Context) -> None:
        """Read the turns, as far as the model is shown them."""
        self._mix(b"messages", self.seeds["messages"])
        # Measured: the tool-use preamble stands between system and messages.
        if any(position.section == "tools" for position in self.positions):
            self.tokens += TOOL_PREAMBLE
        for index, message in enumerate(messages):
            if context.shows_turn(index, message):
                self._message(index, message, context)

    def _message(self, index: int, message: Block, context: Context) -> None:
        role, form = str(message.get("role")), self._form(message.get("content"))
        self._mix(b"turn", role.encode(), form)
        self.tokens += MESSAGE
        scoped = message.get("clear_at") == "next_user_message"
        for part, block in context.shown(index, message):
            path = f"messages.{index}.content.{part}"
            self._block("messages", path, block, markable=not scoped)

    def _block(
        self, section: Section, path: str, block: Block, *, markable: bool = True
    ) -> None:
        self._mix(rendered(block))
        self.tokens += block_tokens(block)
        self._end(section, path, block, markable=markable)

    def _end(
        self, section: Section, path: str, block: Block, *, markable: bool = True
    ) -> None:
        kind = str(block.get("type"))
        runs = self.settings.collapses and section == "messages"
        # "A run of consecutive tool_use blocks counts as one position, and so does a
        # run of consecutive tool_result blocks."
        if not (runs and kind in ("tool_use", "tool_result") and kind == self.run):
            self.unit += 1
        self.run = kind
        marker = marker_of(block)
        self.positions.append(
            Position(
                section=section,
                path=path,
                key=self.key,
                tokens=self.tokens,
                unit=self.unit,
                ttl=None if marker is None else str(marker.get("ttl") or "5m"),
                markable=markable and is_markable(block),
            )
        )

    def _form(self, content: object) -> bytes:
        if self.settings.string_is_block:
            return b""
        return b"string" if isinstance(content, str) else b"blocks"

    def _mix(self, *parts: bytes) -> None:
        digest = blake2b(self.key, digest_size=KEY_BYTES)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        self.key = digest.digest()


def _definition(tool: Block) -> bytes:
    return orjson.dumps({k: v for k, v in tool.items() if k != "cache_control"})
