"""promptcache for LangChain.

Importing this loads langchain-core only; a partner package is loaded when the class
that builds on it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_promptcache.spans import span_of_run
from langchain_promptcache.twins import prompt_cached
from promptcache import add_span_finder

if TYPE_CHECKING:
    from langchain_promptcache.callbacks import PromptCacheCallbackHandler
    from langchain_promptcache.chat_models.anthropic import PromptCachedChatAnthropic
    from langchain_promptcache.chat_models.google import (
        PromptCachedChatGoogleGenerativeAI,
    )
    from langchain_promptcache.chat_models.openai import (
        PromptCachedAzureChatOpenAI,
        PromptCachedChatOpenAI,
    )
    from langchain_promptcache.retrievers import GeminiResidentRetriever

__all__ = [
    "GeminiResidentRetriever",
    "PromptCacheCallbackHandler",
    "PromptCachedAzureChatOpenAI",
    "PromptCachedChatAnthropic",
    "PromptCachedChatGoogleGenerativeAI",
    "PromptCachedChatOpenAI",
    "prompt_cached",
]

_LAZY = {
    "GeminiResidentRetriever": "langchain_promptcache.retrievers",
    "PromptCacheCallbackHandler": "langchain_promptcache.callbacks",
    "PromptCachedAzureChatOpenAI": "langchain_promptcache.chat_models.openai",
    "PromptCachedChatAnthropic": "langchain_promptcache.chat_models.anthropic",
    "PromptCachedChatGoogleGenerativeAI": "langchain_promptcache.chat_models.google",
    "PromptCachedChatOpenAI": "langchain_promptcache.chat_models.openai",
}


add_span_finder(span_of_run)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
