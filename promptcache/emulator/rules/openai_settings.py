"""What the sources leave open about OpenAI, as choices.

Where a document speaks, its word is the default; where only others' measurements or
reports speak, the default is what they saw; where documents differ, the guide wins.
"""

from dataclasses import dataclass
from typing import Literal

from promptcache.errors import OptionError
from promptcache.providers.openai.facts import (
    EARLIER_ENDINGS,
    FIRST_BREAKPOINTS,
    LATEST_BREAKPOINTS,
    REQUESTS_PER_MINUTE,
    ROUTED_TOKENS,
)

__all__ = ["OpenAISettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings:
    """How the emulator answers where OpenAI's rules are not settled."""

    first_breakpoints: int = FIRST_BREAKPOINTS
    latest_breakpoints: int = LATEST_BREAKPOINTS
    """Explicit breakpoints that are looked up: the guide says the first 2 and the
    latest 50, the SDK the latest 80, Microsoft the latest 50."""
    earlier_endings: int = EARLIER_ENDINGS
    """Earlier message endings that are looked up in implicit mode."""
    system_is_developer: bool = True
    """Whether `role: system` counts as a developer message. No source settles it."""
    string_is_part: bool = True
    """Whether string content and one text part are the same prefix. No source settles
    it."""
    trailing_tokens: int = 0
    """Tokens of the template that follow the last message and are never cached: the
    guide's examples have none, 2 and 3 were measured."""
    key_partitions: bool = True
    """Whether requests of another `prompt_cache_key` share nothing, on models with
    breakpoints. Documented and measured."""
    longer_ttl_rewrites: bool = False
    """Whether a 12h breakpoint on a live 30m entry writes it anew. No source settles
    it."""
    refresh_earlier: bool = False
    """Whether reading an entry also keeps the shorter ones alive that it was built on.
    No source settles it."""
    writes_inside_read: bool = True
    """Whether a breakpoint in a write slot, inside the prefix that is read, becomes
    findable at no cost. No source settles it."""
    chat_parts_12h: bool = True
    """Whether a part's breakpoint may ask for 12h in Chat Completions. The SDK's types
    say so; no source has seen it accepted."""
    assistant_breakpoints: bool = False
    """Whether a text part of an assistant message may have a breakpoint in Chat
    Completions. The SDK's types allow it; two reports say that it is refused."""
    retention_with_breakpoints: bool = True
    """Whether `prompt_cache_retention` is accepted on models with breakpoints. The SDK
    says so for the API; the ChatGPT backend was seen to refuse it."""
    breakpoints: bool = True
    """Whether models that have breakpoints take them. A provisioned deployment on Azure
    does not: it refuses their fields and reports no writes, as earlier models do."""
    plain_chat: bool = False
    """Whether this is another's server that speaks Chat Completions as they once were:
    any model, no Responses API, and every newer field refused, `prompt_cache_key` and
    `stream_options` among them."""
    overflow: Literal["matched", "all", "none"] = "matched"
    """Where a busy prefix and key go to another, cold machine: on models that match
    without breakpoints, whose `prompt_cache_key` routes; on all; nowhere."""
    requests_per_minute: int = REQUESTS_PER_MINUTE
    """Requests of one prefix and key that one machine takes within any minute."""
    routed_tokens: int = ROUTED_TOKENS
    """Initial tokens whose hash routes a request; the guide says it varies by model."""
    zero_retention: bool = False
    """Whether the organization keeps no data, so that `in_memory` is its default."""
    hidden_tokens: int = 0
    """Tokens of the provider before the first one of the request, from which earlier
    models count their intervals. No source gives a figure; 3,000 is an illustration."""
    interval: int | None = None
    """Tokens between two ends of prefixes on every earlier model, instead of each
    model's own."""
    minimum_tokens: int | None = None
    """Shortest cached prefix for every model, instead of each model's own."""
    in_memory_seconds: float = 300.0
    """How long an `in_memory` prefix lives unused; the guide says 5 to 10 minutes."""
    extended_seconds: float = 1800.0
    """How long a `24h` prefix lives unused; the guide says some 30 minutes."""
    diagnoses_small_prompts: bool = False
    """Whether a prompt below the minimum is diagnosed; a third party saw
    `unavailable`."""
    diagnosis_seconds: float = 3600.0
    """How long a response can be named by `comparison_response_id`; no source gives a
    figure."""

    def __post_init__(self) -> None:
        """Refuse values outside of the closed sets.

        Raises:
            OptionError: A setting has a value that is not one of the allowed ones.
        """
        if self.overflow not in ("matched", "all", "none"):
            raise OptionError("overflow", self.overflow, "matched, all, none")
        for name in ("requests_per_minute", "routed_tokens", "interval"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(name, value, "a number above 0")
