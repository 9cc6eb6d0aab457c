"""Plans, written into bodies of the Responses API."""

import copy

import pytest
from openai.types.responses import (
    EasyInputMessage,
    ResponseOutputMessage,
    ResponseOutputText,
)

from promptcache.outline import Trail
from promptcache.planning.plan import Breakpoint, Plan
from promptcache.providers.openai.responses import apply, outline

MARK = {"mode": "explicit"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "found"}
CUSTOM = {"type": "custom_tool_call_output", "call_id": "c2", "output": "seen"}
SHELL = {"type": "local_shell_call_output", "id": "s", "output": "ok"}
CHOSEN = {"mode": "explicit", "ttl": "30m"}
MARKED = Plan(mode="explicit", ttl="30m", key="k")
BARE = Plan(key="k", bare=True)


def text(value, **fields):
    return {"type": "input_text", "text": value, **fields}


def marked(value, **fields):
    return text(value, prompt_cache_breakpoint={**MARK, **fields})


def answer(value, **fields):
    return {"type": "output_text", "text": value, **fields}


def said(role, content, **fields):
    return {"role": role, "content": content, **fields}


def body(*items, **fields):
    return {"model": "gpt-6.1-sol", "input": list(items), **fields}


def written(given, plan, trail=None):
    before = copy.deepcopy(given)
    made = apply(given, outline(given, trail=trail), plan)
    assert given == before
    return made


def test_strings_become_parts():
    """Every string that may carry a breakpoint has one form, marked or not."""
    given = body(
        said("system", "s"),
        said("developer", "d", type="message"),
        said("user", "u", id="m"),
        CALL,
        OUTPUT,
        CUSTOM,
        SHELL,
        said("assistant", "a"),
        said("user", ""),
        {**OUTPUT, "output": ""},
        instructions="stay",
    )
    made = written(given, MARKED)

    assert made == {
        **body(
            said("system", [text("s")]),
            said("developer", [text("d")], type="message"),
            said("user", [text("u")], id="m"),
            CALL,
            {**OUTPUT, "output": [text("found")]},
            {**CUSTOM, "output": [text("seen")]},
            SHELL,
            said("assistant", "a"),
            said("user", ""),
            {**OUTPUT, "output": ""},
            instructions="stay",
        ),
        "prompt_cache_options": CHOSEN,
        "prompt_cache_key": "k",
    }
    assert all(made["input"][index] is given["input"][index] for index in (3, 6, 7))


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(MARKED, [said("user", [text("hi")])], id="unmarked"),
        pytest.param(
            Plan((Breakpoint(0, "30m", "tail"),), mode="explicit", ttl="30m"),
            [said("user", [marked("hi")])],
            id="marked",
        ),
        pytest.param(Plan(key="k"), "hi", id="without-breakpoints"),
        pytest.param(BARE, "hi", id="bare"),
    ],
)
def test_a_string_of_input(plan, expected):
    """It becomes a message only where breakpoints are taken."""
    given = {"model": "gpt-6.1-sol", "input": "hi"}

    assert written(given, plan)["input"] == expected


def test_nothing_to_write_in():
    """Instructions alone have no part; an empty input stays what it is."""
    given = {"model": "gpt-6.1-sol", "instructions": "i", "input": ""}

    assert written(given, MARKED) == {
        **given,
        "prompt_cache_options": CHOSEN,
        "prompt_cache_key": "k",
    }


def test_marks_are_placed():
    """On messages and on outputs, with a lifetime where it differs."""
    given = body(
        said("developer", "d"), CALL, OUTPUT, said("user", [text("a"), text("b")])
    )
    points = (
        Breakpoint(0, "12h", "system"),
        Breakpoint(2, "30m", "previous"),
        Breakpoint(4, "12h", "tail"),
    )
    made = written(given, Plan(points, mode="implicit", ttl="12h"))

    assert made["input"] == [
        said("developer", [marked("d")]),
        CALL,
        {**OUTPUT, "output": [marked("found", ttl="30m")]},
        said("user", [text("a"), marked("b")]),
    ]
    assert made["prompt_cache_options"] == {"mode": "implicit", "ttl": "12h"}


def test_after_a_trail_numbers_are_those_of_the_body():
    """What the provider puts first is no item of the input."""
    given = body(
        said("assistant", [answer("a", prompt_cache_breakpoint=MARK)]),
        said("user", "u"),
        previous_response_id="r",
    )
    points = (Breakpoint(2, "30m", "tail"),)
    trail = Trail(b"d", 9, "key")
    made = written(given, Plan(points, mode="explicit", ttl="30m"), trail)

    assert made["input"] == [
        said("assistant", [answer("a")]),
        said("user", [marked("u")]),
    ]


def test_illegal_marks_are_taken_off():
    """Wherever they stand, and nothing else changes."""
    shell = {"type": "shell_call_output", "call_id": "s", "output": [{"stdout": "x"}]}
    inside = {**shell["output"][0], "prompt_cache_breakpoint": MARK}
    given = body(
        {**CALL, "prompt_cache_breakpoint": MARK},
        {**shell, "output": [inside], "prompt_cache_breakpoint": MARK},
        {
            "type": "additional_tools",
            "tools": [{**TOOL, "prompt_cache_breakpoint": {}}],
        },
        {**OUTPUT, "output": [marked("a"), answer("b", prompt_cache_breakpoint=MARK)]},
        said("user", [marked("c", ttl="1h")], prompt_cache_breakpoint=MARK),
        tools=[{**TOOL, "prompt_cache_breakpoint": MARK}],
    )
    made = written(given, Plan(mode="explicit", ttl="30m"))

    assert made == body(
        CALL,
        shell,
        {"type": "additional_tools", "tools": [TOOL]},
        {**OUTPUT, "output": [marked("a"), answer("b")]},
        said("user", [text("c")]),
        tools=[TOOL],
        prompt_cache_options=CHOSEN,
    )


def test_options_go_around_the_callers():
    """Other fields stay, and lifetimes that this API has."""
    own = {"ttl": "12h", "prewarm": True, "comparison_response_id": "r"}
    made = written(
        body(said("user", "u"), prompt_cache_options=own),
        Plan(mode="explicit", ttl="12h"),
    )

    assert made["prompt_cache_options"] == {**own, "mode": "explicit"}


def test_all_breakpoints_are_taken_off():
    """Where none is taken, the caller's go, and their options."""
    given = body(
        said("user", [marked("a")]),
        {**OUTPUT, "output": [marked("b")]},
        said("user", "c"),
        prompt_cache_options={"ttl": "30m"},
    )
    made = written(given, BARE)

    assert made == body(
        said("user", [text("a")]),
        {**OUTPUT, "output": [text("b")]},
        said("user", "c"),
        prompt_cache_key="k",
    )
    assert made["input"][2] is given["input"][2]


def test_a_tuple_is_as_good_as_a_list():
    """The SDK takes both."""
    given = {"model": "gpt-6.1-sol", "input": (said("user", ({**text("a")},)),)}
    points = (Breakpoint(0, "30m", "tail"),)

    assert written(given, Plan(points, mode="explicit", ttl="30m"))["input"] == [
        said("user", [marked("a")])
    ]


def test_an_object_of_the_sdk_that_is_marked_becomes_a_dict():
    """With the fields that it was given, and no others."""
    given = body(EasyInputMessage(role="user", content="u"))
    before = given["input"][0].model_copy(deep=True)
    made = apply(given, outline(given), MARKED)

    assert made["input"] == [said("user", [text("u")])]
    assert given["input"][0] == before


def test_objects_of_the_sdk_stay_unless_marked():
    """Only what changes is copied, and then as a dict."""
    said_before = ResponseOutputMessage(
        id="m",
        role="assistant",
        status="completed",
        type="message",
        content=[ResponseOutputText(type="output_text", text="x", annotations=[])],
    )
    given = body(said_before, said("user", "u"))
    made = apply(given, outline(given), MARKED)

    assert made["input"][0] is said_before
    assert (
        outline(given).blocks.digests
        == outline(body(said("assistant", "x"), said("user", "u"))).blocks.digests
    )
