"""Asking Anthropic why a prefix was missed.

Source: https://platform.claude.com/docs/en/build-with-claude/cache-diagnostics
"""

from collections.abc import Mapping
from typing import Any

from promptcache.providers.anthropic.facts import HostFacts

__all__ = ["asked", "told"]


def asked(
    body: Mapping[str, Any], previous: str | None, host: HostFacts
) -> Mapping[str, Any]:
    """Return the body with a request to compare it with the one before.

    The caller's own stays, and a host that does not know the field never gets it.

    Args:
        body: What is about to be sent; it is not written to.
        previous: Id of the answer to the request before; None asks that this one be
            remembered.
        host: What the platform accepts.
    """
    if not host.diagnostics or "diagnostics" in body:
        return body
    return {**body, "diagnostics": {"previous_message_id": previous}}


def told(diagnostics: object) -> str | None:
    """Return the reason for a miss in a word and a number, or None if there is none.

    One of `model_changed`, `tools_changed`, `system_changed`, `messages_changed`, with
    the provider's estimate of the tokens after the change; or
    `previous_message_not_found` or `unavailable`, which name no change.
    """
    if not isinstance(diagnostics, Mapping):
        return None
    reason = diagnostics.get("cache_miss_reason")
    if not isinstance(reason, Mapping) or not isinstance(reason.get("type"), str):
        return None
    tokens = reason.get("cache_missed_input_tokens")
    kind: str = reason["type"]
    return f"{kind}, about {tokens} tokens" if isinstance(tokens, int) else kind
