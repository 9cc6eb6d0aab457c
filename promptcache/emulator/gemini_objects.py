"""Answers as objects: candidates, usage, models and errors."""

from collections.abc import Mapping
from typing import Any

from promptcache.emulator.gemini_replies import GIVEN
from promptcache.emulator.replies import Reply
from promptcache.emulator.rules.gemini import Accepted, InputUsage
from promptcache.emulator.rules.gemini_prompt import modalities, total_tokens
from promptcache.emulator.rules.gemini_requests import bare
from promptcache.providers.gemini.facts import Host

__all__ = [
    "answer",
    "count_object",
    "error_object",
    "model_object",
    "numbered",
    "usage_object",
]

# What the model list of a client says of current models; nothing here is limited by it.
INPUT_LIMIT = 1_048_576
OUTPUT_LIMIT = 65_536
NUMBERED: Mapping[str, tuple[str, ...]] = {
    "finishReason": ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS"),
    "modality": (
        "MODALITY_UNSPECIFIED",
        "TEXT",
        "IMAGE",
        "VIDEO",
        "AUDIO",
        "DOCUMENT",
    ),
}


def answer(
    reply: Reply, usage: Mapping[str, Any], *, model: str, name: str
) -> dict[str, Any]:
    """Return the whole answer."""
    candidate = {
        "content": {"parts": [_part(it) for it in reply.content], "role": "model"},
        "finishReason": "MAX_TOKENS" if reply.stop_reason == "max_tokens" else "STOP",
        "index": 0,
    }
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": bare(model),
        "responseId": name,
    }


def usage_object(
    used: InputUsage, output: int, *, host: Host, cache_fields: bool = True
) -> dict[str, Any]:
    """Return the usage of an answer; nothing is said of a cache that was not read.

    Source: `PROBE` of the facts; langchain-ai/langchainjs#9912 for Vertex AI.
    """
    usage: dict[str, Any] = {
        "promptTokenCount": used.total,
        "candidatesTokenCount": output,
        "totalTokenCount": used.total + output,
    }
    if used.read and cache_fields:
        usage["cachedContentTokenCount"] = used.read
    usage["promptTokensDetails"] = _details(used.total_by_modality)
    if used.read and cache_fields:
        usage["cacheTokensDetails"] = _details(used.read_by_modality)
    if host == "vertex":
        usage["candidatesTokensDetails"] = _details({"TEXT": output})
        usage["trafficType"] = "ON_DEMAND"
    else:
        usage["serviceTier"] = "standard"
    return usage


def count_object(request: Accepted) -> dict[str, Any]:
    """Return a count of the tokens of a request; those of its cache are counted in."""
    total = total_tokens(request.segments)
    count: dict[str, Any] = {"totalTokens": total}
    if request.cached is not None:
        count["cachedContentTokenCount"] = request.cached.tokens
    count["promptTokensDetails"] = _details(modalities(request.segments, total))
    return count


def model_object(name: str, *, host: Host, explicit: bool) -> dict[str, Any]:
    """Return what the API says of a model.

    Args:
        name: The model without its path.
        host: Who was called.
        explicit: Whether there are cached contents for it.
    """
    if host == "vertex":
        return {"name": f"publishers/google/models/{name}", "versionId": "default"}
    methods = ["generateContent", "countTokens"]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": INPUT_LIMIT,
        "outputTokenLimit": OUTPUT_LIMIT,
        "supportedGenerationMethods": [
            *methods,
            *(["createCachedContent"] if explicit else ()),
        ],
    }


def error_object(message: str, *, status: int, kind: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"code": status, "message": message, "status": kind}}


def numbered(value: Any) -> Any:
    """Return an answer with the numbers of its enums instead of their names."""
    if isinstance(value, list):
        return [numbered(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {name: _numbered(name, it) for name, it in value.items()}


def _numbered(name: str, value: Any) -> Any:
    if name == "args":
        # What is in them is the caller's.
        return value
    return NUMBERED[name].index(value) if name in NUMBERED else numbered(value)


def _part(block: Mapping[str, Any]) -> Mapping[str, Any]:
    match block["type"]:
        case "text":
            return {"text": block["text"]}
        case "tool_use":
            return {"functionCall": {"name": block["name"], "args": block["input"]}}
        case kind if kind == GIVEN:
            part: Mapping[str, Any] = block["part"]
            return part
        case _:
            return block


def _details(counted: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"modality": name, "tokenCount": tokens} for name, tokens in counted.items()
    ]
