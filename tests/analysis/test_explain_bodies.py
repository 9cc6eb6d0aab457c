"""Whose requests those of a file are, and when they are sent."""

import pytest

from promptcache import OptionError
from promptcache.analysis.explain.bodies import asked
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.gemini import GEMINI
from promptcache.providers.openai import CHAT, RESPONSES

CLAUDE, GPT, FLASH = "claude-sonnet-5-5", "gpt-6-sol", "gemini-2.5-flash"
HELLO = [{"role": "user", "content": "hello"}]
FUNCTION = {
    "type": "function",
    "function": {
        "name": "cd",
        "description": "Change.",
        "parameters": {"type": "object"},
    },
}
TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Go home."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "cd", "arguments": '{"to": "~"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
    {"role": "assistant", "content": "You are home."},
]


def read(given, model=None, host=None):
    return list(asked(given, model=model, host=host))


@pytest.mark.parametrize(
    ("body", "model", "provider", "host"),
    [
        pytest.param({"messages": HELLO}, CLAUDE, ANTHROPIC, "anthropic", id="claude"),
        pytest.param({"messages": HELLO}, GPT, CHAT, "openai", id="chat"),
        pytest.param({"input": "hello"}, GPT, RESPONSES, "openai", id="responses"),
        pytest.param({"contents": []}, FLASH, GEMINI, "developer", id="gemini"),
        pytest.param(
            {"messages": HELLO, "system": "s"}, "own", ANTHROPIC, "anthropic", id="own"
        ),
        pytest.param({"messages": HELLO}, "own", CHAT, "openai", id="own chat"),
        pytest.param({"messages": HELLO}, f"openai:{GPT}", CHAT, "openai", id="colon"),
    ],
)
def test_whose_it_is(body, model, provider, host):
    """The shape of a body tells its API, and the model whose it is."""
    (said,) = read({**body, "model": model})
    (given,) = read(body, model=model)

    assert (said.provider, said.host) == (provider, host)
    assert said == given
    assert said.model == model.rpartition(":")[2]


def test_times():
    """A request without a time comes a minute after the one before."""
    one = {"model": CLAUDE, "messages": HELLO}
    found = read([one, {**one, "at": 500}, one, {**one, "at": 560}])

    assert [it.at for it in found] == [0, 500, 560, 560]
    assert all("at" not in it.body for it in found)


def test_a_conversation_is_a_request_for_each_answer():
    """Messages that end with an answer are asked for one answer after the other."""
    found = read({"messages": TALK, "at": 30}, model=GPT)

    assert [len(it.body["messages"]) for it in found] == [2, 4]
    assert [it.at for it in found] == [30, 90]


def test_a_greeting_is_no_answer():
    """What the model said before anybody else was not asked for."""
    greeting = {"role": "assistant", "content": "Hi."}
    (found,) = read([greeting, *HELLO, greeting], model=CLAUDE)

    assert found.body["messages"] == [greeting, *HELLO]


def test_a_list_of_messages():
    """A list of messages, alone or on a line, is what their object would be."""
    alone, lines = read(TALK, model=GPT), read([TALK, TALK[:2]], model=GPT)

    assert alone == read({"messages": TALK}, model=GPT)
    assert [len(it.body["messages"]) for it in lines] == [2, 4, 2]


def test_prefilled_answers_are_one_request():
    """A body whose last message is the beginning of its answer is sent as it is."""
    prefilled = [*HELLO, {"role": "assistant", "content": "{"}]
    body = {"model": CLAUDE, "max_tokens": 5, "messages": prefilled}

    assert [it.body for it in read(body)] == [body]


def test_messages_for_anthropic():
    """Messages in OpenAI's form become those of the Messages API."""
    talk = {"messages": TALK, "tools": [FUNCTION], "session": 7, "max_tokens": 9}
    *_, last = read(talk, model=CLAUDE)

    assert last.provider is ANTHROPIC
    assert {*last.body} == {"model", "messages", "tools", "system", "max_tokens"}
    assert last.body["system"] == [{"type": "text", "text": "Be kind."}]
    assert last.body["tools"] == [
        {"name": "cd", "description": "Change.", "input_schema": {"type": "object"}}
    ]
    assert last.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Go home."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c1", "name": "cd", "input": {"to": "~"}}
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "done"}
            ],
        },
    ]


def test_results_in_a_row_are_one_turn():
    """Results of several tools are one turn of the user's, the next text another."""
    result = {"role": "tool", "tool_call_id": "c2", "content": "too"}
    said = [*TALK[:4], result, {"role": "user", "content": [{"type": "text"}]}]
    (found,) = read({"messages": said}, model=CLAUDE)

    assert [it["role"] for it in found.body["messages"]] == [
        "user",
        "assistant",
        "user",
        "user",
    ]
    assert len(found.body["messages"][2]["content"]) == 2


def test_arguments_that_are_no_json():
    """What a model called with broken arguments is kept as it was."""
    call = {"id": "c", "function": {"name": "f", "arguments": "{oops"}}
    said = [*HELLO, {"role": "assistant", "tool_calls": [call]}, TALK[3]]
    (found,) = read(
        {"messages": said, "tools": [{"name": "g"}, 7, {"function": {"name": "h"}}]},
        model=CLAUDE,
    )

    assert found.body["messages"][1]["content"][0]["input"] == {"arguments": "{oops"}
    assert found.body["tools"] == [
        {"name": "g"},
        7,
        {"name": "h", "input_schema": {}},
    ]


def test_bodies_are_not_written_to():
    """What a caller gives stays as it is."""
    given = {"messages": [*TALK], "tools": [FUNCTION], "at": 3}
    copy = {**given, "messages": [*TALK], "tools": [{**FUNCTION}]}
    read(given, model=CLAUDE)

    assert given == copy


@pytest.mark.parametrize(
    ("given", "model", "host", "says"),
    [
        pytest.param(7, None, None, "request 1", id="number"),
        pytest.param([{"model": GPT}], None, None, "`request 1`", id="no messages"),
        pytest.param({}, GPT, None, "a list of messages", id="empty"),
        pytest.param({"messages": HELLO}, None, None, "name of a model", id="model"),
        pytest.param({"messages": HELLO}, FLASH, None, "`contents`", id="gemini"),
        pytest.param({"messages": HELLO}, CLAUDE, "moon", "vertex", id="host"),
        pytest.param(
            {"messages": HELLO, "at": "noon"}, GPT, None, "time in seconds", id="at"
        ),
        pytest.param(
            {"messages": HELLO, "at": float("nan")}, GPT, None, "seconds", id="nan"
        ),
        pytest.param(
            [{"messages": HELLO, "at": 50}, {"messages": HELLO, "at": 10}],
            GPT,
            None,
            "request 2",
            id="order",
        ),
    ],
)
def test_what_is_no_request(given, model, host, says):
    """What cannot be read is an error that says where, and what would do."""
    with pytest.raises(OptionError, match=says):
        read(given, model=model, host=host)
