"""promptcache for LlamaIndex.

Importing this loads nothing of LlamaIndex; a package is loaded when the name that
builds on it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llamaindex_promptcache.spans import span_of_call
from promptcache import add_span_finder, static, volatile

if TYPE_CHECKING:
    from llamaindex_promptcache.callbacks import PromptCacheCallbackHandler
    from llamaindex_promptcache.chat_engines import (
        PromptCachedCondensePlusContextChatEngine,
        PromptCachedContextChatEngine,
    )
    from llamaindex_promptcache.extractors import (
        PromptCachedDocumentContextExtractor,
    )
    from llamaindex_promptcache.handlers import PromptCacheHandler
    from llamaindex_promptcache.instrumentation import PromptCacheEvent
    from llamaindex_promptcache.llms.anthropic import PromptCachedAnthropic
    from llamaindex_promptcache.llms.google import PromptCachedGoogleGenAI
    from llamaindex_promptcache.llms.openai import (
        PromptCachedOpenAI,
        PromptCachedOpenAIResponses,
    )
    from llamaindex_promptcache.memories import stable_memory
    from llamaindex_promptcache.postprocessors import StableNodeOrder
    from llamaindex_promptcache.retrievers import GeminiResidentRetriever
    from llamaindex_promptcache.templates import cacheable_qa_template
    from llamaindex_promptcache.twins import prompt_cached

__all__ = [
    "GeminiResidentRetriever",
    "PromptCacheCallbackHandler",
    "PromptCacheEvent",
    "PromptCacheHandler",
    "PromptCachedAnthropic",
    "PromptCachedCondensePlusContextChatEngine",
    "PromptCachedContextChatEngine",
    "PromptCachedDocumentContextExtractor",
    "PromptCachedGoogleGenAI",
    "PromptCachedOpenAI",
    "PromptCachedOpenAIResponses",
    "StableNodeOrder",
    "cacheable_qa_template",
    "prompt_cached",
    "stable_memory",
    "static",
    "volatile",
]

_LAZY = {
    "GeminiResidentRetriever": "llamaindex_promptcache.retrievers",
    "PromptCacheCallbackHandler": "llamaindex_promptcache.callbacks",
    "PromptCacheEvent": "llamaindex_promptcache.instrumentation",
    "PromptCacheHandler": "llamaindex_promptcache.handlers",
    "PromptCachedAnthropic": "llamaindex_promptcache.llms.anthropic",
    "PromptCachedCondensePlusContextChatEngine": "llamaindex_promptcache.chat_engines",
    "PromptCachedContextChatEngine": "llamaindex_promptcache.chat_engines",
    "PromptCachedDocumentContextExtractor": "llamaindex_promptcache.extractors",
    "PromptCachedGoogleGenAI": "llamaindex_promptcache.llms.google",
    "PromptCachedOpenAI": "llamaindex_promptcache.llms.openai",
    "PromptCachedOpenAIResponses": "llamaindex_promptcache.llms.openai",
    "StableNodeOrder": "llamaindex_promptcache.postprocessors",
    "cacheable_qa_template": "llamaindex_promptcache.templates",
    "prompt_cached": "llamaindex_promptcache.twins",
    "stable_memory": "llamaindex_promptcache.memories",
}


add_span_finder(span_of_call)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
