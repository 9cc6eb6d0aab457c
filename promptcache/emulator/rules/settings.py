"""What the sources leave open, as choices.

Where a document speaks, its word is the default; where only the published measurements
of a third party speak, the default is what they saw; where both speak and differ, the
document wins. "Measured" always means theirs: github.com/mariogeiger/anthropic, of
September 2026.
"""

from dataclasses import dataclass
from typing import Literal

from promptcache.errors import OptionError
from promptcache.providers.anthropic.facts import HOSTS, LOOKBACK, HostFacts

__all__ = ["DIAGNOSIS_ORDER", "Settings"]

DIAGNOSIS_ORDER = ("model", "tools", "system", "parameters", "messages")
ORGANIZATION_WIDE = ("bedrock", "bedrock-mantle", "vertex")
"""Hosts whose caches a whole organization shares; on the others it is a workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the emulator answers where the provider's rules are not settled."""

    host: str = "anthropic"
    """The platform that is emulated; a name from the facts' `HOSTS`."""
    lookback: int = LOOKBACK
    """Positions searched per breakpoint: 20 is documented, 22 was measured."""
    collapse_tool_runs: bool = True
    """Whether a run of tool_use, or of tool_result, is one position of the look-back.
    It only acts on hosts that are stated to do so."""
    reading: Literal["ent", "seg"] = "ent"
    """What a 1h breakpoint after a live 5m prefix protects. `ent`: an entry lives by
    its own lifetime. `seg`: a token keeps the lifetime it was written with and a prefix
    dies with its first dead segment. No source settles it."""
    free_stamping: bool = True
    """Whether a breakpoint at or before the prefix that is read becomes findable at no
    cost. Measured, not documented."""
    refresh_earlier: bool = True
    """Whether reading an entry also refreshes the entries it was built on. Measured,
    not documented. Under `seg` a read refreshes every segment in any case."""
    longer_ttl_rewrites: bool = False
    """Whether a 1h breakpoint on a live 5m entry writes it anew. No source settles
    it."""
    string_is_block: bool = True
    """Whether string content and one text block are the same prefix. The SDK says so;
    field reports doubt it."""
    closing_frame: bool = True
    """Whether a few tokens follow the last block, so that `input_tokens` is never 0.
    Measured."""
    automatic_with_four: Literal["error", "no-op"] = "error"
    """What automatic caching does when four explicit breakpoints exist and the fourth
    is on the last block; the documents say both."""
    parameters: Literal["documented", "measured"] = "documented"
    """Which table tells what a changed request parameter invalidates."""
    unplaced: Literal["tools", "system", "messages", "none"] = "messages"
    """From which section on a change of `context_management` or of the active betas
    misses. The documents call both prompt-affecting and do not say where; the default
    is the one level that all their other rows have in common."""
    server_tool_takes_slot: bool = False
    """Whether the breakpoint that the provider sets at a server tool's result needs
    one of the four slots, so that it is left out when they are taken. No source
    settles it."""
    diagnosis_order: tuple[str, ...] = DIAGNOSIS_ORDER
    """Which difference a diagnosis names when there are several. That model, tools and
    system come before the rest is documented, their order among themselves is not."""
    diagnosis_seconds: float = 3600.0
    """How long a request can be named by `previous_message_id`; the documents call it
    short and give no figure."""
    isolation: Literal["host", "workspace", "organization", "project"] = "host"
    """Who shares a cache. `host`: what the documents say of the platform. Google's own
    page says `project` for its platform."""
    eviction: float = 0.0
    """Share of entries that are lost once half of their lifetime has passed unused."""
    grace_seconds: float = 0.0
    """How long an expired entry can still be read; some 10 s were measured."""
    minimum_tokens: int | None = None
    """Shortest cached prefix for every model, instead of each model's own."""

    def __post_init__(self) -> None:
        """Refuse values outside of the closed sets.

        Raises:
            OptionError: A setting has a value that is not one of the allowed ones.
        """
        _one_of("host", self.host, tuple(HOSTS))
        _one_of("reading", self.reading, ("ent", "seg"))
        _one_of("automatic_with_four", self.automatic_with_four, ("error", "no-op"))
        _one_of("parameters", self.parameters, ("documented", "measured"))
        _one_of("unplaced", self.unplaced, ("tools", "system", "messages", "none"))
        scopes = ("host", "workspace", "organization", "project")
        _one_of("isolation", self.isolation, scopes)
        if sorted(self.diagnosis_order) != sorted(DIAGNOSIS_ORDER):
            allowed = f"an order of {', '.join(DIAGNOSIS_ORDER)}"
            raise OptionError("diagnosis_order", self.diagnosis_order, allowed)
        if self.lookback < 1:
            raise OptionError("lookback", self.lookback, "a number above 0")
        if not 0.0 <= self.eviction <= 1.0:
            raise OptionError("eviction", self.eviction, "a share from 0 to 1")

    @property
    def host_facts(self) -> HostFacts:
        """What is stated about the emulated platform."""
        return HOSTS[self.host]

    @property
    def diagnoses(self) -> bool:
        """Whether `diagnostics` is accepted: on the Claude API only."""
        return self.host == "anthropic"

    @property
    def scope(self) -> Literal["workspace", "organization", "project"]:
        """Who shares a cache, by setting or by host."""
        if self.isolation != "host":
            return self.isolation
        return "organization" if self.host in ORGANIZATION_WIDE else "workspace"

    @property
    def collapses(self) -> bool:
        """Whether tool runs are one position, by setting and by host."""
        return self.collapse_tool_runs and self.host_facts.collapses_tool_runs


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(name, value, ", ".join(allowed))
