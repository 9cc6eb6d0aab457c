"""promptcache for LlamaIndex.

Importing this loads nothing of LlamaIndex; a package is loaded when the name that
builds on it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llamaindex_promptcache.spans import span_of_call
from promptcache import add_span_finder

if TYPE_CHECKING:
    from llamaindex_promptcache.callbacks import PromptCacheCallbackHandler
    from llamaindex_promptcache.handlers import PromptCacheHandler
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
    "PromptCacheCallbackHandler",
    "PromptCacheEvent",
    "PromptCacheHandler",
    "PromptCachedAnthropic",
    "PromptCachedGoogleGenAI",
    "PromptCachedOpenAI",
    "PromptCachedOpenAIResponses",
    "prompt_cached",
]

_LAZY = {
    "GeminiResidentRetriever": "llamaindex_promptcache.retrievers",
    "PromptCacheCallbackHandler": "llamaindex_promptcache.callbacks",
    "PromptCacheEvent": "llamaindex_promptcache.instrumentation",
    "PromptCacheHandler": "llamaindex_promptcache.handlers",
    "PromptCachedAnthropic": "llamaindex_promptcache.llms.anthropic",
    "PromptCachedGoogleGenAI": "llamaindex_promptcache.llms.google",
    "PromptCachedOpenAI": "llamaindex_promptcache.llms.openai",
    "PromptCachedOpenAIResponses": "llamaindex_promptcache.llms.openai",
    "prompt_cached": "llamaindex_promptcache.twins",
}


add_span_finder(span_of_call)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
