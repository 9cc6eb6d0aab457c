"""Every way into a Gemini, on both hosts on which LangChain reaches it."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableParallel
from langchain_google_genai import HarmBlockThreshold, HarmCategory
from langchain_kit import (
    CALL,
    ENGINE,
    ENGINE_CALL,
    Engine,
    listed,
    look_up,
    with_structure,
)
from langchain_paths import ASYNC, ECHO, ECHOES, SYNC, WITHOUT_MESSAGES

from promptcache.emulator import Json

__all__ = ["ASYNC_PATHS", "SYNC_PATHS", "WITHOUT"]

PICTURE = "data:image/png;base64,iVBORw0KGgo="
SAFETY = {HarmCategory.HARM_CATEGORY_HARASSMENT: HarmBlockThreshold.BLOCK_ONLY_HIGH}
CHOSEN = {"function_calling_config": {"mode": "ANY"}}
SCHEMA = {
    "response_mime_type": "application/json",
    "response_schema": Engine.model_json_schema(),
}


def parallel(kit):
    shorter = kit.model.bind(max_output_tokens=99)
    return RunnableParallel(first=kit.model, second=shorter)


def asked_with_a_picture(kit):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "text", "text": "And when was it built?"},
    ]
    return [kit.head, HumanMessage(parts)]


def asked_after_a_call(kit):
    call = {"name": "look_up", "args": {"name": "T 9"}, "id": "call_1"}
    return [
        *kit.prompt,
        AIMessage("Let me see.", tool_calls=[call]),
        ToolMessage("Built in 1911. " * 40, tool_call_id="call_1"),
    ]


def thinking(kit, **said):
    return kit.make(model="gemini-2.5-flash", include_thoughts=True, **said)


OWN = [
    pytest.param(
        ECHOES[:2], lambda kit: parallel(kit).invoke(kit.prompt), id="RunnableParallel"
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, method="json_mode").invoke(kit.prompt),
        id="json_mode",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: list(with_structure(kit, method="json_mode").stream(kit.prompt)),
        id="json_mode.stream",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: kit.model.with_structured_output(
            Engine, "function_calling", include_raw=True
        ).invoke(kit.prompt),
        id="method_by_position",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.make(**SCHEMA).invoke(kit.prompt),
        id="response_schema",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.bind_tools([look_up], tool_choice="none").invoke(
            kit.prompt
        ),
        id="tool_choice=none",
    ),
    pytest.param(
        [CALL],
        lambda kit: kit.model.bind_tools([look_up], tool_choice="look_up").invoke(
            kit.prompt
        ),
        id="tool_choice=look_up",
    ),
    pytest.param(
        [CALL],
        lambda kit: list(
            kit.model.bind_tools([look_up], tool_choice="any").stream(kit.prompt)
        ),
        id="tool_choice=any.stream",
    ),
    pytest.param(
        [CALL],
        lambda kit: kit.model.bind_tools([look_up], CHOSEN).invoke(kit.prompt),
        id="tool_config_by_position",
    ),
    pytest.param(
        ["In 1911."],
        lambda kit: kit.model.bind_tools([look_up]).invoke(asked_after_a_call(kit)),
        id="tool_result",
    ),
    pytest.param(
        ECHO,
        lambda kit: thinking(kit, thinking_budget=512).invoke(kit.prompt),
        id="thinking_budget",
    ),
    pytest.param(
        ECHO,
        lambda kit: list(thinking(kit).stream(kit.prompt, thinking_budget=0)),
        id="thinking_budget.stream",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(thinking_level="low").invoke(kit.prompt),
        id="thinking_level",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(safety_settings=SAFETY).invoke(kit.prompt),
        id="safety_settings",
    ),
    pytest.param(
        ECHO,
        lambda kit: list(kit.model.stream(kit.prompt, safety_settings=SAFETY)),
        id="safety_settings.stream",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.invoke(asked_with_a_picture(kit)),
        id="picture",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.invoke(
            kit.prompt, generation_config={"top_k": 7, "seed": 11}
        ),
        id="generation_config",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(timeout=30).invoke(kit.prompt),
        id="timeout",
    ),
]

OWN_ASYNC = [
    pytest.param(
        ECHOES[:2],
        lambda kit: parallel(kit).ainvoke(kit.prompt),
        id="RunnableParallel.ainvoke",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, method="json_mode").ainvoke(kit.prompt),
        id="json_mode.ainvoke",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: with_structure(
            kit, method="function_calling", include_raw=True
        ).ainvoke(kit.prompt),
        id="function_calling.ainvoke",
    ),
    pytest.param(
        [CALL],
        lambda kit: kit.model.bind_tools([look_up], tool_choice="any").ainvoke(
            kit.prompt
        ),
        id="tool_choice=any.ainvoke",
    ),
    pytest.param(
        ECHO,
        lambda kit: listed(thinking(kit, thinking_budget=512).astream(kit.prompt)),
        id="thinking_budget.astream",
    ),
    pytest.param(
        ECHO,
        lambda kit: listed(kit.model.astream(asked_with_a_picture(kit))),
        id="picture.astream",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(safety_settings=SAFETY).ainvoke(kit.prompt),
        id="safety_settings.ainvoke",
    ),
]

OTHERS = {"RunnableParallel", "RunnableParallel.ainvoke"}
"""Paths that name the limit of an answer as LangChain's class for Gemini does not."""

WITHOUT = {*WITHOUT_MESSAGES, "json_mode", "json_mode.ainvoke", "json_mode.stream"}


OF_VERTEX = {
    "RunnableParallel.ainvoke",
    "abatch",
    "ainvoke",
    "astream",
    "astream_events_v3",
    "batch",
    "bind_tools",
    "bind_tools.astream",
    "create_agent",
    "create_agent.ainvoke",
    "create_agent.stream_messages",
    "function_calling",
    "include_raw.stream",
    "init_chat_model.create_agent",
    "invoke",
    "json_schema",
    "json_schema.ainvoke",
    "picture",
    "sequence.stream",
    "stream",
    "thinking_budget.stream",
    "tool_choice=any.ainvoke",
    "tool_result",
}
"""Paths that are walked on Vertex AI, too; what LangChain sends there is the same."""


def on_both_hosts(paths):
    """Return paths with the host that each is walked on."""
    return [
        pytest.param(host, *path.values, id=f"{host}-{path.id}", marks=path.marks)
        for path in paths
        for host in ("developer", "vertex")
        if host == "developer" or path.id in OF_VERTEX
    ]


SYNC_PATHS = on_both_hosts([*(it for it in SYNC if it.id not in OTHERS), *OWN])
ASYNC_PATHS = on_both_hosts([*(it for it in ASYNC if it.id not in OTHERS), *OWN_ASYNC])
