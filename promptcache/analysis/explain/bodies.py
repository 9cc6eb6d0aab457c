"""Requests as files and callers give them: whose they are, and when they are sent.

Rule 1: a body is never written to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from promptcache.analysis.explain.messages import for_anthropic, is_foreign, turns
from promptcache.analysis.offers import provider_of
from promptcache.errors import OptionError
from promptcache.providers import Provider
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.anthropic import facts as anthropic_facts
from promptcache.providers.gemini import GEMINI
from promptcache.providers.openai import CHAT, RESPONSES

__all__ = ["PACE_SECONDS", "Asked", "asked"]

PACE_SECONDS = 60.0
"""From one request to the next, where they do not say when they are sent."""

_SHAPE = (
    "a request body of Anthropic, OpenAI or Gemini, with `messages`, `input` or "
    "`contents`, or a list of messages"
)
_HOSTS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "google": "developer",
    "openai": "openai",
}
"""The provider's own platform, as its facts name it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that might be sent."""

    name: str
    """What errors call it."""
    provider: Provider
    model: str
    host: str
    body: Mapping[str, Any]
    at: float
    """Seconds since the first one, or whatever the requests count from."""


def asked(given: Any, *, model: str | None, host: str | None) -> Iterator[Asked]:
    """Yield requests in their order.

    Args:
        given: A body, or a list of bodies and of `messages`.
        model: What is asked, instead of what bodies say.
        host: The platform; else the provider's own.

    Raises:
        OptionError: One is no request, or it cannot be told whose it is.
    """
    at = -PACE_SECONDS
    for number, one in enumerate(_listed(given), 1):
        name = f"request {number}"
        at = _time(one, name, at + PACE_SECONDS)
        bare = {key: value for key, value in one.items() if key != "at"}
        if model is not None:
            bare["model"] = model
        for shift, body in enumerate(turns(bare)):
            at += PACE_SECONDS if shift else 0.0
            yield _of(body, name, at, host)


def _listed(given: Any) -> Sequence[Mapping[str, Any]]:
    items = given if isinstance(given, list | tuple) else [given]
    if items and all(isinstance(it, Mapping) and "role" in it for it in items):
        items = [{"messages": [*items]}]
    found = [{"messages": it} if isinstance(it, list | tuple) else it for it in items]
    for number, it in enumerate(found, 1):
        if not isinstance(it, Mapping):
            raise OptionError(f"request {number}", type(it).__name__, _SHAPE)
    return found


def _time(one: Mapping[str, Any], name: str, usual: float) -> float:
    at = one.get("at", usual)
    is_number = isinstance(at, int | float) and not isinstance(at, bool)
    if not is_number or not isfinite(at):
        raise OptionError(f"`at` of {name}", at, "a time in seconds")
    if at < usual - PACE_SECONDS:
        raise OptionError(f"`at` of {name}", at, "no time before the last one's")
    return float(at)


def _of(body: Mapping[str, Any], name: str, at: float, host: str | None) -> Asked:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        allowed = "the name of a model, in the body or as `model`"
        raise OptionError(f"model of {name}", model, allowed)
    whose, bare = provider_of(model)
    body = {**body, "model": bare}
    provider = _provider(body, name, whose)
    if provider is ANTHROPIC and is_foreign(body):
        body = for_anthropic(body)
    where = host or _HOSTS[provider.name]
    if provider is ANTHROPIC and where not in anthropic_facts.HOSTS:
        raise OptionError("host", where, ", ".join(anthropic_facts.HOSTS))
    if provider is GEMINI:
        body = {key: value for key, value in body.items() if key != "model"}
    return Asked(name, provider, bare, where, body, at)


def _provider(body: Mapping[str, Any], name: str, whose: str | None) -> Provider:
    """Return whose API a body is for, by its shape and by the model."""
    if "contents" in body:
        return GEMINI
    if "input" in body and "messages" not in body:
        return RESPONSES
    if "messages" not in body:
        raise OptionError(name, ", ".join(map(str, body)) or "{}", _SHAPE)
    if whose == "google":
        allowed = "`contents`, for a model of Gemini's"
        raise OptionError(name, "messages", allowed)
    if whose == "anthropic" or (whose is None and "system" in body):
        return ANTHROPIC
    return CHAT
