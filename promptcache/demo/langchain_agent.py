"""The demo's workloads in LangChain, for a chat model of any provider."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelCallLimitMiddleware,
    ToolCallLimitMiddleware,
)
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver

from promptcache import PromptCache, Receipt, Usage
from promptcache.demo import agent
from promptcache.demo.langchain_models import ask_for_free, chat_model, one_sentence
from promptcache.demo.planned import planned
from promptcache.demo.questions import QUESTIONS
from promptcache.demo.run import Framework, Meter, Run
from promptcache.emulator import Emulator

__all__ = ["LANGCHAIN", "langchain_agent", "perform", "warm_up"]

STEPS = 60
"""What LangGraph may do for one question; the limits on calls are reached first."""


def warm_up(run: Run) -> None:
    """Load and connect what the first request of a run would wait for.

    Raises:
        DemoError: The provider cannot be reached or refuses the key.
    """
    with Emulator() as idle:
        ready = replace(run, key="ws-warm-up", url=idle.url)
        meter = Meter(ready)
        with planned(ready, meter) as cache:
            _converse(ready, cache, meter, ["Hello"])
    ask_for_free(chat_model(run), run)


def perform(run: Run, meter: Meter) -> None:
    """Do a run's workload.

    Raises:
        DemoError: The provider refused a request, or the meter's budget is used up.
    """
    with one_sentence(run), planned(run, meter) as cache:
        if run.case.workload == "stdlib-agent":
            _converse(run, cache, meter, [turn.question for turn in agent.TURNS])
        else:
            _ask(run, cache, meter, [question for question, _ in QUESTIONS])


LANGCHAIN = Framework("langchain", warm_up, perform)


def _converse(
    run: Run, cache: PromptCache | None, meter: Meter, questions: Sequence[str]
) -> None:
    graph = langchain_agent(chat_model(run, cache), session=run.session)
    config = {
        "callbacks": [_Reporter(meter)],
        "configurable": {"thread_id": run.session},
        "recursion_limit": STEPS,
    }
    for question in questions:
        graph.invoke({"messages": [HumanMessage(question)]}, config)


def _ask(
    run: Run, cache: PromptCache | None, meter: Meter, questions: Sequence[str]
) -> None:
    model, reporter = chat_model(run, cache), _Reporter(meter)
    prompt = SystemMessage(agent.system_prompt(run.session))
    for question in questions:
        model.invoke([prompt, HumanMessage(question)], {"callbacks": [reporter]})


def langchain_agent(model: BaseChatModel, *, session: str) -> Any:
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
        if isinstance(chunk, ChatGenerationChunk) and _says(chunk.message):
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


def _says(chunk: BaseMessage) -> bool:
    calls = isinstance(chunk, AIMessageChunk) and chunk.tool_call_chunks
    return bool(chunk.content or calls)


def _chars(messages: Sequence[BaseMessage]) -> int:
    # With the names and ids around the text, so rather more than is sent.
    return sum(len(message.model_dump_json()) for message in messages)
