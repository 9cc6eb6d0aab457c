"""Which fields a request may have, and of what form.

Field lists follow the request types of `anthropic` 2.12; the wording of the errors
follows reports of real ones, as cited, and pydantic's wording else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from promptcache.emulator.rules.anthropic_blocks import UNMARKABLE
from promptcache.emulator.rules.anthropic_diagnostics import check_diagnostics
from promptcache.emulator.rules.anthropic_places import (
    EXTRA,
    check_inside,
    check_marker,
    refuse_extras,
)
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings

__all__ = ["check_fields"]

REQUIRED = ("model", "max_tokens", "messages")
TOP_LEVEL = frozenset(
    {
        "billing_policy",
        "cache_control",
        "compaction",
        "container",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "prefill",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "thread",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user_profile_id",
        "workspace_id",
    }
)
OBJECTS = (
    "context_management",
    "diagnostics",
    "metadata",
    "output_config",
    "thinking",
    "tool_choice",
)
MESSAGE = frozenset({"role", "content", "clear_at", "output_config"})
# Only types whose fields are few and stable; the others are taken as they come.
BLOCKS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
BLOCK_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "image": ("source",),
    "document": ("source",),
}
STRING_TYPE = "Input should be a valid string"
CONTENT_TYPE = "Input should be a valid string or list"


def check_fields(body: Mapping[str, Any], settings: Settings) -> None:
    """Refuse missing, unknown and malformed fields.

    Raises:
        RejectedError: A field is not as the provider demands it.
    """
    for name in REQUIRED:
        if name not in body:
            raise RejectedError(f"{name}: Field required")
    refuse_extras("", body, TOP_LEVEL)
    _check_types(body)
    automatic = body.get("cache_control")
    if automatic is not None and not settings.host_facts.automatic:
        # Source: UKGovernmentBEIS/inspect_ai#3851.
        raise RejectedError(f"cache_control: {EXTRA}")
    check_marker("cache_control", automatic)
    check_diagnostics(body.get("diagnostics"), settings)
    for index, tool in enumerate(body.get("tools") or ()):
        _check_tool(index, tool)
    if not isinstance(body.get("system"), str):
        for index, block in enumerate(body.get("system") or ()):
            _check_block(f"system.{index}", block, tag="")
    for index, message in enumerate(body["messages"]):
        _check_message(index, message)


def _check_types(body: Mapping[str, Any]) -> None:
    if not isinstance(body["model"], str):
        raise RejectedError(f"model: {STRING_TYPE}")
    if not isinstance(body["max_tokens"], int) or isinstance(body["max_tokens"], bool):
        raise RejectedError("max_tokens: Input should be a valid integer")
    if body["max_tokens"] < 0:
        raise RejectedError("max_tokens: Input should be greater than or equal to 0")
    if not isinstance(body["messages"], list):
        raise RejectedError("messages: Input should be a valid list")
    if not isinstance(body.get("system") or [], (str, list)):
        raise RejectedError(f"system: {CONTENT_TYPE}")
    if not isinstance(body.get("tools") or [], list):
        raise RejectedError("tools: Input should be a valid list")
    stops = body.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise RejectedError("stop_sequences: Input should be a list of strings")
    for name in OBJECTS:
        if not isinstance(body.get(name), (Mapping, type(None))):
            raise RejectedError(f"{name}: Input should be an object")


def _check_tool(index: int, tool: object) -> None:
    if not isinstance(tool, Mapping):
        raise RejectedError(f"tools.{index}: Input should be an object")
    kind = tool.get("type") or "custom"
    path = f"tools.{index}.{kind}"
    if kind == "custom":
        for name in ("name", "input_schema"):
            if name not in tool:
                raise RejectedError(f"{path}.{name}: Field required")
    if not isinstance(tool.get("name", ""), str):
        raise RejectedError(f"{path}.name: {STRING_TYPE}")
    if not isinstance(tool.get("input_schema", {}), Mapping):
        raise RejectedError(f"{path}.input_schema: Input should be an object")
    check_marker(f"{path}.cache_control", tool.get("cache_control"))
    configs = tool.get("configs")
    for name, config in configs.items() if isinstance(configs, Mapping) else ():
        if isinstance(config, Mapping) and "cache_control" in config:
            msg = f"{path}.configs.{name}.cache_control: {EXTRA}"
            raise RejectedError(msg)


def _check_message(index: int, message: object) -> None:
    path = f"messages.{index}"
    if not isinstance(message, Mapping):
        raise RejectedError(f"{path}: Input should be an object")
    for name in ("role", "content"):
        if name not in message:
            raise RejectedError(f"{path}.{name}: Field required")
    # Source: evalstate/fast-agent#200.
    refuse_extras(f"{path}.", message, MESSAGE)
    if message["role"] not in ("user", "assistant", "system"):
        msg = f"{path}.role: Input should be 'user', 'assistant' or 'system'"
        raise RejectedError(msg)
    content = message["content"]
    if isinstance(content, str):
        return
    if not isinstance(content, Sequence):
        raise RejectedError(f"{path}.content: {CONTENT_TYPE}")
    for part, block in enumerate(content):
        _check_block(f"{path}.content.{part}", block)


def _check_block(path: str, block: object, *, tag: str | None = None) -> None:
    if not isinstance(block, Mapping):
        raise RejectedError(f"{path}: Input should be an object")
    kind = block.get("type")
    if not isinstance(kind, str):
        raise RejectedError(f"{path}.type: Field required")
    # Messages name the type of a block in the path, system blocks have one type only.
    inner = f"{path}.{kind}" if tag is None else path
    if kind in UNMARKABLE and block.get("cache_control") is not None:
        # Source: BerriAI/litellm#39815 and others.
        raise RejectedError(f"{inner}.cache_control: {EXTRA}")
    refuse_extras(f"{inner}.", block, BLOCKS.get(kind, block))
    for name in BLOCK_REQUIRED.get(kind, ()):
        if name not in block:
            raise RejectedError(f"{inner}.{name}: Field required")
    if kind == "text" and not isinstance(block["text"], str):
        raise RejectedError(f"{inner}.text: {STRING_TYPE}")
    check_marker(f"{inner}.cache_control", block.get("cache_control"))
    check_inside(inner, block)
