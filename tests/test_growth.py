"""Conversations that grow, as the provider bills them."""

import itertools
from contextlib import ExitStack
from functools import cache

import anthropic
import pytest

from promptcache import Policy, PromptCache, options
from promptcache.emulator import Emulator, Settings

MODEL = "claude-sonnet-5-5"
TOOL = {
    "name": "f",
    "description": "A tool that returns a number. " * 100,
    "input_schema": {"type": "object", "properties": {}},
}
SYSTEM = "You answer with care. " * 150
FEW = 12
"""Tokens at most that follow the last block."""


def text(value):
    return {"type": "text", "text": value}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def step(number, calls=1):
    """Return a turn of the model that calls tools, and their results."""
    names = [f"t{number}-{call}" for call in range(calls)]
    used = [
        {"type": "tool_use", "id": name, "name": "f", "input": {}} for name in names
    ]
    results = [
        {"type": "tool_result", "tool_use_id": name, "content": f"result {name} " * 40}
        for name in names
    ]
    return [{"role": "assistant", "content": used}, user(*results)]


def agent(*messages, **fields):
    return {
        "model": MODEL,
        "max_tokens": 16,
        "tools": [TOOL],
        "system": SYSTEM,
        "messages": list(messages),
        **fields,
    }


class World:
    """An emulator, and a client that a cache plans for."""

    def __init__(self, emulator, client, cache):
        self.emulator, self.client, self.cache = emulator, client, cache

    def ask(self, body):
        """Send a request and return its row in the ledger."""
        self.client.messages.create(**body)
        return self.emulator.ledger[-1]

    def rows(self, *bodies):
        return [self.ask(body) for body in bodies]


@pytest.fixture(scope="module")
def make():
    """Return a function that makes a world; equal settings share a server."""
    with ExitStack() as open_until_the_end:

        @cache
        def running(**settings):
            emulator = Emulator(settings=Settings(**settings))
            return open_until_the_end.enter_context(emulator)

        def world(policy="auto", **settings):
            emulator = running(**settings)
            emulator.reset()
            made = PromptCache(policy, clock=emulator.clock)
            plain = anthropic.Anthropic(base_url=emulator.url, api_key="any")
            open_until_the_end.enter_context(plain)
            return World(emulator, made.attach(plain), made)

        yield world


@pytest.fixture
def world(make):
    return make()


def reads_all_before(rows):
    """Tell of each request whether it read all that the one before could write."""
    return [
        after.cache_read_input_tokens == before.total_input_tokens - before.input_tokens
        for before, after in itertools.pairwise(rows)
    ]


GROWTHS = [
    pytest.param([1] * 12, id="one-call-a-step"),
    pytest.param([1, 3, 1, 8, 2, 1], id="some-at-once"),
    pytest.param([1, 25, 1], id="many-at-once"),
    pytest.param([40, 40, 40], id="very-many-at-once"),
]


@pytest.mark.parametrize("policy", ["auto", Policy.fixed()])
@pytest.mark.parametrize("collapse", [True, False], ids=["runs", "no-runs"])
@pytest.mark.parametrize("calls", GROWTHS)
def test_a_growing_agent_loop(make, calls, collapse, policy):
    """Every request reads all of the one before, whatever the host's look-back does."""
    world = make(policy, collapse_tool_runs=collapse)
    messages, rows = [user(text("Begin."))], []
    for number, count in enumerate([*calls, 1]):
        rows.append(world.ask(agent(*messages)))
        messages += step(number, count)

    assert all(reads_all_before(rows))
    assert all(row.error is None for row in rows)
    assert all(row.input_tokens <= FEW for row in rows)


@pytest.mark.parametrize("calls", [25, 60])
def test_parallel_calls_on_a_host_that_counts_each(make, calls):
    """After many calls at once the entry before is named, and so is still read."""
    first, second = make(host="vertex").rows(
        agent(user(text("Begin."))),
        agent(user(text("Begin.")), *step(0, calls)),
    )

    assert reads_all_before([first, second]) == [True]


@pytest.mark.parametrize("blocks", [5, 19, 20, 25, 100])
def test_many_new_blocks(world, blocks):
    """However many blocks a turn adds, what was written before is read."""
    more = [text(f"block {number} " * 20) for number in range(blocks)]
    rows = world.rows(
        agent(user(text("Begin."))),
        agent(user(text("Begin.")), user(*more)),
        agent(user(text("Begin.")), user(*more), *step(0)),
    )

    assert reads_all_before(rows) == [True, True]


def test_a_chat(world):
    """A chat without tools reads what it wrote, from its first question on."""
    messages, rows = [], []
    for number in range(8):
        messages.append(user(text(f"Question {number}. " * 50)))
        rows.append(world.ask(agent(*messages, tools=[])))
        messages.append({"role": "assistant", "content": f"Answer {number}. " * 50})

    assert all(reads_all_before(rows))
    assert rows[0].input_tokens <= FEW


def test_two_conversations_with_one_head(world):
    """Conversations that interleave read the head once, and each its own end."""
    talks = {name: [user(text(name))] for name in ("one", "other")}
    rows = {"one": [], "other": []}
    for number in range(6):
        for name, messages in talks.items():
            rows[name].append(world.ask(agent(*messages)))
            messages.extend(step(f"{name}-{number}"))

    assert all(reads_all_before(rows["one"]))
    assert all(reads_all_before(rows["other"]))
    assert (rows["one"][0].hit, rows["other"][0].hit) == (None, "system.0")


def test_tenants_share_no_history(world):
    """What one tenant's requests have shown moves no breakpoint of another's."""
    body = agent(user(text("Begin.")))
    seen = []
    for tenant in ("a", "a", "b"):
        with options(tenant=tenant), world.cache.collect() as collected:
            world.ask(body)
        seen.append(collected[0].breakpoints)

    assert seen[2] == seen[0]


def test_a_system_prompt_that_always_changes(world):
    """What changes on every call is soon no longer written, and the tools are read."""
    rows = world.rows(
        *[
            agent(
                user(text("Begin. " * 300)),
                system=f"It is {hour} o'clock. " + SYSTEM,
                tool_choice={"type": "any"},
            )
            for hour in range(6)
        ]
    )

    assert rows[0].cache_creation_input_tokens > 0
    assert all(row.cache_read_input_tokens > 0 for row in rows[1:])
    assert [row.cache_creation_input_tokens for row in rows[2:]] == [0, 0, 0, 0]
    assert [row.breakpoints for row in rows[2:]] == [("tools.0",)] * 4


def test_a_volatile_end_of_the_system_prompt(world):
    """A fixed first part of the system prompt is read, whatever follows it."""
    rows = world.rows(
        *[
            agent(
                user(text("Begin.")),
                system=[text(SYSTEM), text(f"It is {hour}.")],
                tool_choice={"type": "any"},
            )
            for hour in range(5)
        ]
    )

    assert [row.breakpoints[-1] for row in rows[2:]] == ["system.0"] * 3
    assert [row.cache_creation_input_tokens for row in rows[2:]] == [0] * 3
    assert all(row.cache_read_input_tokens > 0 for row in rows[1:])


@pytest.mark.parametrize(
    ("words", "known_after"), [pytest.param(20, 8, id="short"), (300, 6)]
)
def test_questions_that_never_come_again(world, words, known_after):
    """A one-shot question writes its head once, and its tail until that is known."""
    rows = []
    for number in range(12):
        one = agent(user(text(f"Question {number}. " * words)), tools=[])
        rows.append(world.ask(one))
        world.emulator.clock.advance(60)
    written = [row.cache_creation_input_tokens for row in rows]
    head = rows[1].cache_read_input_tokens

    assert written[0] >= head > 0
    assert written[known_after:] == [0] * (12 - known_after)
    assert all(row.cache_read_input_tokens == head for row in rows[1:])


def test_a_pause_beyond_the_lifetime(world):
    """After a pause everything is written anew, and the loop goes on."""
    messages, rows = [user(text("Begin."))], []
    for number in range(6):
        if number == 3:
            world.emulator.clock.advance(301)
        rows.append(world.ask(agent(*messages)))
        messages += step(number)

    assert reads_all_before(rows) == [True, True, False, True, True]


def test_an_hour(world):
    """Entries of an hour outlive a pause, and cost what an hour costs."""
    with options(ttl="1h"):
        messages, rows = [user(text("Begin."))], []
        for number in range(4):
            rows.append(world.ask(agent(*messages)))
            messages += step(number)
            world.emulator.clock.advance(1_800)

    assert all(row.cache_creation_5m_input_tokens == 0 for row in rows)
    assert reads_all_before(rows[1:]) == [True, True]
    assert rows[1].cache_read_input_tokens > 0


def test_the_callers_markers(world):
    """A caller who marks too much, and wrongly, is served all the same."""
    messages = [user({**text("Begin."), "cache_control": {"type": "ephemeral"}})]
    rows = []
    for number in range(6):
        rows.append(world.ask(agent(*messages)))
        call, result = step(number)
        result["content"][0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
        messages += [call, result]

    assert all(row.error is None for row in rows)
    assert all(reads_all_before(rows))


def test_automatic_caching(world):
    """The caller's automatic caching and our breakpoints go together."""
    messages, rows = [user(text("Begin."))], []
    for number in range(6):
        rows.append(world.ask(agent(*messages, cache_control={"type": "ephemeral"})))
        messages += step(number)

    assert all(reads_all_before(rows))
    assert all(len(row.breakpoints) <= 4 for row in rows)


def test_off_reads_nothing(make):
    """Switched off, a conversation is billed as without us."""
    world = make("off")
    rows = world.rows(*[agent(user(text("Begin.")))] * 2)

    assert [row.cache_read_input_tokens for row in rows] == [0, 0]
    assert world.cache.report().to_dict()["total"]["requests"] == 2
