"""Why a request could not reuse the prefix of an earlier one, as the provider says it.

Requests are compared by structure; whether anything was read does not matter. Source:
cache-diagnostics page of the documentation, `anthropic` 2.12 `types/cache_miss_*.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson

from promptcache.emulator.rules.anthropic_blocks import as_blocks, rendered
from promptcache.emulator.rules.anthropic_places import EXTRA, refuse_extras
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings
from promptcache.emulator.rules.tokens import BYTES_PER_TOKEN

__all__ = ["Fingerprint", "check_diagnostics", "diagnosis", "fingerprint"]

Body: TypeAlias = Mapping[str, Any]
Part: TypeAlias = tuple[bytes, int]
"""A digest, and how many bytes it stands for."""
Reason: TypeAlias = Mapping[str, Any]

DIGEST_BYTES = 16
PARAMETERS = (
    "tool_choice",
    "thinking",
    "context_management",
    "output_config",
    "output_format",
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is kept of a request to compare later ones with: no text."""

    model: Part
    tools: tuple[Part, ...]
    system: tuple[Part, ...]
    messages: tuple[Part, ...]
    parameters: Part


def check_diagnostics(asked: Mapping[str, Any] | None, settings: Settings) -> None:
    """Refuse diagnostics off the Claude API.

    Source: cache-diagnostics page of the documentation; no other platform has them.

    Raises:
        RejectedError: They are refused there, or are of another form.
    """
    if asked is None:
        return
    if not settings.diagnoses:
        raise RejectedError(f"diagnostics: {EXTRA}")
    refuse_extras("diagnostics.", asked, ("previous_message_id",))
    if not isinstance(asked.get("previous_message_id"), (str, type(None))):
        raise RejectedError(
            "diagnostics.previous_message_id: Input should be a valid string"
        )


def fingerprint(body: Body, betas: Sequence[str] = ()) -> Fingerprint:
    """Return the fingerprint of a request; markers and deferred tools are not in it."""
    tools = [tool for tool in body.get("tools") or () if not tool.get("defer_loading")]
    parameters = {name: body[name] for name in PARAMETERS if body.get(name) is not None}
    return Fingerprint(
        model=_part(orjson.dumps([body["model"], body.get("speed") or "standard"])),
        tools=tuple(_part(rendered(tool)) for tool in tools),
        system=tuple(_part(rendered(it)) for it in as_blocks(body.get("system"))),
        messages=tuple(_part(_turn(message)) for message in body["messages"]),
        parameters=_part(
            orjson.dumps([parameters, sorted(betas)], option=orjson.OPT_SORT_KEYS)
        ),
    )


def diagnosis(
    previous: Fingerprint | None, current: Fingerprint, settings: Settings
) -> Mapping[str, Any] | None:
    """Return the `diagnostics` of an answer; None if nothing diverged.

    Args:
        previous: The request that was named, or None if it is not known.
        current: The request that is answered.
        settings: Which difference is named first.
    """
    if previous is None:
        return _because({"type": "previous_message_not_found"})
    for name in settings.diagnosis_order:
        reason = COMPARISONS[name](previous, current)
        if reason is not None:
            return _because(reason)
    return None


def _because(reason: Reason) -> Mapping[str, Any]:
    return {"cache_miss_reason": reason}


def _model(before: Fingerprint, now: Fingerprint) -> Reason | None:
    if before.model == now.model:
        return None
    return _missed("model_changed", before.tools, before.system, before.messages)


def _tools(before: Fingerprint, now: Fingerprint) -> Reason | None:
    if before.tools == now.tools:
        return None
    rest = before.tools[_shared(before.tools, now.tools) :]
    return _missed("tools_changed", rest, before.system, before.messages)


def _system(before: Fingerprint, now: Fingerprint) -> Reason | None:
    if before.system == now.system:
        return None
    rest = before.system[_shared(before.system, now.system) :]
    return _missed("system_changed", rest, before.messages)


def _messages(before: Fingerprint, now: Fingerprint) -> Reason | None:
    shared = _shared(before.messages, now.messages)
    if shared == len(before.messages):
        return None
    return _missed("messages_changed", before.messages[shared:])


def _parameters(before: Fingerprint, now: Fingerprint) -> Reason | None:
    """No diagnosis is given where only other parameters differ."""
    return None if before.parameters == now.parameters else {"type": "unavailable"}


COMPARISONS: Mapping[str, Callable[[Fingerprint, Fingerprint], Reason | None]] = {
    "model": _model,
    "tools": _tools,
    "system": _system,
    "parameters": _parameters,
    "messages": _messages,
}


def _shared(before: Sequence[Part], now: Sequence[Part]) -> int:
    """Return how many parts both begin with."""
    pairs = enumerate(zip(before, now, strict=False))
    differing = (index for index, (one, other) in pairs if one != other)
    return next(differing, min(len(before), len(now)))


def _missed(kind: str, *lost: Sequence[Part]) -> Reason:
    """Estimate what the earlier request would have given: bytes, not tokens."""
    size = sum(part[1] for parts in lost for part in parts)
    return {"type": kind, "cache_missed_input_tokens": -(-size // BYTES_PER_TOKEN)}


def _turn(message: Mapping[str, Any]) -> bytes:
    blocks = [rendered(block) for block in as_blocks(message.get("content"))]
    return b"\0".join([str(message.get("role")).encode(), *blocks])


def _part(content: bytes) -> Part:
    return blake2b(content, digest_size=DIGEST_BYTES).digest(), len(content)
