"""Whether a request would be accepted at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptcache.emulator.rules.anthropic_blocks import (
    as_blocks,
    called_by_code,
    code_call_ids,
    marker_of,
)
from promptcache.emulator.rules.anthropic_fields import check_fields
from promptcache.emulator.rules.anthropic_tool_changes import check_tool_changes
from promptcache.emulator.rules.anthropic_turns import check_texts, check_turns
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings
from promptcache.providers.anthropic.facts import model_facts

__all__ = ["check_request"]

NOT_FOUND = 404
MINIMUM_THINKING = 1024


def check_request(
    body: Mapping[str, Any], settings: Settings, betas: Sequence[str] = ()
) -> None:
    """Refuse what the provider refuses, breakpoint counts and order aside.

    Args:
        body: The request.
        settings: The choices where sources leave a rule open.
        betas: What its `anthropic-beta` header names.

    Raises:
        RejectedError: The provider would refuse the request.
    """
    check_fields(body, settings)
    model = body["model"]
    if not _is_served(model):
        raise RejectedError(f"model: {model}", kind="not_found_error", status=NOT_FOUND)
    system = body.get("system")
    if not isinstance(system, str):
        check_texts("system", system or (), "system")
    facts = model_facts(model)
    check_turns(body["messages"], mid_system=facts.mid_conversation_system)
    _check_tools(body.get("tools") or ())
    check_tool_changes(body, betas)
    _check_tool_choice(body)
    _check_thinking(body)
    if body["max_tokens"] == 0:
        _check_prewarming(body)
    if body.get("compaction") and body.get("context_management"):
        # Source: `anthropic` 2.12; the text is in no source.
        msg = "compaction: cannot be combined with context_management"
        raise RejectedError(msg)
    _check_unrendered(body["messages"])


def _is_served(model: str) -> bool:
    """Accept any name of the family, as the hosts spell them."""
    bare = model.rsplit("/", 1)[-1].rpartition("anthropic.")[2]
    return bare.startswith("claude")


def _check_tools(tools: Sequence[Mapping[str, Any]]) -> None:
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(set(names)) < len(names):
        raise RejectedError("tools: Tool names must be unique.")
    for tool in tools:
        if tool.get("defer_loading") and tool.get("cache_control") is not None:
            # Source: router-for-me/CLIProxyAPI#4561.
            msg = (
                f"Tool '{tool.get('name')}' cannot have both defer_loading=true and "
                f"cache_control set. Tools with defer_loading cannot use prompt "
                f"caching."
            )
            raise RejectedError(msg)
    if tools and all(tool.get("defer_loading") for tool in tools):
        msg = "At least one tool must have defer_loading=false."
        raise RejectedError(msg)


def _check_tool_choice(body: Mapping[str, Any]) -> None:
    choice = body.get("tool_choice")
    if not choice:
        return
    if choice.get("type") not in ("auto", "any", "tool", "none"):
        msg = "tool_choice: Input tag found using 'type' does not match any of the "
        raise RejectedError(f"{msg}expected tags: 'auto', 'any', 'tool', 'none'")
    tools = body.get("tools") or ()
    if not tools and choice["type"] != "none":
        raise RejectedError("tool_choice may only be specified while providing tools.")
    names = [tool.get("name") for tool in tools]
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise RejectedError(f"Tool '{choice.get('name')}' not found in provided tools")


def _check_thinking(body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        msg = "Thinking may not be enabled when tool_choice forces tool use."
        raise RejectedError(msg)
    if thinking["type"] == "adaptive":
        return
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        raise RejectedError("thinking.enabled.budget_tokens: Field required")
    if budget < MINIMUM_THINKING:
        msg = (
            f"thinking.enabled.budget_tokens: Input should be greater than or equal "
            f"to {MINIMUM_THINKING}"
        )
        raise RejectedError(msg)
    if 0 < body["max_tokens"] <= budget:
        msg = "`max_tokens` must be greater than `thinking.budget_tokens`."
        raise RejectedError(msg)


def _check_prewarming(body: Mapping[str, Any]) -> None:
    """Refuse what cannot go with `max_tokens: 0`.

    Source: can1357/oh-my-pi#12597 for forced tools; the other clashes are documented,
    their texts are not.
    """
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        msg = 'tool_choice: type "tool" or "any" cannot be used when max_tokens is 0'
        raise RejectedError(msg)
    if body.get("stream"):
        raise RejectedError("stream: cannot be true when max_tokens is 0")
    if (body.get("thinking") or {}).get("type") == "enabled":
        msg = 'thinking: type "enabled" cannot be used when max_tokens is 0'
        raise RejectedError(msg)
    if (body.get("output_config") or {}).get("format") or body.get("output_format"):
        raise RejectedError("output_config.format: cannot be used when max_tokens is 0")


def _check_unrendered(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse markers on blocks that the model is not shown.

    Source: langchain-ai/langchain#34579 for calls of code execution; a marker on a
    turn-scoped system message is refused by the documentation, without its text.
    """
    hidden = code_call_ids(messages)
    for index, message in enumerate(messages):
        for part, block in enumerate(as_blocks(message["content"])):
            if marker_of(block) is None:
                continue
            if called_by_code(block) or block.get("tool_use_id") in hidden:
                name = block.get("tool_use_id") or block.get("id")
                msg = (
                    f"Tool use result for {name} called by code execution cannot have "
                    f"cache_control. These blocks are not rendered in Claude's context."
                )
                raise RejectedError(msg)
            if message.get("clear_at") == "next_user_message":
                msg = (
                    f"messages.{index}.content.{part}.cache_control: cannot be set on "
                    f"a system message with clear_at"
                )
                raise RejectedError(msg)
