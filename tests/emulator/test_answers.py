"""What the emulated model says."""

import itertools

import pytest

from promptcache.emulator import Json, ToolCall
from promptcache.emulator.answers import Answers, parsed_answer
from promptcache.emulator.replies import reply_to
from promptcache.errors import OptionError

WEATHER = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
MAGIC = {
    "name": "magic_function",
    "input_schema": {
        "type": "object",
        "properties": {"input": {"type": "integer"}},
        "required": ["input"],
    },
}
NO_ARGS = {"name": "magic_function_no_args", "input_schema": {"type": "object"}}


def reply(text, *, scripted=None, **fields):
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }
    return reply_to(body, scripted, (f"toolu_{n}" for n in itertools.count()))


def calls(found):
    return [
        (block["name"], block["input"])
        for block in found.content
        if block["type"] == "tool_use"
    ]


@pytest.mark.parametrize(
    ("text", "tools", "called"),
    [
        pytest.param(
            "What is magic_function of 3?",
            [MAGIC],
            [("magic_function", {"input": 3})],
            id="underscore",
        ),
        pytest.param(
            "Use the magic function on 7.",
            [MAGIC],
            [("magic_function", {"input": 7})],
            id="spaces",
        ),
        pytest.param(
            "The weather in Paris, please.",
            [WEATHER],
            [("get_weather", {"city": "Paris"})],
            id="without-the-verb",
        ),
        pytest.param(
            "Call magic_function_no_args()",
            [MAGIC, NO_ARGS],
            [("magic_function_no_args", {})],
            id="longest-name-first",
        ),
        pytest.param("Hello there.", [MAGIC, WEATHER], [], id="not-asked-for"),
    ],
)
def test_a_tool_is_called_when_it_is_named(text, tools, called):
    """The name of a bound tool in the last user text calls it."""
    found = reply(text, tools=tools)

    assert calls(found) == called
    assert found.stop_reason == ("tool_use" if called else "end_turn")


def test_no_call_right_after_a_result():
    """The model answers in text once it has the tool's result."""
    messages = [
        {"role": "user", "content": "What is magic_function of 3?"},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "t",
                    "name": "magic_function",
                    "input": {"input": 3},
                }
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": "5"}],
        },
    ]

    assert calls(reply("", tools=[MAGIC], messages=messages)) == []


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        pytest.param({"type": "any"}, ["magic_function"], id="any-takes-the-first"),
        pytest.param(
            {"type": "tool", "name": "get_weather"}, ["get_weather"], id="named"
        ),
        pytest.param({"type": "none"}, [], id="none"),
    ],
)
def test_forced_tools(choice, called):
    """A forced tool is called, whatever the text says."""
    found = reply("Hello.", tools=[MAGIC, WEATHER], tool_choice=choice)

    assert [name for name, _ in calls(found)] == called


def test_a_turn_without_text():
    """A user turn of images alone is answered in text."""
    image = {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}}

    found = reply("", tools=[MAGIC], messages=[{"role": "user", "content": [image]}])

    assert calls(found) == []


def test_a_json_schema_is_answered_in_json():
    """A demanded output format yields a value of that schema as text."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    wanted = {"format": {"type": "json_schema", "schema": schema}}

    found = reply("Give me 42.", output_config=wanted)

    assert found.content[0]["text"] == '{"n":42}'


@pytest.mark.parametrize(
    ("scripted", "content", "stop"),
    [
        pytest.param(["Hi."], [{"type": "text", "text": "Hi."}], "end_turn", id="text"),
        pytest.param(
            ["Let me see.", ToolCall("f", {"a": 1})],
            [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {"a": 1}},
            ],
            "tool_use",
            id="text-and-call",
        ),
        pytest.param(
            [Json({"a": [1]})],
            [{"type": "text", "text": '{"a":[1]}'}],
            "end_turn",
            id="json",
        ),
        pytest.param(
            [{"type": "thinking", "thinking": "hm", "signature": "s"}, "Yes."],
            [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "Yes."},
            ],
            "end_turn",
            id="block-of-its-own",
        ),
    ],
)
def test_ordered_answers(scripted, content, stop):
    """Text, tool calls, JSON and raw blocks become content blocks."""
    found = reply("Hello.", scripted=scripted)

    assert list(found.content) == content
    assert found.stop_reason == stop


def test_the_limit_cuts_the_answer():
    """Text longer than `max_tokens` ends with that stop reason."""
    found = reply("Hello.", scripted=["x" * 100], max_tokens=5)

    assert found.content[0]["text"] == "x" * 20
    assert found.stop_reason == "max_tokens"


def test_a_stop_sequence_ends_the_answer():
    """The answer stops before the first stop sequence in it."""
    found = reply("Hello.", scripted=["one two three"], stop_sequences=["three", "two"])

    assert found.content[0]["text"] == "one "
    assert (found.stop_reason, found.stop_sequence) == ("stop_sequence", "two")


def test_nothing_is_said_with_no_tokens():
    """`max_tokens: 0` gives no content and costs no output."""
    found = reply("Hello.", max_tokens=0)

    assert (found.content, found.stop_reason, found.output_tokens) == (
        (),
        "max_tokens",
        0,
    )


def test_answers_wait_for_their_model_and_conversation():
    """An answer for one model or conversation is not given to another."""
    answers = Answers()
    answers.push("for m", model="m")
    answers.push("for c", conversation="c")
    answers.push("for all")

    def take(model, conversation=None):
        return answers.take({}, model=model, conversation=conversation)

    assert take("n", "c") == ["for c"]
    assert take("n") == ["for all"]
    assert take("n") is None
    assert take("m") == ["for m"]


def test_a_function_answers_from_the_request():
    """A callable is given the body and returns any kind of answer."""
    answers = Answers()
    answers.push(lambda body: [body["system"], ToolCall("f")])

    taken = answers.take({"system": "s"}, model="m", conversation=None)

    assert taken == ["s", ToolCall("f")]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param(
            {"tool": "f", "args": {"a": 1}}, ToolCall("f", {"a": 1}), id="tool"
        ),
        pytest.param({"json": [1]}, Json([1]), id="json"),
        pytest.param(["a", {"tool": "f"}], ["a", ToolCall("f")], id="list"),
        pytest.param({"type": "text"}, {"type": "text"}, id="block"),
    ],
)
def test_answers_over_http(sent, answer):
    """Each kind of answer has a form in JSON."""
    assert parsed_answer(sent) == answer


def test_an_unknown_answer_is_refused():
    """Anything else names what is allowed."""
    with pytest.raises(OptionError, match="allowed: text"):
        parsed_answer(5)
