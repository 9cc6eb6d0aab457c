"""Plans, written back into bodies."""

import copy

import pytest
from anthropic.types import TextBlock

from promptcache.planning.plan import Breakpoint, Plan, plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.providers.anthropic import ANTHROPIC

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def body(**fields):
    return {"model": "claude-sonnet-5-5", "max_tokens": 9, **fields}


def large(**fields):
    """Return a body with something of every kind."""
    return body(
        tools=[{**TOOL, "name": "f"}, {**TOOL, "name": "g"}],
        system=[text("s"), text("t")],
        messages=[
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [text("c")]},
            {"role": "user", "content": [text("d")]},
        ],
        **fields,
    )


def applied(given, *points, **fields):
    """Return the body with breakpoints at positions, each with its lifetime."""
    outline = ANTHROPIC.outline(given, host="anthropic", tenant=None)
    points = tuple(Breakpoint(position, ttl, "fixed") for position, ttl in points)
    return ANTHROPIC.apply(given, outline, Plan(breakpoints=points, **fields))


def repaired(given, host="anthropic"):
    """Return the body after a planning that places nothing of its own."""
    rules, _ = ANTHROPIC.rules(given["model"], host, None)
    outline = ANTHROPIC.outline(given, host=host, tenant=None)
    nothing = Policy.fixed(tools=None, system=None, history=None, tail=None)
    made = plan(outline, rules=rules, policy=nothing)
    return ANTHROPIC.apply(given, outline, made)


@pytest.mark.parametrize(
    ("ttl", "marker"),
    [pytest.param("5m", MARK, id="5m"), pytest.param("1h", HOUR, id="1h")],
)
@pytest.mark.parametrize(
    ("position", "find"),
    [
        pytest.param(1, lambda sent: sent["tools"][1], id="tool"),
        pytest.param(2, lambda sent: sent["system"][0], id="system"),
        pytest.param(5, lambda sent: sent["messages"][0]["content"][1], id="message"),
    ],
)
def test_form_of_a_marker(position, find, ttl, marker):
    """Five minutes are the default and go without a lifetime; an hour is named."""
    given = large()
    sent = applied(given, (position, ttl))

    assert find(sent) == {**find(given), "cache_control": marker}


def test_what_is_not_touched_is_the_callers_own():
    """Only the path to a marker is copied; all else are the same objects."""
    given = large()
    sent = applied(given, (1, "1h"), (3, "1h"), (5, "5m"))

    assert sent["tools"][0] is given["tools"][0]
    assert sent["system"][0] is given["system"][0]
    assert sent["messages"][0]["content"][0] is given["messages"][0]["content"][0]
    assert sent["messages"][1] is given["messages"][1]
    assert sent["messages"][2] is given["messages"][2]
    assert sent["tools"][1]["input_schema"] is given["tools"][1]["input_schema"]
    for changed, own in (
        (sent, given),
        (sent["tools"], given["tools"]),
        (sent["tools"][1], given["tools"][1]),
        (sent["system"][1], given["system"][1]),
        (sent["messages"], given["messages"]),
        (sent["messages"][0], given["messages"][0]),
        (sent["messages"][0]["content"], given["messages"][0]["content"]),
        (sent["messages"][0]["content"][1], given["messages"][0]["content"][1]),
    ):
        assert changed is not own


def test_tools_without_a_change_are_the_callers_own():
    """The list of tools is passed on if nothing in it changes."""
    given = large()

    assert applied(given, (3, "5m"))["tools"] is given["tools"]


def test_nothing_is_written_to():
    """The caller's body is the same after as before, markers and all."""
    given = large(cache_control=HOUR)
    given["messages"][0]["content"][0]["cache_control"] = MARK
    given["messages"][1]["cache_control"] = MARK
    before = copy.deepcopy(given)
    applied(given, (1, "1h"), (5, "5m"), (6, "5m"))

    assert given == before


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy.auto(), id="auto"),
        pytest.param(Policy.fixed(), id="fixed"),
        pytest.param(
            Policy.fixed(tools=None, system=None, history=None, tail=None), id="nothing"
        ),
    ],
)
def test_strings_become_one_text_block(policy):
    """Every non-empty string takes the form of one text block, marked or not."""
    given = body(
        system="s",
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "system", "content": "c"},
            {"role": "user", "content": ""},
            {"role": "user", "content": " "},
        ],
    )
    outline = ANTHROPIC.outline(given, host="anthropic", tenant=None)
    sent = ANTHROPIC.apply(given, outline, plan(outline, rules=Rules(), policy=policy))

    assert sent["system"] == [text("s")]
    assert [message["content"] for message in sent["messages"]] == [
        [text("a")],
        [text("b")],
        [text("c")],
        "",
        [text(" ")],
    ]


def test_strings_inside_of_blocks_stay():
    """The content of a tool result is no turn and keeps its form."""
    block = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
    given = body(messages=[{"role": "user", "content": [block]}])

    assert applied(given, (0, "5m"))["messages"][0]["content"] == [
        {**block, "cache_control": MARK}
    ]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(body(messages=[]), id="no-message"),
        pytest.param(body(), id="no-messages"),
        pytest.param(body(messages=None), id="messages-null"),
        pytest.param(body(messages=[], system=[], tools=[]), id="empty-lists"),
        pytest.param(body(messages=[], system="", tools=None), id="empty-string"),
        pytest.param(body(messages=[], cache_control=None), id="marker-null"),
        pytest.param(
            body(messages=[{"role": "user", "content": None}]), id="content-null"
        ),
        pytest.param(body(messages=[{"role": "user"}]), id="no-content"),
    ],
)
def test_nothing_to_do_changes_nothing(given):
    """A body without anything to mark is sent as it is."""
    assert applied(given) == given


def test_the_callers_marker_is_moved():
    """A marker that the plan does not have goes; one that it has stays."""
    given = large()
    given["messages"][0]["content"][0]["cache_control"] = HOUR
    given["messages"][2]["content"][0]["cache_control"] = HOUR
    sent = applied(given, (7, "1h"))

    assert sent["messages"][0]["content"][0] == text("a")
    assert sent["messages"][2] is given["messages"][2]


def test_a_lifetime_is_changed():
    """A marker that the plan shortens is written anew."""
    given = large()
    given["messages"][2]["content"][0]["cache_control"] = HOUR

    assert applied(given, (7, "5m"))["messages"][2]["content"] == [
        text("d", cache_control=MARK)
    ]


@pytest.mark.parametrize(
    ("fields", "automatic", "sent"),
    [
        pytest.param({"cache_control": MARK}, "5m", MARK, id="kept"),
        pytest.param({"cache_control": HOUR}, "5m", MARK, id="shortened"),
        pytest.param({"cache_control": HOUR}, None, None, id="dropped"),
        pytest.param({"cache_control": {"type": "x"}}, None, None, id="illegal"),
        pytest.param({}, None, None, id="none"),
    ],
)
def test_automatic_caching(fields, automatic, sent):
    """The top level follows the plan."""
    planned = applied(large(**fields), automatic=automatic)

    assert planned.get("cache_control") == sent
    assert ("cache_control" in planned) is (sent is not None)


@pytest.mark.parametrize(
    ("block", "sent"),
    [
        pytest.param(
            {"type": "thinking", "thinking": "t", "cache_control": MARK},
            {"type": "thinking", "thinking": "t"},
            id="thinking",
        ),
        pytest.param(text("", cache_control=MARK), text(""), id="empty-text"),
        pytest.param(
            text("a", cache_control={"type": "ephemeral", "ttl": "2h"}),
            text("a"),
            id="unknown-lifetime",
        ),
        pytest.param(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [
                    text("a", cache_control=MARK),
                    text("b", cache_control=HOUR),
                ],
            },
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [text("a"), text("b")],
                "cache_control": HOUR,
            },
            id="parts-of-a-result",
        ),
        pytest.param(
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [text("a", cache_control=MARK)],
                },
            },
            {
                "type": "document",
                "source": {"type": "content", "content": [text("a")]},
            },
            id="part-of-a-document",
        ),
        pytest.param(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [
                    {
                        "type": "search_result",
                        "content": [text("a", cache_control=MARK)],
                    }
                ],
            },
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [{"type": "search_result", "content": [text("a")]}],
            },
            id="part-of-a-part",
        ),
    ],
)
def test_illegal_markers_go(block, sent):
    """What the provider would refuse is taken off, and nothing else."""
    given = body(messages=[{"role": "user", "content": [text("x"), block]}])

    assert repaired(given)["messages"] == [
        {"role": "user", "content": [text("x"), sent]}
    ]


def test_a_marker_on_a_message_goes():
    """A message itself carries no marker, whatever its content is."""
    given = body(
        messages=[
            {"role": "user", "content": "a", "cache_control": MARK},
            {"role": "assistant", "content": [text("b")], "cache_control": MARK},
            {"role": "user", "content": "", "cache_control": MARK},
        ]
    )

    assert repaired(given)["messages"] == [
        {"role": "user", "content": [text("a")]},
        {"role": "assistant", "content": [text("b")]},
        {"role": "user", "content": ""},
    ]


def test_a_marker_on_a_deferred_tool_goes():
    """A deferred tool keeps all but its marker."""
    deferred = {**TOOL, "defer_loading": True}
    given = body(tools=[TOOL, {**deferred, "cache_control": MARK}], messages=[])

    assert repaired(given)["tools"] == [TOOL, deferred]


def test_response_objects_are_marked_as_dicts():
    """A block of the SDK's own types becomes a dict where it takes a marker."""
    block = TextBlock(type="text", text="a", citations=None)
    other = TextBlock(type="text", text="b")
    given = body(messages=[{"role": "assistant", "content": [block, other]}])
    sent = applied(given, (0, "5m"))["messages"][0]["content"]

    assert sent[0] == text("a", citations=None, cache_control=MARK)
    assert sent[1] is other
    assert block.model_dump(exclude_unset=True) == text("a", citations=None)


def test_tuples_become_lists_where_they_change():
    """A sequence of any kind is written back as a list."""
    given = body(
        system=(text("s"),),
        messages=({"role": "user", "content": (text("a"), text("b"))},),
    )
    sent = applied(given, (0, "5m"), (2, "5m"))

    assert sent["system"] == [text("s", cache_control=MARK)]
    assert sent["messages"] == [
        {"role": "user", "content": [text("a"), text("b", cache_control=MARK)]}
    ]
    assert sent["messages"][0]["content"][0] is given["messages"][0]["content"][0]


def test_order_of_keys_stays():
    """A body keeps its keys in their order, as do its messages and blocks."""
    given = {
        "messages": [{"content": "a", "role": "user"}],
        "system": "s",
        "model": "m",
    }
    sent = applied(given, (1, "5m"))

    assert list(sent) == list(given)
    assert list(sent["messages"][0]) == ["content", "role"]
    assert list(sent["messages"][0]["content"][0]) == ["type", "text", "cache_control"]
