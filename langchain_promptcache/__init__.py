"""promptcache for LangChain.

Importing this loads langchain-core only; a partner package is loaded when the class
that builds on it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_promptcache.spans import span_of_run
from langchain_promptcache.twins import prompt_cached
from promptcache import add_span_finder, static, volatile

if TYPE_CHECKING:
    from langchain_promptcache.callbacks import PromptCacheCallbackHandler
    from langchain_promptcache.chains import (
        create_prompt_cached_retrieval_chain,
        create_prompt_cached_stuff_documents_chain,
        format_documents,
    )
    from langchain_promptcache.chat_models.anthropic import PromptCachedChatAnthropic
    from langchain_promptcache.chat_models.google import (
        PromptCachedChatGoogleGenerativeAI,
    )
    from langchain_promptcache.chat_models.openai import (
        PromptCachedAzureChatOpenAI,
        PromptCachedChatOpenAI,
    )
    from langchain_promptcache.documents import StableDocumentOrder
    from langchain_promptcache.ingestion import chunk_context
    from langchain_promptcache.middleware import PromptCacheMiddleware
    from langchain_promptcache.retrievers import GeminiResidentRetriever
    from langchain_promptcache.summarization import (
        PromptCachedSummarizationMiddleware,
    )

__all__ = [
    "GeminiResidentRetriever",
    "PromptCacheCallbackHandler",
    "PromptCacheMiddleware",
    "PromptCachedAzureChatOpenAI",
    "PromptCachedChatAnthropic",
    "PromptCachedChatGoogleGenerativeAI",
    "PromptCachedChatOpenAI",
    "PromptCachedSummarizationMiddleware",
    "StableDocumentOrder",
    "chunk_context",
    "create_prompt_cached_retrieval_chain",
    "create_prompt_cached_stuff_documents_chain",
    "format_documents",
    "prompt_cached",
    "static",
    "volatile",
]

_LAZY = {
    "GeminiResidentRetriever": "langchain_promptcache.retrievers",
    "PromptCacheCallbackHandler": "langchain_promptcache.callbacks",
    "PromptCacheMiddleware": "langchain_promptcache.middleware",
    "PromptCachedAzureChatOpenAI": "langchain_promptcache.chat_models.openai",
    "PromptCachedChatAnthropic": "langchain_promptcache.chat_models.anthropic",
    "PromptCachedChatGoogleGenerativeAI": "langchain_promptcache.chat_models.google",
    "PromptCachedChatOpenAI": "langchain_promptcache.chat_models.openai",
    "PromptCachedSummarizationMiddleware": "langchain_promptcache.summarization",
    "StableDocumentOrder": "langchain_promptcache.documents",
    "chunk_context": "langchain_promptcache.ingestion",
    "create_prompt_cached_retrieval_chain": "langchain_promptcache.chains",
    "create_prompt_cached_stuff_documents_chain": "langchain_promptcache.chains",
    "format_documents": "langchain_promptcache.chains",
}


add_span_finder(span_of_run)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
