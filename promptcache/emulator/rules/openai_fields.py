"""Which fields a request may have, and what the caching ones may be.

Field lists follow the request types of `openai` 3.54; the wording of the errors
follows reports of real ones, as cited.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.emulator.rules.openai_rejection import (
    OpenAIRejectedError,
    bad_value,
    missing,
    unknown,
    unsupported,
)
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_turns import Api, Body
from promptcache.providers.openai.facts import (
    CHAT_TTLS,
    MAX_KEY_LENGTH,
    RESPONSES_TTLS,
    ModelFacts,
)

__all__ = ["check_caching", "check_fields"]

_SHARED = frozenset(
    [
        "access_programs",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    ]
)
TOP_LEVEL: Mapping[Api, frozenset[str]] = {
    "chat": _SHARED
    | frozenset(
        [
            "audio",
            "frequency_penalty",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "messages",
            "modalities",
            "n",
            "prediction",
            "presence_penalty",
            "reasoning_effort",
            "response_format",
            "seed",
            "stop",
            "web_search_options",
        ]
    ),
    "responses": _SHARED.difference(["verbosity"])
    | frozenset(
        [
            "background",
            "background_options",
            "context_management",
            "continuation_id",
            "conversation",
            "image",
            "include",
            "input",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "previous_response_id",
            "prompt",
            "reasoning",
            "text",
            "truncation",
        ]
    ),
}
REQUIRED: Mapping[Api, tuple[str, ...]] = {
    "chat": ("messages", "model"),
    "responses": ("model",),
}
OPTIONS: Mapping[Api, tuple[str, ...]] = {
    "chat": ("mode", "ttl"),
    "responses": ("mode", "ttl", "comparison_response_id", "prewarm"),
}
TTLS: Mapping[Api, tuple[str, ...]] = {"chat": CHAT_TTLS, "responses": RESPONSES_TTLS}
MODES = ("implicit", "explicit")
OBJECTS = ("prompt_cache_options", "reasoning", "text", "response_format")
LISTS = ("messages", "tools")


def check_fields(api: Api, body: Body) -> None:
    """Refuse fields that are missing, unknown or of another form.

    Raises:
        OpenAIRejectedError: The provider would refuse the request.
    """
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise OpenAIRejectedError("you must provide a model parameter")
    for name in REQUIRED[api]:
        if body.get(name) is None:
            raise missing(name)
    for name in body:
        if name not in TOP_LEVEL[api]:
            raise unknown(name)
    for name in OBJECTS:
        _expect(name, body.get(name), Mapping, "an object")
    _check_choices(body.get("n"))
    for name in LISTS:
        _expect(name, body.get(name), list, "an array of objects")
        for index, item in enumerate(body.get(name) or ()):
            _expect(f"{name}[{index}]", item, Mapping, "an object")
    if api == "chat" and not body["messages"]:
        msg = "Invalid 'messages': empty array. Expected an array with minimum length"
        raise OpenAIRejectedError(
            f"{msg} 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )


def _check_choices(number: object) -> None:
    _expect("n", number, int, "an integer")
    if isinstance(number, int) and number < 1:
        msg = "Invalid 'n': integer below minimum value. Expected a value >= 1."
        raise OpenAIRejectedError(msg, param="n", code="integer_below_min_value")


def check_caching(
    api: Api, body: Body, facts: ModelFacts, settings: OpenAISettings
) -> None:
    """Refuse top-level caching fields that the model or the API does not have.

    Raises:
        OpenAIRejectedError: The provider would refuse the request.
    """
    _check_key(body.get("prompt_cache_key"))
    _check_retention(body.get("prompt_cache_retention"), facts, settings)
    options = body.get("prompt_cache_options")
    if options is None:
        return
    if not facts.breakpoints:
        raise unsupported("prompt_cache_options")
    for name in options:
        if name not in OPTIONS[api]:
            raise unknown(f"prompt_cache_options.{name}")
    _one_of("prompt_cache_options.mode", options.get("mode"), MODES)
    _one_of("prompt_cache_options.ttl", options.get("ttl"), TTLS[api])
    _expect("prompt_cache_options.prewarm", options.get("prewarm"), bool, "a boolean")
    name = "prompt_cache_options.comparison_response_id"
    _expect(name, options.get("comparison_response_id"), str, "a string")


def _check_key(key: object) -> None:
    """Refuse long keys. Source: theopenco/llmgateway#3110, for the whole body."""
    _expect("prompt_cache_key", key, str, "a string")
    if isinstance(key, str) and len(key) > MAX_KEY_LENGTH:
        msg = (
            f"Invalid 'prompt_cache_key': string too long. Expected a string with "
            f"maximum length {MAX_KEY_LENGTH}, but got a string with length {len(key)} "
            f"instead."
        )
        raise OpenAIRejectedError(
            msg, param="prompt_cache_key", code="string_above_max_length"
        )


def _check_retention(
    value: object, facts: ModelFacts, settings: OpenAISettings
) -> None:
    """Refuse retention where there is none to choose.

    Source: openai/codex#39442 where breakpoints are; what is said of a value that an
    earlier model lacks is in no source.
    """
    if value is None:
        return
    if facts.breakpoints and not settings.retention_with_breakpoints:
        raise unsupported("prompt_cache_retention")
    _one_of("prompt_cache_retention", value, ("in_memory", "24h"))
    if value == "24h" and "24h" not in facts.retention:
        raise unsupported("prompt_cache_retention")
    _one_of("prompt_cache_retention", value, facts.retention)


def _one_of(param: str, value: object, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise bad_value(param, value, allowed)


def _expect(param: str, value: object, kind: type[Any], name: str) -> None:
    if value is None or isinstance(value, kind):
        return
    msg = f"Invalid type for '{param}': expected {name}, but got another type instead."
    raise OpenAIRejectedError(msg, param=param, code="invalid_type")
