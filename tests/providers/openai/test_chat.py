"""Bodies of Chat Completions, read into outlines."""

import pytest
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageToolCall
from openai.types.chat.chat_completion_message_tool_call import Function

from promptcache.errors import UnreadableBodyError
from promptcache.outline import Place, Section
from promptcache.providers.openai.chat import outline
from promptcache.providers.openai.reading import MAX_BYTES

MARK = {"mode": "explicit"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def marked(value, **fields):
    return text(value, prompt_cache_breakpoint={**MARK, **fields})


def said(role, content, **fields):
    return {"role": role, "content": content, **fields}


def body(*messages, **fields):
    return {"model": "gpt-6.1-sol", "messages": list(messages), **fields}


def read(given, position):
    made = outline(given)
    return made.blocks.kinds[position], made.blocks.refusals[position]


def digests(given, **how):
    return outline(given, **how).blocks.digests


CONVERSATION = body(
    said("system", "be brief"),
    said("developer", [text("a"), text("b")]),
    said("user", "hi"),
    said("assistant", None, tool_calls=[CALL]),
    said("tool", "found", tool_call_id="c1"),
    said("assistant", "done"),
    said("system", "later"),
    said("user", [text("look"), IMAGE]),
    tools=[TOOL, {**TOOL, "type": "custom"}],
)


def test_sections_and_messages():
    """Tools come first, then the initial group, and each message has its number."""
    made = outline(CONVERSATION)

    assert (made.tools_end, made.system_end, made.length) == (2, 5, 12)
    assert made.starts == (2, 3, 5, 6, 7, 8, 9, 10)
    assert made.roles == (
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "assistant",
        "system",
        "user",
    )
    assert [str(made.place(position)) for position in (0, 2, 4, 5, 11)] == [
        "tools[0]",
        "system[0]",
        "system[2]",
        "messages[2].content[0]",
        "messages[7].content[1]",
    ]


def test_what_may_be_marked():
    """Tools and answers may not, whatever else is said may."""
    assert outline(CONVERSATION).blocks.refusals == [
        "tool",
        "tool",
        "",
        "",
        "",
        "",
        "assistant-turn",
        "",
        "assistant-turn",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(said("user", ""), ("text", "empty-text"), id="empty-string"),
        pytest.param(said("user", [text("")]), ("text", "empty-text"), id="empty"),
        pytest.param(
            said("user", [{"type": "text"}]), ("text", "empty-text"), id="no-text"
        ),
        pytest.param(said("user", [IMAGE]), ("image_url", ""), id="image"),
        pytest.param(
            said("user", [{"type": "input_audio", "input_audio": {}}]),
            ("input_audio", ""),
            id="audio",
        ),
        pytest.param(
            said("user", [{"type": "file", "file": {"file_id": "f"}}]),
            ("file", ""),
            id="file",
        ),
        pytest.param(
            said("tool", [IMAGE]), ("image_url", "no-marker-field"), id="tool-image"
        ),
        pytest.param(
            said("system", [IMAGE]), ("image_url", "no-marker-field"), id="system-image"
        ),
        pytest.param(
            said("user", [{"type": "input_text", "text": "x"}]),
            ("input_text", "no-marker-field"),
            id="other-api",
        ),
        pytest.param(
            said("user", [{"type": "hologram"}]),
            ("hologram", "unknown-type"),
            id="unknown-part",
        ),
        pytest.param(said("user", [{}]), ("None", "unknown-type"), id="no-type"),
        pytest.param(
            said("user", [{"type": ["x"]}]), ("['x']", "unknown-type"), id="odd-type"
        ),
        pytest.param(said("critic", "x"), ("text", "unknown-type"), id="unknown-role"),
        pytest.param(said(["x"], "x"), ("text", "unknown-type"), id="odd-role"),
        pytest.param(said("function", "x"), ("text", "string-only"), id="function"),
        pytest.param(
            said("assistant", [{"type": "refusal", "refusal": "no"}]),
            ("refusal", "assistant-turn"),
            id="refusal",
        ),
        pytest.param(
            said("assistant", None, refusal="no"),
            ("assistant", "assistant-turn"),
            id="refusal-field",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [CALL]},
            ("tool_call", "assistant-turn"),
            id="call-alone",
        ),
    ],
)
def test_one_block(message, expected):
    """Each kind of block says whether it may be marked."""
    assert read(body(message), 0) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(said("user", "x"), said("user", [text("x")]), id="string-or-part"),
        pytest.param(
            said("user", "x"), said("user", [marked("x")]), id="marked-or-not"
        ),
        pytest.param(
            said("user", [IMAGE]),
            said("user", [{**IMAGE, "prompt_cache_breakpoint": MARK}]),
            id="marked-image",
        ),
        pytest.param(
            said("user", "x"),
            said("user", "x", prompt_cache_breakpoint=MARK, name=None),
            id="marked-message",
        ),
        pytest.param(
            said("assistant", "x"),
            said(
                "assistant",
                "x",
                refusal=None,
                annotations=[],
                audio=None,
                id="m1",
                tool_calls=None,
            ),
            id="sent-back-whole",
        ),
        pytest.param(
            said("assistant", None, tool_calls=[CALL]),
            said("assistant", None, tool_calls=[dict(reversed(CALL.items()))]),
            id="order-of-a-call",
        ),
    ],
)
def test_the_same_prompt(one, other):
    """What the prompt does not show changes no digest."""
    assert digests(body(one)) == digests(body(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(said("user", "x"), said("user", "y"), id="text"),
        pytest.param(said("user", "x"), said("assistant", "x"), id="role"),
        pytest.param(said("user", "x"), said("user", "x", name="ann"), id="name"),
        pytest.param(
            said("tool", "x", tool_call_id="1"),
            said("tool", "x", tool_call_id="2"),
            id="call",
        ),
        pytest.param(
            said("user", [text("x")]), said("user", [text("x", more=1)]), id="more"
        ),
        pytest.param(
            said("user", [IMAGE]),
            said("user", [{**IMAGE, "image_url": {"url": "data:image/png;base64,A"}}]),
            id="image",
        ),
        pytest.param(
            said("assistant", None, tool_calls=[CALL]),
            said("assistant", None, tool_calls=[{**CALL, "id": "c2"}]),
            id="call-id",
        ),
        pytest.param(
            said("assistant", "x", refusal="a"),
            said("assistant", "x", refusal="b"),
            id="refusal",
        ),
        pytest.param(
            said("user", "ab"), said("user", [text("a"), text("b")]), id="parts"
        ),
    ],
)
def test_another_prompt(one, other):
    """What the prompt shows changes the digest."""
    assert digests(body(one))[-1] != digests(body(other))[-1]


def test_an_empty_message_still_counts():
    """A message without parts enters the digest of what follows."""
    silent = said("assistant", None)

    assert (
        digests(body(silent, said("user", "x")))[-1]
        != digests(body(said("user", "x")))[-1]
    )
    assert outline(body(silent, said("user", "x"))).starts == (0, 0)


def test_objects_of_the_sdk_read_like_dicts():
    """An answer may be sent back as the object that it came as."""
    call = ChatCompletionMessageToolCall(
        id="c1", type="function", function=Function(name="f", arguments="{}")
    )
    answer = ChatCompletionMessage(role="assistant", content="x", tool_calls=[call])

    assert digests(body(answer)) == digests(
        body(said("assistant", "x", tool_calls=[CALL]))
    )
    assert digests(body(said("assistant", "x", tool_calls=[call]))) == digests(
        body(answer)
    )


@pytest.mark.parametrize(
    ("messages", "position"),
    [
        pytest.param([said("system", "s"), said("user", "u")], 1, id="user"),
        pytest.param(
            [said("user", [text("a"), text("b")]), said("assistant", "x")],
            1,
            id="before-the-answer",
        ),
        pytest.param(
            [said("user", "u"), said("tool", "1"), said("tool", "2")], 2, id="tools"
        ),
        pytest.param(
            [said("tool", "1"), said("tool", "2"), said("assistant", "x")],
            1,
            id="last-of-the-group",
        ),
        pytest.param([said("system", "s"), said("developer", "d")], 1, id="head"),
        pytest.param(
            [said("system", "s"), said("assistant", "x"), said("developer", "d")],
            0,
            id="later-developer",
        ),
        pytest.param([said("user", [])], -1, id="no-parts"),
        pytest.param(
            [said("user", "u"), said("assistant", "a"), said("user", [])],
            0,
            id="no-parts-at-the-end",
        ),
        pytest.param(
            [said("user", "u"), said("tool", "1"), said("tool", [])],
            0,
            id="the-last-of-a-group-has-no-parts",
        ),
        pytest.param([said("assistant", "x")], -1, id="nothing-eligible"),
        pytest.param([said("function", "x", name="f")], 0, id="function"),
        pytest.param([], -1, id="empty"),
    ],
)
def test_where_the_provider_marks(messages, position):
    """The implicit breakpoint ends the latest eligible message."""
    assert outline(body(*messages)).implicit == position


@pytest.mark.parametrize(
    ("given", "markers", "illegal"),
    [
        pytest.param(
            body(said("user", [marked("a"), marked("b", ttl="12h")])),
            {0: "30m", 1: "12h"},
            [],
            id="legal",
        ),
        pytest.param(
            body(said("user", [marked("a", ttl=None)])), {0: "30m"}, [], id="null-ttl"
        ),
        pytest.param(
            body(said("user", [text("a", prompt_cache_breakpoint=None)])),
            {},
            [],
            id="null",
        ),
        pytest.param(body(said("user", [marked("")])), {0: "30m"}, [], id="empty-text"),
        pytest.param(
            body(said("user", [marked("a", ttl="5m")])),
            {},
            ["messages[0].content[0]"],
            id="ttl",
        ),
        pytest.param(
            body(said("user", [marked("a", ttl=["12h"])])),
            {},
            ["messages[0].content[0]"],
            id="odd-ttl",
        ),
        pytest.param(
            body(said("user", [marked("a", more=1)])),
            {},
            ["messages[0].content[0]"],
            id="unknown-key",
        ),
        pytest.param(
            body(said("user", [text("a", prompt_cache_breakpoint={"ttl": "30m"})])),
            {},
            ["messages[0].content[0]"],
            id="no-mode",
        ),
        pytest.param(
            body(said("user", [text("a", prompt_cache_breakpoint=True)])),
            {},
            ["messages[0].content[0]"],
            id="no-object",
        ),
        pytest.param(
            body(said("system", "s"), said("assistant", [text("a"), marked("b")])),
            {},
            ["messages[1].content[1]"],
            id="assistant",
        ),
        pytest.param(
            body(said("system", [marked("a", ttl="1h")])),
            {},
            ["messages[0].content[0]"],
            id="in-the-system-section",
        ),
        pytest.param(
            body(said("user", "a", prompt_cache_breakpoint=MARK)),
            {},
            ["messages[0]"],
            id="message",
        ),
        pytest.param(
            body(tools=[{**TOOL, "prompt_cache_breakpoint": MARK}, TOOL]),
            {},
            ["tools[0]"],
            id="tool",
        ),
        pytest.param(
            body(
                functions=[
                    {"name": "f"},
                    {"name": "g", "prompt_cache_breakpoint": MARK},
                ]
            ),
            {},
            ["tools[1]"],
            id="old-function",
        ),
    ],
)
def test_the_callers_marks(given, markers, illegal):
    """Legal ones are kept with their lifetime, the others are known by place."""
    made = outline(given)

    assert dict(made.markers) == markers
    assert [str(place) for place in made.illegal] == illegal


def test_a_mark_has_the_lifetime_of_the_request():
    """Unless it says its own."""
    options = {"ttl": "30m", "mode": "implicit"}
    made = outline(body(said("user", [marked("a")]), prompt_cache_options=options))

    assert (made.markers, made.automatic, made.mode) == ({0: "30m"}, "30m", "implicit")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([], id="list"),
        pytest.param(body(tools={"a": 1}), id="tools"),
        pytest.param(body("hi"), id="message"),
        pytest.param({"model": "m", "messages": "hi"}, id="messages"),
        pytest.param(body(said("user", {"type": "text"})), id="content"),
        pytest.param(body(said("user", ["hi"])), id="part"),
        pytest.param(body(said("user", (text(c) for c in "ab"))), id="generator"),
        pytest.param(body(said("assistant", None, tool_calls="x")), id="calls"),
        pytest.param(body(said("user", "x" * (MAX_BYTES + 1))), id="large"),
        pytest.param(
            body(said("user", [{"type": "file", "file": object, 1: 2, "a": {3, 4}}])),
            id="no-json",
        ),
    ],
)
def test_what_cannot_be_read(given):
    """A body of another shape says so."""
    with pytest.raises(UnreadableBodyError):
        outline(given)


def test_what_is_nested_too_deeply():
    """A part that no encoder takes is not read."""
    deep = {"type": "x"}
    for _ in range(5000):
        deep = {"type": "x", "in": deep}

    with pytest.raises(UnreadableBodyError):
        outline(body(said("user", [deep])))


def test_a_generator_is_not_consumed():
    """What can be read only once is left to the SDK."""
    given = (message for message in [said("user", "hi")])
    with pytest.raises(UnreadableBodyError):
        outline({"model": "m", "messages": given})

    assert len(list(given)) == 1


def test_odd_text_is_read():
    """Lone surrogates and large numbers are no obstacle."""
    assert outline(body(said("user", "\ud800"))).length == 1
    assert outline(body(said("user", [text("\ud800", n=2**70)]))).length == 1


def test_sizes():
    """A media part counts as what it shows, not as what encodes it."""
    encoded = {"url": "data:image/png;base64," + "A" * 100_000}
    image = {"type": "image_url", "image_url": encoded}
    document = {"type": "file", "file": {"file_data": "A" * 120_000}}
    made = outline(body(said("user", [image, document]), said("user", "abcde")))
    shown, with_document, whole = made.blocks.tokens

    assert shown == 1024
    assert 2500 < with_document - shown < 2510
    assert whole - with_document == 2


def test_places_are_those_of_the_body():
    """A place names the message in the list, whatever section it is shown in."""
    made = outline(CONVERSATION)

    assert made.position(Place(Section.MESSAGES, 1, 1)) == 4
    assert made.position(Place(Section.MESSAGES, 7, 1)) == 11
