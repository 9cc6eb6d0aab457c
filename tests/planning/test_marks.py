"""Where breakpoints go where only an exact one is found, and who places the last."""

import pytest

from promptcache.options import CallOptions
from promptcache.planning.past import NOTHING_KNOWN, Again, Past
from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.providers.openai import CHAT, RESPONSES

LONG = "word " * 1500
"""Nearly two thousand tokens."""
HUGE = LONG * 12
"""Some twenty thousand tokens, which a question rarely has twice."""
TOOL = {"type": "function", "function": {"name": "f", "description": LONG}}
AUTO = Policy.auto()
MODEL = "gpt-6.1-sol"
EXPLICIT = {"mode": "explicit"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


def again(**chances):
    """Return how likely parts of a request come again, for sure."""
    return {name: Again.certain(chance) for name, chance in chances.items()}


NEVER_AGAIN = Past(chances=again(turns=0, last=0))
AGAIN = Past(chances=again(turns=1, last=1))


def message(role="user", text=LONG, **fields):
    return {"role": role, "content": text, **fields}


def marked(text=LONG, **marker):
    part = {"type": "text", "text": text}
    return {**part, "prompt_cache_breakpoint": {**EXPLICIT, **marker}}


def call(number=0):
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": f"c{number}", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(number=0):
    return message("tool", tool_call_id=f"c{number}")


def body(*messages, **fields):
    return {"model": MODEL, "messages": list(messages), **fields}


def agent(*messages, **fields):
    return body(message("system"), *messages, tools=[TOOL], **fields)


def planned(given, *, past=NOTHING_KNOWN, policy=AUTO, ttl=None, api=CHAT, host=None):
    """Return the plan of a body."""
    host = host or "openai"
    rules, _ = api.rules(given["model"], host, None)
    outline = api.outline(given, host=host, tenant=None)
    said = CallOptions(ttl=ttl)
    return plan(outline, rules=rules, policy=policy, past=past, options=said)


def points(given, **how):
    """Return the mode, and where the plan's own breakpoints stand."""
    api = how.get("api", CHAT)
    outline = api.outline(given, host="openai", tenant=None)
    made = planned(given, **how)
    where = [
        f"{outline.place(it.position)} {it.ttl} {it.reason}" for it in made.breakpoints
    ]
    return made.mode, where


STEPS = [message("assistant", "ok"), message()]


@pytest.mark.parametrize(
    ("given", "past", "expected"),
    [
        pytest.param(
            agent(message()),
            NOTHING_KNOWN,
            ("implicit", ["system[0] 30m system"]),
            id="an-agent-is-likely-to-go-on",
        ),
        pytest.param(
            body(message("system"), message(text=HUGE)),
            NOTHING_KNOWN,
            ("implicit", ["system[0] 30m system"]),
            id="a-question-has-half-an-hour-to-come-again",
        ),
        pytest.param(
            body(message("system"), message(text=HUGE)),
            NEVER_AGAIN,
            ("explicit", ["system[0] 30m system"]),
            id="unless-its-like-never-does",
        ),
        pytest.param(
            body(message("system"), message(text="short")),
            NOTHING_KNOWN,
            ("implicit", ["system[0] 30m system"]),
            id="a-short-one-too",
        ),
        pytest.param(
            body(message("system"), message()),
            AGAIN,
            ("implicit", ["system[0] 30m system"]),
            id="unless-such-questions-came-again",
        ),
        pytest.param(
            agent(message(), *STEPS),
            NEVER_AGAIN,
            ("explicit", ["system[0] 30m system"]),
            id="agents-whose-tails-never-came-again",
        ),
        pytest.param(
            agent(message(text=HUGE), response_format=SCHEMA),
            NOTHING_KNOWN,
            ("explicit", ["system[0] 30m system"]),
            id="a-forced-answer-ends-the-conversation",
        ),
        pytest.param(
            body(message(), *STEPS),
            Past(shared=0, entry=0),
            ("implicit", ["messages[0].content[0] 30m previous"]),
            id="an-entry-is-named-again",
        ),
        pytest.param(
            body(message(), response_format=SCHEMA),
            Past(shared=0, chances=again(last=0)),
            ("implicit", []),
            id="what-came-twice-is-written",
        ),
        pytest.param(
            body(message(), message(text=HUGE), response_format=SCHEMA),
            Past(shared=0),
            ("explicit", ["messages[0].content[0] 30m shared"]),
            id="not-what-follows-it",
        ),
        pytest.param(
            body(message(), *STEPS),
            Past(chances=again(last=0)),
            ("explicit", ["messages[0].content[0] 30m stable"]),
            id="turns-without-the-last-one",
        ),
        pytest.param(
            body(message("system"), message(), *STEPS * 2),
            Past(shared=2, entry=1, chances=again(last=0)),
            (
                "explicit",
                [
                    "system[0] 30m system",
                    "messages[1].content[0] 30m previous",
                    "messages[3].content[0] 30m stable",
                ],
            ),
            id="a-chat-goes-on-without-its-last-turns",
        ),
        pytest.param(
            body(message("system"), message(), *STEPS * 2),
            Past(shared=0, entry=0, chances=again(turns=0, last=0)),
            ("explicit", ["system[0] 30m system"]),
            id="a-history-that-never-came-again",
        ),
        pytest.param(
            body(message("system", "short"), message("user", "short")),
            NOTHING_KNOWN,
            ("implicit", []),
            id="nothing-below-the-minimum",
        ),
        pytest.param(
            agent(message(), call(), result(), message("developer")),
            NOTHING_KNOWN,
            (
                "implicit",
                ["system[0] 30m system", "messages[4].content[0] 30m tail"],
            ),
            id="an-end-that-the-provider-does-not-choose",
        ),
        pytest.param(
            agent(message(), call()),
            NOTHING_KNOWN,
            ("implicit", ["system[0] 30m system"]),
            id="assistant-turns-take-none",
        ),
        pytest.param(
            body(
                {
                    "role": "system",
                    "content": [{"type": "text", "text": LONG + n} for n in "abcd"],
                },
                message(text=HUGE),
            ),
            NEVER_AGAIN,
            (
                "explicit",
                [f"system[{at}] 30m system" for at in (0, 1, 2, 3)],
            ),
            id="each-part-of-the-head-may-be-shared",
        ),
        pytest.param(
            body(
                {
                    "role": "system",
                    "content": [{"type": "text", "text": LONG + n} for n in "abcde"],
                },
                message(),
            ),
            Past(volatile=3),
            ("explicit", [f"system[{at}] 30m system" for at in (0, 1, 2)]),
            id="nothing-behind-what-changes",
        ),
    ],
)
def test_places(given, past, expected):
    """The head always, the end where it will come again."""
    assert points(given, past=past) == expected


def test_the_callers_mode_stays():
    """Who says explicit gets an explicit end; who says implicit pays for it."""
    said = {"prompt_cache_options": EXPLICIT}
    mode, where = points(agent(message(), **said))
    assert mode == "explicit"
    assert where == ["system[0] 30m system", "messages[1].content[0] 30m tail"]

    said = {"prompt_cache_options": {"mode": "implicit"}}
    assert points(body(message("system"), message(), **said))[0] == "implicit"


def test_the_callers_marks_keep_their_slots():
    """The latest four are written: ours take what is left of them."""
    marks = [marked(LONG + str(number)) for number in range(6)]
    given = agent({"role": "user", "content": marks})
    mode, where = points(given, policy=Policy.auto())

    assert mode == "implicit"
    assert where == [f"messages[1].content[{n}] 30m fixed" for n in range(6)]
    assert planned(given).dropped == ()

    given = agent({"role": "user", "content": marks[:1]}, *STEPS)
    assert points(given)[1] == [
        "system[0] 30m system",
        "messages[1].content[0] 30m fixed",
    ]


def test_an_entry_before_the_callers_marks_is_named():
    """It takes none of their slots, and nothing else finds it."""
    marks = [marked(LONG + str(number)) for number in range(3)]
    given = agent(message(), *STEPS, {"role": "user", "content": marks})
    where = points(given, past=Past(shared=2, entry=2))[1]

    assert where[0] == "messages[1].content[0] 30m previous"
    assert where[1:] == [f"messages[4].content[{n}] 30m fixed" for n in range(3)]


def test_an_entry_inside_the_head_is_named():
    """The caller's may outlive the head's own."""
    parts = [{"type": "text", "text": LONG + n} for n in "ab"]
    head = {"role": "system", "content": parts}
    bare = body(head, message(), message(text="else"), response_format=SCHEMA)

    assert points(bare, past=Past(shared=2, entry=0))[1] == [
        "system[0] 30m previous",
        "system[1] 30m system",
        "messages[1].content[0] 30m shared",
    ]


def test_a_request_that_goes_on_stays_implicit():
    """What the provider puts first ends where it chose, and is found only there."""
    going_on = {
        "model": MODEL,
        "previous_response_id": "resp_1",
        "input": [message()],
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {}}},
    }

    assert planned(going_on, api=RESPONSES, past=NEVER_AGAIN).mode == "implicit"


def test_marks_that_would_be_refused_are_dropped():
    """One event says so; the others stay."""
    answer = {"role": "assistant", "content": [marked()]}
    made = planned(agent(message(), answer, message()))

    assert made.dropped == ("messages[2].content[0]",)


def test_lifetimes_by_api():
    """Twelve hours are on offer in Responses only; elsewhere the default stands in."""
    given = agent(message())
    made = planned(given, ttl="12h")
    assert (made.ttl, made.automatic) == ("30m", "30m")
    assert "12h is not on offer for this model here" in made.notes

    items = {"model": MODEL, "input": [message("system"), message()], "tools": [TOOL]}
    made = planned(items, ttl="12h", api=RESPONSES, past=AGAIN)
    assert (made.ttl, made.automatic) == ("12h", "12h")
    assert [point.ttl for point in made.breakpoints] == ["12h"]


def test_the_callers_lifetime_holds():
    """What the options of the request say is what is placed."""
    items = {
        "model": MODEL,
        "input": [message("system"), message()],
        "tools": [TOOL],
        "prompt_cache_options": {"ttl": "12h"},
    }
    made = planned(items, api=RESPONSES, past=AGAIN)
    assert (made.ttl, made.automatic) == ("12h", "12h")
    assert [point.ttl for point in made.breakpoints] == ["12h"]


def test_fixed_policies():
    """Each section has its lifetime; none of them places none."""
    items = {"model": MODEL, "input": [message("system"), message()]}
    fixed = Policy.fixed(tools=None, system="12h", history="30m", tail="30m")
    made = planned(items, api=RESPONSES, policy=fixed)
    assert (made.mode, made.ttl) == ("implicit", "30m")
    assert [point.ttl for point in made.breakpoints] == ["12h"]

    bare = Policy.fixed(tools=None, system="30m", history=None, tail=None)
    assert points(body(message("system"), message()), policy=bare) == (
        "explicit",
        ["system[0] 30m system"],
    )


def test_instructions_are_left_to_the_provider():
    """They take no breakpoint, but the end of the head is one that it chooses."""
    warm = {
        "model": MODEL,
        "instructions": LONG,
        "prompt_cache_options": {"prewarm": True},
    }
    assert points(warm, api=RESPONSES) == ("implicit", [])


@pytest.mark.parametrize(
    ("question", "mode"),
    [pytest.param("short", "implicit"), pytest.param(LONG * 20, "explicit")],
)
def test_warmed_instructions_are_read(question, mode):
    """Only the provider's own places find them: at the price of writing the end."""
    items = {"model": MODEL, "instructions": LONG, "input": [message("user", question)]}
    once = again(last=0)
    warm = Past(shared=0, entry=0, chances=once)

    assert points(items, api=RESPONSES, past=Past(chances=once)) == ("explicit", [])
    assert points(items, api=RESPONSES, past=warm)[0] == mode


def test_who_warms_writes_all():
    """The end as well: the caller chose what others will begin with."""
    question = message(text=HUGE)
    first = {"model": MODEL, "input": [message("developer"), question]}
    warm = {**first, "prompt_cache_options": {"prewarm": True}}
    head = ["system[0] 30m system"]

    assert points(first, api=RESPONSES, past=NEVER_AGAIN) == ("explicit", head)
    assert points(warm, api=RESPONSES, past=NEVER_AGAIN) == ("implicit", head)


@pytest.mark.parametrize(
    ("model", "host"),
    [
        pytest.param("gpt-5.2", "openai", id="earlier-model"),
        pytest.param("gpt-5.2", "azure", id="earlier-model-on-azure"),
        pytest.param(MODEL, "azure-ptu", id="provisioned"),
        pytest.param(MODEL, "chatgpt", id="chatgpt"),
    ],
)
def test_where_there_are_no_breakpoints(model, host):
    """A key, and what the caller has that would be refused is taken off."""
    given = agent(message(), prompt_cache_options={"mode": "explicit"})
    given = {**given, "model": model}
    given["messages"][1] = {"role": "user", "content": [marked()]}
    made = planned(given, host=host)

    assert (made.mode, made.breakpoints, made.bare) == (None, (), True)
    assert made.key is not None
    assert made.dropped == ("messages[1].content[0]", "prompt_cache_options")


@pytest.mark.parametrize(
    ("model", "host"),
    [
        pytest.param("gpt-7", "openai", id="unknown-model"),
        pytest.param(MODEL, "gateway.example:4000", id="unknown-server"),
        pytest.param("llama", "local", id="a-server-on-this-machine"),
    ],
)
def test_what_is_unknown_is_left_alone(model, host):
    """A key at most; the caller may know more than we do."""
    given = agent({"role": "user", "content": [marked()]})
    made = planned({**given, "model": model}, host=host)

    assert (made.mode, made.breakpoints, made.bare, made.dropped) == (
        None,
        (),
        False,
        (),
    )
    assert made.key is not None


@pytest.mark.parametrize("said", [{}, {"prewarm": True}, {"ttl": "30m"}, "nonsense"])
def test_options_where_there_are_none(said):
    """Any of them would be refused there, even empty ones."""
    given = {**agent(message()), "model": "gpt-5.2", "prompt_cache_options": said}

    assert planned(given).dropped == ("prompt_cache_options",)


def test_retention_only_when_asked_for():
    """And only where the model has it."""
    given = {**agent(message()), "model": "gpt-5.2"}
    assert planned(given).retention is None
    assert planned(given, ttl="24h").retention == "24h"
    assert planned(given, ttl="24h", host="gateway.example").retention is None

    small = {**given, "model": "gpt-5-mini"}
    assert planned(small, ttl="24h").retention is None
    assert planned(small, ttl="24h").notes == ("24h is not on offer for this model",)
    assert planned(given, ttl="30m").notes == ("30m is not on offer for this model",)


def test_off_plans_nothing():
    """Not even a key."""
    made = planned(agent(message()), policy=Policy.off())
    assert (made.key, made.mode, made.breakpoints) == (None, None, ())
