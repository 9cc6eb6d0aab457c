"""Bodies of the Messages API, read into outlines."""

import threading
from itertools import pairwise

import pytest
from anthropic.types import (
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)

from promptcache.errors import UnreadableBodyError
from promptcache.outline import Place, Section
from promptcache.providers.anthropic.facts import HOSTS
from promptcache.providers.anthropic.wire import MAX_BYTES, extended, outline

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
CODE = {"type": "code_execution_20250825", "tool_id": "s1"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def user(*blocks, **fields):
    content = blocks[0] if len(blocks) == 1 and isinstance(blocks[0], str) else blocks
    return {"role": "user", "content": content, **fields}


def assistant(*blocks):
    return {**user(*blocks), "role": "assistant"}


def body(*messages, **fields):
    return {"model": "claude-sonnet-5-5", "messages": list(messages), **fields}


def call(number, **fields):
    return {"type": "tool_use", "id": f"t{number}", "name": "f", "input": {}, **fields}


def result(number, content="r", **fields):
    return {
        "type": "tool_result",
        "tool_use_id": f"t{number}",
        "content": content,
        **fields,
    }


def digests(given, **how):
    return outline(given, **how).blocks.digests


def places(given):
    read = outline(given)
    return [str(read.place(position)) for position in range(read.length)]


def test_positions_follow_the_prompt():
    """Tools come before system blocks, and these before the blocks of messages."""
    given = body(
        user("a"),
        assistant(text("b"), call(1)),
        user(result(1)),
        tools=[TOOL, TOOL],
        system=[text("s"), text("t")],
    )
    read = outline(given)

    assert places(given) == [
        "tools[0]",
        "tools[1]",
        "system[0]",
        "system[1]",
        "messages[0].content[0]",
        "messages[1].content[0]",
        "messages[1].content[1]",
        "messages[2].content[0]",
    ]
    assert (read.tools_end, read.system_end) == (2, 4)
    assert read.starts == (4, 5, 7)
    assert read.roles == ("user", "assistant", "user")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(body(user("a"), assistant("b")), id="strings"),
        pytest.param(body(user(""), user("a"), assistant(), user("b")), id="empty"),
        pytest.param(body(user("a"), user("")), id="empty-last"),
        pytest.param(body(user(text("a"), text("b")), tools=[TOOL]), id="tools"),
        pytest.param(body(user("a"), system="s"), id="system"),
        pytest.param(
            body(user("a"), tools=[{**TOOL, "defer_loading": True}, TOOL]),
            id="deferred",
        ),
    ],
)
def test_places_and_positions_are_inverse(given):
    """Every position has one place, and that place has that position."""
    read = outline(given)

    assert [read.position(read.place(at)) for at in range(read.length)] == list(
        range(read.length)
    )


def test_ends_of_messages():
    """A message ends with its last block; an empty one where the one before ends."""
    read = outline(body(user("a"), user(""), user(text("b"), text("c"))))

    assert [read.message_end(at) for at in (-1, 0, 1, 2)] == [-1, 0, 0, 2]


@pytest.mark.parametrize(
    ("message", "refusals"),
    [
        pytest.param(user("a"), [""], id="string"),
        pytest.param(user(text("a")), [""], id="text"),
        pytest.param(user(text("")), ["empty-text"], id="empty-text"),
        pytest.param(user({"type": "text"}), ["empty-text"], id="no-text"),
        pytest.param(user(text(" \n")), ["blank-text"], id="blank-text"),
        pytest.param(
            assistant({"type": "thinking", "thinking": "t", "signature": "s"}),
            ["no-marker-field"],
            id="thinking",
        ),
        pytest.param(
            assistant({"type": "redacted_thinking", "data": "d"}),
            ["no-marker-field"],
            id="redacted-thinking",
        ),
        pytest.param(
            assistant({"type": "fallback"}), ["no-marker-field"], id="fallback"
        ),
        pytest.param(
            user({"type": "mcp_tool_listing"}), ["no-marker-field"], id="mcp-listing"
        ),
        pytest.param(
            user({"type": "image", "source": {"type": "url", "url": "u"}}),
            [""],
            id="image",
        ),
        pytest.param(user({"type": "document", "source": {}}), [""], id="document"),
        pytest.param(user({"type": "search_result"}), [""], id="search-result"),
        pytest.param(assistant({"type": "compaction"}), [""], id="compaction"),
        pytest.param(assistant({"type": "server_tool_use"}), [""], id="server-tool"),
        pytest.param(
            user({"type": "web_search_tool_result"}), [""], id="web-search-result"
        ),
        pytest.param(assistant({"type": "mcp_tool_use"}), [""], id="mcp-tool-use"),
        pytest.param(user({"type": "new"}), ["unknown-type"], id="unknown"),
        pytest.param(user({"type": 5}), ["unknown-type"], id="type-no-string"),
        pytest.param(user({}), ["unknown-type"], id="no-type"),
        pytest.param({"role": "system", "content": "s"}, ["system-turn"], id="system"),
        pytest.param(
            {"role": "system", "content": [text("")]}, ["empty-text"], id="empty-system"
        ),
        pytest.param(
            user("a", clear_at="next_user_message"), ["clear-at"], id="clear-at"
        ),
        pytest.param(
            user(text(" "), {"type": "new"}, clear_at="next_user_message"),
            ["clear-at", "clear-at"],
            id="clear-at-under-cautions",
        ),
        pytest.param(assistant(call(1, caller=CODE)), ["code-call"], id="code-call"),
        pytest.param(
            assistant(call(1, caller={"type": "direct"})), [""], id="direct-call"
        ),
    ],
)
def test_refusals(message, refusals):
    """A block says why it may carry no breakpoint."""
    assert outline(body(message)).blocks.refusals == refusals


def test_results_of_code_calls_are_refused():
    """The result of a call by code execution takes no marker; others do."""
    read = outline(
        body(assistant(call(1, caller=CODE), call(2)), user(result(1), result(2)))
    )

    assert read.blocks.refusals == ["code-call", "", "code-call", ""]


@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(TOOL, id="custom"),
        pytest.param(
            {"type": "web_search_20250305", "name": "web_search"}, id="server"
        ),
        pytest.param({"type": "mcp_toolset", "mcp_server_name": "m"}, id="toolset"),
        pytest.param({"type": "computer_20250124", "name": "c"}, id="computer"),
        pytest.param({"type": "memory_20250818", "name": "memory"}, id="memory"),
        pytest.param({"type": "tool_of_the_future"}, id="unknown"),
    ],
)
def test_every_type_of_tool_may_carry_a_marker(tool):
    """Each entry of the tools is a position with a marker of its own."""
    read = outline(body(user("a"), tools=[{**tool, "cache_control": HOUR}]))

    assert read.blocks.refusals[0] == ""
    assert read.markers == {0: "1h"}
    assert read.illegal == ()


def test_deferred_tools_are_not_in_the_prompt():
    """A deferred tool adds no digest, no tokens, no position, and takes no marker."""
    deferred = {**TOOL, "defer_loading": True, "cache_control": MARK}
    read = outline(body(user("a"), tools=[TOOL, deferred]))
    blocks = read.blocks

    assert blocks.digests[0] == blocks.digests[1]
    assert blocks.tokens[0] == blocks.tokens[1]
    assert blocks.units[0] == blocks.units[1]
    assert blocks.refusals[:2] == ["", "deferred-tool"]
    assert read.markers == {}
    assert read.illegal == (Place(Section.TOOLS, 1),)
    assert blocks.digests[2] == digests(body(user("a"), tools=[TOOL]))[1]


def test_deferred_tool_first():
    """A deferred tool before all else leaves the digests of the rest as they are."""
    deferred = {**TOOL, "defer_loading": True}

    assert digests(body(user("a"), tools=[deferred]))[1:] == digests(body(user("a")))


@pytest.mark.parametrize(
    ("marker", "ttl"),
    [
        pytest.param(MARK, "5m", id="default"),
        pytest.param({"type": "ephemeral", "ttl": "5m"}, "5m", id="5m"),
        pytest.param(HOUR, "1h", id="1h"),
        pytest.param({"type": "ephemeral", "ttl": None}, "5m", id="ttl-null"),
        pytest.param({"type": "ephemeral", "ttl": "2h"}, None, id="ttl-unknown"),
        pytest.param({"type": "ephemeral", "ttl": ["1h"]}, None, id="ttl-a-list"),
        pytest.param({"type": "forever"}, None, id="type-unknown"),
        pytest.param({}, None, id="type-missing"),
        pytest.param("ephemeral", None, id="a-string"),
        pytest.param(True, None, id="a-flag"),
    ],
)
@pytest.mark.parametrize("where", ["tools", "system", "messages", "automatic"])
def test_forms_of_markers(where, marker, ttl):
    """A marker of a legal form is read, any other form is illegal, wherever it is."""
    given = {
        "tools": body(user("a"), tools=[{**TOOL, "cache_control": marker}]),
        "system": body(user("a"), system=[text("s", cache_control=marker)]),
        "messages": body(user(text("a", cache_control=marker))),
        "automatic": body(user("a"), cache_control=marker),
    }[where]
    read = outline(given)

    if where == "automatic":
        assert (read.automatic, read.automatic_illegal) == (ttl, ttl is None)
    else:
        assert list(read.markers.values()) == ([] if ttl is None else [ttl])
        assert len(read.illegal) == (ttl is None)


@pytest.mark.parametrize("where", ["tools", "system", "messages", "automatic"])
def test_null_is_no_marker(where):
    """A marker that is null is neither a marker nor an error."""
    given = {
        "tools": body(user("a"), tools=[{**TOOL, "cache_control": None}]),
        "system": body(user("a"), system=[text("s", cache_control=None)]),
        "messages": body(user(text("a", cache_control=None))),
        "automatic": body(user("a"), cache_control=None),
    }[where]
    read = outline(given)

    assert (read.markers, read.illegal) == ({}, ())
    assert (read.automatic, read.automatic_illegal) == (None, False)


@pytest.mark.parametrize(
    ("message", "markers", "illegal"),
    [
        pytest.param(
            user(result(1, [text("a"), text("b", cache_control=HOUR)])),
            {0: "1h"},
            [],
            id="last-part-of-a-result",
        ),
        pytest.param(
            user(result(1, (text("a", cache_control=HOUR),))),
            {0: "1h"},
            [],
            id="last-part-in-a-tuple",
        ),
        pytest.param(
            user(result(1, [text("a", cache_control=MARK), text("b")])),
            {},
            ["messages[0].content[0] (inside)"],
            id="inner-part",
        ),
        pytest.param(
            user(result(1, [text("a", cache_control=MARK)], cache_control=HOUR)),
            {0: "1h"},
            ["messages[0].content[0] (inside)"],
            id="part-and-result",
        ),
        pytest.param(
            user(
                {
                    "type": "document",
                    "source": {
                        "type": "content",
                        "content": [text("a", cache_control=MARK)],
                    },
                }
            ),
            {},
            ["messages[0].content[0] (inside)"],
            id="part-of-a-document",
        ),
        pytest.param(
            user({"type": "search_result", "content": [text("a", cache_control=MARK)]}),
            {},
            ["messages[0].content[0] (inside)"],
            id="part-of-a-search-result",
        ),
        pytest.param(
            user(
                {"type": "mcp_tool_result", "content": [text("a", cache_control=MARK)]}
            ),
            {},
            ["messages[0].content[0] (inside)"],
            id="part-of-an-mcp-result",
        ),
        pytest.param(
            user(
                result(
                    1,
                    [
                        {
                            "type": "search_result",
                            "content": [text("a", cache_control=MARK)],
                        }
                    ],
                )
            ),
            {},
            ["messages[0].content[0] (inside)"],
            id="part-of-a-part",
        ),
        pytest.param(
            user("a", cache_control=MARK), {}, ["messages[0]"], id="on-the-message"
        ),
        pytest.param(
            assistant({"type": "thinking", "thinking": "t", "cache_control": MARK}),
            {},
            ["messages[0].content[0]"],
            id="on-thinking",
        ),
        pytest.param(
            user(text(" ", cache_control=MARK)), {0: "5m"}, [], id="on-blank-text"
        ),
        pytest.param(
            user({"type": "new", "cache_control": MARK}), {0: "5m"}, [], id="on-unknown"
        ),
        pytest.param(
            {"role": "system", "content": [text("s", cache_control=MARK)]},
            {0: "5m"},
            [],
            id="on-a-system-turn",
        ),
        pytest.param(
            user(text(" ", cache_control=MARK), clear_at="next_user_message"),
            {},
            ["messages[0].content[0]"],
            id="on-a-turn-that-is-cleared",
        ),
    ],
)
def test_markers_and_where_they_are_illegal(message, markers, illegal):
    """A caller's marker is kept where it may stand and reported where it may not."""
    read = outline(body(message))

    assert read.markers == markers
    assert [str(place) for place in read.illegal] == illegal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(body(user("a")), body(user(text("a"))), id="string-in-a-message"),
        pytest.param(
            body(user("a"), system="s"),
            body(user("a"), system=[text("s")]),
            id="string-as-system",
        ),
        pytest.param(
            body(user(text("a", cache_control=MARK))), body(user("a")), id="marker"
        ),
        pytest.param(
            body(user(result(1, [text("a", cache_control=MARK), text("b")]))),
            body(user(result(1, [text("a"), text("b")]))),
            id="marker-on-a-part",
        ),
        pytest.param(
            body(user(result(1, (text("a", cache_control=MARK),)))),
            body(user(result(1, [text("a")]))),
            id="marker-in-a-tuple",
        ),
        pytest.param(
            body(user("a"), tools=[{**TOOL, "cache_control": HOUR}]),
            body(user("a"), tools=[TOOL]),
            id="marker-on-a-tool",
        ),
        pytest.param(
            body(user("a"), cache_control=MARK, max_tokens=9, stream=True),
            body(user("a")),
            id="not-of-the-prompt",
        ),
        pytest.param(
            body(user("a")) | {"messages": (user("a"),)}, body(user("a")), id="tuple"
        ),
        pytest.param(
            body(user("a"), system="", tools=None), body(user("a")), id="nothing-there"
        ),
    ],
)
def test_equal_digests(one, other):
    """What makes no difference to the prompt makes none to its digests."""
    assert digests(one) == digests(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(body(user("a")), body(assistant("a")), id="role"),
        pytest.param(body(user("a")), {**body(user("a")), "model": "m"}, id="model"),
        pytest.param(body(user("a")), body(user("a"), speed="fast"), id="speed"),
        pytest.param(body(user("a")), body(user("b")), id="text"),
        pytest.param(
            body(user("a", "b")), body(user("a"), user("b")), id="message-boundary"
        ),
        pytest.param(body(user("a")), body(user("x"), system="a"), id="section"),
        pytest.param(
            body(user("a"), tools=[{"name": "f", "type": "custom"}]),
            body(user("a"), tools=[{"type": "custom", "name": "f"}]),
            id="key-order-of-a-tool",
        ),
        pytest.param(
            body(assistant(call(1, input={"a": 1, "b": 2}))),
            body(assistant(call(1, input={"b": 2, "a": 1}))),
            id="key-order-of-a-call",
        ),
        pytest.param(
            body(user("a"), tools=[{**TOOL, "name": "g"}, TOOL]),
            body(user("a"), tools=[TOOL, {**TOOL, "name": "g"}]),
            id="order-of-tools",
        ),
        pytest.param(
            body(user(text("a", citations=[]))), body(user(text("a"))), id="field"
        ),
        pytest.param(
            body(assistant(call(1, input={"cache_control": 1}))),
            body(assistant(call(1, input={"cache_control": 2}))),
            id="argument-of-that-name",
        ),
    ],
)
def test_different_digests(one, other):
    """What makes a difference to the prompt makes one to its last digest."""
    assert digests(one)[-1] != digests(other)[-1]


def test_tenants_share_no_digest():
    """A tenant enters every digest."""
    given = body(user("a"), tools=[TOOL], system="s")
    ours, theirs = digests(given, tenant="a"), digests(given, tenant="b")

    assert not set(ours) & set(theirs)
    assert not set(ours) & set(digests(given))


def test_digests_run():
    """A digest covers all that stands before, so a change shows in all that follow."""
    one = digests(body(user("a"), assistant("b"), user("c")))
    other = digests(body(user("a"), assistant("B"), user("c")))

    assert one[0] == other[0]
    assert not set(one[1:]) & set(other[1:])


@pytest.mark.parametrize(
    ("host", "units"),
    [
        pytest.param("anthropic", [1, 2, 3, 3, 3, 4, 4, 4, 5], id="direct"),
        pytest.param("bedrock", [1, 2, 3, 4, 5, 6, 7, 8, 9], id="elsewhere"),
        pytest.param("vertex", [1, 2, 3, 4, 5, 6, 7, 8, 9], id="unknown-there"),
    ],
)
def test_runs_of_calls_are_one_position(host, units):
    """A run of calls, or of results, is one look-back position on the direct API."""
    given = body(
        user("a"),
        assistant(text("b"), call(1), call(2), call(3)),
        user(result(1), result(2), result(3), text("c")),
    )

    assert outline(given, host=HOSTS[host]).blocks.units == units


def test_a_deferred_tool_starts_no_run():
    """What is not in the prompt takes no position, whatever follows."""
    given = body(user("a"), tools=[{**TOOL, "defer_loading": True}, TOOL])

    assert outline(given).blocks.units == [0, 1, 2]


@pytest.mark.parametrize(
    ("fields", "forced"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"tool_choice": {"type": "auto"}}, False, id="auto"),
        pytest.param({"tool_choice": {"type": "none"}}, False, id="none"),
        pytest.param({"tool_choice": {"type": "any"}}, True, id="any"),
        pytest.param({"tool_choice": {"type": "tool", "name": "f"}}, True, id="named"),
        pytest.param({"tool_choice": "any"}, False, id="no-object"),
        pytest.param({"output_config": {"format": {"type": "x"}}}, True, id="format"),
        pytest.param({"output_config": {"effort": "low"}}, False, id="effort"),
    ],
)
def test_forced_answers(fields, forced):
    """A forced tool or output format makes a single answer likely."""
    assert outline(body(user("a"), **fields)).forced is forced


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        pytest.param([user("a")], False, id="question"),
        pytest.param([user("a"), assistant("b"), user("c")], True, id="conversation"),
    ],
)
def test_what_a_request_holds(fields, answers):
    """An outline tells of turns of the model and of tools."""
    assert outline(body(*fields)).has_answers is answers
    assert outline(body(*fields)).has_tools is False
    assert outline(body(*fields, tools=[TOOL])).has_tools is True


def test_nothing_at_all():
    """A body of nothing is an outline of nothing."""
    read = outline({})

    assert (read.length, read.total_tokens) == (0, 0)
    assert read.digest_before(0) == read.blocks.root


@pytest.mark.parametrize(
    ("block", "plain"),
    [
        pytest.param(
            TextBlock(type="text", text="hello", citations=None),
            text("hello", citations=None),
            id="text",
        ),
        pytest.param(
            ToolUseBlock(type="tool_use", id="t1", name="f", input={"b": 1, "a": [2]}),
            call(1, input={"b": 1, "a": [2]}),
            id="tool-use",
        ),
        pytest.param(
            ThinkingBlock(type="thinking", thinking="t", signature="s"),
            {"signature": "s", "thinking": "t", "type": "thinking"},
            id="thinking",
        ),
        pytest.param(
            RedactedThinkingBlock(type="redacted_thinking", data="d"),
            {"data": "d", "type": "redacted_thinking"},
            id="redacted-thinking",
        ),
    ],
)
def test_response_objects_equal_their_dict_form(block, plain):
    """A block of the SDK's own types that is passed back reads as it is sent."""
    dumped = block.model_dump(mode="json", exclude_unset=True)
    read, dict_read = outline(body(assistant(block))), outline(body(assistant(dumped)))

    assert dict(plain) == dumped
    assert read.blocks.digests == dict_read.blocks.digests
    assert read.blocks.refusals == dict_read.blocks.refusals


def test_a_whole_response_passed_back():
    """The content list of a response can be the content of a message."""
    message = Message.model_validate(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "x",
            "content": [{"type": "text", "text": "a"}, call(1)],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    )
    given = body({"role": "assistant", "content": message.content})

    assert outline(given).blocks.kinds == ["text", "tool_use"]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(text("\ud800 alone"), id="lone-surrogate"),
        pytest.param(text("\ud800", citations=[]), id="lone-surrogate-with-a-field"),
        pytest.param(call(1, input={"n": 10**40}), id="huge-integer"),
        pytest.param(call(1, input={"n": float("inf")}), id="infinity"),
        pytest.param(call(1, input={"t": (1, (2, 3))}), id="tuples"),
        pytest.param(call(1, input={1: "x"}), id="key-no-string"),
        pytest.param(call(1, input={"o": object}), id="object"),
        pytest.param("bare text", id="string-among-blocks"),
    ],
)
def test_odd_values_are_read(block):
    """What JSON hardly takes is read all the same, and alike every time."""
    given = body(user(block, text("b")))

    assert digests(given) == digests(given)
    assert len(digests(given)) == 2


def test_sizes():
    """A block's size follows its text; an image or a document has one of its own."""
    image = {"type": "image", "source": {"type": "base64", "data": "A" * 1_000_000}}
    paper = {"type": "document", "source": {"type": "base64", "data": "A" * 1_200_000}}
    shot = result(
        1, [{"type": "image", "source": {"type": "base64", "data": "A" * 99_999}}]
    )
    steps = [0, *outline(body(user(text("a" * 400), image, paper, shot))).blocks.tokens]

    assert [after - before for before, after in pairwise(steps)] == [
        100,
        1_600,
        pytest.approx(25_000, rel=0.01),
        1_600,
    ]


CYCLIC = {"type": "tool_use", "input": {}}
CYCLIC["input"]["self"] = CYCLIC
CYCLIC_PART = {"type": "tool_result", "content": []}
CYCLIC_PART["content"].append(CYCLIC_PART)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="nothing"),
        pytest.param([user("a")], id="list"),
        pytest.param("text", id="string"),
        pytest.param({"messages": "hello"}, id="messages-a-string"),
        pytest.param({"messages": {"role": "user"}}, id="messages-an-object"),
        pytest.param({"messages": iter([user("a")])}, id="messages-an-iterator"),
        pytest.param(body("hello"), id="message-a-string"),
        pytest.param(body(None), id="message-null"),
        pytest.param(body({"role": "user", "content": 5}), id="content-a-number"),
        pytest.param(body({"role": "user", "content": {}}), id="content-an-object"),
        pytest.param(body(user(7, 8)), id="block-a-number"),
        pytest.param(body(user(None, "a")), id="block-null"),
        pytest.param(body(user("a"), system=5), id="system-a-number"),
        pytest.param(body(user("a"), tools="f"), id="tools-a-string"),
        pytest.param(body(user("a"), tools=[5]), id="tool-a-number"),
        pytest.param(body(assistant(CYCLIC)), id="cyclic"),
        pytest.param(body(user(CYCLIC_PART)), id="cyclic-parts"),
    ],
)
def test_unreadable_bodies(given):
    """A body of another shape is refused, and the error says why."""
    with pytest.raises(UnreadableBodyError) as caught:
        outline(given)

    assert caught.value.why


def test_bodies_that_are_too_large():
    """A body of more than 32 MB is not read to its end."""
    large = "x" * (MAX_BYTES // 4)

    with pytest.raises(UnreadableBodyError, match="larger than"):
        outline(body(*[user(large)] * 6))


GROWTH = [
    pytest.param([user("b")], id="string"),
    pytest.param([assistant(call(1), call(2)), user(result(1), result(2))], id="tools"),
    pytest.param([user(text("b", cache_control=HOUR))], id="marker"),
    pytest.param([user("b", cache_control=MARK)], id="illegal-marker"),
    pytest.param([], id="nothing"),
]


@pytest.mark.parametrize("more", GROWTH)
@pytest.mark.parametrize("host", ["anthropic", "bedrock"])
def test_extended_equals_a_fresh_outline(host, more):
    """An outline that is extended equals that of the longer body."""
    first = body(user("a"), assistant(call(0)), tools=[TOOL], system="s")
    longer = body(*first["messages"], *more, tools=[TOOL], system="s")
    before = outline(first, host=HOSTS[host])
    grown = extended(before, more, host=HOSTS[host])

    assert grown == outline(longer, host=HOSTS[host])
    assert grown.blocks is before.blocks


def test_extended_knows_new_markers_only():
    """Markers of the request before are not content and are not carried over."""
    before = outline(body(user(text("a", cache_control=MARK)), cache_control=MARK))
    grown = extended(before, [user(text("b", cache_control=HOUR))])

    assert grown.markers == {1: "1h"}
    assert grown.automatic is None


def test_extended_twice_forks():
    """Two continuations of one conversation share what is common and nothing else."""
    before = outline(body(user("a"), assistant("b")))
    one = extended(before, [user("c")])
    other = extended(before, [user("d"), assistant("e")])
    deeper = extended(one, [assistant("f")])

    for grown, turns in (
        (before, "ab"),
        (one, "abc"),
        (other, "abde"),
        (deeper, "abcf"),
    ):
        fresh = outline(body(*[_turn(name) for name in turns]))
        assert grown.blocks.digests[: grown.length] == fresh.blocks.digests
        assert grown.total_tokens == fresh.total_tokens
        assert (grown.length, grown.starts) == (fresh.length, fresh.starts)
        assert grown.message_end(len(turns) - 1) == fresh.length - 1


def _turn(name):
    return assistant(name) if name in "bef" else user(name)


def test_one_body_read_by_many_threads():
    """Reading shares nothing between threads."""
    given = body(*[user(text(str(n))) for n in range(200)])
    expected, seen = digests(given), []
    threads = [
        threading.Thread(target=lambda: seen.append(digests(given) == expected))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 16
