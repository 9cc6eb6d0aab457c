"""What a provider offers for a prefix that many requests begin with, by its facts.

Rule 1: a rule of a provider stands in its facts; here it is only put into one form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import Any, Literal, TypeAlias, cast

from promptcache.errors import OptionError
from promptcache.providers.anthropic import facts as anthropic
from promptcache.providers.gemini import facts as gemini
from promptcache.providers.openai import facts as openai
from promptcache.ttl import TTL_SECONDS, read_seconds, read_ttl

__all__ = ["Lifetime", "Offer", "Overrides", "Provider", "offer_of", "provider_of"]

Provider: TypeAlias = Literal["anthropic", "google", "openai"]
"""Whose caching it is, as prices and receipts call it."""

Lifetime: TypeAlias = Literal["5m", "30m", "1h", "12h"]
"""Lifetimes that writing has a price for."""

Overrides: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Fields of facts by model, laid over the rows that ship."""

_PROVIDERS: tuple[Provider, ...] = ("anthropic", "google", "openai")
_SPOKEN: Mapping[str, Provider] = {"gemini": "google", "google_genai": "google"}
"""What frameworks call a provider otherwise."""

_FAMILIES: tuple[tuple[str, Provider], ...] = (
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("codex-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
)
"""Whose a model is that no row knows, by how its name begins."""


@dataclass(frozen=True, slots=True)
class Offer:
    """How the prefix of one model's requests would be cached, and for how long."""

    way: Literal["marked", "unasked", "content", "none"]
    """At a breakpoint, with no word in the request, under a name, or not at all."""
    minimum: int
    """Tokens of the shortest prefix that is cached."""
    read: int = 0
    """Tokens of the prefix that a later request reads."""
    seconds: float = 0.0
    """How long it surely lives: since its creation, or since its last use."""
    lifetime: Lifetime | None = None
    """The lifetime that writing is billed for; None where writing is free."""
    storage_price: float | None = None
    """US dollars for a million tokens for an hour, for what lives under a name."""
    known: bool = True
    """Whether the rules of this model are known, not assumed."""
    note: str | None = None
    """What has to be known beside it."""

    @property
    def is_refreshed(self) -> bool:
        """Whether a read lets it live as long again."""
        return self.way in ("marked", "unasked")

    def priced(self, storage_price: float | None) -> "Offer":
        """Return the offer with a price of storage, if there is one."""
        if storage_price is None or self.way != "content":
            return self
        return replace(self, storage_price=storage_price)


def provider_of(model: str, named: str | None = None) -> tuple[Provider | None, str]:
    """Return whose a model is, and its name without that.

    Args:
        model: As requests spell it, or with its provider before a colon.
        named: The provider, if the caller says it.

    Raises:
        OptionError: The provider that is said is none of these.
    """
    said, colon, bare = model.partition(":")
    spoken = _SPOKEN.get(said, said)
    if colon and bare and spoken in _PROVIDERS:
        model, named = bare, named or spoken
    if named is not None:
        named = _SPOKEN.get(named, named)
        if named not in _PROVIDERS:
            raise OptionError("provider", named, ", ".join(_PROVIDERS))
        return named, model
    known: Mapping[Provider, bool] = {
        "anthropic": not anthropic.model_facts(model).assumed,
        "google": not gemini.model_facts(model).assumed,
        "openai": not openai.model_facts(model).assumed,
    }
    name = model.rsplit("/", 1)[-1].lower()
    families = (
        whose
        for begins, whose in _FAMILIES
        if name.startswith(begins) or f".{begins}" in name
    )
    rows = (whose for whose in _PROVIDERS if known[whose])
    return next(families, next(rows, None)), model


def offer_of(
    provider: Provider,
    model: str,
    *,
    prefix: int,
    ttl: str | timedelta | None,
    at: float,
    facts: Overrides | None,
) -> Offer:
    """Return what a provider offers for a prefix.

    Args:
        provider: Whose model it is.
        model: As requests spell it.
        prefix: Tokens of the prefix.
        ttl: The lifetime that is asked for; else the provider's first.
        at: When it is asked for, in UTC seconds, since prices change.
        facts: Rows that are laid over those that ship.

    Raises:
        OptionError: The provider has no such lifetime for this model.
    """
    match provider:
        case "anthropic":
            return _of_anthropic(model, prefix, ttl, facts)
        case "google":
            return _of_gemini(model, prefix, ttl, at, facts)
        case "openai":
            return _of_openai(model, prefix, ttl, facts)


def _of_anthropic(
    model: str, prefix: int, ttl: str | timedelta | None, facts: Overrides | None
) -> Offer:
    row = anthropic.model_facts(model, facts)
    lifetime = _chosen(ttl, tuple(anthropic.TTL_SECONDS))
    return Offer(
        "marked",
        minimum=row.minimum_tokens,
        read=prefix,
        seconds=anthropic.TTL_SECONDS[lifetime],
        lifetime=lifetime,
        known=not row.assumed,
    )


def _of_openai(
    model: str, prefix: int, ttl: str | timedelta | None, facts: Overrides | None
) -> Offer:
    row = openai.model_facts(model, facts)
    if row.breakpoints:
        lifetime = _chosen(ttl, openai.RESPONSES_TTLS)
        return Offer(
            "marked",
            minimum=row.minimum_tokens,
            read=prefix,
            seconds=openai.TTL_SECONDS[lifetime],
            lifetime=lifetime,
        )
    if row.assumed:
        return Offer("none", minimum=row.minimum_tokens, known=False)
    kept = "24h" if "24h" in row.retention else "in_memory"
    if ttl is not None:
        _chosen(ttl, ("24h",) if kept == "24h" else ())
    elif "in_memory" in row.retention:
        kept = "in_memory"
    seconds = openai.IDLE_SECONDS[kept]
    return Offer(
        "unasked",
        minimum=row.minimum_tokens,
        read=prefix // row.interval * row.interval,
        seconds=seconds,
        note=(
            f"prefixes end every {row.interval:,} tokens, and count as gone after "
            f"{_spoken(seconds)} without a use"
        ),
    )


def _of_gemini(
    model: str,
    prefix: int,
    ttl: str | timedelta | None,
    at: float,
    facts: Overrides | None,
) -> Offer:
    row = gemini.model_facts(model, facts)
    seconds = read_seconds("1h" if ttl is None else ttl)
    if not isfinite(seconds):
        raise OptionError("ttl", ttl, "an end")
    minimum = row.explicit_minimum_on("developer")
    if not row.explicit:
        note = "there are no cached contents for this model; implicit caching is luck"
        known = not row.assumed
        return Offer("none", minimum, known=known, note=note if known else None)
    return Offer(
        "content",
        minimum=minimum,
        read=prefix,
        seconds=seconds,
        storage_price=row.storage_price_on(
            datetime.fromtimestamp(at, tz=timezone.utc).date()
        ),
        note=(
            "a creation counts as input, as Vertex AI bills it; implicit caching is "
            "left out"
        ),
    )


def _chosen(ttl: str | timedelta | None, allowed: tuple[str, ...]) -> Lifetime:
    """Return a lifetime, the first of the allowed ones if none is asked for."""
    choices = ", ".join(allowed) or "none for this model"
    try:
        asked = allowed[0] if ttl is None else read_ttl(ttl)
    except OptionError as error:
        raise OptionError("ttl", ttl, choices) from error
    if asked not in allowed:
        raise OptionError("ttl", ttl, choices)
    return cast("Lifetime", asked)


def _spoken(seconds: float) -> str:
    names = {length: name for name, length in TTL_SECONDS.items()}
    return names.get(int(seconds), f"{seconds:g} s")
