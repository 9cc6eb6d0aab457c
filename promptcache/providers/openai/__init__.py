"""OpenAI's Chat Completions and Responses, wherever the `openai` SDK reaches them."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from promptcache.outline import Outline, Trail
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged, Finder
from promptcache.providers.openai import (
    arranging,
    chat,
    diagnostics,
    facts,
    responses,
)
from promptcache.providers.openai.refusals import names_our_fields, refuses_system
from promptcache.providers.openai.usage import metered, read_usage
from promptcache.receipts.usage import Usage
from promptcache.ttl import Ttl

__all__ = ["CHAT", "RESPONSES", "OpenAIProvider"]


@dataclass(frozen=True, slots=True)
class OpenAIProvider:
    """How the core speaks with one API; see `promptcache.providers.Provider`."""

    api: Literal["chat", "responses"]
    name: str = "openai"
    ttls: tuple[Ttl, ...] = ("30m", "12h", "24h")
    """The first two at breakpoints, the last for models that have none."""

    @property
    def keeps_trails(self) -> bool:
        """Return whether a request may go on from an answer that is kept there."""
        return self.api == "responses"

    def rules(
        self,
        model: str,
        host: str,
        overrides: Mapping[str, Mapping[str, Any]] | None,
    ) -> tuple[Rules, bool]:
        """Return what is accepted, and whether that is known for this model."""
        row = facts.model_facts(model, overrides)
        server = facts.host_facts(host, overrides)
        if row.breakpoints and server.breakpoints:
            whole = facts.CHAT_TTLS if self.api == "chat" else facts.RESPONSES_TTLS
            rules = Rules(
                matching="marked",
                max_breakpoints=facts.MAX_WRITES,
                minimum_tokens=row.minimum_tokens,
                read=row.read,
                ttls=tuple(ttl for ttl in self.ttls if ttl in whole),
                takes_key=True,
                tenant_key=True,
            )
            return rules, not row.assumed
        rules = Rules(
            matching="prefix",
            minimum_tokens=row.minimum_tokens,
            ttls=("24h",),
            takes_key=True,
            tenant_key=row.breakpoints,
            # A model with breakpoints needs no more keys where they are not taken.
            requests_per_minute=None if row.breakpoints else row.requests_per_minute,
            refuses_breakpoints=_refuses_breakpoints(row, server),
            retains=(
                server.retention and not row.breakpoints and "24h" in row.retention
            ),
            step=row.interval,
            unmarked_seconds=facts.LONGEST_SECONDS[
                "24h" if "24h" in row.retention else "in_memory"
            ],
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
        server = facts.host_facts(host, overrides)
        return arranging.arranged(
            body,
            find,
            chat.WIRE if self.api == "chat" else responses.WIRE,
            later_system=later_system and server.later_system,
            splits=splits and row.breakpoints and server.breakpoints,
            blocks=blocks,
        )

    def outline(
        self,
        body: Mapping[str, Any],
        *,
        model: str = "",  # noqa: ARG002 - the body says it
        host: str,  # noqa: ARG002 - what is read is the same everywhere
        tenant: str | None,
        trail: Trail | None = None,
        wanted: Container[int] = (),
    ) -> Outline:
        """Read a body of `POST /chat/completions` or `POST /responses`."""
        if self.api == "chat":
            return chat.outline(body, tenant=tenant, wanted=wanted)
        return responses.outline(body, tenant=tenant, trail=trail, wanted=wanted)

    def apply(
        self, body: Mapping[str, Any], outline: Outline, plan: Plan
    ) -> dict[str, Any]:
        """Return the body with the plan's breakpoints, key and options."""
        writing = chat.apply if self.api == "chat" else responses.apply
        return writing(body, outline, plan)

    def asked(
        self,
        body: Mapping[str, Any],
        previous: str | None,
        *,
        host: str,
        overrides: Mapping[str, Mapping[str, Any]] | None,
    ) -> Mapping[str, Any]:
        """Return the body with the question why it misses, where that can be asked."""
        if self.api == "chat" or not facts.host_facts(host, overrides).diagnostics:
            return body
        return diagnostics.asked(body, previous)

    def metered(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the body with the question for the usage of a stream, if need be."""
        return metered(body) if self.api == "chat" else body

    def told(self, diagnosis: object) -> str | None:
        """Return the reason for a miss that a response gave, if it gave one."""
        return diagnostics.told(diagnosis)

    def usage(self, reported: Mapping[str, Any]) -> Usage:
        """Read the `usage` of a completion or a response."""
        return read_usage(reported)

    def is_our_fault(
        self,
        status: int,
        message: str,
        *,
        built: Mapping[str, Any],
        sent: Mapping[str, Any],
    ) -> bool:
        """Tell whether a refusal names fields that we added."""
        return names_our_fields(status, message, built=built, sent=sent)

    def refuses_turn(self, status: int, message: str) -> bool:
        """Tell whether a refusal is about a system message between others."""
        return refuses_system(status, message)


def _refuses_breakpoints(row: facts.ModelFacts, server: facts.HostFacts) -> bool:
    """Tell whether a breakpoint is known to be refused: an unknown one may not be."""
    if not row.breakpoints:
        return not row.assumed and server.name != "compatible"
    return server.name in ("azure-ptu", "chatgpt")


CHAT = OpenAIProvider("chat")
RESPONSES = OpenAIProvider("responses")
