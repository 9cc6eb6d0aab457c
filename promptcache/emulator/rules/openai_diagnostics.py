"""Why a request could not reuse the prefix of an earlier one, as OpenAI says it.

Rule 1: it costs nothing, never fails a request, and only the first cause is named.
Rule 2: what is kept of a request is digests and counts. Source: the guide's page on
diagnostics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from promptcache.emulator.rules.openai import Accepted, Verdict
from promptcache.emulator.rules.openai_prompt import DIGEST_BYTES, Segment
from promptcache.emulator.rules.openai_responses import (
    response_format,
    response_tools,
)
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_tiers import tier_used

__all__ = ["ResponseFingerprint", "diagnosis", "response_fingerprint"]

NOT_FOUND = {"type": "comparison_response_not_found"}
UNAVAILABLE = {"type": "unavailable"}
HIT = {"type": "cache_hit"}


@dataclass(frozen=True, slots=True)
class ResponseFingerprint:
    """What is kept of a request to compare later ones with: no text."""

    parameters: Mapping[str, bytes]
    """Digests by the reason that a change of them is."""
    segments: tuple[tuple[bytes, int], ...]
    """Digest and tokens of each piece of the conversation."""
    head_tokens: int
    tier: bytes
    supported: bool = field(default=True)
    """Whether the model is diagnosed at all."""


def response_fingerprint(request: Accepted) -> ResponseFingerprint:
    """Return the fingerprint of a request to the Responses API."""
    body, form = request.body, response_format(request.body)
    segments = request.prompt.segments
    head = [it for it in segments if it.lead in (b"tool", b"format")]
    rest = segments[len(head) :]
    return ResponseFingerprint(
        # In the order in which the page lists the reasons.
        parameters={
            "model_changed": _digest(body["model"]),
            "prompt_cache_key_changed": _digest(body.get("prompt_cache_key")),
            "tools_changed": _digest(
                [response_tools(body), body.get("parallel_tool_calls")]
            ),
            "text_format_changed": _digest(form["format"]),
            "reasoning_effort_changed": _digest(form["effort"]),
            "verbosity_changed": _digest(form["verbosity"]),
            "context_compacted": _digest(body.get("context_management")),
        },
        segments=tuple((_piece(it), it.tokens) for it in rest),
        head_tokens=sum(it.tokens for it in head),
        tier=_digest(tier_used(body)),
        supported=request.facts.breakpoints,
    )


def diagnosis(
    previous: ResponseFingerprint | None,
    current: ResponseFingerprint,
    request: Accepted,
    verdict: Verdict,
    settings: OpenAISettings,
) -> Mapping[str, Any]:
    """Return the `prompt_cache_diagnostics` of an answer.

    Args:
        previous: The request that was named, or None if it is not known.
        current: The request that is answered.
        request: The same, as it was accepted.
        verdict: What it read.
        settings: Whether small prompts are diagnosed.
    """
    if previous is None:
        return NOT_FOUND
    minimum = settings.minimum_tokens
    if minimum is None:
        minimum = request.facts.minimum_tokens
    small = verdict.usage.total < minimum and not settings.diagnoses_small_prompts
    if small or not (previous.supported and current.supported):
        return UNAVAILABLE
    for reason, digest in current.parameters.items():
        if previous.parameters[reason] != digest:
            return _missed(reason, 0, verdict)
    shared = _shared(previous, current)
    if shared < len(previous.segments):
        same = sum(tokens for _, tokens in current.segments[:shared])
        return _missed("input_changed", current.head_tokens + same, verdict)
    if previous.tier != current.tier:
        return _missed("service_tier_changed", 0, verdict)
    # An entry that merely expired is no cause that the page knows.
    return HIT if verdict.usage.read else UNAVAILABLE


def _missed(reason: str, reusable: int, verdict: Verdict) -> Mapping[str, Any]:
    return {
        "type": "cache_miss",
        "reason": reason,
        "cache_missed_tokens": verdict.usage.total - reusable,
        "comparison_reusable_tokens": reusable,
    }


def _shared(before: ResponseFingerprint, now: ResponseFingerprint) -> int:
    pairs = enumerate(zip(before.segments, now.segments, strict=False))
    differing = (index for index, (one, other) in pairs if one != other)
    return next(differing, min(len(before.segments), len(now.segments)))


def _piece(segment: Segment) -> bytes:
    return _hash(b"%b\0%b" % (segment.lead, segment.content))


def _digest(value: object) -> bytes:
    return _hash(orjson.dumps(value))


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
