"""`prompt_cached(llm)`: the caching twin of an LLM that exists already.

Rule 1: the LLM that is passed in stays as it is.
Rule 2: what cannot be cached comes back as it is, with one warning that says so.
"""

import sys
import warnings
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar, cast

try:
    from llama_index.core.llms.structured_llm import StructuredLLM
except ImportError as error:
    msg = (
        "`llamaindex_promptcache` needs LlamaIndex: pip install "
        "'promptcache[llamaindex-anthropic]', 'promptcache[llamaindex-openai]' or "
        "'promptcache[llamaindex-google]'"
    )
    raise ImportError(msg) from error

from llamaindex_promptcache.llms.base import PromptCachedLLM
from promptcache import UnsupportedClientError, is_switched_off

__all__ = ["prompt_cached"]

Llm = TypeVar("Llm")

SUPPORTED = (
    "Anthropic, OpenAI, OpenAIResponses and GoogleGenAI of LlamaIndex, classes derived "
    "from these, and StructuredLLM of them"
)

_MODULES = {
    "llama_index.llms.anthropic": "llamaindex_promptcache.llms.anthropic",
    "llama_index.llms.google_genai": "llamaindex_promptcache.llms.google",
    "llama_index.llms.openai": "llamaindex_promptcache.llms.openai",
}
"""Of each partner package, where its cached classes are."""


def prompt_cached(llm: Llm, prompt_cache: Any = None, *, strict: bool = False) -> Llm:
    """Return the twin of an LLM whose prompts are cached.

    The twin is an instance of the same class with clients of its own, which share
    the connections of those that the LLM has made. With `PROMPTCACHE=off` in the
    environment the LLM itself is returned.

    Args:
        llm: An LLM, also one with structured output.
        prompt_cache: What the cached classes take under this name.
        strict: Raise for an LLM that cannot be cached, instead of warning.

    Raises:
        OptionError: `prompt_cache` is not allowed.
        UnsupportedClientError: The LLM cannot be cached, and `strict` is on.
    """
    if is_switched_off():
        return llm
    try:
        return cast("Llm", _twin(llm, prompt_cache))
    except UnsupportedClientError as error:
        if strict:
            raise
        warnings.warn(f"prompt_cached: {error}", stacklevel=2)
        return llm


def _twin(llm: Any, prompt_cache: Any) -> Any:
    if isinstance(llm, StructuredLLM):
        inner = _twin(llm.llm, prompt_cache)
        return llm if inner is llm.llm else llm.model_copy(update={"llm": inner})
    kind: Any = type(llm)
    twin_class = _twin_class(kind)
    if twin_class is None:
        raise UnsupportedClientError(llm, SUPPORTED)
    if not isinstance(llm, twin_class):
        clients = twin_class.clients_of(llm)
    elif prompt_cache is None:
        return llm
    else:
        # Those of a cached LLM serve its cache.
        clients = llm.plain_clients
    twin = llm.model_copy()
    object.__setattr__(twin, "__class__", twin_class)
    twin.adopt_clients(clients, prompt_cache)
    return twin


@lru_cache(maxsize=256)
def _twin_class(kind: Any) -> Any:
    """Return the cached class of an LLM's class, or None if it cannot be cached."""
    if issubclass(kind, PromptCachedLLM):
        return kind
    for stock, cached in _cached_classes():
        if kind is stock:
            return cached
        if issubclass(kind, stock):
            said = {"__module__": __name__, "__reduce__": _reduced}
            return type(f"PromptCached{kind.__name__}", (cached, kind), said)
    return None


def _cached_classes() -> Iterator[tuple[Any, Any]]:
    # The partner package of an LLM that is here is loaded; no other one need be.
    for package, module in _MODULES.items():
        if sys.modules.get(package) is not None:
            yield from import_module(module).TWINS.items()


def _reduced(twin: Any) -> tuple[Any, ...]:
    """Pickle an LLM of a class that is made here, and found under no name."""
    _, kind, *_ = type(twin).__bases__
    return _blank, (kind,), twin.__getstate__()


def _blank(kind: Any) -> Any:
    """Return an LLM of a made class, to be filled with what was pickled."""
    twin_class = _twin_class(kind)
    return twin_class.__new__(twin_class)
