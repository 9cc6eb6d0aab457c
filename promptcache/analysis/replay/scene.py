"""What a replay is made under: whose rules, at what prices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from promptcache.analysis.offers import provider_of
from promptcache.errors import OptionError
from promptcache.planning.lifetimes import terms_of
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.providers import Provider, provider_named
from promptcache.ttl import TTL_SECONDS

__all__ = ["HOSTS", "Scene", "scene_of"]

CURRENT_MINIMUM = 512
"""Shortest prefix of the current models, where only a price is said."""

STAND_IN = "claude-opus-5"
"""The model whose form requests have where only a price is said."""

HOSTS: Mapping[str, str] = {"anthropic": "anthropic", "openai": "openai"}
"""The provider's own platform, by provider."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Whose rules hold, and at what prices."""

    provider: Provider
    model: str
    rules: Rules
    facts: Mapping[str, Mapping[str, Any]]
    """Rows that are laid over those that ship."""
    known: bool = True
    """The rules of this model are known, not assumed."""

    @property
    def host(self) -> str:
        """The platform that is asked."""
        return HOSTS[self.provider.name]

    @property
    def where(self) -> tuple[str, str, str]:
        """What it is counted under."""
        return (self.provider.name, self.model, self.host)

    @property
    def terms(self) -> Terms:
        """What the provider has to choose from."""
        return terms_of(self.rules, None)

    def terms_under(self, policy: Policy) -> Terms:
        """Return what a policy may choose from."""
        return terms_of(self.rules, None, policy)

    def lives(self, *, keeps: bool = False) -> tuple[tuple[float, float], ...]:
        """Return seconds and price of writing for each lifetime worth a thought.

        Args:
            keeps: A prefix that was written for the short lifetime is kept for the
                long one by a breakpoint behind it.
        """
        if self.rules.matching == "prefix":
            return ((self.rules.unmarked_seconds, 1.0),)
        terms = self.terms
        if keeps and terms.long is not None:
            return ((terms.long_seconds, terms.write(terms.short)),)
        ttls = [terms.short, *([] if terms.long is None else [terms.long])]
        return tuple((float(TTL_SECONDS[it]), terms.write(it)) for it in ttls)


def scene_of(model: str | None, read: float | None) -> Scene:
    """Return what holds for a model, or at a price of reading.

    Args:
        model: As requests spell it; None takes the rules of Anthropic's current models.
        read: Price of a token that is read, in input tokens; None takes the model's.

    Raises:
        OptionError: Neither is said, or there is nothing of the kind to replay with.
    """
    if read is not None and not 0 <= read <= 1:
        raise OptionError("--read-price", read, "a share of the input price, 0 to 1")
    if model is None:
        if read is None:
            raise OptionError("--model", None, "a model, or else --read-price")
        facts = {STAND_IN: {"minimum_tokens": CURRENT_MINIMUM, "read": read}}
        return _scene("anthropic", STAND_IN, facts, read)
    whose, name = provider_of(model)
    if whose not in HOSTS:
        allowed = "a model of Anthropic's or OpenAI's"
        raise OptionError("--model", model, allowed)
    return _scene(whose, name, {}, read)


def _scene(
    whose: Any, model: str, facts: Mapping[str, Mapping[str, Any]], read: float | None
) -> Scene:
    provider = provider_named(whose)
    rules, known = provider.rules(model, HOSTS[whose], facts)
    if read is not None and rules.read != read:
        if rules.matching != "prefix":
            facts = {model: {"read": read}}
            rules, _ = provider.rules(model, HOSTS[whose], facts)
        rules = replace(rules, read=read)
    return Scene(provider, model, rules, facts, known)
