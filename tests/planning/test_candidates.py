"""Where breakpoints go, request by request."""

import pytest

from promptcache.options import CallOptions
from promptcache.planning.chances import shrunk
from promptcache.planning.past import NOTHING_KNOWN, Again, Past
from promptcache.planning.plan import Plan, plan
from promptcache.planning.policies import Policy
from promptcache.providers.anthropic import ANTHROPIC

LONG = "word " * 800
"""A thousand tokens or so."""
HUGE = "word " * 8000
"""Ten thousand tokens or so, which a question rarely has twice."""
SHORT = "word"
TOOL = {"name": "f", "description": LONG, "input_schema": {"type": "object"}}
FORCED = {"tool_choice": {"type": "tool", "name": "f"}}
THINKING = {"type": "thinking", "thinking": LONG, "signature": "s"}
AUTO = Policy.auto()


def again(**chances):
    """Return how likely parts of a request come again, for sure."""
    return {name: Again.certain(chance) for name, chance in chances.items()}


def text(value=LONG):
    return {"type": "text", "text": value}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or [text()]}


def assistant(*blocks):
    return {**user(*blocks), "role": "assistant"}


def call(number=0):
    return {"type": "tool_use", "id": f"t{number}", "name": "f", "input": {}}


def result(number=0):
    return {"type": "tool_result", "tool_use_id": f"t{number}", "content": LONG}


def body(*messages, **fields):
    return {"model": "claude-sonnet-5-5", "messages": list(messages), **fields}


def agent(*messages, **fields):
    return body(*messages, tools=[TOOL], system=[text()], **fields)


def planned(given, *, past=NOTHING_KNOWN, policy=AUTO, ttl=None, host="anthropic"):
    """Return the plan of a body."""
    rules, _ = ANTHROPIC.rules(given["model"], host, None)
    outline = ANTHROPIC.outline(given, host=host, tenant=None)
    said = CallOptions(ttl=ttl)
    return plan(outline, rules=rules, policy=policy, past=past, options=said)


def points(given, **how):
    """Return where the plan's breakpoints stand, and why."""
    outline = ANTHROPIC.outline(given, host=how.get("host", "anthropic"), tenant=None)
    return [
        f"{outline.place(point.position)} {point.reason}"
        for point in planned(given, **how).breakpoints
    ]


STEPS = [message for _ in range(3) for message in (assistant(call()), user(result()))]


@pytest.mark.parametrize(
    ("given", "past", "expected"),
    [
        pytest.param(
            agent(user()),
            NOTHING_KNOWN,
            ["tools[0] tools", "system[0] system", "messages[0].content[0] tail"],
            id="agent-first-request",
        ),
        pytest.param(
            agent(user(), assistant(call()), user(result())),
            Past(shared=2, entry=2),
            [
                "system[0] system",
                "messages[0].content[0] shared",
                "messages[1].content[0] stable",
                "messages[2].content[0] tail",
            ],
            id="agent-second-request",
        ),
        pytest.param(
            agent(user(), *STEPS),
            NOTHING_KNOWN,
            [
                "tools[0] tools",
                "system[0] system",
                "messages[5].content[0] stable",
                "messages[6].content[0] tail",
            ],
            id="agent-taken-up-later",
        ),
        pytest.param(body(user(text(HUGE))), NOTHING_KNOWN, [], id="one-shot-question"),
        pytest.param(
            body(user()),
            NOTHING_KNOWN,
            ["messages[0].content[0] tail"],
            id="short-question",
        ),
        pytest.param(
            body(user(text(HUGE)), system=[text()]),
            NOTHING_KNOWN,
            ["system[0] system"],
            id="one-shot-with-a-system-prompt",
        ),
        pytest.param(
            agent(user(text(HUGE)), **FORCED),
            NOTHING_KNOWN,
            ["tools[0] tools", "system[0] system"],
            id="forced-tool",
        ),
        pytest.param(
            agent(
                user(text(HUGE)),
                assistant(),
                user(),
                output_config={"format": {"type": "x"}},
            ),
            NOTHING_KNOWN,
            ["tools[0] tools", "system[0] system"],
            id="forced-format",
        ),
        pytest.param(
            body(user(), assistant(), user(), system=[text()]),
            NOTHING_KNOWN,
            [
                "system[0] system",
                "messages[1].content[0] stable",
                "messages[2].content[0] tail",
            ],
            id="chat",
        ),
        pytest.param(
            agent(user()) | {"system": [text(), text("now")]},
            Past(shared=1, volatile=2),
            ["tools[0] tools", "system[0] system"],
            id="volatile-second-system-block",
        ),
        pytest.param(
            agent(user(), assistant(call()), user(result()))
            | {"system": [text(), text("now")]},
            Past(shared=3, entry=3, volatile=2),
            [
                "system[0] system",
                "messages[0].content[0] shared",
                "messages[1].content[0] stable",
                "messages[2].content[0] tail",
            ],
            id="what-changes-came-again-this-time",
        ),
        pytest.param(
            agent(user()),
            Past(shared=0, volatile=1),
            ["tools[0] tools"],
            id="volatile-system-prompt",
        ),
        pytest.param(
            agent(user(), **FORCED),
            Past(volatile=0),
            [],
            id="volatile-tools",
        ),
        pytest.param(
            body(user(text(HUGE)), tools=[TOOL], **FORCED),
            NOTHING_KNOWN,
            ["tools[0] tools"],
            id="tools-only",
        ),
        pytest.param(
            body(user(text(SHORT)), tools=[{"name": "f"}], system=SHORT),
            NOTHING_KNOWN,
            [],
            id="below-the-minimum",
        ),
        pytest.param(
            agent(user(), assistant(call()), user(result()), assistant(THINKING)),
            NOTHING_KNOWN,
            [
                "tools[0] tools",
                "system[0] system",
                "messages[1].content[0] stable",
                "messages[2].content[0] tail",
            ],
            id="thinking-at-the-tail",
        ),
        pytest.param(
            agent(user(text(), text(""))),
            NOTHING_KNOWN,
            ["tools[0] tools", "system[0] system", "messages[0].content[0] tail"],
            id="empty-text-at-the-tail",
        ),
        pytest.param(
            agent(user(), {"role": "system", "content": LONG}),
            NOTHING_KNOWN,
            ["tools[0] tools", "system[0] system", "messages[0].content[0] tail"],
            id="system-turn-at-the-tail",
        ),
        pytest.param(
            body(user(), assistant(), user(text(HUGE)), system=[text()], **FORCED),
            Past(shared=2, entry=-1),
            ["system[0] system", "messages[1].content[0] shared"],
            id="few-shot-examples",
        ),
        pytest.param(
            body(*[user(), assistant()] * 3, user(), system=[text()]),
            Past(shared=3, entry=3, chances=again(last=0)),
            [
                "system[0] system",
                "messages[2].content[0] shared",
                "messages[5].content[0] stable",
            ],
            id="chat-whose-last-turns-never-came-again",
        ),
        pytest.param(
            body(*[user(), assistant()] * 3, user(), system=[text()]),
            Past(shared=0, entry=0, chances=again(turns=0, last=0)),
            ["system[0] system"],
            id="history-that-never-came-again",
        ),
        pytest.param(
            agent(user(*[text("x" * 40)] * 100)),
            NOTHING_KNOWN,
            [
                "system[0] system",
                "messages[0].content[59] spaced",
                "messages[0].content[79] spaced",
                "messages[0].content[99] tail",
            ],
            id="100-blocks-at-once",
        ),
        pytest.param(
            body(
                user(text(HUGE)),
                tools=[TOOL, {**TOOL, "defer_loading": True}],
                **FORCED,
            ),
            NOTHING_KNOWN,
            ["tools[0] tools"],
            id="deferred-tool-last",
        ),
        pytest.param(
            agent(assistant(call()), user(*[text(SHORT)] * 30))
            | {"tools": [TOOL, {**TOOL, "defer_loading": True}], "system": []},
            Past(shared=1, entry=1),
            [
                "tools[0] tools",
                "messages[0].content[0] stable",
                "messages[1].content[9] spaced",
                "messages[1].content[29] tail",
            ],
            id="entry-that-ends-on-a-deferred-tool",
        ),
    ],
)
def test_auto(given, past, expected):
    """What is likely to come again is marked, the dearest to lose first."""
    assert points(given, past=past) == expected


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        pytest.param(19, "stable", id="within-the-look-back"),
        pytest.param(20, "previous", id="beyond-it"),
        pytest.param(25, "previous", id="far-beyond"),
    ],
)
def test_the_entry_before_is_named_beyond_the_look_back(new, reason):
    """An entry that the tail's look-back would not reach gets a breakpoint."""
    given = agent(user(), user(*[text(SHORT)] * new))

    assert f"messages[0].content[0] {reason}" in points(
        given, past=Past(shared=2, entry=2)
    )


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param("anthropic", "shared", id="run-is-one-position"),
        pytest.param("bedrock", "previous", id="run-is-many"),
    ],
)
def test_parallel_calls(host, reason):
    """Whether a run of calls pushes the entry out of reach depends on the host."""
    calls = assistant(*[call(number) for number in range(25)])
    results = user(*[result(number) for number in range(25)])
    found = points(
        agent(user(), calls, results), host=host, past=Past(shared=2, entry=2)
    )

    assert f"messages[0].content[0] {reason}" in found


def test_why_a_tail_is_not_written():
    """A plan says what it decided against."""
    assert planned(body(user(text(HUGE)))).notes == (
        "tail not written: 17% likely to be read again",
    )


def test_what_changes_is_named():
    """A plan names the block that is another on every call."""
    assert planned(agent(user()), past=Past(volatile=1)).notes == (
        "system[0] changes on every call",
    )


def counted(came, total, prior=0.35):
    """Return what so many sights of chats make of their last turns' chances."""
    chance = shrunk([(came, total)], prior)
    return {"last": Again(chance, chance)}


@pytest.mark.parametrize(
    ("past", "ttl", "written"),
    [
        pytest.param(Past(), None, True, id="prior"),
        pytest.param(Past(chances=counted(0, 0)), None, True, id="prior-in-doubt"),
        pytest.param(Past(chances=counted(0, 1)), None, True, id="one-lost"),
        pytest.param(Past(chances=counted(0, 3)), None, False, id="three-lost"),
        pytest.param(Past(chances=counted(1, 2)), None, True, id="one-of-two-came"),
        pytest.param(Past(), "1h", True, id="an-hour-says-not-whether"),
        pytest.param(Past(chances=counted(0, 3)), "1h", False, id="an-hour-in-vain"),
        pytest.param(Past(chances=counted(30, 30)), "1h", True, id="an-hour-that-pays"),
    ],
)
def test_break_even(past, ttl, written):
    """A chat's tail is written while a reading is surely likely enough to pay for it.

    A token read is worth 1.25 - 0.05 here, and writing it costs 0.25 more: from 21 % on
    that pays. Who asks for an hour says for how long, not whether.
    """
    given = body(user(), assistant(), user())
    found = points(given, past=past, ttl=ttl)

    assert ("messages[2].content[0] tail" in found) is written


@pytest.mark.parametrize("ttl", [None, "5m", "1h"])
def test_the_option_names_the_lifetime(ttl):
    """All that auto places lives as long as the caller says, else five minutes."""
    made = planned(agent(user(), *STEPS), ttl=ttl)

    assert {point.ttl for point in made.breakpoints} == {ttl or "5m"}


@pytest.mark.parametrize("ttl", [None, "1h"])
def test_an_agents_first_request_is_written(ttl):
    """An hour that is asked for holds from the first request on."""
    assert points(agent(user()), ttl=ttl) == [
        "tools[0] tools",
        "system[0] system",
        "messages[0].content[0] tail",
    ]


@pytest.mark.parametrize(
    ("policy", "ttl", "expected"),
    [
        pytest.param(
            Policy.fixed(),
            None,
            ["tools 1h", "system 1h", "stable 5m", "tail 5m"],
            id="default",
        ),
        pytest.param(
            Policy.fixed(tools="5m", system="5m"),
            None,
            ["tools 5m", "system 5m", "stable 5m", "tail 5m"],
            id="all-short",
        ),
        pytest.param(
            Policy.fixed(tools=None, history=None),
            None,
            ["system 1h", "tail 5m"],
            id="gaps",
        ),
        pytest.param(
            Policy.fixed(tail=None),
            None,
            ["tools 1h", "system 1h", "stable 5m"],
            id="no-tail",
        ),
        pytest.param(
            Policy.fixed(tools=None, system=None, history=None, tail=None),
            None,
            [],
            id="nothing",
        ),
        pytest.param(
            Policy.fixed(),
            "1h",
            ["tools 1h", "system 1h", "stable 1h", "tail 1h"],
            id="option-over-all",
        ),
        pytest.param(
            Policy.fixed(tools=None, history=None),
            "5m",
            ["system 5m", "tail 5m"],
            id="option-fills-no-gap",
        ),
    ],
)
def test_fixed(policy, ttl, expected):
    """A fixed policy places the same on every request."""
    made = planned(
        agent(user(), assistant(call()), user(result())), policy=policy, ttl=ttl
    )

    assert [f"{point.reason} {point.ttl}" for point in made.breakpoints] == expected


def test_fixed_writes_what_auto_would_not():
    """A fixed policy does not ask how likely a reading is."""
    assert points(body(user()), policy=Policy.fixed()) == [
        "messages[0].content[0] tail"
    ]


def test_off():
    """Nothing is placed, nothing mended."""
    given = agent(user(), cache_control={"type": "x"})

    assert planned(given, policy=Policy.off()) == Plan()


def test_minimum_of_the_model():
    """What is long enough for one model is too short for another."""
    given = body(user(text(SHORT)), system=[text()])
    other = {**given, "model": "claude-haiku-4-5"}

    past = Past(chances=again(turns=1, last=1))

    assert points(given, past=past) == [
        "system[0] system",
        "messages[0].content[0] tail",
    ]
    assert points(other, past=past) == []


def test_nothing_in_the_request():
    """A request of no block gets a plan of no breakpoint."""
    assert planned(body()).breakpoints == ()


def test_the_callers_markers_are_counted():
    """Ours fill the slots that the caller left, the best first."""
    given = agent(user(), assistant(), user())
    given["tools"] = [{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    given["messages"][0]["content"][0]["cache_control"] = {"type": "ephemeral"}

    assert points(given, ttl="1h", past=Past(chances=again(turns=1, last=1))) == [
        "tools[0] fixed",
        "system[0] system",
        "messages[0].content[0] fixed",
        "messages[2].content[0] tail",
    ]
    assert [point.ttl for point in planned(given, ttl="1h").breakpoints] == [
        "1h",
        "1h",
        "5m",
        "5m",
    ]
