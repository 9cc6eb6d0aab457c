"""Every way into a chat model, whoever provides it.

A path takes a `Kit` and what the model is to answer, and is walked with the stock class
and with ours.
"""

import sys
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import ChatPromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

from promptcache.emulator import Json

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


ECHO = [echo]
ECHOES = [echo] * 3
LOOP = [["Let me see.", CALL], "It was built in 1911."]

SYNC = [
    pytest.param(ECHO, lambda kit: kit.model.invoke(kit.prompt), id="invoke"),
    pytest.param(ECHO, lambda kit: list(kit.model.stream(kit.prompt)), id="stream"),
    pytest.param(ECHOES, lambda kit: kit.model.batch(kit.prompts), id="batch"),
    pytest.param(
        ECHOES,
        lambda kit: list(kit.model.batch_as_completed(kit.prompts)),
        id="batch_as_completed",
    ),
    pytest.param(ECHOES, lambda kit: kit.model.generate(kit.prompts), id="generate"),
    pytest.param(
        ECHO,
        lambda kit: kit.model.generate_prompt([ChatPromptValue(messages=kit.prompt)]),
        id="generate_prompt",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.stream_events(kit.prompt, version="v3").output,
        id="stream_events_v3",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(streaming=True).invoke(kit.prompt),
        id="streaming=True",
    ),
    pytest.param(
        ["It ", "runs."],
        lambda kit: [
            kit.model.bind(stop=["."]).invoke(kit.prompt),
            kit.model.invoke(kit.prompt, stop=["."]),
        ],
        id="stop",
    ),
    pytest.param(
        [CALL],
        lambda kit: kit.model.bind_tools([look_up]).invoke(kit.prompt),
        id="bind_tools",
    ),
    pytest.param(
        [["Let me see.", CALL]],
        lambda kit: list(kit.model.bind_tools([look_up]).stream(kit.prompt)),
        id="bind_tools.stream",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: with_structure(kit, method="function_calling").invoke(kit.prompt),
        id="function_calling",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: list(
            with_structure(kit, method="function_calling").stream(kit.prompt)
        ),
        id="function_calling.stream",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, method="json_schema").invoke(kit.prompt),
        id="json_schema",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: list(with_structure(kit, method="json_schema").stream(kit.prompt)),
        id="json_schema.stream",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: with_structure(
            kit, method="function_calling", include_raw=True
        ).invoke(kit.prompt),
        id="include_raw",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: list(
            with_structure(kit, method="json_schema", include_raw=True).stream(
                kit.prompt
            )
        ),
        id="include_raw.stream",
    ),
    pytest.param(ECHO, lambda kit: retrying(kit).invoke(kit.prompt), id="with_retry"),
    pytest.param(
        ECHO, lambda kit: falling_back(kit).invoke(kit.prompt), id="with_fallbacks"
    ),
    pytest.param(
        ECHO,
        lambda kit: list(falling_back(kit).stream(kit.prompt)),
        id="with_fallbacks.stream",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.with_config(tags=["museum"]).invoke(kit.prompt),
        id="with_config",
    ),
    pytest.param(ECHO, lambda kit: sequence(kit).invoke(filled(kit)), id="sequence"),
    pytest.param(
        ECHO,
        lambda kit: list(sequence(kit).stream(filled(kit))),
        id="sequence.stream",
    ),
    pytest.param(
        ECHO,
        lambda kit: (TEMPLATE | kit.model | RunnableLambda(lambda said: said)).invoke(
            {"head": [kit.head]}
        ),
        id="sequence.lambda",
    ),
    pytest.param(
        ECHOES[:2], lambda kit: parallel(kit).invoke(kit.prompt), id="RunnableParallel"
    ),
    pytest.param(LOOP, lambda kit: kit.agent().invoke(ASKED), id="create_agent"),
    pytest.param(LOOP, agent_stream, id="create_agent.stream_messages"),
    pytest.param(LOOP, agent_updates, id="create_agent.stream_updates"),
    pytest.param(
        LOOP,
        lambda kit: react_agent(kit).invoke(ASKED),
        id="create_react_agent",
        # LangGraph has moved it to LangChain, and many still use it.
        marks=pytest.mark.filterwarnings("ignore:create_react_agent has been moved"),
    ),
    pytest.param(LOOP, lambda kit: deep_agent(kit).invoke(ASKED), id="deep_agent"),
    pytest.param(
        ECHO,
        lambda kit: kit.configurable().invoke(kit.prompt, FEWER),
        id="init_chat_model",
    ),
    pytest.param(
        [["Let me see.", CALL]],
        lambda kit: list(
            kit.configurable().bind_tools([look_up]).stream(kit.prompt, FEWER)
        ),
        id="init_chat_model.bind_tools",
    ),
    pytest.param(
        LOOP,
        lambda kit: create_agent(
            kit.configurable(), [look_up], system_prompt=kit.head.content
        ).invoke(ASKED),
        id="init_chat_model.create_agent",
    ),
]

ASYNC = [
    pytest.param(ECHO, lambda kit: kit.model.ainvoke(kit.prompt), id="ainvoke"),
    pytest.param(ECHO, lambda kit: listed(kit.model.astream(kit.prompt)), id="astream"),
    pytest.param(ECHOES, lambda kit: kit.model.abatch(kit.prompts), id="abatch"),
    pytest.param(ECHOES, abatch_as_completed, id="abatch_as_completed"),
    pytest.param(ECHOES, lambda kit: kit.model.agenerate(kit.prompts), id="agenerate"),
    pytest.param(
        ECHO,
        lambda kit: kit.model.agenerate_prompt([ChatPromptValue(messages=kit.prompt)]),
        id="agenerate_prompt",
    ),
    pytest.param(ECHO, astream_events_v2, id="astream_events_v2"),
    pytest.param(
        ECHO, astream_events_v2_of_a_sequence, id="sequence.astream_events_v2"
    ),
    pytest.param(
        ECHO,
        astream_events_v3,
        id="astream_events_v3",
        # It is in beta, and says so to every caller.
        marks=pytest.mark.filterwarnings("ignore:The method .* is in beta"),
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(streaming=True).ainvoke(kit.prompt),
        id="streaming=True.ainvoke",
    ),
    pytest.param(
        [["Let me see.", CALL]],
        lambda kit: listed(kit.model.bind_tools([look_up]).astream(kit.prompt)),
        id="bind_tools.astream",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, method="json_schema").ainvoke(kit.prompt),
        id="json_schema.ainvoke",
    ),
    pytest.param(
        ECHO, lambda kit: retrying(kit).ainvoke(kit.prompt), id="with_retry.ainvoke"
    ),
    pytest.param(
        ECHO,
        lambda kit: listed(falling_back(kit).astream(kit.prompt)),
        id="with_fallbacks.astream",
    ),
    pytest.param(
        ECHO, lambda kit: sequence(kit).ainvoke(filled(kit)), id="sequence.ainvoke"
    ),
    pytest.param(
        ECHOES[:2],
        lambda kit: parallel(kit).ainvoke(kit.prompt),
        id="RunnableParallel.ainvoke",
    ),
    pytest.param(
        LOOP, lambda kit: kit.agent().ainvoke(ASKED), id="create_agent.ainvoke"
    ),
    pytest.param(
        LOOP,
        agent_astream,
        id="create_agent.astream_messages",
        marks=pytest.mark.skipif(
            sys.version_info < (3, 11),
            reason="LangGraph's asynchronous nodes see no context in Python 3.10",
        ),
    ),
    pytest.param(
        LOOP, lambda kit: deep_agent(kit).ainvoke(ASKED), id="deep_agent.ainvoke"
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.configurable().ainvoke(kit.prompt, FEWER),
        id="init_chat_model.ainvoke",
    ),
]

WITHOUT_MESSAGES = {
    "function_calling",
    "function_calling.stream",
    "json_schema",
    "json_schema.ainvoke",
    "json_schema.stream",
    "sequence",
    "sequence.ainvoke",
    "sequence.stream",
}
"""Paths whose result is a parser's, so that receipts are found by collecting."""
