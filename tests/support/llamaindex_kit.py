"""What LlamaIndex is tested with: LLMs of one kind, and what is built on them."""

from dataclasses import dataclass, field
from functools import cached_property
from time import sleep
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.chat_engine import (
    SimpleChatEngine,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from pydantic import BaseModel

from promptcache.emulator import Json

# All come from LlamaIndex itself, for whoever uses agents or structured output.
IGNORED = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
    pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated"),
    pytest.mark.filterwarnings("ignore:The `json` method is deprecated"),
]

QUESTION = "Who built it?"


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
PARTS = "the answer where structured output is streamed"
CALLED = "the answer where structured output is made by a function"
ENGINE_TEXT = Json(ENGINE)
ENGINE_CALL = calling(1, "Engine", **ENGINE)
TOOL = FunctionTool.from_defaults(look_up)
LOOK_UP = TOOL.metadata.to_openai_tool()


@dataclass
class Kit:
    """What a path is walked with: LLMs of one kind, in one workspace."""

    make: Any
    """Makes an LLM of this kind, cached or not."""
    head: ChatMessage
    shelf: Any
    """A retriever."""
    calling: dict[str, Any]
    """What makes an LLM call a function for structured output."""
    parts: Any = ENGINE_TEXT
    """What the model answers where structured output is streamed."""
    called: Any = field(default_factory=lambda: ENGINE_CALL)
    """What it answers where structured output is made by a function, if it is."""

    @cached_property
    def llm(self):
        return self.make()

    @cached_property
    def caller(self):
        return self.make(**self.calling)

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
        return kind.from_defaults(
            **given, memory=ChatMemoryBuffer.from_defaults(token_limit=100_000)
        )

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
    output = await agent.run(
        QUESTION, memory=ChatMemoryBuffer.from_defaults(token_limit=100_000)
    )
    return output.response.content, [call.tool_name for call in output.tool_calls]


async def run_twice(agent):
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
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


def walked(walk, kit, answers, emulator):
    """Walk a path, with the answers that it needs."""
    emulator.answers.clear()
    known = {PARTS: kit.parts, CALLED: kit.called}
    for answer in answers:
        is_name = isinstance(answer, str)
        emulator.answers.push(known.get(answer, answer) if is_name else answer)
    return walk(kit)


def say(body):
    """Answer by the question, so that requests may come in any order."""
    asked = next(
        body[name] for name in ("messages", "input", "contents") if name in body
    )
    content = asked if isinstance(asked, str) else asked[-1].get("content")
    if content is None:
        content = asked[-1]["parts"]
    text = content if isinstance(content, str) else content[-1]["text"]
    return f"You asked: {text[-20:]}"
