"""Every way into an LLM of LlamaIndex, for whichever class is tested.

A path is the answers that the model is to give, and a function of a `Kit`.
"""

import re

import pytest
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.response_synthesizers import ResponseMode
from llamaindex_kit import (
    CALLED,
    ENGINE,
    ENGINE_CALL,
    PARTS,
    QUESTION,
    TOOL,
    Engine,
    agent_with_queries,
    atalk,
    atalk_streaming,
    calling,
    listed,
    run,
    run_twice,
    say,
    talk,
    talk_streaming,
    with_settings,
    workflow,
)

from promptcache.emulator import Json

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
        [CALLED],
        lambda kit: kit.caller.structured_predict(Engine, kit.template, what="it"),
        id="structured_predict.function",
    ),
    pytest.param(
        [PARTS],
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
        [CALLED],
        lambda kit: kit.structured(kit.caller).chat(kit.prompt).raw,
        id="as_structured_llm.chat.function",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.structured().complete(kit.text).text,
        id="as_structured_llm.complete",
    ),
    pytest.param(
        [PARTS],
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
        [CALLED],
        lambda kit: kit.caller.astructured_predict(Engine, kit.template, what="it"),
        id="astructured_predict.function",
    ),
    pytest.param(
        [PARTS],
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
        [PARTS],
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
