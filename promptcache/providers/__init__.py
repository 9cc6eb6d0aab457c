"""What the core asks of a provider, and who the providers are.

A provider reads its requests into outlines and writes plans back; it never decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from promptcache.errors import UnsupportedClientError
from promptcache.outline import Outline
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.receipts.usage import Usage
from promptcache.ttl import Ttl

if TYPE_CHECKING:
    from promptcache.cache import PromptCache

__all__ = [
    "Client",
    "Facts",
    "Provider",
    "ProviderName",
    "Request",
    "attach_client",
    "provider_named",
    "warm_client",
]

Client = TypeVar("Client")

ProviderName = Literal["anthropic"]

Facts = Mapping[str, Mapping[str, Any]]
"""Fields of a provider's rows by model name, laid over the rows that ship."""

SUPPORTED = "Anthropic and AsyncAnthropic of the `anthropic` SDK"


class Provider(Protocol):
    """What the core needs to know of one provider's API."""

    @property
    def name(self) -> str:
        """Return the provider as prices and receipts call it."""
        ...

    @property
    def ttls(self) -> tuple[Ttl, ...]:
        """Return the lifetimes on offer, the default first."""
        ...

    def rules(
        self, model: str, host: str, overrides: Facts | None
    ) -> tuple[Rules, bool]:
        """Return what is accepted, and whether that is known for this model."""
        ...

    def outline(
        self, body: Mapping[str, Any], *, host: str, tenant: str | None
    ) -> Outline:
        """Read a request body."""
        ...

    def apply(
        self, body: Mapping[str, Any], outline: Outline, plan: Plan
    ) -> dict[str, Any]:
        """Return the body with the plan's breakpoints."""
        ...

    def asked(
        self, body: Mapping[str, Any], previous: str | None, *, host: str
    ) -> Mapping[str, Any]:
        """Return the body with the question why it misses, where that can be asked."""
        ...

    def told(self, diagnosis: object) -> str | None:
        """Return the reason for a miss that a response gave, if it gave one."""
        ...

    def usage(self, reported: Mapping[str, Any]) -> Usage:
        """Read the usage that a response reported."""
        ...

    def is_our_fault(self, status: int, message: str) -> bool:
        """Tell whether a refusal names fields that a plan may add."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a seam is about to send."""

    provider: Provider
    body: Mapping[str, Any]
    host: str
    """The platform, as the provider's facts name it."""

    @property
    def model(self) -> str:
        """The model as the body names it, or "" if it does not."""
        model = self.body.get("model") if isinstance(self.body, Mapping) else None
        return model if isinstance(model, str) else ""


def attach_client(client: Client, cache: "PromptCache") -> Client:
    """Return a client that plans its requests with `cache`.

    Raises:
        UnsupportedClientError: It is of no SDK that is supported.
    """
    roots = {kind.__module__.partition(".")[0] for kind in type(client).__mro__}
    if "anthropic" in roots:
        # The SDK is loaded already: a client of it is here.
        from promptcache.providers.anthropic import seam  # noqa: PLC0415

        return seam.attach(client, cache)
    raise UnsupportedClientError(client, SUPPORTED)


def warm_client(client: Any, request: Mapping[str, Any]) -> Any:
    """Send the request that writes what requests like this one begin with.

    Returns:
        What the SDK returns: an awaitable, if the client is asynchronous.
    """
    from promptcache.providers.anthropic import prewarm  # noqa: PLC0415

    return client.messages.create(**prewarm.warming(request))


def provider_named(name: ProviderName) -> Provider:
    """Return the provider of that name."""
    from promptcache.providers.anthropic import ANTHROPIC  # noqa: PLC0415

    return {"anthropic": ANTHROPIC}[name]
