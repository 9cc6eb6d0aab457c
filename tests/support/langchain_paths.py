"""Every way into a chat model, whoever provides it.

A path takes a `Kit` and what the model is to answer, and is walked with the stock class
and with ours.
"""

import sys

import pytest
from langchain.agents import create_agent
from langchain_core.prompt_values import ChatPromptValue
from langchain_core.runnables import RunnableLambda
from langchain_kit import (
    ASKED,
    CALL,
    ENGINE,
    ENGINE_CALL,
    FEWER,
    TEMPLATE,
    abatch_as_completed,
    agent_astream,
    agent_stream,
    agent_updates,
    astream_events_v2,
    astream_events_v2_of_a_sequence,
    astream_events_v3,
    deep_agent,
    echo,
    falling_back,
    filled,
    listed,
    look_up,
    parallel,
    react_agent,
    retrying,
    sequence,
    with_structure,
)

from promptcache.emulator import Json

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
