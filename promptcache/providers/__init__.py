"""What the core asks of a provider, and who the providers are.

A provider reads its requests into outlines and writes plans back; it never decides.
"""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from promptcache.errors import OptionError, UnsupportedClientError
from promptcache.outline import Outline, Trail
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged, Finder
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
    "check_facts",
    "provider_named",
    "sdk_of",
    "warm_client",
]

Client = TypeVar("Client")

ProviderName = Literal["anthropic", "google", "openai"]

_SDKS: Mapping[str, ProviderName] = {
    "anthropic": "anthropic",
    "google.genai": "google",
    "google.generativeai": "google",
    "openai": "openai",
}
"""Providers by the package that their SDK is in."""

Facts = Mapping[str, Mapping[str, Any]]
"""Fields of a provider's rows by model name, laid over the rows that ship; and by the
name of a server, what it is: `{"gateway.example": {"host": "openai"}}`."""

SUPPORTED = (
    "clients of the SDKs `anthropic`, `google-genai` and `openai`, synchronous or not, "
    "and models of `google-generativeai`"
)


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

    @property
    def keeps_trails(self) -> bool:
        """Return whether a request may go on from an answer that is kept there."""
        ...

    def rules(
        self, model: str, host: str, overrides: Facts | None
    ) -> tuple[Rules, bool]:
        """Return what is accepted, and whether that is known for this model."""
        ...

    def arranged(
        self,
        body: Mapping[str, Any],
        find: Finder,
        *,
        model: str,
        host: str,
        overrides: Facts | None,
        splits: bool,
        later_system: bool = True,
        blocks: Collection[int] = (),
    ) -> Arranged:
        """Return the body with its volatile texts moved and its strings split.

        Args:
            body: The body; it is not written to.
            find: Finds the texts that were given out.
            model: What is asked.
            host: Where it is sent.
            overrides: Provider rules that are laid over those that ship.
            splits: Strings may be split, where the wire takes blocks.
            later_system: A system message between turns was not refused so far.
            blocks: Numbers of blocks of the system prompt that are volatile as a whole.
        """
        ...

    def outline(
        self,
        body: Mapping[str, Any],
        *,
        model: str = "",
        host: str,
        tenant: str | None,
        trail: Trail | None = None,
        wanted: Container[int] = (),
    ) -> Outline:
        """Read a request body, which goes on from `trail` if that is given.

        Args:
            body: The body.
            model: What is asked, for bodies that do not say it.
            host: Where it is sent.
            tenant: Whose it is.
            trail: What the provider puts before it.
            wanted: Positions whose contents the outline is to hold.
        """
        ...

    def apply(
        self, body: Mapping[str, Any], outline: Outline, plan: Plan
    ) -> Mapping[str, Any]:
        """Return the body with the plan's breakpoints, key and options."""
        ...

    def asked(
        self,
        body: Mapping[str, Any],
        previous: str | None,
        *,
        host: str,
        overrides: Facts | None,
    ) -> Mapping[str, Any]:
        """Return the body with the question why it misses, where that can be asked."""
        ...

    def metered(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the body with the question for the usage of a stream, if need be."""
        ...

    def told(self, diagnosis: object) -> str | None:
        """Return the reason for a miss that a response gave, if it gave one."""
        ...

    def usage(self, reported: Mapping[str, Any]) -> Usage:
        """Read the usage that a response reported."""
        ...

    def is_our_fault(
        self,
        status: int,
        message: str,
        *,
        built: Mapping[str, Any],
        sent: Mapping[str, Any],
    ) -> bool:
        """Tell whether a refusal names fields that we added.

        Args:
            status: The HTTP status.
            message: The text of the refusal.
            built: The body as the framework built it.
            sent: The body that was refused.
        """
        ...

    def refuses_turn(self, status: int, message: str) -> bool:
        """Tell whether a refusal is about a system message between turns."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a seam is about to send."""

    provider: Provider
    body: Mapping[str, Any]
    host: str
    """The platform, as the provider's facts name it, else the server's name."""
    follows: str | None = None
    """Id of the answer that the provider itself puts before this request."""

    deployment: str | None = None
    """What the client calls instead of a model, where the platform has such names."""

    @property
    def model(self) -> str:
        """The model as the body names it, else the deployment, or "" if none does."""
        model = self.body.get("model") if isinstance(self.body, Mapping) else None
        return model if isinstance(model, str) else self.deployment or ""


def attach_client(client: Client, cache: "PromptCache") -> Client:
    """Return a client that plans its requests with `cache`.

    Raises:
        UnsupportedClientError: It is of no SDK that is supported.
    """
    # The SDK is loaded already: a client of it is here.
    match sdk_of(client):
        case "anthropic":
            from promptcache.providers.anthropic import seam  # noqa: PLC0415

            return seam.attach(client, cache)
        case "google" if _is_of(client, "google.generativeai"):
            from promptcache.providers.gemini import seam_legacy  # noqa: PLC0415

            return seam_legacy.attach(client, cache)
        case "google":
            from promptcache.providers.gemini import (  # noqa: PLC0415
                seam as gemini_seam,
            )

            return gemini_seam.attach(client, cache)
        case "openai":
            from promptcache.providers.openai import (  # noqa: PLC0415
                seam as openai_seam,
            )

            return openai_seam.attach(client, cache)
        case None:
            raise UnsupportedClientError(client, SUPPORTED)


def warm_client(client: Any, request: Mapping[str, Any]) -> Any:
    """Send the request that writes what requests like this one begin with.

    Returns:
        What the SDK returns: an awaitable, if the client is asynchronous.

    Raises:
        OptionError: The provider's API cannot do that for this request.
    """
    sdk = sdk_of(client)
    if sdk == "google":
        allowed = (
            "clients of Anthropic and OpenAI; for Gemini, `GeminiCacheKeeper.hold`"
        )
        raise OptionError("prewarm", type(client).__name__, allowed)
    if sdk == "openai":
        from promptcache.providers.openai import (  # noqa: PLC0415
            prewarm as openai_prewarm,
        )

        return client.responses.create(**openai_prewarm.warming(request))
    from promptcache.providers.anthropic import prewarm  # noqa: PLC0415

    return client.messages.create(**prewarm.warming(request))


def sdk_of(client: object) -> ProviderName | None:
    """Return whose SDK a client is of."""
    return next((name for root, name in _SDKS.items() if _is_of(client, root)), None)


def provider_named(name: ProviderName) -> Provider:
    """Return the provider of that name; of several APIs, the first."""
    from promptcache.providers.anthropic import ANTHROPIC  # noqa: PLC0415
    from promptcache.providers.gemini import GEMINI  # noqa: PLC0415
    from promptcache.providers.openai import CHAT  # noqa: PLC0415

    providers: Mapping[ProviderName, Provider] = {
        "anthropic": ANTHROPIC,
        "google": GEMINI,
        "openai": CHAT,
    }
    return providers[name]


def check_facts(facts: Facts) -> None:
    """Refuse rows that no provider has.

    Raises:
        OptionError: A row has a field that is not known, or names no host.
    """
    names: tuple[ProviderName, ...] = get_args(ProviderName)
    for name in facts:
        errors: list[OptionError] = []
        for provider in map(provider_named, names):
            try:
                provider.rules(name, name, facts)
            except OptionError as error:
                errors.append(error)
                _, is_its_own = provider.rules(name, name, None)
                if is_its_own:
                    # Else its requests would fail to be planned, each of them.
                    said = {name: dict(facts[name])}
                    raise OptionError("facts", said, error.allowed) from error
        if len(errors) == len(names):
            allowed = "; or ".join(error.allowed for error in errors)
            raise OptionError("facts", {name: dict(facts[name])}, allowed)


def _is_of(client: object, package: str) -> bool:
    """Tell whether a client's class, or one that it is made from, is in a package."""
    modules = (f"{kind.__module__}." for kind in type(client).__mro__)
    return any(module.startswith(f"{package}.") for module in modules)
