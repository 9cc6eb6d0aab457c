"""What is asked of whom, and with which key."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["KEYS", "ProviderName", "Workload", "provider_of"]

ProviderName = Literal["anthropic", "openai"]

Workload = Literal["stdlib-agent", "stdlib-questions"]
"""A conversation with an agent, or single questions to one long prompt."""

KEYS: Mapping[ProviderName, str] = {
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
}
"""The environment's variable with the key that `--live` asks a provider with."""


def provider_of(model: str) -> ProviderName:
    """Return whose a model is, by its name."""
    return "anthropic" if model.startswith("claude") else "openai"
