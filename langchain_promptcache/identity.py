"""Who is asking, and what LangChain calls who asks.

Rule 1: names are taken from what LangChain says of a run; nothing is looked up.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["identity_in", "provider_of"]

_NAMES = {"tenant": "prompt_cache_tenant", "conversation": "thread_id"}

_PROVIDERS = {
    "amazon_bedrock": "aws",
    "google_genai": "google",
    "google_vertexai": "google",
}
"""Providers that receipts and price lists call by another name than LangChain."""


def identity_in(told: Mapping[str, Any]) -> dict[str, str]:
    """Return who is asking, as the metadata of a run names it."""
    said = {option: told.get(name) for option, name in _NAMES.items()}
    return {option: str(value) for option, value in said.items() if value}


def provider_of(told: Mapping[str, Any]) -> str:
    """Return who is called, by the name that receipts have for it."""
    name = str(told.get("ls_provider") or "unknown")
    return _PROVIDERS.get(name, name)
