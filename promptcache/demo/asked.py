"""What is asked of whom, and with which key."""

import os
from collections.abc import Mapping
from typing import Literal

__all__ = ["KEYS", "ProviderName", "Workload", "key_of", "provider_of"]

ProviderName = Literal["anthropic", "openai", "google"]

Workload = Literal["stdlib-agent", "stdlib-questions"]
"""A conversation with an agent, or single questions to one long prompt."""

KEYS: Mapping[ProviderName, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""The environment's variables with the key that `--live` asks a provider with; the
first one that is set counts."""


def key_of(provider: ProviderName) -> str | None:
    """Return the key of a provider, or None if there is none."""
    found = (os.environ.get(variable) for variable in KEYS[provider])
    return next(filter(None, found), None)


def provider_of(model: str) -> ProviderName:
    """Return whose a model is, by its name."""
    if model.startswith("gemini"):
        return "google"
    return "anthropic" if model.startswith("claude") else "openai"
