"""Receipts in the words that traces have for them.

Rule 1: what is not known is left out, and zero is written only where it was reported.
Rule 2: no text of a prompt, and nobody's name unless it is asked for.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypeVar

from promptcache.receipts.receipt import Receipt

__all__ = ["Attribute", "counts", "findings", "identity", "is_llm", "request"]

Value = TypeVar("Value")
Attribute: TypeAlias = str | int | float | tuple[str, ...]

# https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/: Google's name
# where it is not known which of its hosts answers.
_PROVIDERS = {
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "gemini": "gcp.gen_ai",
    "google": "gcp.gen_ai",
    "mistral": "mistral_ai",
    "x-ai": "x_ai",
}
_OPERATIONS = {"gemini": "generate_content"}
_INFERENCES = frozenset({"chat", "generate_content", "text_completion"})
_REQUEST_TYPES = frozenset({"chat", "completion"})


def counts(receipt: Receipt) -> dict[str, int]:
    """Return tokens by the names of OpenTelemetry, older ones too, and OpenInference.

    Tokens of the prompt are all of them in both: read, written and uncached.
    """
    usage = receipt.usage
    total = _sum(usage.input_tokens, usage.output_tokens)
    values = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.read_tokens,
        "gen_ai.usage.cache_write.input_tokens": usage.written_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.written_tokens,
        "llm.token_count.prompt": usage.input_tokens,
        "llm.token_count.completion": usage.output_tokens,
        "llm.token_count.total": total,
        "llm.token_count.prompt_details.cache_read": usage.read_tokens,
        "llm.token_count.prompt_details.cache_write": usage.written_tokens,
    }
    if receipt.provider == "anthropic":
        # The names of the SDK's own spans.
        name = "anthropic.usage.cache_creation.ephemeral_{}_input_tokens".format
        values[name("5m")] = usage.written_5m_tokens
        values[name("1h")] = usage.written_1h_tokens
    return _known(values)


def findings(receipt: Receipt) -> dict[str, Attribute]:
    """Return what only a receipt knows."""
    usage, misses = receipt.usage, receipt.misses
    values: dict[str, Attribute | None] = {
        "policy": receipt.policy,
        "facts": receipt.facts,
        "requests": receipt.requests,
        "attempts": receipt.attempts,
        "written_5m_tokens": usage.written_5m_tokens or None,
        "written_30m_tokens": usage.written_30m_tokens or None,
        "written_1h_tokens": usage.written_1h_tokens or None,
        "written_12h_tokens": usage.written_12h_tokens or None,
        "cost_usd": receipt.cost_usd,
        "without_caching_usd": receipt.without_caching_usd,
        "saved_usd": receipt.saved_usd,
        "first_token_s": receipt.first_token_s,
        "breakpoints": receipt.breakpoints or None,
        "credits": tuple(str(it) for it in receipt.credits) or None,
        "notes": receipt.notes or None,
        "miss.causes": tuple(str(it.cause) for it in misses) or None,
        "miss.places": tuple(it.place or "" for it in misses) or None,
        "miss.tokens": _total(it.tokens for it in misses),
        "miss.cost_usd": _total(it.cost_usd for it in misses),
    }
    known: dict[str, Attribute] = _known(values)
    return {f"promptcache.{key}": value for key, value in known.items()}


def identity(receipt: Receipt) -> dict[str, str]:
    """Return who asked, where that is known."""
    return _known(
        {
            "promptcache.tenant": receipt.tenant,
            "promptcache.conversation": receipt.conversation,
            "gen_ai.conversation.id": receipt.conversation,
        }
    )


def request(provider: str, model: str) -> dict[str, str]:
    """Return what was asked for; few values, so that metrics can have them, too."""
    return {
        "gen_ai.operation.name": _OPERATIONS.get(provider, "chat"),
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.response.model": model,
    }


def is_llm(attributes: Mapping[str, object]) -> bool:
    """Tell whether a span is marked as the call of a model.

    OpenInference names the kind of a span, OpenTelemetry its operation, OpenLLMetry
    the type of its request; before there were operations, a model was named.
    """
    kind = attributes.get("openinference.span.kind")
    operation = attributes.get("gen_ai.operation.name")
    typed = attributes.get("llm.request.type")
    if kind is not None:
        return kind == "LLM"
    if operation is not None:
        return operation in _INFERENCES
    if typed is not None:
        return typed in _REQUEST_TYPES
    return "gen_ai.system" in attributes and "gen_ai.request.model" in attributes


def _known(values: Mapping[str, Value | None]) -> dict[str, Value]:
    return {key: value for key, value in values.items() if value is not None}


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _total(values: Iterable[float | None]) -> float | None:
    """Return the sum of all; None if there are none, or one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if known and len(known) == len(found) else None
