"""Conversations that the provider edits before the model reads them."""

import itertools

import pytest

MARK = {"type": "ephemeral"}
THOUGHT = {"type": "thinking", "thinking": "h" * 2000, "signature": "s"}
REDACTED = {"type": "redacted_thinking", "data": "h" * 2000}
SUMMARY = {"type": "compaction", "content": "s" * 4000}
FIRST, LAST = "messages.0.content.9", "messages.2.content.0"
OLDER, NEWER = "claude-sonnet-4-5", "claude-sonnet-4-6"
CLEAR = "clear_tool_uses_20250919"


def text(value="hello", **fields):
    return {"type": "text", "text": value, **fields}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def call(name="t", **fields):
    return {"type": "tool_use", "id": name, "name": "f", "input": {"a": 1}, **fields}


def result(name="t", size=400, **fields):
    found = {"type": "tool_result", "tool_use_id": name, "content": "r" * size}
    return {**found, **fields}


@pytest.fixture
def loop(make):
    """Return a function to a conversation in which the model thinks, then calls."""

    def body(model, *more, thought=THOUGHT, **fields):
        built = make(10, [10], model=model, **fields)
        built["messages"] += [
            assistant(thought, call()),
            user(result(cache_control=MARK)),
            *more,
        ]
        return built

    return body


KEEP_ALL = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
KEEP_ONE = {
    "edits": [
        {
            "type": "clear_thinking_20251015",
            "keep": {"type": "thinking_turns", "value": 1},
        }
    ]
}


@pytest.mark.parametrize("thought", [THOUGHT, REDACTED], ids=["plain", "redacted"])
@pytest.mark.parametrize(
    ("model", "hit"),
    [
        pytest.param("claude-opus-4-1", FIRST, id="opus-4-1"),
        pytest.param("claude-opus-4-20250514", FIRST, id="opus-4"),
        pytest.param("claude-opus-4-5", LAST, id="opus-4-5"),
        pytest.param("claude-sonnet-4-5-20250929", FIRST, id="sonnet-4-5"),
        pytest.param("claude-sonnet-4-6", LAST, id="sonnet-4-6"),
        pytest.param("us.anthropic.claude-haiku-4-5-v1:0", FIRST, id="haiku-4-5"),
        pytest.param("claude-haiku-5-5", LAST, id="haiku-5-5"),
        pytest.param("claude-3-7-sonnet-20250219", FIRST, id="sonnet-3-7"),
        pytest.param("claude-fable-5", LAST, id="fable-5"),
    ],
)
def test_a_plain_message_after_thinking(world, loop, model, hit, thought):
    """Older models forget earlier thinking then, and miss all from there on."""
    here = world(minimum_tokens=1)
    here.call(loop(model, thought=thought))
    more = [assistant(text()), user(text(cache_control=MARK))]

    assert here.hit(loop(model, *more, thought=thought)) == hit


def test_a_tool_loop_keeps_its_thinking(world, loop):
    """Tool results alone make no older model forget."""
    here = world(minimum_tokens=1)
    here.call(loop(OLDER))
    more = [assistant(call("u")), user(result("u", cache_control=MARK))]

    assert here.hit(loop(OLDER, *more)) == LAST


def test_text_beside_a_result_ends_the_loop(world, loop):
    """Any content that is no tool result makes an older model forget."""
    here = world(minimum_tokens=1)
    here.call(loop(OLDER))
    more = [assistant(call("u")), user(result("u"), text(cache_control=MARK))]

    assert here.hit(loop(OLDER, *more)) == FIRST


def test_forgotten_thinking_costs_nothing(world, loop):
    """What is stripped is not billed."""
    more = [assistant(text()), user(text())]
    kept, stripped = (
        world().judge(loop(model, *more)).usage.total for model in (NEWER, OLDER)
    )

    assert kept - stripped == 1 + 2000 / 4


@pytest.mark.parametrize(
    ("model", "management", "hit"),
    [
        pytest.param(OLDER, KEEP_ALL, LAST, id="keep-all-on-an-older-model"),
        pytest.param(NEWER, KEEP_ONE, FIRST, id="keep-one-on-a-newer-model"),
    ],
)
def test_how_much_thinking_is_kept(world, loop, model, management, hit):
    """`clear_thinking` overrules what the model would do."""
    here = world(minimum_tokens=1)
    here.call(loop(model, context_management=management))
    more = [
        assistant(text()),
        user(text()),
        assistant(THOUGHT, text()),
        user(text(cache_control=MARK)),
    ]

    assert here.hit(loop(model, *more, context_management=management)) == hit


def test_a_compaction_stands_for_what_precedes_it(world, make):
    """What precedes it is not in the prompt, whether it is sent or not."""
    here = world()
    rest = [assistant({**SUMMARY, "cache_control": MARK}, text()), user(text())]
    whole = make(40, system=[text("s" * 3000, cache_control=MARK)])
    whole["messages"] += rest
    short = {**whole, "messages": rest}

    first = here.judge(whole)
    here.keep(first)

    assert first.breakpoints == ("system.0", "messages.1.content.0")
    assert first.usage.total < 2000
    assert here.judge(short).usage == here.judge(whole).usage
    assert here.hit(short) == "messages.0.content.0"


def test_a_later_compaction_ends_an_earlier_one(world, make):
    """The last of them counts."""
    body = make(1)
    body["messages"] += [assistant(SUMMARY), user(text()), assistant(SUMMARY)]
    one = {**body, "messages": body["messages"][-1:]}

    assert world().judge(body).usage.total == world().judge(one).usage.total


def test_what_precedes_it_in_its_own_message(world, make):
    """Blocks before it in the same message are dropped too."""
    body = make(1)
    alone = {**body, "messages": [*body["messages"], assistant(SUMMARY)]}
    body["messages"].append(assistant(text("x" * 400), SUMMARY))

    assert world().judge(body).usage == world().judge(alone).usage


def test_a_failed_compaction_is_a_no_op(world, make):
    """Without a summary everything stays, and the block costs nothing."""
    here, body = world(), make(10, [10])
    before = here.judge({**body, "messages": [*body["messages"], assistant(text())]})
    body["messages"] += [assistant({**SUMMARY, "content": None}, text())]

    assert here.judge(body).usage == before.usage


@pytest.fixture
def agent(make):
    """Return a function to an agent's conversation of so many tool calls."""

    def body(calls, edit, size=400):
        built = make(10, [10], context_management={"edits": [{"type": CLEAR, **edit}]})
        for number in range(calls):
            name = f"t{number}"
            built["messages"] += [assistant(call(name)), user(result(name, size))]
        built["messages"][-1]["content"][-1]["cache_control"] = MARK
        return built

    return body


def by_calls(number, **fields):
    return {"trigger": {"type": "tool_uses", "value": number}, **fields}


def by_tokens(number, **fields):
    return {"trigger": {"type": "input_tokens", "value": number}, **fields}


def keep(number):
    return {"keep": {"type": "tool_uses", "value": number}}


@pytest.mark.parametrize(
    ("edit", "cleared"),
    [
        pytest.param({}, 0, id="not-triggered-by-default"),
        pytest.param(by_calls(8), 0, id="not-yet"),
        pytest.param(by_calls(7), 5, id="more-calls-than-the-trigger"),
        pytest.param(by_calls(7, **keep(6)), 2, id="keeps-more"),
        pytest.param(by_tokens(1000), 5, id="more-tokens-than-the-trigger"),
        pytest.param(by_tokens(9000), 0, id="fewer-tokens-than-the-trigger"),
        pytest.param(
            by_calls(1, clear_at_least={"type": "input_tokens", "value": 5 * 97}),
            5,
            id="just-enough",
        ),
        pytest.param(
            by_calls(1, clear_at_least={"type": "input_tokens", "value": 5 * 97 + 1}),
            0,
            id="too-little",
        ),
        pytest.param(by_calls(1, exclude_tools=["f"]), 0, id="excluded"),
    ],
)
def test_what_context_editing_clears(world, agent, edit, cleared):
    """The oldest results go, and what is cleared is not billed."""
    found = world().judge(agent(8, edit)).usage.total
    whole = world().judge(agent(8, {})).usage.total

    assert whole - found == cleared * 97


def test_clearing_inputs_too(world, agent):
    """`clear_tool_inputs` empties the calls as well."""
    results = world().judge(agent(8, by_calls(1))).usage.total
    both = world().judge(agent(8, by_calls(1, clear_tool_inputs=True))).usage.total

    assert both < results


def test_clearing_invalidates_from_where_it_clears(world, agent):
    """Each step that clears one more result misses all from that one on."""
    here = world()
    hits = [here.hit(agent(calls, by_calls(1, **keep(4)))) for calls in range(3, 7)]

    assert hits == [
        None,
        "messages.6.content.0",  # the whole of the request before
        "messages.0.content.9",  # the first result is cleared
        "messages.0.content.9",  # the first two are
    ]


def test_clearing_at_least_so_much_keeps_the_prefix(world, agent):
    """`clear_at_least` clears seldom, so that most requests read their whole past."""
    enough = {"clear_at_least": {"type": "input_tokens", "value": 400}}
    edits = {"often": by_calls(1), "seldom": by_calls(1, **enough)}
    missed = {}
    for name, edit in edits.items():
        here = world()
        usages = [here.call(agent(calls, edit)) for calls in range(3, 8)]
        missed[name] = sum(
            after.read < before.total - before.uncached
            for before, after in itertools.pairwise(usages)
        )

    assert missed == {"often": 4, "seldom": 0}
