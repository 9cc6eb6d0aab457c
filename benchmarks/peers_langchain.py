"""LangChain's agents: with its own caching middleware, and with our chat model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.messages import SystemMessage, convert_to_messages
from langchain_core.tools import BaseTool, StructuredTool
from peers_work import Ask
from sessions import MODEL

from langchain_promptcache import PromptCachedChatAnthropic
from promptcache import PromptCache
from promptcache.emulator import Emulator

__all__ = ["langchain", "promptcache"]

Send = Callable[[Ask], object]


def promptcache(emulator: Emulator) -> Send:
    """Return what sends a request as we plan it."""
    cache = PromptCache(policy="auto", clock=emulator.clock, strict=True)
    model = PromptCachedChatAnthropic(
        model=MODEL,
        base_url=emulator.url,
        api_key="any",
        max_retries=0,
        prompt_cache=cache,
    )
    return _agent(model)


def langchain(emulator: Emulator) -> Send:
    """Return what sends a request as LangChain's middleware marks it."""
    model = ChatAnthropic(
        model=MODEL, base_url=emulator.url, api_key="any", max_retries=0
    )
    return _agent(model, AnthropicPromptCachingMiddleware())


def _agent(model: ChatAnthropic, *middleware: Any) -> Send:
    def send(ask: Ask) -> object:
        messages = convert_to_messages(ask.messages)
        head = messages[0] if isinstance(messages[0], SystemMessage) else None
        agent = create_agent(
            model, _tools(ask.tools), system_prompt=head, middleware=middleware
        )
        return agent.invoke({"messages": messages[1:] if head else messages})

    return send


def _tools(tools: Sequence[Mapping[str, Any]]) -> list[BaseTool]:
    return [_tool(**told["function"]) for told in tools]


def _tool(name: str, description: str, parameters: dict[str, Any]) -> BaseTool:
    # Nobody calls it: what was said by tools is recorded.
    return StructuredTool(
        name=name, description=description, args_schema=parameters, func=dict
    )
