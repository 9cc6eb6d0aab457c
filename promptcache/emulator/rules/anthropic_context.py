"""Which blocks of a conversation the model is shown, and which are cleared for it.

The provider edits a conversation before the model reads it, while the client's copy
stays whole: what is left out is in no prefix, and what is replaced has another key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from promptcache.emulator.rules.anthropic_blocks import (
    Block,
    as_blocks,
    called_by_code,
    code_call_ids,
)
from promptcache.emulator.rules.tokens import block_tokens
from promptcache.providers.anthropic.facts import model_facts

__all__ = ["Context", "cleared_calls", "context_of"]

Body: TypeAlias = Mapping[str, Any]
Message: TypeAlias = Mapping[str, Any]

THINKING = ("thinking", "redacted_thinking")
STRIPS_THINKING = (
    "claude-opus-4-1",
    "claude-opus-4",
    "claude-sonnet-4-5",
    "claude-sonnet-4",
    "claude-haiku-4-5",
    "claude-3",
)
"""Models that forget earlier thinking once a plain user message follows.

Source: thinking page of the documentation; Opus from 4.5, Sonnet from 4.6, Haiku from
5.5, and all of Fable and Mythos keep it.
"""
CLEARED = "[cleared]"
TRIGGER_TOKENS = 100_000
KEPT_CALLS = 3
KEPT_THINKING = 1


@dataclass(frozen=True, slots=True)
class Context:
    """What of a conversation is shown."""

    start: tuple[int, int] = (0, 0)
    """Message and block from which on anything is shown."""
    thinking_from: int = 0
    """The message from which on thinking is shown."""
    last_user: int = -1
    code_calls: frozenset[str] = frozenset()
    cleared: frozenset[str] = frozenset()
    """Calls whose results are replaced."""
    clears_inputs: bool = False

    def shows_turn(self, index: int, message: Message) -> bool:
        """Whether anything of a message is shown.

        A turn-scoped system message is not rendered once a user turn follows.
        """
        ended = message.get("clear_at") == "next_user_message"
        return index >= self.start[0] and not (ended and index < self.last_user)

    def shown(self, index: int, message: Message) -> Iterator[tuple[int, Block]]:
        """Yield the blocks of a message that are shown, as they are shown."""
        for part, block in enumerate(as_blocks(message.get("content"))):
            if (index, part) < self.start or _is_failed_compaction(block):
                continue
            if block.get("type") in THINKING and index < self.thinking_from:
                continue
            # Source: langchain-ai/langchain#34579.
            if called_by_code(block) or block.get("tool_use_id") in self.code_calls:
                continue
            yield part, self._as_shown(block)

    def _as_shown(self, block: Block) -> Block:
        if block.get("type") == "tool_result":
            is_cleared = block.get("tool_use_id") in self.cleared
            return {**block, "content": CLEARED} if is_cleared else block
        if self.clears_inputs and block.get("id") in self.cleared:
            return {**block, "input": {}}
        return block


def context_of(body: Body, cleared: frozenset[str] = frozenset()) -> Context:
    """Return what of a request's conversation is shown.

    Args:
        body: The request.
        cleared: The calls that are cleared in it, from `cleared_calls`.
    """
    messages = body["messages"]
    users = [i for i, message in enumerate(messages) if message.get("role") == "user"]
    edit = _edit(body, "clear_tool_uses_20250919") or {}
    return Context(
        start=_start(messages),
        thinking_from=_thinking_from(body, users),
        last_user=users[-1] if users else -1,
        code_calls=code_call_ids(messages),
        cleared=cleared,
        clears_inputs=bool(edit.get("clear_tool_inputs")),
    )


def cleared_calls(body: Body, tokens: int) -> frozenset[str]:
    """Return the ids of the tool calls that context editing clears.

    The oldest go first, `keep` of them stay, and none goes if less than
    `clear_at_least` would be won. Source: context-editing page of the documentation,
    whose defaults are these; it "invalidates the cache from the clear point".
    """
    edit = _edit(body, "clear_tool_uses_20250919")
    if edit is None:
        return frozenset()
    calls = [
        block
        for message in body["messages"]
        for block in as_blocks(message.get("content"))
        if block.get("type") == "tool_use"
    ]
    if not _is_triggered(edit.get("trigger"), tokens=tokens, calls=len(calls)):
        return frozenset()
    kept = _value(edit.get("keep"), KEPT_CALLS)
    excluded = edit.get("exclude_tools")
    spared = excluded if isinstance(excluded, list) else ()
    oldest = calls[: max(0, len(calls) - kept)]
    found = frozenset(
        str(block.get("id")) for block in oldest if block.get("name") not in spared
    )
    enough = _value(edit.get("clear_at_least"), 0)
    return found if _won(body["messages"], found) >= enough else frozenset()


def _is_triggered(trigger: object, *, tokens: int, calls: int) -> bool:
    by_calls = isinstance(trigger, Mapping) and trigger.get("type") == "tool_uses"
    return (calls if by_calls else tokens) > _value(trigger, TRIGGER_TOKENS)


def _won(messages: Sequence[Message], cleared: frozenset[str]) -> int:
    return sum(
        block_tokens(block) - block_tokens({**block, "content": CLEARED})
        for message in messages
        for block in as_blocks(message.get("content"))
        if block.get("type") == "tool_result" and block.get("tool_use_id") in cleared
    )


def _value(setting: object, usual: int) -> int:
    value = setting.get("value") if isinstance(setting, Mapping) else None
    return value if isinstance(value, int) else usual


def _edit(body: Body, kind: str) -> Mapping[str, Any] | None:
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, Mapping) else None
    for edit in edits if isinstance(edits, list) else ():
        if isinstance(edit, Mapping) and edit.get("type") == kind:
            return edit
    return None


def _start(messages: Sequence[Message]) -> tuple[int, int]:
    """Return where the last compaction block stands: what precedes it is dropped.

    Source: compaction page of the documentation.
    """
    for index in range(len(messages) - 1, -1, -1):
        blocks = as_blocks(messages[index].get("content"))
        for part in range(len(blocks) - 1, -1, -1):
            block = blocks[part]
            if block.get("type") == "compaction" and not _is_failed_compaction(block):
                return index, part
    return 0, 0


def _is_failed_compaction(block: Block) -> bool:
    """Whether a compaction found no summary: "the server treats these as no-ops".

    Source: `anthropic` 2.12, `types/beta/beta_compaction_block_param.py`.
    """
    return block.get("type") == "compaction" and block.get("content") is None


def _thinking_from(body: Body, users: Sequence[int]) -> int:
    """Return the message before which thinking is not shown.

    Older models strip earlier thinking when a user message has content that is no tool
    result; `clear_thinking_20251015` says how many turns keep theirs.
    """
    messages = body["messages"]
    edit = _edit(body, "clear_thinking_20251015")
    if edit is not None:
        keep = edit.get("keep")
        if keep == "all" or (isinstance(keep, Mapping) and keep.get("type") == "all"):
            return 0
        return _last_thinking_turns(messages, _value(keep, KEPT_THINKING))
    if not _strips(str(body.get("model"))):
        return 0
    return max((i for i in users if _is_plain(messages[i])), default=0)


def _strips(model: str) -> bool:
    name = model_facts(model).name
    return name in STRIPS_THINKING or name.startswith("claude-3-")


def _is_plain(message: Message) -> bool:
    blocks = as_blocks(message.get("content"))
    return any(block.get("type") != "tool_result" for block in blocks)


def _last_thinking_turns(messages: Sequence[Message], count: int) -> int:
    thought = [
        index
        for index, message in enumerate(messages)
        if any(
            block.get("type") in THINKING for block in as_blocks(message.get("content"))
        )
    ]
    return thought[-count] if 0 < count <= len(thought) else 0
