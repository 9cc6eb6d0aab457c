"""Every way into an LLM: the stock one and the cached one do the same.

Each path runs twice, so that the second run reads what the first one wrote.
"""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from time import sleep
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from pydantic import BaseModel

from llamaindex_promptcache import PromptCacheEvent
from promptcache.emulator import Json
from promptcache.receipts.events import Settled

# All come from LlamaIndex itself, for whoever uses agents or structured output.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
    pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated"),
    pytest.mark.filterwarnings("ignore:The `json` method is deprecated"),
]

OPTION = "prompt_cache"
QUESTION = "Who built it?"
CALLER = "claude-opus-4-8"
"""A model that LlamaIndex makes call a function for structured output."""


class Engine(BaseModel):
    """An engine of the museum."""

    name: str
    year: int


def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911. " * 40


def calling(number, tool="look_up", /, **args):
    # Ids are given, so that both runs send the same bodies.
    given = args or {"name": f"T {number}"}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": given}


ENGINE = {"name": "T 9", "year": 1911}
ENGINE_CALL = calling(1, "Engine", **ENGINE)
TOOL = FunctionTool.from_defaults(look_up)


@dataclass
class Kit:
    """What a path is walked with: LLMs of one kind, in one workspace."""

    make: Any
    """Makes an LLM of this kind, cached or not."""
    head: ChatMessage
    shelf: Any
    """A retriever."""

    @cached_property
    def llm(self):
        return self.make()

    @cached_property
    def caller(self):
        return self.make(model=CALLER)

    @property
    def prompt(self):
        return [self.head, ChatMessage(QUESTION)]

    @property
    def template(self):
        return ChatPromptTemplate([self.head, ChatMessage("Describe {what}.")])

    @property
    def text(self):
        return f"{self.head.content}\n{QUESTION}"

    def structured(self, llm=None):
        return (llm or self.llm).as_structured_llm(Engine)

    def queries(self, mode=ResponseMode.COMPACT, llm=None, **changes):
        chosen = llm or self.llm
        return RetrieverQueryEngine.from_args(
            self.shelf, llm=chosen, response_mode=mode, **changes
        )

    def chats(self, kind):
        given = {"llm": self.llm, "system_prompt": self.head.content}
        if kind is not SimpleChatEngine:
            given["retriever"] = self.shelf
        return kind.from_defaults(**given, memory=ChatMemoryBuffer.from_defaults())

    def agent(self, kind=FunctionAgent, **changes):
        given = {"tools": [TOOL], "llm": self.llm, "system_prompt": self.head.content}
        return kind(**{**given, **changes})


def talk(kit, kind):
    """Ask two questions, so that the second has a history."""
    engine = kit.chats(kind)
    return [engine.chat(QUESTION).response, engine.chat("And when?").response]


def talk_streaming(kit, kind):
    engine = kit.chats(kind)
    return [streamed(engine.stream_chat(it)) for it in (QUESTION, "And when?")]


async def atalk(kit, kind):
    engine = kit.chats(kind)
    answers = [await engine.achat(QUESTION), await engine.achat("And when?")]
    return [answer.response for answer in answers]


async def atalk_streaming(kit, kind):
    engine, answers = kit.chats(kind), []
    for question in (QUESTION, "And when?"):
        answer = await engine.astream_chat(question)
        answers.append("".join([token async for token in answer.async_response_gen()]))
    return answers


def streamed(answer):
    said = "".join(answer.response_gen)
    # Another thread writes the answer down, and reads the stream to its end.
    while not answer.is_done:
        sleep(0.001)
    return said


async def run(agent):
    output = await agent.run(QUESTION, memory=ChatMemoryBuffer.from_defaults())
    return output.response.content, [call.tool_name for call in output.tool_calls]


async def run_twice(agent):
    memory = ChatMemoryBuffer.from_defaults()
    first = await agent.run(QUESTION, memory=memory)
    second = await agent.run("And when?", memory=memory)
    return [first.response.content, second.response.content]


def workflow(kit):
    """Return two agents, the first of which hands over to the second."""
    porter = kit.agent(name="porter", description="Greets.", can_handoff_to=["clerk"])
    clerk = kit.agent(name="clerk", description="Looks up.")
    return AgentWorkflow(agents=[porter, clerk], root_agent="porter")


def agent_with_queries(kit):
    tool = QueryEngineTool.from_defaults(
        kit.queries(), name="shelf", description="Search the museum's shelf."
    )
    return kit.agent(tools=[tool])


def with_settings(kit):
    Settings.llm = kit.llm
    try:
        engine = RetrieverQueryEngine.from_args(kit.shelf)
        return engine.query(QUESTION).response
    finally:
        Settings.llm = None


async def listed(stream):
    return [item async for item in await stream]


def say(body):
    """Answer by the question, so that requests may come in any order."""
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    return f"You asked: {text[-20:]}"


REACT = (
    "Thought: I need a tool to help me answer the question.\n"
    'Action: look_up\nAction Input: {"name": "T 9"}'
)
REACTED = "Thought: I can answer without using any more tools.\nAnswer: In 1911."
HANDOFF = calling(1, "handoff", to_agent="clerk", reason="It is about an engine.")

SAY = [say]
CALL = [["Let me see.", calling(1)]]
LOOP = [["Let me see.", calling(1)], [calling(2)], "It was built in 1911."]
SEARCH = [calling(1, "shelf", input="T 9"), "It is on the shelf.", "In 1911."]
HANDED = [HANDOFF, calling(2), "It was built in 1911."]

ONE_SHOT = re.compile(r"complete|(?<!Agent\.)quer(y|ies)|Settings")
"""Paths whose prompt is one long text, which is not written before it is known to
come again."""

SYNC = [
    pytest.param(SAY, lambda kit: kit.llm.chat(kit.prompt), id="chat"),
    pytest.param(SAY, lambda kit: list(kit.llm.stream_chat(kit.prompt)), id="stream"),
    pytest.param(SAY, lambda kit: kit.llm.complete(kit.text), id="complete"),
    pytest.param(
        SAY, lambda kit: list(kit.llm.stream_complete(kit.text)), id="stream_complete"
    ),
    pytest.param(
        CALL,
        lambda kit: kit.llm.chat_with_tools([TOOL], chat_history=kit.prompt),
        id="chat_with_tools",
    ),
    pytest.param(
        CALL,
        lambda kit: list(
            kit.llm.stream_chat_with_tools([TOOL], chat_history=kit.prompt)
        ),
        id="stream_chat_with_tools",
    ),
    pytest.param(
        CALL,
        lambda kit: kit.llm.predict_and_call([TOOL], chat_history=kit.prompt).response,
        id="predict_and_call",
    ),
    pytest.param(
        SAY, lambda kit: kit.llm.predict(kit.template, what="it"), id="predict"
    ),
    pytest.param(
        SAY,
        lambda kit: "".join(kit.llm.stream(kit.template, what="it")),
        id="LLM.stream",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.llm.structured_predict(Engine, kit.template, what="it"),
        id="structured_predict",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: kit.caller.structured_predict(Engine, kit.template, what="it"),
        id="structured_predict.function",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: list(
            kit.llm.stream_structured_predict(Engine, kit.template, what="it")
        ),
        id="stream_structured_predict",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: [
            dict(part)
            for part in kit.caller.stream_structured_predict(
                Engine, kit.template, what="it"
            )
        ],
        id="stream_structured_predict.function",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.structured().chat(kit.prompt).raw,
        id="as_structured_llm.chat",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: kit.structured(kit.caller).chat(kit.prompt).raw,
        id="as_structured_llm.chat.function",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.structured().complete(kit.text).text,
        id="as_structured_llm.complete",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: [part.raw for part in kit.structured().stream_chat(kit.prompt)],
        id="as_structured_llm.stream_chat",
    ),
    pytest.param(
        SAY, lambda kit: kit.queries().query(QUESTION).response, id="query_engine"
    ),
    pytest.param(
        SAY,
        lambda kit: str(kit.queries(streaming=True).query(QUESTION)),
        id="query_engine.streaming",
    ),
    pytest.param(
        ["One.", "Two.", "Three.", "Four."],
        lambda kit: kit.queries(ResponseMode.REFINE).query(QUESTION).response,
        id="query_engine.refine",
    ),
    pytest.param(
        SAY,
        lambda kit: kit.queries(ResponseMode.TREE_SUMMARIZE).query(QUESTION).response,
        id="query_engine.tree_summarize",
    ),
    pytest.param(
        [say] * 4,
        lambda kit: kit.queries(ResponseMode.ACCUMULATE).query(QUESTION).response,
        id="query_engine.accumulate",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.queries(llm=kit.structured()).query(QUESTION).response,
        id="query_engine.structured",
    ),
    pytest.param(SAY, with_settings, id="Settings.llm"),
    *(
        pytest.param(
            [f"Answer {number}." for number in range(1, 5)],
            lambda kit, walk=walk, kind=kind: walk(kit, kind),
            id=f"{kind.__name__}.{name}",
        )
        for kind in (SimpleChatEngine, ContextChatEngine, CondensePlusContextChatEngine)
        for name, walk in (("chat", talk), ("stream_chat", talk_streaming))
    ),
]

ASYNC = [
    pytest.param(SAY, lambda kit: kit.llm.achat(kit.prompt), id="achat"),
    pytest.param(
        SAY, lambda kit: listed(kit.llm.astream_chat(kit.prompt)), id="astream_chat"
    ),
    pytest.param(SAY, lambda kit: kit.llm.acomplete(kit.text), id="acomplete"),
    pytest.param(
        SAY,
        lambda kit: listed(kit.llm.astream_complete(kit.text)),
        id="astream_complete",
    ),
    pytest.param(
        CALL,
        lambda kit: kit.llm.achat_with_tools([TOOL], chat_history=kit.prompt),
        id="achat_with_tools",
    ),
    pytest.param(
        CALL,
        lambda kit: listed(
            kit.llm.astream_chat_with_tools([TOOL], chat_history=kit.prompt)
        ),
        id="astream_chat_with_tools",
    ),
    pytest.param(
        SAY, lambda kit: kit.llm.apredict(kit.template, what="it"), id="apredict"
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.llm.astructured_predict(Engine, kit.template, what="it"),
        id="astructured_predict",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: kit.caller.astructured_predict(Engine, kit.template, what="it"),
        id="astructured_predict.function",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: listed(
            kit.llm.astream_structured_predict(Engine, kit.template, what="it")
        ),
        id="astream_structured_predict",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: listed(
            kit.caller.astream_structured_predict(Engine, kit.template, what="it")
        ),
        id="astream_structured_predict.function",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.structured().achat(kit.prompt),
        id="as_structured_llm.achat",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: listed(kit.structured().astream_chat(kit.prompt)),
        id="as_structured_llm.astream_chat",
    ),
    pytest.param(
        SAY, lambda kit: kit.queries().aquery(QUESTION), id="query_engine.aquery"
    ),
    pytest.param(LOOP, lambda kit: run(kit.agent()), id="FunctionAgent"),
    pytest.param(
        LOOP,
        lambda kit: run(kit.agent(streaming=False)),
        id="FunctionAgent.not_streaming",
    ),
    pytest.param(
        [*LOOP, "In 1911."],
        lambda kit: run_twice(kit.agent()),
        id="FunctionAgent.twice",
    ),
    pytest.param(
        SEARCH, lambda kit: run(agent_with_queries(kit)), id="FunctionAgent.queries"
    ),
    pytest.param(HANDED, lambda kit: run(workflow(kit)), id="AgentWorkflow.handoff"),
    pytest.param(
        [REACT, REACTED], lambda kit: run(kit.agent(ReActAgent)), id="ReActAgent"
    ),
    pytest.param(
        [REACT, REACTED],
        lambda kit: run(kit.agent(ReActAgent, streaming=False)),
        id="ReActAgent.not_streaming",
    ),
    *(
        pytest.param(
            [f"Answer {number}." for number in range(1, 5)],
            lambda kit, walk=walk, kind=kind: walk(kit, kind),
            id=f"{kind.__name__}.{name}",
        )
        for kind in (SimpleChatEngine, ContextChatEngine, CondensePlusContextChatEngine)
        for name, walk in (("achat", atalk), ("astream_chat", atalk_streaming))
    ),
]


@pytest.fixture
def kits(make_plain, make_cached, head, shelf):
    """Return what to walk a path with, stock and cached."""
    return Kit(make_plain, head, shelf), Kit(make_cached, head, shelf)


@pytest.fixture
def check(rows_of, events, strip, assert_settled, request):
    """Return a function that compares what a path did with what the stock one did."""

    def compare(receipts, expected, result):
        plain_rows, rows = rows_of("plain"), rows_of("cached")

        assert rows
        assert {row.status for row in rows} == {200}
        assert len(receipts) == len(rows) == len(plain_rows)
        assert [type(event) for event in events] == [Settled] * len(rows)
        assert_settled(receipts, rows)
        assert {receipt.attempts for receipt in receipts} == {1}
        assert bodies(rows, strip) == bodies(plain_rows, strip)
        if not ONE_SHOT.search(request.node.callspec.id):
            assert sum(row.cache_read_input_tokens for row in rows) > 0
        assert len(receipted(result)) == answers_in(result)
        assert shape(result) == shape(expected)

    return compare


@pytest.fixture
def same_traces(told, opened):
    """Return a function that compares the traces of two kinds of LLM.

    Those of ours have an event more for each receipt, and nothing else.
    """

    def compare(receipts, mark):
        stock, ours = told[: mark[0]], told[mark[0] :]
        extra = [event for event in ours if isinstance(event, PromptCacheEvent)]
        rest = [event for event in ours if not isinstance(event, PromptCacheEvent)]

        assert kinds(stock) == kinds(rest)
        assert names(opened.names[: mark[1]]) == names(opened.names[mark[1] :])
        assert not opened.open
        told_of = Counter(event.receipt["id"] for event in extra)
        assert told_of == Counter(receipt.id for receipt in receipts)
        llms = {event.llm_span_id for event in extra}
        assert llms <= {id_ for id_ in opened.names if id_.startswith("PromptCached")}

    return compare


@pytest.mark.parametrize(("answers", "walk"), SYNC)
def test_sync_path(
    answers, walk, kits, emulator, collecting, check, told, opened, same_traces
):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check(receipts, expected, result)
    same_traces(receipts, mark)


@pytest.mark.parametrize(("answers", "walk"), ASYNC)
async def test_async_path(
    answers, walk, kits, emulator, collecting, check, told, opened, same_traces
):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [await walked(walk, stock, answers, emulator) for _ in range(2)]
    await settled(opened)
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [await walked(walk, ours, answers, emulator) for _ in range(2)]
    await settled(opened)

    check(receipts, expected, result)
    same_traces(receipts, mark)


async def settled(opened):
    """Wait until the tasks that an agent leaves behind have closed their spans."""
    for _ in range(200):
        if not opened.open:
            return
        await asyncio.sleep(0.005)


def walked(walk, kit, answers, emulator):
    emulator.answers.clear()
    for answer in answers:
        emulator.answers.push(answer)
    return walk(kit)


def bodies(rows, strip):
    return sorted((strip(row.body) for row in rows), key=str)


def kinds(events):
    return Counter(type(event).__name__ for event in events)


def names(spans):
    """Return the methods of spans; the class in a name is that of the LLM."""
    return Counter(re.sub(r"^.*?(\w+)-[0-9a-f-]{36}$", r"\1", name) for name in spans)


def responses_in(result):
    if isinstance(result, (ChatResponse, CompletionResponse)):
        yield result
    elif isinstance(result, (list, tuple)):
        for item in result:
            yield from responses_in(item)


def receipted(result):
    return [it for it in responses_in(result) if OPTION in it.additional_kwargs]


def answers_in(result):
    """Return how many answers of a model are in a result, streams counted once.

    Those of a `StructuredLLM` are its own, made from an instance.
    """
    return sum(
        any(not isinstance(it.raw, BaseModel) for it in responses_in(one))
        for one in result
    )


def shape(result):
    """Return what two results have in common if they say the same."""
    if isinstance(result, ChatResponse):
        usage = result.message.additional_kwargs.get("usage") or {}
        return (
            type(result).__name__,
            [block.model_dump() for block in result.message.blocks],
            result.delta,
            result.message.additional_kwargs.get("stop_reason"),
            usage.get("output_tokens"),
            list(result.raw) if isinstance(result.raw, dict) else type(result.raw),
        )
    if isinstance(result, CompletionResponse):
        return type(result).__name__, result.text, result.delta
    if isinstance(result, (list, tuple)):
        return [shape(item) for item in result]
    if isinstance(result, BaseModel):
        return result.model_dump()
    return str(getattr(result, "response", result))
