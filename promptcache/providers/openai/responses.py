"""A body of the Responses API, read into an outline and written with a plan.

Rule 1: what the provider itself puts before a request, an earlier answer and all that
led to it, counts as one message of an assistant. So, and only then, a message's number
in the outline is one more than the item's in `input`.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from promptcache.outline import BYTES_PER_TOKEN, Outline, Trail
from promptcache.planning.plan import Plan
from promptcache.providers.openai.breakpoints import MARK
from promptcache.providers.openai.parameters import (
    HEAD_BYTES,
    caching_options,
    digest_of,
    head_key,
    is_forced,
    root,
)
from promptcache.providers.openai.parts import INPUT_PARTS
from promptcache.providers.openai.reading import Reading, check_object
from promptcache.providers.openai.values import (
    encoded,
    fields_of,
    mapping_of,
    rest_of,
    sequence_of,
    word,
)
from promptcache.providers.openai.writing import Wire, written

__all__ = ["WIRE", "apply", "outline"]

_MARKED_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
"""Items whose output may be a list of input parts. Source: the SDK's request types."""

_NEUTRAL = frozenset({"additional_tools", "configuration_update", "item_reference"})
"""Items that nobody said: a client appends them."""

_ANSWERS = frozenset(
    {
        "apply_patch_call",
        "code_interpreter_call",
        "compaction",
        "computer_call",
        "custom_tool_call",
        "file_search_call",
        "function_call",
        "image_generation_call",
        "local_shell_call",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "reasoning",
        "shell_call",
        "tool_search_call",
        "web_search_call",
    }
)
"""Items that a model's answer has besides messages. Source: as above."""

_ODD = "surrogatepass"

_SPLIT = frozenset({"system", "developer", "user"})
_OPENINGS = {role: b"\0%b\0" % role.encode() for role in (*_SPLIT, "assistant")}

_OWN = frozenset({"type", "role", "content", "id", "status", MARK})
_OWN_OUTPUT = frozenset({"type", "call_id", "output", "id", "status", MARK})
_USUAL_FIELDS = 2
_USUAL_OUTPUT_FIELDS = 3
"""Fields that nearly all have; whoever has no more says no more."""


def outline(
    body: Mapping[str, Any],
    *,
    tenant: str | None = None,
    trail: Trail | None = None,
    wanted: Container[int] = (),
) -> Outline:
    """Read a body of `POST /responses`.

    Args:
        body: The body as the SDK would encode it.
        tenant: Enters every digest, so that tenants share none.
        trail: What the provider puts first, where the body goes on from an answer.
        wanted: Positions whose contents the outline is to hold.

    Raises:
        UnreadableBodyError: It is no request of this API, or is too large.
    """
    check_object(body)
    tools = [mapping_of(tool) for tool in sequence_of(body.get("tools"), "tools")]
    options = caching_options(body, "responses")
    reading = Reading(root(body, "responses", tenant), options, wanted)
    instructions, follows = body.get("instructions"), body.get("previous_response_id")
    conversation = _id(body.get("conversation"))
    if follows:
        known = trail or _unknown(reading.blocks.root, follows)
        reading.follow(known, tools, instructions)
    else:
        reading.tools(tools)
        reading.instructions(instructions)
    if conversation is not None:
        reading.go_on(conversation)
    for item in _items(body.get("input")):
        _read(reading, item if type(item) is dict else mapping_of(item))
    form = fields_of(body.get("text")).get("format")
    return reading.outline(
        forced=is_forced(body, form),
        head_key=_head_key(body, tools, reading, conversation),
    )


def apply(body: Mapping[str, Any], outline: Outline, plan: Plan) -> dict[str, Any]:
    """Return the body with the plan's breakpoints, key and options.

    Args:
        body: What the outline was read from; it is not written to.
        outline: The body's outline.
        plan: What to place.
    """
    given = body.get("input")
    if plan.mode is not None and isinstance(given, str) and given:
        body = {**body, "input": [{"role": "user", "content": given}]}
    return written(body, outline, plan, WIRE)


def _items(given: Any) -> Sequence[Any]:
    if isinstance(given, str):
        return ({"role": "user", "content": given},) if given else ()
    return sequence_of(given, "input")


def _read(reading: Reading, item: Mapping[str, Any]) -> None:
    kind = _kind(item)
    if kind == "message":
        _read_message(reading, item)
    elif kind in _MARKED_OUTPUTS:
        opening = b"\0tool\0" + word(item.get("call_id")).encode("utf-8", _ODD)
        if len(item) > _USUAL_OUTPUT_FIELDS and (rest := rest_of(item, _OWN_OUTPUT)):
            opening += encoded(rest)
        reading.begin("tool", opening, item)
        _read_content(reading, item.get("output"), "output", "")
    elif kind.endswith("_output"):
        reading.begin("tool", b"\0tool\0", item)
        reading.whole(item, kind, "no-marker-field")
    elif kind == "item_reference":
        reading.begin("other", b"\0reference\0", item)
        reading.whole({"reference": item.get("id")}, kind, "no-marker-field")
    elif kind in _NEUTRAL:
        reading.begin("other", b"\0other\0", item)
        reading.whole(item, kind, "no-marker-field")
    else:
        reading.begin("assistant", b"\0answer\0", item)
        refusal = "assistant-turn" if kind in _ANSWERS else "unknown-type"
        reading.whole(item, kind, refusal)
    reading.end()


def _kind(item: Mapping[str, Any]) -> str:
    return word(item.get("type") or ("message" if "role" in item else "item_reference"))


def _read_message(reading: Reading, item: Mapping[str, Any]) -> None:
    role = word(item.get("role"))
    opening = _OPENINGS.get(role) or role.encode("utf-8", _ODD)
    if len(item) > _USUAL_FIELDS and (rest := rest_of(item, _OWN)):
        opening += encoded(rest)
    reading.begin(role, opening, item)
    refusal = "" if role in _SPLIT else "unknown-type"
    if role == "assistant":
        refusal = "assistant-turn"
    _read_content(reading, item.get("content"), "content", refusal)


def _read_content(reading: Reading, content: Any, path: str, refusal: str) -> None:
    if isinstance(content, str):
        reading.text(content, "input_text", refusal)
    else:
        reading.parts(sequence_of(content, f"input.{path}"), INPUT_PARTS, refusal)


def _head_key(
    body: Mapping[str, Any],
    tools: Sequence[Mapping[str, Any]],
    reading: Reading,
    conversation: str | None,
) -> bytes:
    if conversation is not None:
        # What its requests share is longer than any head.
        return digest_of(b"conversation\0" + conversation.encode("utf-8", _ODD))
    prompt = fields_of(body.get("prompt"))
    named = encoded([prompt["id"], prompt.get("version")]) if "id" in prompt else b""
    return head_key(tools, reading.head_texts, named)


def _id(value: Any) -> str | None:
    named = value.get("id") if isinstance(value, Mapping) else value
    return named if isinstance(named, str) and named else None


def _unknown(root: bytes, answer: object) -> Trail:
    """Return what stands for an answer that this process has not seen."""
    digest = digest_of(root + b"\0answer\0" + encoded(answer))
    return Trail(digest, HEAD_BYTES // BYTES_PER_TOKEN)


def _place(item: Mapping[str, Any]) -> tuple[str, bool]:
    kind = _kind(item)
    if kind in _MARKED_OUTPUTS:
        return "output", True
    return "content", kind == "message" and word(item.get("role")) in _SPLIT


WIRE = Wire(listed="input", text="input_text", place=_place)
