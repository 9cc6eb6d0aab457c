"""Bodies of the Responses API, read into outlines."""

import pytest

from promptcache.errors import UnreadableBodyError
from promptcache.outline import Place, Section, Trail
from promptcache.providers.openai import chat
from promptcache.providers.openai.responses import outline

MARK = {"mode": "explicit"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "found"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,iVBO"}
THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "x"}


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


def read(given, position):
    made = outline(given)
    return made.blocks.kinds[position], made.blocks.refusals[position]


def digests(given, **how):
    return outline(given, **how).blocks.digests


def test_sections_and_items():
    """Tools come first, then instructions and the initial group, then the items."""
    made = outline(
        body(
            said("system", "a"),
            said("developer", [text("b"), text("c")]),
            said("user", "hi", type="message"),
            THOUGHT,
            CALL,
            {**OUTPUT, "output": [text("t"), IMAGE]},
            said("assistant", [answer("done")]),
            said("developer", "later"),
            tools=[TOOL],
            instructions="be brief",
        )
    )

    assert (made.tools_end, made.system_end, made.length) == (1, 5, 12)
    assert made.starts == (2, 3, 5, 6, 7, 8, 10, 11)
    assert made.roles == (
        "system",
        "developer",
        "user",
        "assistant",
        "assistant",
        "tool",
        "assistant",
        "developer",
    )
    assert made.blocks.refusals == [
        "tool",
        "instructions",
        "",
        "",
        "",
        "",
        "assistant-turn",
        "assistant-turn",
        "",
        "",
        "assistant-turn",
        "",
    ]
    assert made.blocks.kinds[1:10] == [
        "instructions",
        *["input_text"] * 4,
        "reasoning",
        "function_call",
        "input_text",
        "input_image",
    ]
    assert made.position(Place(Section.MESSAGES, 5, 1)) == 9
    assert str(made.place(9)) == "messages[5].content[1]"


def test_a_string_is_one_user_message():
    """As if it were written out."""
    made = outline({"model": "gpt-6.1-sol", "input": "hi"})

    assert (made.starts, made.roles, made.implicit) == ((0,), ("user",), 0)
    assert made.blocks.digests == digests(body(said("user", [text("hi")])))
    assert outline({"model": "gpt-6.1-sol", "input": ""}).length == 0
    assert outline({"model": "gpt-6.1-sol"}).length == 0


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(said("user", ""), ("input_text", "empty-text"), id="empty"),
        pytest.param(
            said("user", [{"type": "input_file", "file_id": "f"}]),
            ("input_file", ""),
            id="file",
        ),
        pytest.param(
            said("user", [answer("x")]), ("output_text", "no-marker-field"), id="answer"
        ),
        pytest.param(
            said("user", [{"type": "text", "text": "x"}]),
            ("text", "no-marker-field"),
            id="other-api",
        ),
        pytest.param(
            said("user", [{"type": "hologram"}]), ("hologram", "unknown-type"), id="new"
        ),
        pytest.param(
            said("critic", [text("x")]), ("input_text", "unknown-type"), id="role"
        ),
        pytest.param(
            said("critic", "x"), ("input_text", "unknown-type"), id="role-string"
        ),
        pytest.param(
            said("assistant", "x"), ("input_text", "assistant-turn"), id="assistant"
        ),
        pytest.param(OUTPUT, ("input_text", ""), id="output"),
        pytest.param(
            {**OUTPUT, "type": "custom_tool_call_output"},
            ("input_text", ""),
            id="custom",
        ),
        pytest.param(
            {"type": "computer_call_output", "call_id": "c", "output": {}},
            ("computer_call_output", "no-marker-field"),
            id="computer",
        ),
        pytest.param(
            {"type": "shell_call_output", "call_id": "c", "output": []},
            ("shell_call_output", "no-marker-field"),
            id="shell",
        ),
        pytest.param(
            {"type": "additional_tools", "tools": [TOOL]},
            ("additional_tools", "no-marker-field"),
            id="additional-tools",
        ),
        pytest.param(
            {"type": "item_reference", "id": "i"},
            ("item_reference", "no-marker-field"),
            id="reference",
        ),
        pytest.param(
            {"id": "i"}, ("item_reference", "no-marker-field"), id="bare-reference"
        ),
        pytest.param({"type": "dream"}, ("dream", "unknown-type"), id="unknown-item"),
        pytest.param({"type": ["x"]}, ("['x']", "unknown-type"), id="odd-type"),
    ],
)
def test_one_block(item, expected):
    """Each kind of block says whether it may be marked."""
    assert read(body(item), 0) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(said("user", "x"), said("user", [text("x")]), id="string-or-part"),
        pytest.param(said("user", "x"), said("user", [marked("x")]), id="marked"),
        pytest.param(
            said("assistant", "x"),
            said(
                "assistant",
                [answer("x", annotations=[], logprobs=[])],
                type="message",
                id="m",
                status="completed",
                phase=None,
            ),
            id="answer-sent-back",
        ),
        pytest.param(CALL, {**CALL, "id": "f", "status": "completed"}, id="call"),
        pytest.param(THOUGHT, {"id": "r", **THOUGHT}, id="thought"),
        pytest.param(OUTPUT, {**OUTPUT, "output": [text("found")]}, id="output"),
        pytest.param(
            OUTPUT, {**OUTPUT, "id": "o", "status": "completed"}, id="output-id"
        ),
        pytest.param(
            {"type": "shell_call_output", "output": [{"stdout": "x"}]},
            {
                "type": "shell_call_output",
                "output": [{"stdout": "x", "prompt_cache_breakpoint": MARK}],
                "prompt_cache_breakpoint": MARK,
            },
            id="marked-inside",
        ),
    ],
)
def test_the_same_prompt(one, other):
    """What the prompt does not show changes no digest."""
    assert digests(body(one)) == digests(body(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(said("user", "x"), said("developer", "x"), id="role"),
        pytest.param(
            said("assistant", "x"), said("assistant", "x", phase="final"), id="phase"
        ),
        pytest.param(OUTPUT, {**OUTPUT, "call_id": "c2"}, id="call-id"),
        pytest.param(OUTPUT, {**OUTPUT, "caller": {"type": "direct"}}, id="caller"),
        pytest.param(CALL, {**CALL, "arguments": "[]"}, id="arguments"),
        pytest.param(
            {"type": "item_reference", "id": "a"},
            {"type": "item_reference", "id": "b"},
            id="reference",
        ),
        pytest.param(THOUGHT, {**THOUGHT, "encrypted_content": "y"}, id="thought"),
    ],
)
def test_another_prompt(one, other):
    """What the prompt shows changes the digest."""
    assert digests(body(one))[-1] != digests(body(other))[-1]


@pytest.mark.parametrize(
    ("given", "position"),
    [
        pytest.param(body(said("user", "u"), CALL), 0, id="user"),
        pytest.param(
            body(OUTPUT, {**OUTPUT, "call_id": "c2"}, THOUGHT), 1, id="outputs"
        ),
        pytest.param(body(instructions="i", tools=[TOOL]), 1, id="instructions"),
        pytest.param(
            body(said("developer", "d"), CALL, instructions="i"), 1, id="head"
        ),
        pytest.param(
            body({"type": "additional_tools", "tools": []}, said("system", "s")),
            -1,
            id="tools-end-the-initial-group",
        ),
        pytest.param(
            body(said("system", "s"), conversation="c"), -1, id="conversation"
        ),
        pytest.param(body(tools=[TOOL]), -1, id="tools-only"),
        pytest.param(
            body(said("assistant", "a"), previous_response_id="r"), -1, id="trail"
        ),
    ],
)
def test_where_the_provider_marks(given, position):
    """The implicit breakpoint ends the latest eligible message."""
    assert outline(given).implicit == position


@pytest.mark.parametrize(
    ("given", "markers", "illegal"),
    [
        pytest.param(
            body(
                said("user", [marked("a")]),
                {**OUTPUT, "output": [marked("b", ttl="30m")]},
                prompt_cache_options={"ttl": "12h"},
            ),
            {0: "12h", 1: "30m"},
            [],
            id="legal",
        ),
        pytest.param(
            body(said("assistant", [answer("a", prompt_cache_breakpoint=MARK)])),
            {},
            ["messages[0].content[0]"],
            id="answer",
        ),
        pytest.param(
            body({**OUTPUT, "prompt_cache_breakpoint": MARK}),
            {},
            ["messages[0]"],
            id="item",
        ),
        pytest.param(
            body(
                {
                    "type": "shell_call_output",
                    "output": [{"prompt_cache_breakpoint": MARK}],
                }
            ),
            {},
            ["messages[0].content[0] (inside)"],
            id="inside",
        ),
        pytest.param(
            body(tools=[{**TOOL, "prompt_cache_breakpoint": MARK}]),
            {},
            ["tools[0]"],
            id="tool",
        ),
        pytest.param(
            body(
                said("assistant", [answer("a", prompt_cache_breakpoint=MARK)]),
                previous_response_id="r",
                tools=[{**TOOL, "prompt_cache_breakpoint": MARK}],
            ),
            {},
            ["tools[0]", "messages[1].content[0]"],
            id="after-a-trail",
        ),
    ],
)
def test_the_callers_marks(given, markers, illegal):
    """Legal ones are kept with their lifetime, the others are known by place."""
    made = outline(given)

    assert dict(made.markers) == markers
    assert [str(place) for place in made.illegal] == illegal


def test_deferred_tools_are_not_in_the_prompt():
    """They stand in it only once they were found."""
    deferred = {**TOOL, "name": "g", "defer_loading": True}
    given = body(said("user", "x"), tools=[TOOL, deferred])
    made = outline(given)

    assert made.tools_end == 2
    assert made.blocks.digests[0] == made.blocks.digests[1]
    assert made.blocks.digests[-1] == digests(body(said("user", "x"), tools=[TOOL]))[-1]
    assert made.head_key == outline(body(tools=[TOOL])).head_key


def test_instructions_of_another_form_are_read():
    """A list of items is one block, too."""
    given = body(instructions=[said("developer", "x")])

    assert read(given, 0) == ("instructions", "instructions")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("hi", id="string"),
        pytest.param({"model": "m", "input": {"a": 1}}, id="input"),
        pytest.param(body("hi"), id="item"),
        pytest.param(body({**OUTPUT, "output": {"a": 1}}), id="output"),
        pytest.param(body(said("user", iter("ab"))), id="generator"),
    ],
)
def test_what_cannot_be_read(given):
    """A body of another shape says so."""
    with pytest.raises(UnreadableBodyError):
        outline(given)


FIRST = body(said("user", "x"), tools=[TOOL], instructions="i")
NEXT = body(
    said("user", "y"), tools=[TOOL], instructions="i", previous_response_id="r1"
)


def trail_of(given):
    made = outline(given)
    return Trail(made.digest_before(made.length), made.total_tokens, "key")


def test_a_request_goes_on_from_an_answer():
    """What the provider puts first is one message that cannot be marked."""
    trail = trail_of(FIRST)
    made = outline(NEXT, trail=trail)

    assert (made.tools_end, made.system_end, made.length) == (0, 0, 2)
    assert (made.starts, made.roles) == ((0, 1), ("assistant", "user"))
    assert made.blocks.refusals == ["trail", ""]
    assert made.blocks.digests[0] == trail.digest
    assert made.blocks.tokens == [trail.tokens, trail.tokens + 1]
    assert made.trail is trail
    assert made.implicit == 1
    assert str(made.place(1)) == "messages[1].content[0]"
    assert made.head_key == outline(FIRST).head_key or made.head_key


def test_no_message_after_a_trail_is_of_the_initial_group():
    """That was said before."""
    given = {**NEXT, "input": [said("developer", "d"), said("user", "y")]}
    made = outline(given, trail=trail_of(FIRST))

    assert (made.system_end, made.starts) == (0, (0, 1, 2))
    assert str(made.place(1)) == "messages[1].content[0]"


def test_deferred_tools_are_not_before_a_trail():
    """They are not in the prompt there either."""
    trail = trail_of(FIRST)
    tools = [TOOL, {**TOOL, "name": "g", "defer_loading": True}]

    assert digests(NEXT, trail=trail) == digests({**NEXT, "tools": tools}, trail=trail)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tools": []}, id="tools"),
        pytest.param({"instructions": "j"}, id="instructions"),
        pytest.param({"model": "gpt-6-sol"}, id="model"),
    ],
)
def test_what_stands_before_a_trail_counts(change):
    """Tools and instructions must come again for the prefix to be the same."""
    trail = trail_of(FIRST)
    same, other = digests(NEXT, trail=trail), digests({**NEXT, **change}, trail=trail)

    assert same == digests(dict(NEXT), trail=trail)
    assert same[-1] != other[-1]


def test_an_answer_that_is_not_known():
    """It stands for itself, by its id, and has no key."""
    made, again = outline(NEXT), outline(dict(NEXT))
    other = outline({**NEXT, "previous_response_id": "r2"})

    assert made.trail == Trail(made.blocks.digests[0], 1024)
    assert made.blocks.digests == again.blocks.digests
    assert made.blocks.digests[0] != other.blocks.digests[0]
    assert made.blocks.digests[0] != digests(NEXT, tenant="a")[0]


@pytest.mark.parametrize(
    "conversation",
    [pytest.param("c1", id="id"), pytest.param({"id": "c1"}, id="object")],
)
def test_requests_of_a_conversation_come_together(conversation):
    """Their head is what the provider keeps, whatever else they say."""
    one = outline(body(said("user", "x"), conversation=conversation))
    other = outline(body(said("user", "y"), instructions="i", conversation="c1"))
    apart = outline(body(said("user", "x"), conversation="c2"))

    assert one.head_key == other.head_key != apart.head_key
    assert one.blocks.digests[-1] != apart.blocks.digests[-1]
    assert one.blocks.digests[-1] != digests(body(said("user", "x")))[-1]


def test_a_stored_prompt_is_part_of_the_head():
    """Its id and version, for the provider renders it first."""
    stored = {"id": "p1", "version": "2", "variables": {"a": "b"}}
    one = outline(body(prompt=stored))
    other = outline(body(prompt={**stored, "variables": {"a": "c"}}))

    assert one.head_key == other.head_key != b""
    assert one.blocks.root != other.blocks.root
    assert one.head_key != outline(body(prompt={**stored, "version": "3"})).head_key


def test_both_apis_have_one_head_key():
    """However the head is spelled."""
    function = {"name": "f", "description": "d" * 100, "parameters": {"type": "object"}}
    long = "s" * 6000
    keys = {
        outline(
            body(tools=[{"type": "function", **function}], instructions=long)
        ).head_key,
        outline(
            body(said("system", long), tools=[{**function, "type": "function"}])
        ).head_key,
        chat.outline(
            {
                "messages": [said("developer", [{"type": "text", "text": long}])],
                "tools": [{"type": "function", "function": function}],
            }
        ).head_key,
    }

    assert len(keys) == 1
    assert b"" not in keys
