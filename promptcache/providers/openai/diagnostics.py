"""Asking OpenAI why a prefix was missed.

Source: https://developers.openai.com/api/docs/guides/prompt-caching/diagnostics
"""

from collections.abc import Mapping
from typing import Any

from promptcache.providers.openai.values import fields_of

__all__ = ["asked", "told"]

_NAMELESS = ("comparison_response_not_found", "unavailable")


def asked(body: Mapping[str, Any], previous: str | None) -> Mapping[str, Any]:
    """Return the body with a request to compare it with the one before.

    The caller's own stays, and a body without options of caching is for a model that
    takes none.

    Args:
        body: What is about to be sent; it is not written to.
        previous: Id of the answer to the request before, if there was one.
    """
    options = body.get("prompt_cache_options")
    if previous is None or not isinstance(options, Mapping):
        return body
    if options.get("comparison_response_id") is not None:
        return body
    compared = {**options, "comparison_response_id": previous}
    return {**body, "prompt_cache_options": compared}


def told(diagnosis: object) -> str | None:
    """Return the reason for a miss in a word and a number, or None if there is none.

    One of `model_changed`, `prompt_cache_key_changed`, `tools_changed`,
    `text_format_changed`, `reasoning_effort_changed`, `verbosity_changed`,
    `context_compacted`, `input_changed`, `service_tier_changed`, with the provider's
    count of the tokens that were missed; or `comparison_response_not_found` or
    `unavailable`, which name no change.
    """
    said = fields_of(diagnosis)
    kind, reason = said.get("type"), said.get("reason")
    if kind in _NAMELESS:
        return str(kind)
    if kind != "cache_miss" or not isinstance(reason, str):
        return None
    tokens = said.get("cache_missed_tokens")
    return f"{reason}, about {tokens} tokens" if isinstance(tokens, int) else reason
