"""The talk of the surfaces benchmark, in LangChain."""

from collections.abc import Callable, Mapping
from typing import Any

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from talks import Path, Talk, Verdict

from langchain_promptcache import (
    PromptCacheCallbackHandler,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)

__all__ = ["walk"]

_CLASSES: Mapping[str, tuple[type[BaseChatModel], type[BaseChatModel]]] = {
    "anthropic": (ChatAnthropic, PromptCachedChatAnthropic),
    "openai": (ChatOpenAI, PromptCachedChatOpenAI),
    "google": (ChatGoogleGenerativeAI, PromptCachedChatGoogleGenerativeAI),
}


@tool
def search(query: str) -> str:
    """Search the handbook."""
    return f"Nothing is said of {query}. " * 40


async def walk(talk: Talk) -> int:
    """Hold a talk; return how many receipts whoever registered was told of."""
    stock, ours = _CLASSES[talk.provider]
    given: dict[str, Any] = {"model": talk.model, "api_key": "any"}
    given["base_url"] = f"{talk.url}/v1" if talk.provider == "openai" else talk.url
    if talk.how == "class":
        model, handlers = ours(**given, prompt_cache=talk.cache), []
    else:
        handler = PromptCacheCallbackHandler(talk.cache, insert=True)
        model, handlers = stock(**given), [handler]
    config = {"callbacks": handlers, "configurable": {"thread_id": "talk"}}
    steps: Mapping[Path, Callable[..., Any]] = {
        "invoke": _invoke,
        "stream": _stream,
        "async": _async,
        "structured": _structured,
        "agent": _agent,
    }
    history: list[BaseMessage] = []
    async for question in talk.questions():
        turns = [*history, HumanMessage(question)]
        history = await steps[talk.path](model, talk, turns, config)
    if talk.how == "class":
        return len(talk.receipts)
    requests: int = handlers[0].report().to_dict()["total"]["requests"]
    return requests


async def _invoke(model: Any, talk: Talk, turns: Any, config: Any) -> Any:
    answer = model.invoke([SystemMessage(talk.system), *turns], config)
    return [*turns, AIMessage(answer.text)]


async def _stream(model: Any, talk: Talk, turns: Any, config: Any) -> Any:
    chunks = model.stream([SystemMessage(talk.system), *turns], config)
    return [*turns, AIMessage("".join(chunk.text for chunk in chunks))]


async def _async(model: Any, talk: Talk, turns: Any, config: Any) -> Any:
    answer = await model.ainvoke([SystemMessage(talk.system), *turns], config)
    return [*turns, AIMessage(answer.text)]


async def _structured(model: Any, talk: Talk, turns: Any, config: Any) -> Any:
    chain = model.with_structured_output(Verdict, method="json_schema")
    verdict = chain.invoke([SystemMessage(talk.system), *turns], config)
    return [*turns, AIMessage(verdict.model_dump_json())]


async def _agent(model: Any, talk: Talk, turns: Any, config: Any) -> Any:
    agent = create_agent(model, [search], system_prompt=talk.system)
    return (agent.invoke({"messages": turns}, config))["messages"]
