"""Anthropic's caching rules as data, each with its source.

Rule 1: a rule of the provider that may change stands here, not in logic.
Rule 2: what no source states is absent here and a setting elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from promptcache.providers.rows import laid_over

__all__ = [
    "DIRECT",
    "HOSTS",
    "LOOKBACK",
    "MAX_BREAKPOINTS",
    "MODELS",
    "TTL_SECONDS",
    "HostFacts",
    "ModelFacts",
    "model_facts",
]

DOCS = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
TURNS = (
    "https://platform.claude.com/docs/en/build-with-claude/"
    "mid-conversation-system-messages"
)
"""Which models take `role: system` turns, and where. Of hosts it speaks of none."""
CHECKED = date(2026, 11, 22)

MAX_BREAKPOINTS = 4
"""Breakpoints in one request, automatic caching included. Source: `DOCS`."""

LOOKBACK = 20
"""Positions searched per breakpoint, the breakpoint itself included. Source: `DOCS`."""

TTL_SECONDS: Mapping[str, int] = {"5m": 300, "1h": 3600}
"""Lifetimes an entry may have, from the start of the request. Source: `DOCS`."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the provider states about caching on one model."""

    name: str
    minimum_tokens: int
    """Shortest prefix that is cached; a shorter one is billed as plain input."""
    mid_conversation_system: bool = False
    """Whether `role: system` turns are accepted inside `messages`."""
    read: float = 0.1
    """Price of a token that is read, in input tokens."""
    assumed: bool = False
    """No row is known for this model: the most cautious current one stands in."""
    source: str = DOCS
    checked: date = CHECKED


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the platform that serves the model accepts."""

    name: str
    automatic: bool = True
    """Whether a top-level `cache_control` is accepted."""
    collapses_tool_runs: bool = False
    """Whether a run of tool_use, or of tool_result, is one look-back position."""
    diagnostics: bool = False
    """Whether requests may ask why they missed."""
    mid_conversation_system: bool = False
    """Whether models that take `role: system` turns are known to take them here."""
    source: str = DOCS
    checked: date = CHECKED


_ROWS = (
    # The 5.2 minimums are in no source; 1,024 is the next cautious value above the
    # 512 of every other current 5.x model.
    ModelFacts("claude-fable-5-2", 1024, mid_conversation_system=True, read=0.025),
    ModelFacts("claude-mythos-5-2", 1024, mid_conversation_system=True, read=0.025),
    ModelFacts("claude-fable-5-1", 512, mid_conversation_system=True, read=0.025),
    ModelFacts("claude-mythos-5-1", 512, mid_conversation_system=True, read=0.025),
    ModelFacts("claude-fable-5", 512, mid_conversation_system=True),
    ModelFacts("claude-mythos-5", 512, mid_conversation_system=True),
    ModelFacts("claude-opus-5-5", 512, mid_conversation_system=True, read=0.05),
    ModelFacts("claude-sonnet-5-5", 512, mid_conversation_system=True, read=0.05),
    ModelFacts("claude-haiku-5-5", 512, mid_conversation_system=True),
    ModelFacts("claude-opus-5", 512, mid_conversation_system=True),
    ModelFacts("claude-sonnet-5", 1024),
    ModelFacts("claude-opus-4-8", 1024, mid_conversation_system=True),
    ModelFacts("claude-opus-4-7", 2048),
    ModelFacts("claude-mythos-preview", 2048),
    ModelFacts("claude-opus-4-6", 4096),
    ModelFacts("claude-opus-4-5", 4096),
    ModelFacts("claude-opus-4-1", 1024),
    ModelFacts("claude-opus-4", 1024),
    ModelFacts("claude-sonnet-4-6", 1024),
    ModelFacts("claude-sonnet-4-5", 1024),
    ModelFacts("claude-sonnet-4", 1024),
    ModelFacts("claude-haiku-4-5", 4096),
    ModelFacts("claude-3-5-haiku", 2048),
)

_FIELDS = "minimum_tokens, mid_conversation_system, read"
"""What an override may say."""

MODELS: Mapping[str, ModelFacts] = {row.name: row for row in _ROWS}

DIRECT = HostFacts(
    "anthropic",
    collapses_tool_runs=True,
    diagnostics=True,
    mid_conversation_system=True,
)

HOSTS: Mapping[str, HostFacts] = {
    host.name: host
    for host in (
        DIRECT,
        # The run rule is stated for the Claude API only: elsewhere it is not assumed.
        HostFacts("aws"),
        HostFacts("bedrock", automatic=False),
        HostFacts("bedrock-mantle"),
        HostFacts("foundry"),
        HostFacts("vertex"),
    )
}


def model_facts(
    model: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> ModelFacts:
    """Return the row for a model name as requests spell it.

    Dates, Bedrock prefixes (`us.anthropic.`), Bedrock suffixes (`-v1:0`) and Google
    Cloud versions (`@20251001`) are understood. An unknown model gets the highest
    minimum of the known ones and is marked `assumed`.

    Args:
        model: The model as it stands in the request.
        overrides: Fields by row name, laid over the rows that ship.

    Raises:
        OptionError: An override names a field that no row has.
    """
    said = overrides or {}
    name = _row_name(model, {*MODELS, *said})
    row = MODELS.get(name) or ModelFacts(
        name=model,
        minimum_tokens=max(row.minimum_tokens for row in _ROWS),
        assumed=name not in said,
    )
    return laid_over(row, said.get(name, {}), _FIELDS)


def _row_name(model: str, names: set[str]) -> str:
    bare = model.rsplit("/", 1)[-1].rpartition("anthropic.")[2]
    found = [
        name
        for name in names
        if bare == name or bare.startswith((f"{name}-20", f"{name}@", f"{name}-v"))
    ]
    # The longest name is the most exact row: an override may be for one dated version.
    return max(found, key=len, default=bare)
