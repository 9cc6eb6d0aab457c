"""Tools of an agent: in one order if that is asked for, and noted if they change."""

import json
import random

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import StructuredTool

from promptcache import OptionError, options


def schema(number, *, turned=False):
    """Return what an MCP server says of a tool, with keys in any order."""
    names = [f"field_{it}" for it in range(4)]
    properties = {
        name: {"type": "string", "description": f"What {name} of {number} is."}
        for name in (reversed(names) if turned else names)
    }
    said = {"type": "object", "properties": properties, "required": names[:2]}
    return dict(reversed(said.items())) if turned else said


def tools(*numbers, turned=False, **extras):
    return [
        StructuredTool(
            name=f"tool_{number}",
            description=f"Does number {number}. " * 20,
            args_schema=schema(number, turned=turned),
            func=lambda **given: str(given),
            **extras,
        )
        for number in numbers
    ]


@pytest.fixture
def ask(prompt):
    """Return a function that asks a model with tools, and gives the receipt."""

    def ask(model, bound, messages=None, **arguments):
        answer = model.bind_tools(bound, **arguments).invoke(messages or prompt())
        return answer.response_metadata["prompt_cache"]

    return ask


def said(metadata):
    """Return what a receipt notes of tools that are not what they were."""
    return [
        it for it in metadata["notes"] if it.startswith(("tools changed", "tools in"))
    ]


def test_any_order_is_read(cached, ask, last_row):
    """Tools in any order, with keys in any order, are read from the cache."""
    numbers, orders = list(range(8)), random.Random(7)
    with options(stable_tools=True):
        ask(cached, tools(*numbers))
        body = json.dumps(last_row().body["tools"])
        for turned in (False, True, False):
            orders.shuffle(numbers)
            told = ask(cached, tools(*numbers, turned=turned))

            assert last_row().cache_read_input_tokens > 2_000
            assert json.dumps(last_row().body["tools"]) == body
            assert "sorted tools" in told["notes"]


def test_off_unless_asked(cached, ask, last_row):
    """Nobody's tools are touched unnamed; the receipt says what their order costs."""
    ask(cached, tools(2, 1, 3))
    told = ask(cached, tools(3, 1, 2))

    names = [it["name"] for it in last_row().body["tools"]]
    assert names == ["tool_3", "tool_1", "tool_2"]
    assert last_row().cache_read_input_tokens == 0
    assert said(told) == [
        "tools in another order than before; stable_tools=True keeps one"
    ]


def test_on_the_class(make_cached, cache, ask, last_row):
    """It may be asked for where the model is bound, and on one call."""
    model = make_cached().bind(prompt_cache={"stable_tools": True})
    ask(model, tools(2, 1))
    first = last_row().body["tools"]
    ask(make_cached(), tools(2, 1), prompt_cache={"stable_tools": True})

    assert [it["name"] for it in first] == ["tool_1", "tool_2"]
    assert last_row().body["tools"] == first


def test_choice_and_server_tools(cached, ask, last_row):
    """A tool that is chosen by name stays chosen, and the provider's tools stay."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    with options(stable_tools=True):
        ask(cached, [search, *tools(2, 1)], tool_choice="tool_2")

    body = last_row().body
    names = [it["name"] for it in body["tools"]]
    assert names == ["tool_1", "tool_2", "web_search"]
    assert body["tool_choice"] == {"type": "tool", "name": "tool_2"}


def test_callers_breakpoint(cached, ask, last_row, markers):
    """A breakpoint of the caller's stays at its place, and covers the same tools."""
    marked = tools(1, extras={"cache_control": {"type": "ephemeral", "ttl": "1h"}})
    with options(stable_tools=True):
        ask(cached, [*tools(3), *marked, *tools(2)])

    names = [it["name"] for it in last_row().body["tools"]]
    assert names == ["tool_1", "tool_3", "tool_2"]
    assert markers(last_row().body)["tools[1]"] == "1h"


def test_changed_tools_are_noted(cached, ask, prompt):
    """Other tools within a conversation are noted; in a new one they are not."""
    talk = [*prompt(), AIMessage("It carries coal."), HumanMessage("And water?")]
    other = prompt("What is a buffer?")

    notes = [
        said(ask(cached, tools(1, 2))),
        said(ask(cached, tools(1, 3, 4), talk)),
        said(ask(cached, tools(5), other)),
        said(ask(cached, tools(1, 3, 4), [*talk, AIMessage("Too."), *other[1:]])),
    ]

    assert notes == [
        [],
        ["tools changed within the conversation: 2 new, 1 gone"],
        [],
        [],
    ]


def test_named_conversation(cached, ask, prompt):
    """A conversation that has a name is known although its history was cut."""
    named = {"prompt_cache": {"conversation": "visit"}}
    start = prompt()
    ask(cached, tools(1), [*start, AIMessage("Coal."), HumanMessage("?")], **named)

    told = ask(
        cached, tools(2), [*start, AIMessage("Cut."), HumanMessage("!")], **named
    )

    assert said(told) == ["tools changed within the conversation: 1 new, 1 gone"]


def test_deferred_tools_change_nothing(cached, ask, prompt):
    """A deferred tool is in no prompt: more of them are no change."""
    search = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search"}
    deferred = {"extras": {"defer_loading": True}}
    talk = [*prompt(), AIMessage("It carries coal."), HumanMessage("And water?")]
    ask(cached, [search, *tools(1), *tools(2, **deferred)])

    told = ask(cached, [search, *tools(1), *tools(2, 3, **deferred)], talk)

    assert said(told) == []


def test_is_a_flag():
    """It is on or off."""
    with (
        pytest.raises(OptionError, match="stable_tools"),
        options(stable_tools="by name"),
    ):
        pass
