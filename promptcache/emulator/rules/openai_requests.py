"""Whether a request would be accepted at all."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptcache.emulator.rules.openai_fields import check_caching, check_fields
from promptcache.emulator.rules.openai_parts import check_parts
from promptcache.emulator.rules.openai_plain import check_plain
from promptcache.emulator.rules.openai_rejection import (
    OpenAIRejectedError,
    bad_value,
    missing,
    unsupported,
)
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_tiers import check_tier
from promptcache.emulator.rules.openai_turns import Api, Body
from promptcache.providers.openai.facts import ModelFacts, model_facts

__all__ = ["check_request"]

SERVED = re.compile(r"(ft:|openai\.|openai/)?(gpt-|o\d|chatgpt-|codex-|computer-use-)")
CHAT_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
ITEM_ROLES = ("assistant", "system", "developer", "user")
CHOICES = ("none", "auto", "required")
MODES = ("auto", "required")
NOT_FOUND = 404


def check_request(api: Api, body: Body, settings: OpenAISettings) -> ModelFacts:
    """Refuse what the provider refuses, and return what is known of the model.

    Args:
        api: Which of the two APIs was called.
        body: The request, with the items of `previous_response_id` already in it.
        settings: The choices where sources leave a rule open.

    Raises:
        OpenAIRejectedError: The provider would refuse the request.
    """
    if settings.plain_chat:
        check_plain(api, body)
    check_fields(api, body)
    check_tier(api, body)
    facts = _served(body["model"], settings)
    check_caching(api, body, facts, settings)
    if api == "chat":
        _check_messages(body["messages"])
    else:
        _check_items(body, facts)
    check_parts(api, body, facts, settings)
    _check_tools(api, body)
    _check_tool_choice(api, body)
    return facts


def _served(model: str, settings: OpenAISettings) -> ModelFacts:
    """Return what is known of a model on this server."""
    if not settings.plain_chat and not SERVED.match(model):
        raise OpenAIRejectedError(
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
            status=NOT_FOUND,
        )
    facts = model_facts(model)
    if settings.plain_chat or not settings.breakpoints:
        return replace(facts, breakpoints=False)
    return facts


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse messages in an order that a conversation cannot have."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise _no_object(path)
        role = message.get("role")
        if role is None:
            raise missing(f"{path}.role")
        if role not in CHAT_ROLES:
            raise bad_value(f"{path}.role", role, CHAT_ROLES)
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                msg = (
                    "Invalid parameter: messages with role 'tool' must be a response "
                    "to a preceeding message with 'tool_calls'."
                )
                raise OpenAIRejectedError(msg, param=f"{path}.role")
            waiting.remove(message["tool_call_id"])
            continue
        _check_answered(waiting, f"{path}.role")
        if message.get("content") is None and role != "assistant":
            raise missing(f"{path}.content")
        waiting = list(_call_ids(message.get("tool_calls") or [], f"{path}.tool_calls"))
    _check_answered(waiting, f"messages[{len(messages)}]")


def _call_ids(calls: Any, path: str) -> Iterator[str]:
    if not isinstance(calls, list):
        msg = f"Invalid type for '{path}': expected an array of objects."
        raise OpenAIRejectedError(msg, param=path, code="invalid_type")
    for index, call in enumerate(calls):
        if not isinstance(call, Mapping):
            raise _no_object(f"{path}[{index}]")
        yield str(call.get("id"))


def _check_answered(waiting: Sequence[str], path: str) -> None:
    if waiting:
        msg = (
            f"An assistant message with 'tool_calls' must be followed by tool messages "
            f"responding to each 'tool_call_id'. The following tool_call_ids did not "
            f"have response messages: {', '.join(waiting)}"
        )
        raise OpenAIRejectedError(msg, param=path)


def _no_object(path: str) -> OpenAIRejectedError:
    msg = f"Invalid type for '{path}': expected an object."
    return OpenAIRejectedError(msg, param=path, code="invalid_type")


def _check_items(body: Body, facts: ModelFacts) -> None:
    items = body.get("input")
    if not items:
        if body.get("instructions") or body.get("prompt"):
            return
        raise missing("input")
    if isinstance(items, str):
        return
    if not isinstance(items, list):
        msg = "Invalid type for 'input': expected a string or an array of objects."
        raise OpenAIRejectedError(msg, param="input", code="invalid_type")
    for index, item in enumerate(items):
        _check_item(f"input[{index}]", item, facts)
    _check_calls(items)


def _check_item(path: str, item: Any, facts: ModelFacts) -> None:
    if not isinstance(item, Mapping):
        raise _no_object(path)
    if (item.get("type") or "message") == "message":
        if item.get("role") not in ITEM_ROLES:
            raise bad_value(f"{path}.role", item.get("role"), ITEM_ROLES)
        if item.get("content") is None:
            raise missing(f"{path}.content")
    if item.get("type") == "configuration_update" and not facts.effort_updates:
        raise unsupported("configuration_update")


def _check_calls(items: Sequence[Mapping[str, Any]]) -> None:
    """Refuse calls without outputs, and outputs without calls."""
    called = [it.get("call_id") for it in items if it.get("type") == "function_call"]
    answered = [
        it.get("call_id") for it in items if it.get("type") == "function_call_output"
    ]
    for call in called:
        if call not in answered:
            msg = f"No tool output found for function call {call}."
            raise OpenAIRejectedError(msg, param="input")
    for call in answered:
        if call not in called:
            msg = f"No tool call found for function call output with call_id {call}."
            raise OpenAIRejectedError(msg, param="input")


def _check_tools(api: Api, body: Body) -> None:
    for index, tool in enumerate(body.get("tools") or ()):
        path = f"tools[{index}]"
        if tool.get("type") is None:
            raise missing(f"{path}.type")
        if tool["type"] != "function":
            continue
        nested = api == "chat"
        function = tool.get("function") if nested else tool
        if not isinstance(function, Mapping):
            raise missing(f"{path}.function")
        if not function.get("name"):
            raise missing(f"{path}.function.name" if nested else f"{path}.name")


def _check_tool_choice(api: Api, body: Body) -> None:
    choice = body.get("tool_choice")
    if choice is None:
        return
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        _check_allowed_tools(api, choice)
    if not isinstance(choice, Mapping) and choice not in CHOICES:
        raise bad_value("tool_choice", choice, CHOICES)
    if choice != "none" and not body.get("tools"):
        msg = (
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when "
            "'tools' are specified."
        )
        raise OpenAIRejectedError(msg, param="tool_choice")


def _check_allowed_tools(api: Api, choice: Body) -> None:
    """Refuse a choice among tools that is not of the form of its API.

    Sources: of `openai` 2.54 `types/responses/tool_choice_allowed_param.py` and
    `types/chat/chat_completion_allowed_tool_choice_param.py`; the texts are in none.
    """
    path, said = "tool_choice", choice.get("allowed_tools")
    is_nested = api == "chat"
    if is_nested:
        path = f"{path}.allowed_tools"
    else:
        said = choice
    if not isinstance(said, Mapping):
        raise missing(path)
    if said.get("mode") not in MODES:
        raise bad_value(f"{path}.mode", said.get("mode"), MODES)
    tools = said.get("tools")
    if not isinstance(tools, Sequence) or isinstance(tools, str) or not tools:
        raise missing(f"{path}.tools")
    for index, tool in enumerate(tools):
        if not isinstance(tool, Mapping) or tool.get("type") != "function":
            continue
        named = tool.get("function") if is_nested else tool
        if not isinstance(named, Mapping) or not named.get("name"):
            field = "function.name" if is_nested else "name"
            raise missing(f"{path}.tools[{index}].{field}")
