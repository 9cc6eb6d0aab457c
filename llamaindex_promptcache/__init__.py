"""promptcache for LlamaIndex.

Importing this loads nothing of LlamaIndex; a package is loaded when the name that
builds on it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamaindex_promptcache.instrumentation import PromptCacheEvent
    from llamaindex_promptcache.llms.anthropic import PromptCachedAnthropic
    from llamaindex_promptcache.llms.google import PromptCachedGoogleGenAI
    from llamaindex_promptcache.llms.openai import (
        PromptCachedOpenAI,
        PromptCachedOpenAIResponses,
    )
    from llamaindex_promptcache.retrievers import GeminiResidentRetriever
    from llamaindex_promptcache.twins import prompt_cached

__all__ = [
    "GeminiResidentRetriever",
    "PromptCacheEvent",
    "PromptCachedAnthropic",
    "PromptCachedGoogleGenAI",
    "PromptCachedOpenAI",
    "PromptCachedOpenAIResponses",
    "prompt_cached",
]

_LAZY = {
    "GeminiResidentRetriever": "llamaindex_promptcache.retrievers",
    "PromptCacheEvent": "llamaindex_promptcache.instrumentation",
    "PromptCachedAnthropic": "llamaindex_promptcache.llms.anthropic",
    "PromptCachedGoogleGenAI": "llamaindex_promptcache.llms.google",
    "PromptCachedOpenAI": "llamaindex_promptcache.llms.openai",
    "PromptCachedOpenAIResponses": "llamaindex_promptcache.llms.openai",
    "prompt_cached": "llamaindex_promptcache.twins",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
