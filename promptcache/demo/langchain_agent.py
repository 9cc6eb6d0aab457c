"""The demo's agent in LangChain; the only module of the demo that loads it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import anthropic
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelCallLimitMiddleware,
    ToolCallLimitMiddleware,
)
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver

from langchain_promptcache import PromptCachedChatAnthropic
from promptcache import PromptCache, Receipt, Usage
from promptcache.demo import agent
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Framework, Meter, Run
from promptcache.emulator import Emulator

__all__ = ["LANGCHAIN", "chat_model", "converse", "langchain_agent", "warm_up"]

STEPS = 60
"""What LangGraph may do for one question; the limits on calls are reached first."""


def warm_up(run: Run) -> None:
    """Load and connect what the first request of a run would wait for.

    Raises:
        DemoError: The provider cannot be reached or refuses the key.
    """
    with Emulator() as idle:
        chat_model(replace(run, key="ws-warm-up", url=idle.url)).invoke("Hello")
    # Counting tokens is free; a gateway may lack it.
    with _one_sentence(), suppress(anthropic.NotFoundError):
        chat_model(run).get_num_tokens_from_messages([HumanMessage("Hello")])


def converse(run: Run, meter: Meter) -> None:
    """Ask every question of the workload in one thread.

    Raises:
        DemoError: The provider refused a request, or the meter's budget is used up.
    """
    graph = langchain_agent(chat_model(run), session=run.session)
    config = {
        "callbacks": [_Reporter(meter)],
        "configurable": {"thread_id": run.session},
        "recursion_limit": STEPS,
    }
    with _one_sentence():
        for turn in agent.TURNS:
            graph.invoke({"messages": [HumanMessage(turn.question)]}, config)


LANGCHAIN = Framework("langchain", "anthropic", warm_up, converse)


def chat_model(run: Run) -> ChatAnthropic:
    """Return the chat model of a run; with and without the plugin the same one."""
    given: dict[str, Any] = {
        "model_name": run.model,
        "api_key": run.key,
        "max_tokens": agent.MAX_TOKENS,
        "streaming": True,
    }
    if run.url is not None:
        given["base_url"] = run.url
    if not run.plugin:
        return ChatAnthropic(**given)
    cache = PromptCache(clock=run.clock)
    return PromptCachedChatAnthropic(**given, prompt_cache=cache)


def langchain_agent(model: ChatAnthropic, *, session: str) -> Any:
    """Return the agent: one tool, a bounded loop, and a memory of the conversation."""
    tool = StructuredTool.from_function(
        agent.search, name=agent.TOOL_NAME, description=agent.TOOL_DESCRIPTION
    )
    calls = agent.CALLS_PER_QUESTION
    limits: list[AgentMiddleware[Any, Any, Any]] = [
        ModelCallLimitMiddleware(run_limit=calls),
        ToolCallLimitMiddleware(run_limit=calls - 1),
    ]
    return create_agent(
        model,
        [tool],
        system_prompt=agent.system_prompt(session),
        middleware=limits,
        checkpointer=InMemorySaver(),
    )


class _Reporter(BaseCallbackHandler):
    """Tells a meter of every request, from what LangChain reports of any model."""

    # An error raised here, as by a budget, stops the request.
    raise_error = True

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - LangChain's signature
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        self._meter.start(run_id, prompt_chars=_chars(messages[0]))

    def on_llm_new_token(
        self,
        token: Any,  # noqa: ARG002
        *,
        chunk: Any = None,
        run_id: UUID,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        # The chunk that opens a stream has usage and nothing of the answer.
        if isinstance(chunk, ChatGenerationChunk) and chunk.message.content:
            self._meter.token(run_id)

    def on_llm_end(
        self,
        response: LLMResult,
        *,
        run_id: UUID,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        answer = response.generations[0][0]
        if isinstance(answer, ChatGeneration):
            self._meter.end(run_id, usage_of(answer.message))


def usage_of(message: BaseMessage) -> Usage:
    """Return what an answer used: by its receipt, else as LangChain reports it."""
    receipt = message.response_metadata.get("prompt_cache")
    if receipt is not None:
        return Receipt.from_metadata(receipt).usage
    told = message.usage_metadata if isinstance(message, AIMessage) else None
    if told is None:
        return Usage()
    details = told.get("input_token_details", {})
    return Usage(
        input_tokens=told["input_tokens"],
        read_tokens=details.get("cache_read"),
        written_tokens=details.get("cache_creation"),
        output_tokens=told["output_tokens"],
    )


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except anthropic.APIError as error:
        raise DemoError(f"A request failed: {error}") from error


def _chars(messages: Sequence[BaseMessage]) -> int:
    # With the names and ids around the text, so rather more than is sent.
    return sum(len(message.model_dump_json()) for message in messages)
