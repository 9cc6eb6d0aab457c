"""Which parts a message may have, and which of them may carry a breakpoint.

Source: `openai` 3.54, types of content parts; the guide, for what cannot carry one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from promptcache.emulator.rules.openai_rejection import (
    OpenAIRejectedError,
    bad_value,
    missing,
    unknown,
    unsupported,
)
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_turns import BREAKPOINT, Api, Body
from promptcache.providers.openai.facts import RESPONSES_TTLS, ModelFacts

__all__ = ["check_parts"]

USER_PARTS = ("text", "image_url", "input_audio", "file")
CHAT_PARTS: Mapping[str, tuple[str, ...]] = {
    "developer": ("text",),
    "system": ("text",),
    "tool": ("text",),
    "function": ("text",),
    "user": USER_PARTS,
    "assistant": ("text", "refusal"),
}
INPUT_PARTS = ("input_text", "input_image", "input_file")
RESPONSES_PARTS = (
    "input_text",
    "input_image",
    "output_text",
    "refusal",
    "input_file",
    "computer_screenshot",
    "summary_text",
)
MARKED_OUTPUTS = ("function_call_output", "custom_tool_call_output")
FORM = ("mode", "ttl")


def check_parts(
    api: Api, body: Body, facts: ModelFacts, settings: OpenAISettings
) -> None:
    """Refuse parts of the other API's vocabulary, and breakpoints out of place.

    Raises:
        OpenAIRejectedError: The provider would refuse the request.
    """
    for path, tool in _parts(body.get("tools"), "tools"):
        if BREAKPOINT in tool:
            raise unknown(f"{path}.{BREAKPOINT}")
        declared = tool.get("function")
        if isinstance(declared, Mapping) and BREAKPOINT in declared:
            raise unknown(f"{path}.function.{BREAKPOINT}")
    found = _chat(body, settings) if api == "chat" else _responses(body)
    ttls: tuple[str, ...] = RESPONSES_TTLS
    if api == "chat" and not settings.chat_parts_12h:
        ttls = RESPONSES_TTLS[:1]
    for path, part, may in found:
        marker = part.get(BREAKPOINT)
        if marker is None:
            continue
        if not facts.breakpoints:
            raise unsupported(BREAKPOINT)
        if not may:
            raise unknown(f"{path}.{BREAKPOINT}")
        _check_form(f"{path}.{BREAKPOINT}", marker, ttls)


def _check_form(path: str, marker: Any, ttls: tuple[str, ...]) -> None:
    if not isinstance(marker, Mapping):
        msg = f"Invalid type for '{path}': expected an object."
        raise OpenAIRejectedError(msg, param=path, code="invalid_type")
    for name in marker:
        if name not in FORM:
            raise unknown(f"{path}.{name}")
    if "mode" not in marker:
        raise missing(f"{path}.mode")
    if marker["mode"] != "explicit":
        raise bad_value(f"{path}.mode", marker["mode"], ("explicit",))
    if marker.get("ttl") is not None and marker["ttl"] not in ttls:
        raise bad_value(f"{path}.ttl", marker["ttl"], ttls)


Found = Iterator[tuple[str, Mapping[str, Any], bool]]


def _chat(body: Body, settings: OpenAISettings) -> Found:
    for index, message in enumerate(body["messages"]):
        path, role = f"messages[{index}]", message.get("role")
        yield path, message, False
        may = role != "assistant" or settings.assistant_breakpoints
        for at, part in _parts(message.get("content"), f"{path}.content"):
            allowed = CHAT_PARTS[role]
            if part.get("type") not in allowed:
                raise bad_value(f"{at}.type", part.get("type"), allowed)
            yield at, part, may and part["type"] != "refusal"


def _responses(body: Body) -> Found:
    items = body.get("input")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        path = f"input[{index}]"
        yield path, item, False
        kind = item.get("type") or "message"
        if kind == "message":
            for at, part in _parts(item.get("content"), f"{path}.content"):
                # Source: ENTERPILOT/GoModel#861; the list itself is in no source.
                if part.get("type") not in RESPONSES_PARTS:
                    raise bad_value(at, part.get("type"), RESPONSES_PARTS)
                said = item.get("role") == "assistant"
                yield at, part, part["type"] in INPUT_PARTS and not said
        elif isinstance(item.get("output"), list):
            for at, part in _parts(item["output"], f"{path}.output"):
                may = kind in MARKED_OUTPUTS and part.get("type") in INPUT_PARTS
                yield at, part, may


def _parts(content: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        msg = f"Invalid type for '{path}': expected a string or an array of objects."
        raise OpenAIRejectedError(msg, param=path, code="invalid_type")
    for index, part in enumerate(content):
        if not isinstance(part, Mapping):
            msg = f"Invalid type for '{path}[{index}]': expected an object."
            raise OpenAIRejectedError(
                msg, param=f"{path}[{index}]", code="invalid_type"
            )
        yield f"{path}[{index}]", part
