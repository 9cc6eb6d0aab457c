"""Tokens that an answer shows, for LLMs that send through no SDK we know.

Rule 1: only names that a known API has are read; anything else is left alone.
Rule 2: what is no count is unknown, and never an error.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from promptcache import Usage, read_usage

__all__ = ["model_in", "usage_in"]

_PLACES = ("usage", "usage_metadata", "usageMetadata")
_MAX_DEPTH = 3

_OPENAI = frozenset(
    {"prompt_tokens", "completion_tokens", "input_tokens_details", "total_tokens"}
)
_ANTHROPIC = frozenset({"input_tokens", "output_tokens"})
_GEMINI = frozenset({"promptTokenCount", "prompt_token_count"})
_BEDROCK: Mapping[str, str] = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
    "cacheWriteInputTokens": "cache_creation_input_tokens",
}
"""Names of Bedrock's Converse API, which counts as Anthropic does. Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html"""


def usage_in(response: Any, *, model: str = "") -> Usage | None:
    """Return the tokens of an answer; None if it shows none that can be read.

    Args:
        response: What an LLM of LlamaIndex returned, or the last part of a stream.
        model: The model that answered, for the log.
    """
    read = (_read(shown, model) for shown in _shown(response))
    return next((usage for usage in read if usage is not None), None)


def model_in(response: Any) -> str:
    """Return the model that an answer says it is of; an empty string if it does not."""
    raw = getattr(response, "raw", None)
    name = raw.get("model") if isinstance(raw, Mapping) else getattr(raw, "model", None)
    return name if isinstance(name, str) else ""


def _shown(response: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what may be a usage, the provider's own words first."""
    raw = getattr(response, "raw", None)
    message = getattr(response, "message", None)
    extra = [getattr(it, "additional_kwargs", None) for it in (message, response)]
    for holder in (raw, *extra):
        for name in _PLACES:
            found = _as_mapping(
                holder.get(name)
                if isinstance(holder, Mapping)
                else getattr(holder, name, None)
            )
            if found:
                yield found
    # LlamaIndex's own classes put some counts beside what else an answer has.
    yield from (it for it in extra if isinstance(it, Mapping))


def _read(shown: Mapping[str, Any], model: str) -> Usage | None:
    names = {str(name) for name in shown}
    if names & _OPENAI:
        return read_usage(_plain(shown), form="openai", model=model)
    if names & _GEMINI:
        given = {_camel(name): value for name, value in _plain(shown).items()}
        return read_usage(given, form="google", model=model)
    if names & set(_BEDROCK):
        given = {
            _BEDROCK[name]: value for name, value in shown.items() if name in _BEDROCK
        }
        # Of a model without a cache, and of a prompt without markers, it says nothing.
        nothing = {it: 0 for name, it in _BEDROCK.items() if name.startswith("cache")}
        return read_usage({**nothing, **given}, form="anthropic", model=model)
    if names & _ANTHROPIC:
        return read_usage(_plain(shown), form="anthropic", model=model)
    return None


def _as_mapping(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    if dump is None or isinstance(value, type):
        return None
    dumped = dump()
    return dumped if isinstance(dumped, Mapping) else None


def _plain(shown: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return a usage with its inner objects as mappings, too."""
    if depth >= _MAX_DEPTH:
        return dict(shown)
    return {
        str(name): value
        if (inner := _as_mapping(value)) is None
        else _plain(inner, depth + 1)
        for name, value in shown.items()
    }


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
