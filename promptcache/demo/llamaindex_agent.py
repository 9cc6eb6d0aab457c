"""The demo's workloads in LlamaIndex, for an LLM of any provider."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llama_index.core.agent.workflow import AgentOutput, FunctionAgent
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.events.llm import LLMChatInProgressEvent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.tools import QueryEngineTool
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from pydantic import ConfigDict

from promptcache import PromptCache, Receipt, Usage
from promptcache.demo import agent
from promptcache.demo.llamaindex_models import (
    LLM,
    ask_for_free,
    closed,
    llm_of,
    one_sentence,
)
from promptcache.demo.planned import planned
from promptcache.demo.questions import QUESTIONS
from promptcache.demo.run import Framework, Meter, Run
from promptcache.emulator import Emulator

__all__ = ["LLAMAINDEX", "function_agent", "perform", "warm_up"]

MEMORY_TOKENS = 100_000
"""More than the conversation has, so that nothing of it is dropped."""
STEPS = 2 * agent.CALLS_PER_QUESTION
"""What a run may take; the limit on requests is reached first."""


def warm_up(run: Run) -> None:
    """Load and connect what the first request of a run would wait for.

    Raises:
        DemoError: The provider cannot be reached or refuses the key, or LlamaIndex
            does not know the model or fails with the installed SDK.
    """
    llm = llm_of(run)
    with Emulator() as idle:
        ready = replace(run, key="ws-warm-up", url=idle.url)
        meter = Meter(ready)
        with planned(ready, meter) as cache:
            asyncio.run(_converse(ready, cache, meter, ["Hello"]))
    ask_for_free(llm, run)


def perform(run: Run, meter: Meter) -> None:
    """Do a run's workload.

    Raises:
        DemoError: The provider refused a request, or the meter's budget is used up.
    """
    with one_sentence(run), planned(run, meter) as cache:
        if run.case.workload == "stdlib-agent":
            questions = [turn.question for turn in agent.TURNS]
            asyncio.run(_converse(run, cache, meter, questions))
        else:
            questions = [question for question, _ in QUESTIONS]
            asyncio.run(_ask(run, cache, meter, questions))


LLAMAINDEX = Framework("llamaindex", warm_up, perform, argument="input")


async def _converse(
    run: Run, cache: PromptCache | None, meter: Meter, questions: Sequence[str]
) -> None:
    llm = llm_of(run, cache)
    chosen = function_agent(llm, session=run.session)
    memory = ChatMemoryBuffer.from_defaults(token_limit=MEMORY_TOKENS)
    try:
        with _reporting(llm, meter):
            for question in questions:
                await chosen.run(question, memory=memory, max_iterations=STEPS)
    finally:
        await closed(llm)


async def _ask(
    run: Run, cache: PromptCache | None, meter: Meter, questions: Sequence[str]
) -> None:
    llm = llm_of(run, cache)
    prompt = ChatMessage(role="system", content=agent.system_prompt(run.session))
    try:
        with _reporting(llm, meter):
            for question in questions:
                asked = [prompt, ChatMessage(role="user", content=question)]
                async for _ in await llm.astream_chat(asked):
                    pass
    finally:
        await closed(llm)


def function_agent(llm: LLM, *, session: str) -> FunctionAgent:
    """Return the agent: a query engine as its tool, and a bounded loop."""
    tool = QueryEngineTool.from_defaults(
        _Library(), name=agent.TOOL_NAME, description=agent.TOOL_DESCRIPTION
    )
    return _BoundedAgent(
        tools=[tool], llm=llm, system_prompt=agent.system_prompt(session)
    )


class _Library(CustomQueryEngine):
    """A query engine that answers with what the library's search finds."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def custom_query(self, query_str: str) -> str:
        return agent.search(query_str)


class _BoundedAgent(FunctionAgent):
    """An agent that asks its model a few times for one question, and then stops."""

    async def take_step(self, ctx: Any, *args: Any, **kwargs: Any) -> AgentOutput:
        said = await ctx.store.get(self.scratchpad_key, default=[])
        asked = sum(message.role == "assistant" for message in said)
        if asked < agent.CALLS_PER_QUESTION:
            return await super().take_step(ctx, *args, **kwargs)
        nothing = ChatMessage(role="assistant", content="")
        return AgentOutput(response=nothing, current_agent_name=self.name)


class _Reporter(BaseCallbackHandler):
    """Tells a meter of every request; an error raised here stops it."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self._meter = meter
        self._call = ""

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",  # noqa: ARG002 - LlamaIndex's signature
        **kwargs: Any,  # noqa: ARG002
    ) -> str:
        if event_type is CBEventType.LLM and payload is not None:
            self._call = event_id
            messages = payload[EventPayload.MESSAGES]
            # With the names and ids around the text, so rather more than is sent.
            chars = sum(len(message.model_dump_json()) for message in messages)
            self._meter.start(event_id, prompt_chars=chars)
        return event_id

    def token(self) -> None:
        """Take note of a part of the answer to the request that is being made."""
        self._meter.token(self._call)

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,  # noqa: ARG002 - LlamaIndex's signature
    ) -> None:
        answer = (payload or {}).get(EventPayload.RESPONSE)
        if event_type is CBEventType.LLM and isinstance(answer, ChatResponse):
            self._meter.end(event_id, usage_of(answer))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing: a trace is no request."""

    def end_trace(
        self,
        trace_id: str | None = None,
        trace_map: dict[str, list[str]] | None = None,
    ) -> None:
        """Do nothing: a trace is no request."""


def usage_of(answer: ChatResponse) -> Usage:
    """Return what an answer used: by its receipt, else as the provider reports it."""
    receipt = answer.additional_kwargs.get("prompt_cache")
    if receipt is not None:
        return Receipt.from_metadata(receipt).usage
    raw = answer.raw
    if isinstance(raw, dict) and raw.get("usage_metadata"):
        return _gemini_usage(raw["usage_metadata"])
    told = raw.get("usage") if isinstance(raw, dict) else getattr(raw, "usage", None)
    if told is None:
        return Usage()
    if hasattr(told, "prompt_tokens"):
        return _completion_usage(told)
    read = told.cache_read_input_tokens
    written = told.cache_creation_input_tokens
    known = None not in {told.input_tokens, read, written}
    return Usage(
        input_tokens=told.input_tokens + read + written if known else None,
        read_tokens=read,
        written_tokens=written,
        output_tokens=told.output_tokens,
    )


def _completion_usage(told: Any) -> Usage:
    details = told.prompt_tokens_details
    return Usage(
        input_tokens=told.prompt_tokens,
        read_tokens=getattr(details, "cached_tokens", None),
        written_tokens=getattr(details, "cache_write_tokens", None),
        output_tokens=told.completion_tokens,
    )


def _gemini_usage(told: Mapping[str, Any]) -> Usage:
    # A prompt that read nothing says nothing of a cache.
    return Usage(
        input_tokens=told["prompt_token_count"],
        read_tokens=told.get("cached_content_token_count") or 0,
        written_tokens=0,
        output_tokens=(told.get("candidates_token_count") or 0)
        + (told.get("thoughts_token_count") or 0),
    )


class _Ticker(BaseEventHandler):
    """Tells a reporter of the parts of answers, which callbacks are not told of."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    reporter: _Reporter

    def handle(self, event: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if isinstance(event, LLMChatInProgressEvent):
            self.reporter.token()


@contextmanager
def _reporting(llm: LLM, meter: Meter) -> Iterator[None]:
    reporter = _Reporter(meter)
    llm.callback_manager = CallbackManager([reporter])
    root = get_dispatcher()
    ticker = _Ticker(reporter=reporter)
    root.add_event_handler(ticker)
    try:
        yield
    finally:
        root.event_handlers = [it for it in root.event_handlers if it is not ticker]
