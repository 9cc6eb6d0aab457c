"""Markers that others have set: never refused, and the next request still reads."""

from itertools import pairwise

import anthropic
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool

from promptcache.receipts.events import MarkersChanged

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}

NEARLY = 60
"""Tokens by which a reading may miss the previous request's total: its last frame."""


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911. " * 40


@tool(extras={"cache_control": HOUR})
def marked_tool(name: str) -> str:
    """Look up an engine in the museum's catalog."""
    return f"{name} was built in 1912. " * 40


CATALOG = {
    "name": "catalog",
    "description": "The catalog of the museum.",
    "input_schema": {"type": "object"},
}


def call(number):
    return {
        "type": "tool_use",
        "id": f"toolu_{number}",
        "name": "look_up",
        "input": {"name": f"T {number}"},
    }


def text(said, marker=None):
    block = {"type": "text", "text": said}
    return block if marker is None else {**block, "cache_control": marker}


def human(*blocks):
    return HumanMessage(list(blocks))


def tool_turn(content):
    """Return a turn in which a tool was called and answered."""
    calls = [{"name": "look_up", "args": {"name": "T 9"}, "id": "toolu_1"}]
    return [
        HumanMessage("What is a T 9?"),
        AIMessage("Let me see.", tool_calls=calls),
        ToolMessage(content, tool_call_id="toolu_1"),
    ]


@pytest.fixture
def check(rows_of, markers):
    """Return a function that checks the requests of one growing conversation."""

    def growing(*, first=0, slack=NEARLY):
        rows = rows_of("cached")
        assert {(row.status, row.error) for row in rows} == {(200, None)}
        assert all(len(markers(row.body)) <= 4 for row in rows)
        assert len(rows) > first + 1
        for before, row in pairwise(rows[first:]):
            assert row.cache_read_input_tokens >= before.total_input_tokens - slack
        return rows

    return growing


def talk(model, messages, turns=3):
    """Ask again and again, each time with the answer before."""
    said = list(messages)
    for number in range(turns):
        said.append(model.invoke(said))
        said.append(HumanMessage(f"Go on, please. This is question {number}."))


# What the caller marks, and which markers must be there in the end.
PLACES = [
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage([text(system, MARK)]), HumanMessage("Hello")],
        ),
        {"system[0]": "5m"},
        id="system",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage([text(system, HOUR)]), HumanMessage("Hello")],
        ),
        {"system[0]": "1h"},
        id="system_1h",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage([text(system, HOUR), text("Be brief.")]), human(text("Hi"))],
        ),
        {"system[0]": "1h"},
        id="system_first_block",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([marked_tool]),
            [SystemMessage(system), HumanMessage("Hello")],
        ),
        {"tools[0]": "1h"},
        id="tool_extras",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([{**CATALOG, "cache_control": MARK}]),
            [SystemMessage(system), HumanMessage("Hello")],
        ),
        {"tools[0]": "5m"},
        id="tool_dict",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage(system), human(text("See this."), text("Hello", MARK))],
        ),
        {"messages[0].content[1]": "5m"},
        id="human",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage(system), human(text("See this.", HOUR), text("Hello"))],
        ),
        {"messages[0].content[0]": "1h", "system[0]": "1h"},
        id="human_1h",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage(system), *tool_turn([text("Built in 1911.", MARK)])],
        ),
        {"messages[2].content[0]": "5m"},
        id="tool_message",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [
                SystemMessage(system),
                *tool_turn([text("Built in 1911.", MARK), text("In Berlin.")]),
            ],
        ),
        {"messages[2].content[0]": "5m"},
        id="tool_message_part",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [
                SystemMessage(system),
                HumanMessage("Hello"),
                AIMessage([text("Good day.", MARK)]),
                HumanMessage("What is a T 9?"),
            ],
        ),
        {"messages[1].content[0]": "5m"},
        id="assistant",
    ),
    pytest.param(
        lambda model, system: (
            model.bind(cache_control=MARK, tools=[]),
            [SystemMessage(system), HumanMessage("Hello")],
        ),
        {"top": "5m"},
        id="automatic",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up], cache_control=HOUR),
            [SystemMessage(system), HumanMessage("Hello")],
        ),
        {"top": "1h"},
        id="automatic_1h",
    ),
    pytest.param(
        lambda model, system: (
            model.model_copy(update={"model_kwargs": {"cache_control": MARK}}),
            [SystemMessage(system), HumanMessage("Hello")],
        ),
        {"top": "5m"},
        id="model_kwargs",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up], cache_control=MARK),
            [
                SystemMessage([text(system, HOUR)]),
                human(text("One", MARK), text("Two", MARK), text("Three")),
            ],
        ),
        {
            "system[0]": "1h",
            "messages[0].content[0]": "5m",
            "messages[0].content[1]": "5m",
            "top": "5m",
        },
        id="four",
    ),
]


@pytest.mark.parametrize(("asking", "kept"), PLACES)
def test_legal_markers_stay(asking, kept, cached, head, check, markers, events):
    """A marker of the caller keeps its place and lifetime in every request."""
    model, messages = asking(cached, head.content)
    talk(model, messages)
    rows = check()

    for row in rows:
        assert kept.items() <= markers(row.body).items()
    assert not [event for event in events if isinstance(event, MarkersChanged)]


# What the provider would refuse, and what becomes of it: dropped, shortened.
REFUSED = [
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [
                SystemMessage([text(system, MARK)]),
                human(*(text(f"Part {number}.", MARK) for number in range(6))),
            ],
        ),
        3,
        0,
        id="seven",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([marked_tool], cache_control=MARK),
            [
                SystemMessage([text(system, HOUR)]),
                human(text("One", MARK), text("Two", MARK), text("Three")),
            ],
        ),
        1,
        0,
        id="automatic_and_four",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage([text(system, MARK)]), human(text("Hello", HOUR))],
        ),
        0,
        1,
        id="1h_after_5m",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up], cache_control=HOUR),
            [SystemMessage([text(system, MARK)]), human(text("Hello"))],
        ),
        0,
        1,
        id="automatic_1h_after_5m",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [
                SystemMessage(system),
                HumanMessage("Hello"),
                AIMessage(
                    [
                        {
                            "type": "thinking",
                            "thinking": "Hm.",
                            "signature": "c2ln",
                            "cache_control": MARK,
                        },
                        text("Good day."),
                    ]
                ),
                HumanMessage("What is a T 9?"),
            ],
        ),
        1,
        0,
        id="thinking",
    ),
    pytest.param(
        lambda model, system: (
            model.bind_tools([look_up]),
            [SystemMessage(system), human(text("Hello", {"type": "eternal"}))],
        ),
        1,
        0,
        id="unknown_type",
    ),
]


@pytest.mark.parametrize(("asking", "dropped", "shortened"), REFUSED)
def test_illegal_markers_are_mended(
    asking, dropped, shortened, cached, plain, head, check, events, rows_of
):
    """What would be refused is mended with an event; stock LangChain is refused."""
    model, messages = asking(cached, head.content)
    talk(model, messages)
    check()
    changed = [event for event in events if isinstance(event, MarkersChanged)]

    assert len(changed[0].dropped) == dropped
    assert len(changed[0].shortened) == shortened
    stock, messages = asking(plain, head.content)
    with pytest.raises(anthropic.BadRequestError, match=r"cache_control|ttl"):
        stock.invoke(messages)
    assert [row.status for row in rows_of("plain")] == [400]


def run_agent(agent, emulator, answers, question="Tell me of the engines."):
    for answer in answers:
        emulator.answers.push(answer)
    agent.invoke({"messages": [("user", question)]})


LOOP = [[call(1)], [call(2)], [call(3), call(4)], [call(5)], "Four engines."]


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_langchains_own_middleware(ttl, cached, head, emulator, check, markers):
    """Behind LangChain's own caching middleware its markers stay, and ours help."""
    agent = create_agent(
        cached,
        [look_up],
        system_prompt=head.content,
        middleware=[AnthropicPromptCachingMiddleware(ttl=ttl)],
    )
    run_agent(agent, emulator, LOOP)
    rows = check()

    assert len(rows) == 5
    for row in rows:
        assert markers(row.body)["top"] == ttl
        assert markers(row.body)["system[0]"] == ttl
        assert markers(row.body)["tools[0]"] == ttl


def test_deep_agent_with_memory(cached, head, emulator, check, tmp_path, markers):
    """A deep agent with memory sets all four markers; one of the user's is too many."""
    deepagents = pytest.importorskip("deepagents", reason="it needs Python 3.11")
    backends = pytest.importorskip("deepagents.backends")
    (tmp_path / "AGENTS.md").write_text("The museum is closed on Mondays. " * 20)
    agent = deepagents.create_deep_agent(
        cached,
        [look_up],
        system_prompt=head.content,
        memory=["/AGENTS.md"],
        backend=backends.FilesystemBackend(root_dir=tmp_path, virtual_mode=True),
    )
    question = [text("You are asked by a visitor.", MARK), text("Tell me more.")]
    run_agent(agent, emulator, LOOP, question=question)
    rows = check()

    assert len(rows) == 5
    assert all(len(markers(row.body)) == 4 for row in rows)


def test_many_parallel_calls(cached, head, emulator, check):
    """Twelve tool calls in one turn do not push the previous entry out of reach."""
    agent = create_agent(cached, [look_up], system_prompt=head.content)
    twelve = [call(number) for number in range(12)]
    more = [call(number) for number in range(20, 32)]
    run_agent(agent, emulator, [[call(99)], twelve, more, "Twenty-four engines."])

    assert len(check()) == 4


def test_volatile_end(cached, head, emulator, check):
    """Text that a middleware adds to each last message costs that message, no more."""
    stamps = iter(range(100))

    @wrap_model_call
    def stamped(request, handler):
        note = HumanMessage(f"It is minute {next(stamps)} of the visit.")
        return handler(request.override(messages=[*request.messages, note]))

    agent = create_agent(
        cached, [look_up], system_prompt=head.content, middleware=[stamped]
    )
    run_agent(agent, emulator, [[call(number)] for number in range(8)] + ["Eight."])
    rows = check(first=1, slack=400)

    last_result = 290
    for before, row in pairwise(rows[2:]):
        lost = before.total_input_tokens - row.cache_read_input_tokens
        assert lost <= last_result + NEARLY


def test_jump(cached, head, check):
    """Thirty messages more than before are further than the look-back reaches."""
    model = cached.bind_tools([look_up])
    messages = [head, HumanMessage("Hello")]
    for number in range(15):
        messages.append(AIMessage(f"Answer {number}."))
        messages.append(HumanMessage(f"Question {number}?"))
    model.invoke(messages)
    for number in range(15):
        messages.append(AIMessage(f"Later answer {number}."))
        messages.append(HumanMessage(f"Later question {number}?"))
    model.invoke(messages)

    assert len(check()) == 2
