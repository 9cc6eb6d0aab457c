"""Gemini's `usageMetadata`, read into the one meaning that receipts have.

Source: https://ai.google.dev/gemini-api/docs/caching, the SDK's types, and the mapping
of usage in `genai-prices`, which bills results of the provider's own tools as input.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.receipts.usage import Usage, read_count

__all__ = ["merged", "read_tier", "read_usage"]

_TRAFFIC: Mapping[str, str] = {
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "offpeak",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "provisioned",
}
"""Service tiers by Vertex AI's name of the traffic; the rest is paid as one goes."""


def read_usage(reported: Mapping[str, Any]) -> Usage:
    """Read the `usageMetadata` of an answer.

    Counts of zero are left out by the provider: a prompt that is counted and says
    nothing of a cache read nothing. An answer writes nothing that is billed: implicit
    caching is free, and creating a cached content is a request of its own.
    """
    prompt = _count(reported, "promptTokenCount")
    tools = _count_or_zero(reported, "toolUsePromptTokenCount")
    read = _count(reported, "cachedContentTokenCount")
    if prompt is not None:
        read = _count_or_zero(reported, "cachedContentTokenCount")
    return Usage(
        input_tokens=None if prompt is None or tools is None else prompt + tools,
        read_tokens=read,
        written_tokens=0,
        written_5m_tokens=0,
        written_1h_tokens=0,
        output_tokens=_output(reported, prompt, tools),
        written_30m_tokens=0,
        written_12h_tokens=0,
    )


def merged(
    before: Mapping[str, Any] | None, later: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the usage of a stream so far: counts are cumulative, and may be left out.

    Args:
        before: What earlier chunks said.
        later: What the latest one says.
    """
    return later if before is None else {**before, **later}


def read_tier(reported: Mapping[str, Any]) -> str | None:
    """Return the service tier that an answer was given in, if it says so."""
    tier = reported.get("serviceTier")
    if isinstance(tier, str) and tier:
        return None if tier.lower() == "unspecified" else tier.lower()
    return _TRAFFIC.get(str(reported.get("trafficType")))


def _output(
    reported: Mapping[str, Any], prompt: int | None, tools: int | None
) -> int | None:
    """Return the tokens of the answer and of the thoughts before it."""
    names = ("candidatesTokenCount", "thoughtsTokenCount")
    if any(reported.get(name) is not None for name in names):
        answer, thoughts = (_count_or_zero(reported, name) for name in names)
        return None if answer is None or thoughts is None else answer + thoughts
    total = _count(reported, "totalTokenCount")
    if total is None or prompt is None or tools is None:
        return None
    return max(total - prompt - tools, 0)


def _count_or_zero(reported: Mapping[str, Any], name: str) -> int | None:
    """Return a count that is left out where it is zero; None if it is no count."""
    return 0 if reported.get(name) is None else _count(reported, name)


def _count(reported: Mapping[str, Any], name: str) -> int | None:
    return read_count(reported.get(name))
