"""The talk of the surfaces benchmark, in LlamaIndex."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai import OpenAI
from talks import Path, Talk, Verdict

from llamaindex_promptcache import (
    PromptCachedAnthropic,
    PromptCachedGoogleGenAI,
    PromptCachedOpenAI,
    PromptCacheHandler,
)

__all__ = ["walk"]

_CLASSES: Mapping[str, tuple[Any, Any]] = {
    "anthropic": (Anthropic, PromptCachedAnthropic),
    "openai": (OpenAI, PromptCachedOpenAI),
    "google": (GoogleGenAI, PromptCachedGoogleGenAI),
}


def search(query: str) -> str:
    """Search the handbook."""
    return f"Nothing is said of {query}. " * 40


async def walk(talk: Talk) -> int:
    """Hold a talk; return how many receipts whoever registered was told of."""
    stock, ours = _CLASSES[talk.provider]
    given: dict[str, Any] = {"model": talk.model, "api_key": "any", "max_tokens": 64}
    if talk.provider == "anthropic":
        given["base_url"] = talk.url
    elif talk.provider == "openai":
        given["api_base"] = f"{talk.url}/v1"
    else:
        given |= {"context_window": 1_000_000, "http_options": {"base_url": talk.url}}
    if talk.how == "class":
        handler, llm = None, ours(**given, prompt_cache=talk.cache)
    else:
        handler, llm = PromptCacheHandler(talk.cache, insert=True), stock(**given)
    steps: Mapping[Path, Callable[..., Any]] = {
        "invoke": _chat,
        "stream": _stream,
        "async": _achat,
        "structured": _structured,
        "agent": _agent,
    }
    history: list[ChatMessage] = []
    with nullcontext() if handler is None else handler:
        async for question in talk.questions():
            turn = ChatMessage(role="user", content=question)
            history = await steps[talk.path](llm, talk, [*history, turn])
    if handler is None:
        return len(talk.receipts)
    requests: int = handler.report().to_dict()["total"]["requests"]
    return requests


def _prompt(talk: Talk, turns: list[ChatMessage]) -> list[ChatMessage]:
    return [ChatMessage(role="system", content=talk.system), *turns]


def _said(text: str | None) -> ChatMessage:
    return ChatMessage(role="assistant", content=text)


def _read(llm: Any, messages: list[ChatMessage]) -> list[Any]:
    return list(llm.stream_chat(messages))


async def _chat(llm: Any, talk: Talk, turns: Any) -> Any:
    # Google's class runs a loop of its own for this.
    answer = await talk.in_thread(llm.chat, _prompt(talk, turns))
    return [*turns, _said(answer.message.content)]


async def _stream(llm: Any, talk: Talk, turns: Any) -> Any:
    chunks = await talk.in_thread(_read, llm, _prompt(talk, turns))
    return [*turns, _said(chunks[-1].message.content)]


async def _achat(llm: Any, talk: Talk, turns: Any) -> Any:
    answer = await llm.achat(_prompt(talk, turns))
    return [*turns, _said(answer.message.content)]


async def _structured(llm: Any, talk: Talk, turns: Any) -> Any:
    template = ChatPromptTemplate(_prompt(talk, turns))
    verdict = await talk.in_thread(llm.structured_predict, Verdict, template)
    return [*turns, _said(verdict.verdict)]


async def _agent(llm: Any, talk: Talk, turns: Any) -> Any:
    agent = FunctionAgent(
        tools=[FunctionTool.from_defaults(search)], llm=llm, system_prompt=talk.system
    )
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
    memory.put_messages(turns[:-1])
    await agent.run(turns[-1].content, memory=memory)
    return memory.get_all()
