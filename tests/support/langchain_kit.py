"""What a path into a chat model is walked with, and the steps that several share."""

from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableParallel
from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

QUESTIONS = ("Who built it?", "When was it built?", "Where does it stand?")


class Engine(BaseModel):
    """An engine of the museum."""

    name: str
    year: int


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911. " * 40


# Ids are given, so that both runs send the same bodies.
CALL = {
    "type": "tool_use",
    "id": "toolu_01",
    "name": "look_up",
    "input": {"name": "T 9"},
}
ENGINE = {"name": "T 9", "year": 1911}
ENGINE_CALL = {"type": "tool_use", "id": "toolu_02", "name": "Engine", "input": ENGINE}


@dataclass
class Kit:
    """What a path is walked with: models of one kind, in one workspace."""

    make: Any
    """Makes a model of this kind, cached or not."""
    wrap: Any
    """Makes a runnable cached, or leaves it."""
    arguments: dict[str, Any]
    head: BaseMessage
    provider: str
    """What LangChain calls who makes the model."""

    @property
    def model(self):
        return self.make()

    @property
    def prompt(self):
        return [self.head, HumanMessage(QUESTIONS[0])]

    @property
    def prompts(self):
        return [[self.head, HumanMessage(question)] for question in QUESTIONS]

    def agent(self):
        return create_agent(self.model, [look_up], system_prompt=self.head.content)

    def configurable(self):
        model = init_chat_model(
            model_provider=self.provider,
            configurable_fields=("model", "max_tokens"),
            **self.arguments,
        )
        return self.wrap(model)


def echo(body):
    """Answer by the question, so that requests may come in any order."""
    if "contents" in body:
        return f"You asked: {body['contents'][-1]['parts'][-1]['text']}"
    asked = body["messages"] if "messages" in body else body["input"]
    content = asked[-1]["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    return f"You asked: {text}"


ASKED = {"messages": [("user", QUESTIONS[0])]}
CHAIN = ChatPromptTemplate.from_messages(
    [("placeholder", "{head}"), ("user", "{question}")]
)
TEMPLATE = CHAIN.partial(question=QUESTIONS[0])
FEWER = {"configurable": {"max_tokens": 99}}


def with_structure(kit, **kwargs):
    return kit.model.with_structured_output(Engine, **kwargs)


def retrying(kit):
    return kit.model.with_retry(stop_after_attempt=2)


def falling_back(kit):
    return kit.model.with_fallbacks([kit.model])


def sequence(kit):
    return CHAIN | kit.model | StrOutputParser()


def parallel(kit):
    return RunnableParallel(first=kit.model, second=kit.model.bind(max_tokens=99))


def filled(kit):
    return {"head": [kit.head], "question": QUESTIONS[0]}


def react_agent(kit):
    return create_react_agent(kit.model, [look_up], prompt=kit.head)


def deep_agent(kit):
    deepagents = pytest.importorskip("deepagents", reason="it needs Python 3.11")
    return deepagents.create_deep_agent(
        kit.model, [look_up], system_prompt=kit.head.content
    )


def chunks_of(steps):
    return [chunk for chunk, _ in steps]


def model_chunks(events):
    return [
        event["data"]["chunk"]
        for event in events
        if event["event"] == "on_chat_model_stream"
    ]


async def listed(stream):
    return [item async for item in stream]


async def abatch_as_completed(kit):
    return await listed(kit.model.abatch_as_completed(kit.prompts))


async def astream_events_v2(kit):
    return model_chunks(
        await listed(kit.model.astream_events(kit.prompt, version="v2"))
    )


async def astream_events_v2_of_a_sequence(kit):
    events = sequence(kit).astream_events(filled(kit), version="v2")
    return model_chunks(await listed(events))


async def astream_events_v3(kit):
    stream = await kit.model.astream_events(kit.prompt, version="v3")
    return await stream.output


async def agent_astream(kit):
    steps = await listed(kit.agent().astream(ASKED, stream_mode="messages"))
    return [chunk for chunk in chunks_of(steps) if isinstance(chunk, AIMessageChunk)]


def agent_stream(kit):
    steps = kit.agent().stream(ASKED, stream_mode="messages")
    return [chunk for chunk in chunks_of(steps) if isinstance(chunk, AIMessageChunk)]


def agent_updates(kit):
    return list(kit.agent().stream(ASKED, stream_mode="updates"))
