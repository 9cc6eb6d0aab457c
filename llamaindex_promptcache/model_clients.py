"""What a plain LLM of LlamaIndex sends by, and whose model it asks.

Rule 1: an LLM is read, never written, and nothing is asked of it that it would have to
send a request for.
"""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["clients_of", "model_of", "provider_of"]

_SDKS = ("anthropic", "openai")
_CLIENTS = ("_client", "_aclient")
_PACKAGE = "llama_index.llms."

_PROVIDERS: Mapping[str, str] = {
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "gemini": "google",
    "google_genai": "google",
    "mistralai": "mistral",
    "vertex": "google",
}
"""Providers as prices name them, where LlamaIndex's package is called otherwise."""


def clients_of(llm: Any) -> Callable[[], tuple[object, ...] | None]:
    """Return what finds the SDK clients of an LLM when it sends.

    Some are made at the first call, and some anew for each: then they are not known.
    """

    def found() -> tuple[object, ...] | None:
        if getattr(llm, "reuse_client", True) is False:
            return None
        held = (getattr(llm, name, None) for name in _CLIENTS)
        return tuple(it for client in held if (it := _sender(client))) or None

    return found


def provider_of(llm: object) -> str:
    """Return who serves an LLM, by the package that its class is in."""
    for kind in type(llm).__mro__:
        if kind.__module__.startswith(_PACKAGE):
            package = kind.__module__.removeprefix(_PACKAGE).partition(".")[0]
            return _PROVIDERS.get(package, package)
    return type(llm).__name__


def model_of(llm: object) -> str:
    """Return the name of an LLM's model, if it has one that is no request away."""
    names = (getattr(llm, name, None) for name in ("model", "model_name", "model_id"))
    return next((it for it in names if isinstance(it, str)), "")


def _sender(client: object) -> object | None:
    """Return that part of a client which is known to send; None if none is."""
    package = type(client).__module__.partition(".")[0]
    if package in _SDKS:
        return client
    return getattr(client, "_api_client", None) if package == "google" else None
