"""LlamaIndex's model for Claude: with automatic caching, and with `cache_idx`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    ContentBlock,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.llms.anthropic import Anthropic
from peers_work import Ask
from sessions import MODEL

from promptcache.emulator import Emulator

__all__ = ["automatic", "marked"]

TOOLS_TOO = {"anthropic-beta": "prompt-caching-2024-07-31"}
"""What has it mark the last tool."""

Send = Callable[[Ask], object]


def automatic(emulator: Emulator) -> Send:
    """Return what sends a request with the keyword `cache_control`."""
    return _sender(_llm(emulator), cache_control={"type": "ephemeral"})


def marked(emulator: Emulator) -> Send:
    """Return what sends a request with a breakpoint up to the last message."""
    return _sender(_llm(emulator, cache_idx=-1))


def _llm(emulator: Emulator, **given: Any) -> Anthropic:
    return Anthropic(
        model=MODEL, base_url=emulator.url, api_key="any", max_retries=0, **given
    )


def _sender(llm: Anthropic, **given: Any) -> Send:
    def send(ask: Ask) -> object:
        # It writes into what it is given, so each request has messages of its own.
        messages = [_message(it) for it in ask.messages]
        if not ask.tools:
            return llm.chat(messages, extra_headers=TOOLS_TOO, **given)
        return llm.chat_with_tools(
            [FunctionTool(_unused, _Recorded(it["function"])) for it in ask.tools],
            chat_history=messages,
            extra_headers=TOOLS_TOO,
            **given,
        )

    return send


class _Recorded(ToolMetadata):
    """A tool whose parameters are a schema."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(told["description"], told["name"])
        self._parameters = dict(told["parameters"])

    def get_parameters_dict(self) -> dict[str, Any]:
        return self._parameters


def _unused() -> None:
    """Stand for a tool; what tools said is recorded."""


def _message(told: Mapping[str, Any]) -> ChatMessage:
    calls: list[ContentBlock] = [
        ToolCallBlock(
            tool_call_id=call["id"],
            tool_name=call["function"]["name"],
            tool_kwargs=json.loads(call["function"]["arguments"]),
        )
        for call in told.get("tool_calls") or ()
    ]
    blocks = [*_blocks(told["content"]), *calls]
    extra = {key: told[key] for key in ("tool_call_id",) if key in told}
    return ChatMessage(role=told["role"], blocks=blocks, additional_kwargs=extra)


def _blocks(content: str | Sequence[Mapping[str, Any]] | None) -> list[ContentBlock]:
    if isinstance(content, str) or content is None:
        return [TextBlock(text=content)] if content else []
    blocks: list[ContentBlock] = []
    for part in content:
        blocks.append(TextBlock(text=part["text"]))
        if "cache_control" in part:
            marker = CacheControl(**({"ttl": "5m"} | part["cache_control"]))
            blocks.append(CachePoint(cache_control=marker))
    return blocks
