"""`prompt_cached(llm)`: the caching twin of an LLM that exists already.

Rule 1: the LLM that is passed in stays as it is.
Rule 2: what cannot be cached comes back as it is, with one warning that says so.
"""

import sys
import warnings
from functools import lru_cache
from typing import Any, TypeVar, cast

try:
    from llama_index.core.llms.structured_llm import StructuredLLM
except ImportError as error:
    msg = (
        "`llamaindex_promptcache` needs LlamaIndex: "
        "pip install 'promptcache[llamaindex-anthropic]'"
    )
    raise ImportError(msg) from error

from promptcache import UnsupportedClientError, is_switched_off

__all__ = ["prompt_cached"]

Llm = TypeVar("Llm")

SUPPORTED = (
    "Anthropic of LlamaIndex, classes derived from it, and StructuredLLM of these"
)


def prompt_cached(llm: Llm, prompt_cache: Any = None, *, strict: bool = False) -> Llm:
    """Return the twin of an LLM whose prompts are cached.

    The twin is an instance of the same class with clients of its own, which share
    the connections of the LLM's. With `PROMPTCACHE=off` in the environment the LLM
    itself is returned.

    Args:
        llm: An LLM, also one with structured output.
        prompt_cache: What `PromptCachedAnthropic` takes under this name.
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
        clients = (llm._client, llm._aclient)  # noqa: SLF001 - the parent has no other
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
    # An LLM of a partner package is here, so that package is loaded.
    if "llama_index.llms.anthropic" not in sys.modules:
        return None
    from llama_index.llms.anthropic import Anthropic  # noqa: PLC0415

    from llamaindex_promptcache.llms.anthropic import (  # noqa: PLC0415
        PromptCachedAnthropic,
    )

    if issubclass(kind, PromptCachedAnthropic):
        return kind
    if kind is Anthropic:
        return PromptCachedAnthropic
    if issubclass(kind, Anthropic):
        bases = (PromptCachedAnthropic, kind)
        return type(f"PromptCached{kind.__name__}", bases, {"__module__": __name__})
    return None
