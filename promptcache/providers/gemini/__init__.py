"""Gemini's `generateContent`, on the Developer API and on Vertex AI."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.outline import Outline, Trail
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged, Finder
from promptcache.providers.gemini import arranging, facts, wire
from promptcache.providers.gemini.usage import read_usage
from promptcache.receipts.usage import Usage
from promptcache.ttl import Ttl

__all__ = ["GEMINI", "GeminiProvider"]


@dataclass(frozen=True, slots=True)
class GeminiProvider:
    """How the core speaks with this provider; see `promptcache.providers.Provider`."""

    name: str = "google"
    ttls: tuple[Ttl, ...] = ("1h", "30m", "5m")
    """Those of cached contents; the provider takes any, we at most an hour ahead."""
    keeps_trails: bool = False

    def rules(
        self,
        model: str,
        host: str,
        overrides: Mapping[str, Mapping[str, Any]] | None,
    ) -> tuple[Rules, bool]:
        """Return what is accepted, and whether that is known for this model."""
        row = facts.model_facts(model, overrides)
        facts.host_facts(host, overrides)
        rules = Rules(
            matching="named",
            max_breakpoints=0,
            minimum_tokens=row.implicit_minimum,
            ttls=self.ttls,
            automatic=False,
            unmarked_seconds=facts.LONGEST_SECONDS,
            has_contents=row.explicit,
        )
        return rules, not row.assumed

    def arranged(
        self,
        body: Mapping[str, Any],
        find: Finder,
        *,
        model: str,  # noqa: ARG002
        host: str,  # noqa: ARG002
        overrides: Mapping[str, Mapping[str, Any]] | None,  # noqa: ARG002
        splits: bool,  # noqa: ARG002
        later_system: bool = True,  # noqa: ARG002
        blocks: Collection[int] = (),
    ) -> Arranged:
        """Return the body with the volatile texts of its instruction moved."""
        return arranging.arranged(body, find, blocks=blocks)

    def outline(
        self,
        body: Mapping[str, Any],
        *,
        model: str = "",
        host: str,  # noqa: ARG002 - what is read is the same everywhere
        tenant: str | None,
        trail: Trail | None = None,  # noqa: ARG002 - a request here is always whole
        wanted: Container[int] = (),
    ) -> Outline:
        """Read a body of `POST .../MODEL:generateContent`."""
        return wire.outline(body, model=model, tenant=tenant, wanted=wanted)

    def apply(
        self,
        body: Mapping[str, Any],
        outline: Outline,  # noqa: ARG002
        plan: Plan,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return the body as it is: nothing is marked in it."""
        return body

    def asked(
        self,
        body: Mapping[str, Any],
        previous: str | None,  # noqa: ARG002
        *,
        host: str,  # noqa: ARG002
        overrides: Mapping[str, Mapping[str, Any]] | None,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return the body as it is: Gemini does not say why a prefix was missed."""
        return body

    def metered(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the body as it is: every stream tells its usage."""
        return body

    def told(self, diagnosis: object) -> str | None:  # noqa: ARG002
        """Return None: Gemini does not say why a prefix was missed."""
        return None

    def usage(self, reported: Mapping[str, Any]) -> Usage:
        """Read the `usageMetadata` of an answer."""
        return read_usage(reported)

    def is_our_fault(
        self,
        status: int,  # noqa: ARG002
        message: str,  # noqa: ARG002
        *,
        built: Mapping[str, Any],  # noqa: ARG002
        sent: Mapping[str, Any],  # noqa: ARG002
    ) -> bool:
        """Return False: what is said of a cached content is for its keeper."""
        return False

    def refuses_turn(self, status: int, message: str) -> bool:  # noqa: ARG002
        """Return False: there is no system message between turns."""
        return False


GEMINI = GeminiProvider()
