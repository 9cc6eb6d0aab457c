"""promptcache for LangChain.

Importing this loads langchain-core only; a partner package is loaded when the class
that builds on it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_promptcache.twins import prompt_cached

if TYPE_CHECKING:
    from langchain_promptcache.chat_models.anthropic import PromptCachedChatAnthropic
    from langchain_promptcache.chat_models.openai import (
        PromptCachedAzureChatOpenAI,
        PromptCachedChatOpenAI,
    )

__all__ = [
    "PromptCachedAzureChatOpenAI",
    "PromptCachedChatAnthropic",
    "PromptCachedChatOpenAI",
    "prompt_cached",
]

_LAZY = {
    "PromptCachedAzureChatOpenAI": "langchain_promptcache.chat_models.openai",
    "PromptCachedChatAnthropic": "langchain_promptcache.chat_models.anthropic",
    "PromptCachedChatOpenAI": "langchain_promptcache.chat_models.openai",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
