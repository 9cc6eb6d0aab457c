"""Anthropic's Messages API, on every platform that the `anthropic` SDK reaches."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.outline import Outline, Trail
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged, Finder
from promptcache.providers.anthropic import apply as writing
from promptcache.providers.anthropic import arranging, diagnostics, facts, wire
from promptcache.providers.anthropic.blocks import ADVISORY
from promptcache.providers.anthropic.usage import read_usage
from promptcache.receipts.usage import Usage
from promptcache.ttl import Ttl

__all__ = ["ANTHROPIC", "AnthropicProvider"]

_REFUSALS = (400, 422)


@dataclass(frozen=True, slots=True)
class AnthropicProvider:
    """How the core speaks with this provider; see `promptcache.providers.Provider`."""

    name: str = "anthropic"
    ttls: tuple[Ttl, ...] = ("5m", "1h")
    keeps_trails: bool = False

    def rules(
        self,
        model: str,
        host: str,
        overrides: Mapping[str, Mapping[str, Any]] | None,
    ) -> tuple[Rules, bool]:
        """Return what is accepted, and whether that is known for this model."""
        row = facts.model_facts(model, overrides)
        rules = Rules(
            max_breakpoints=facts.MAX_BREAKPOINTS,
            minimum_tokens=row.minimum_tokens,
            lookback=facts.LOOKBACK,
            read=row.read,
            ttls=self.ttls,
            automatic=facts.HOSTS.get(host, facts.DIRECT).automatic,
            advisory=ADVISORY,
        )
        return rules, not row.assumed

    def arranged(
        self,
        body: Mapping[str, Any],
        find: Finder,
        *,
        model: str,
        host: str,
        overrides: Mapping[str, Mapping[str, Any]] | None,
        splits: bool,
        later_system: bool = True,
        blocks: Collection[int] = (),
    ) -> Arranged:
        """Return the body with its volatile texts moved and its strings split."""
        row = facts.model_facts(model, overrides)
        known = facts.HOSTS.get(host, facts.DIRECT)
        taken = row.mid_conversation_system and known.mid_conversation_system
        return arranging.arranged(
            body,
            find,
            later_system=later_system and taken,
            splits=splits,
            blocks=blocks,
        )

    def outline(
        self,
        body: Mapping[str, Any],
        *,
        model: str = "",  # noqa: ARG002 - the body says it
        host: str,
        tenant: str | None,
        trail: Trail | None = None,  # noqa: ARG002 - a request here is always whole
        wanted: Container[int] = (),
    ) -> Outline:
        """Read a body of `POST /v1/messages`."""
        known = facts.HOSTS[host]
        return wire.outline(body, host=known, tenant=tenant, wanted=wanted)

    def apply(
        self, body: Mapping[str, Any], outline: Outline, plan: Plan
    ) -> dict[str, Any]:
        """Return the body with the plan's breakpoints."""
        return writing.apply(body, outline, plan)

    def asked(
        self,
        body: Mapping[str, Any],
        previous: str | None,
        *,
        host: str,
        overrides: Mapping[str, Mapping[str, Any]] | None,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return the body with the question why it misses, where that can be asked."""
        return diagnostics.asked(body, previous, facts.HOSTS[host])

    def metered(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the body as it is: every stream tells its usage."""
        return body

    def told(self, diagnosis: object) -> str | None:
        """Return the reason for a miss that a response gave, if it gave one."""
        return diagnostics.told(diagnosis)

    def usage(self, reported: Mapping[str, Any]) -> Usage:
        """Read the `usage` object of a message."""
        return read_usage(reported)

    def is_our_fault(
        self,
        status: int,
        message: str,
        *,
        built: Mapping[str, Any],  # noqa: ARG002
        sent: Mapping[str, Any],  # noqa: ARG002
    ) -> bool:
        """Tell whether a refusal names fields that a plan may add.

        Gateways that check bodies themselves answer 422 where Anthropic answers 400.
        """
        ours = ("cache_control", "diagnostics")
        return status in _REFUSALS and any(name in message for name in ours)

    def refuses_turn(self, status: int, message: str) -> bool:
        """Tell whether a refusal is about a system message between turns."""
        bad_request = 400
        return status == bad_request and "role 'system'" in message.replace('"', "'")


ANTHROPIC = AnthropicProvider()
