"""A body of Chat Completions, read into an outline and written with a plan."""

from collections.abc import Container, Mapping
from typing import Any

from promptcache.outline import Outline
from promptcache.planning.plan import Plan
from promptcache.providers.openai.breakpoints import MARK
from promptcache.providers.openai.parameters import (
    caching_options,
    head_key,
    is_forced,
    root,
)
from promptcache.providers.openai.parts import CHAT_PARTS
from promptcache.providers.openai.reading import Reading, check_object
from promptcache.providers.openai.values import (
    encoded,
    mapping_of,
    rest_of,
    sequence_of,
    word,
)
from promptcache.providers.openai.writing import Wire, written

__all__ = ["WIRE", "apply", "outline"]

_OPENINGS = {role: b"\0%b\0" % role.encode() for role in (*CHAT_PARTS, "assistant")}

_OWN = frozenset({"role", "content", MARK})
_OWN_ASSISTANT = frozenset(
    {"role", "content", "tool_calls", "annotations", "id", "status", MARK}
)

_USUAL_FIELDS = 2
"""A role and a content; whoever has more says more."""

_NONE: frozenset[str] = frozenset()

_SPLIT = frozenset({"system", "developer", "user", "tool"})
"""Roles whose strings become a part; `function` takes nothing but a string."""


def outline(
    body: Mapping[str, Any],
    *,
    tenant: str | None = None,
    wanted: Container[int] = (),
) -> Outline:
    """Read a body of `POST /chat/completions`.

    Args:
        body: The body as the SDK would encode it.
        tenant: Enters every digest, so that tenants share none.
        wanted: Positions whose contents the outline is to hold.

    Raises:
        UnreadableBodyError: It is no request of this API, or is too large.
    """
    check_object(body)
    tools = [
        mapping_of(tool)
        for name in ("tools", "functions")
        for tool in sequence_of(body.get(name), name)
    ]
    options = caching_options(body, "chat")
    reading = Reading(root(body, "chat", tenant), options, wanted)
    reading.tools(tools)
    for message in sequence_of(body.get("messages"), "messages"):
        _read(reading, message if type(message) is dict else mapping_of(message))
    return reading.outline(
        forced=is_forced(body, body.get("response_format")),
        head_key=head_key(tools, reading.head_texts),
    )


def apply(body: Mapping[str, Any], outline: Outline, plan: Plan) -> dict[str, Any]:
    """Return the body with the plan's breakpoints, key and options.

    Args:
        body: What the outline was read from; it is not written to.
        outline: The body's outline.
        plan: What to place.
    """
    return written(body, outline, plan, WIRE)


def _read(reading: Reading, message: Mapping[str, Any]) -> None:
    role, content = word(message.get("role")), message.get("content")
    opening = _OPENINGS.get(role) or role.encode("utf-8", "surrogatepass")
    answers = role == "assistant"
    says_more = len(message) > _USUAL_FIELDS or content is None
    if says_more and not answers and (rest := rest_of(message, _OWN)):
        opening += encoded(rest)
    reading.begin("tool" if role == "function" else role, opening, message)
    refusal = "assistant-turn" if answers else ""
    if isinstance(content, str):
        reading.text(content, "text", refusal or _string_refusal(role))
    else:
        parts = sequence_of(content, "messages.content")
        reading.parts(parts, CHAT_PARTS.get(role, _NONE), refusal)
    if says_more and answers:
        if rest := rest_of(message, _OWN_ASSISTANT):
            reading.said(encoded(rest), "assistant", refusal)
        for call in sequence_of(message.get("tool_calls"), "messages.tool_calls"):
            reading.said(encoded(call), "tool_call", refusal)
    reading.end()


def _string_refusal(role: str) -> str:
    if role in _SPLIT:
        return ""
    return "string-only" if role in CHAT_PARTS else "unknown-type"


def _splits(message: Mapping[str, Any]) -> tuple[str, bool]:
    return "content", word(message.get("role")) in _SPLIT


WIRE = Wire(listed="messages", text="text", place=_splits)
