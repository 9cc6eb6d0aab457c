"""Pings: what is sent while a conversation is silent, and what is not."""

import asyncio
import threading

import anthropic
import pytest

from promptcache import Limits, Policy, PromptCache, options
from promptcache.receipts.events import LimitReached, Settled
from promptcache.warming import MAX_BYTES
from tests.support.anthropic_sdk import LONG, MODEL, answer, standing_in

KEEPS = Policy.auto(keep_warm=True)
CHEAP = {MODEL: {"read": 0.025}}
PRICES = {MODEL: {"input": 3, "read": 0.075, "written": 3.75, "output": 15}}
"""At such a price a silence of any kind is worth a ping."""

PING = 290


class World:
    """A cache that keeps warm, on the emulator's time, and what it was told."""

    def __init__(self, emulator, policy=KEEPS, usd=1.0, **fields):
        self.events, self.emulator = [], emulator
        self.cache = PromptCache(
            policy,
            listeners=[self.events.append],
            limits=Limits(ping_usd_per_hour=usd),
            facts=CHEAP,
            prices=PRICES,
            clock=emulator.clock,
            **fields,
        )
        self.client = self.cache.attach(
            anthropic.Anthropic(api_key="any", base_url=emulator.url, max_retries=0)
        )

    def ask(self, *texts, **fields):
        return self.client.messages.create(**chat(*texts, **fields))

    def pass_by(self, seconds):
        """Let a time pass, and what is due in it be sent."""
        self.emulator.clock.advance(seconds)
        self.cache.warming.tend()
        assert self.cache.warming.idle(10)

    @property
    def pings(self):
        return [it for it in self.emulator.ledger if not it.output_tokens]

    def told(self, kind):
        return [it for it in self.events if isinstance(it, kind)]


def chat(*texts, **fields):
    roles = ("user", "assistant")
    return {
        "model": MODEL,
        "max_tokens": 16,
        "system": LONG,
        "messages": [
            {"role": roles[number % 2], "content": text}
            for number, text in enumerate(texts or ("hello",))
        ],
        **fields,
    }


@pytest.fixture
def world(emulator):
    made = World(emulator)
    yield made
    made.cache.close()


def test_ping(world):
    """A silent prefix is read just before it is dropped, and lives on."""
    world.ask("hello")
    world.pass_by(PING - 1)
    assert world.pings == []
    world.pass_by(1)

    (ping,) = world.pings
    assert ping.cache_read_input_tokens > 500
    assert ping.cache_creation_input_tokens == 0
    world.pass_by(200)
    world.ask("something else")
    assert world.emulator.ledger[-1].cache_read_input_tokens > 500


def test_receipts(world):
    """A ping has a receipt that says so, and is a cost that saves nothing itself."""
    world.ask("hello")
    before = world.cache.report().to_dict()["total"]["cost_usd"]
    world.pass_by(PING)

    asked, ping = (it.receipt for it in world.told(Settled))
    assert "keep-warm ping 1" in ping.notes[0]
    assert not any("keep-warm" in note for note in asked.notes)
    assert ping.usage.read_tokens == world.pings[0].cache_read_input_tokens
    assert ping.without_caching_usd == 0.0
    assert ping.credits == ("placed",)
    total = world.cache.report().to_dict()["total"]["cost_usd"]
    assert total == pytest.approx(before + ping.cost_usd)


def test_the_body_is_what_was_sent(world):
    """A ping has every marker and every field, and asks for no answer."""
    world.ask("hello", metadata={"user_id": "u"}, temperature=0.5)
    world.pass_by(PING)

    first, ping = (row.body for row in world.emulator.ledger)
    assert ping == {**first, "max_tokens": 0}


def test_a_stream_is_repeated_without_it(world):
    """What was streamed is read again in one piece."""
    with world.client.messages.create(**chat(), stream=True) as events:
        list(events)
    world.pass_by(PING)

    assert "stream" not in world.pings[0].body


def test_a_raw_response_is_repeated(world):
    """The form in which a caller wants its answer does not matter."""
    world.client.messages.with_raw_response.create(**chat())
    with world.client.messages.with_streaming_response.create(**chat()) as response:
        response.read()
    world.pass_by(PING)

    assert len(world.pings) == 1
    assert "keep-warm" in world.told(Settled)[-1].receipt.notes[0]


def test_a_chain_of_pings_ends(world):
    """Pings go on while they pay, and then nothing of the conversation is kept."""
    world.ask("hello")
    for _ in range(14):
        world.pass_by(PING)

    numbers = [
        it.receipt.notes[0].split()[2].rstrip(":") for it in world.told(Settled)[1:]
    ]
    assert numbers == ["1", "2"]
    assert list(world.cache.warming._idle) == []


@pytest.mark.parametrize("usd", [0.0, 0.000001])
def test_no_money(emulator, usd):
    """Without money nothing is sent, and that is said once."""
    world = World(emulator, usd=usd)
    for text in ("hello", "you"):
        world.ask(text)
        world.pass_by(PING)

    assert world.pings == []
    (event,) = world.told(LimitReached)
    assert event.limit == "ping_usd_per_hour"
    world.cache.close()


def test_money_is_by_the_hour(emulator):
    """What a ping cost is missing for an hour, and not longer."""
    world = World(emulator, usd=0.0001)
    world.ask("hello")
    world.pass_by(PING)
    assert len(world.pings) == 1
    world.pass_by(PING)
    assert len(world.pings) == 1

    world.pass_by(3600)
    world.ask("hello")
    world.pass_by(PING)
    assert len(world.pings) == 2
    world.cache.close()


def test_no_price(emulator):
    """What cannot be reckoned is not spent."""
    world = World(emulator)
    world.cache.prices = type("Unknown", (), {"cost": lambda *_, **__: None})()
    world.ask("hello")
    world.pass_by(PING)

    assert world.pings == []
    (event,) = world.told(LimitReached)
    assert event.would_usd_per_hour is None
    world.cache.close()


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("auto", id="not asked"),
        pytest.param(Policy.fixed(), id="fixed"),
        pytest.param("off", id="off"),
    ],
)
def test_not_asked_for(emulator, policy):
    """Money alone sends nothing."""
    world = World(emulator, policy)
    world.ask("hello")
    world.pass_by(PING)

    assert world.pings == []
    assert not world.told(LimitReached)
    assert "promptcache-pings" not in names_of_threads()


def test_a_call_that_is_off(world):
    """A call without a plan is not repeated."""
    with options(enabled=False):
        world.ask("hello")
    world.pass_by(PING)

    assert world.pings == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": 1024}}, id="t"),
        pytest.param(
            {
                "tools": [{"name": "f", "input_schema": {"type": "object"}}],
                "tool_choice": {"type": "any"},
            },
            id="forced",
        ),
    ],
)
def test_what_cannot_be_repeated(world, fields):
    """A body that is refused with `max_tokens: 0` is not sent."""
    world.ask("hello", **{**fields, "max_tokens": 2048})
    world.pass_by(PING)

    assert len(world.emulator.ledger) == 1


def test_a_prefix_that_is_gone(world):
    """A ping that writes what it was to read is the last one, and counts in full."""
    world.ask("hello")
    world.emulator.reset()
    world.pass_by(PING)
    world.pass_by(PING)

    (ping,) = world.pings
    assert ping.cache_creation_input_tokens > 500


def test_late(world):
    """A ping that would come too late is not sent."""
    world.ask("hello")
    world.pass_by(PING + 11)
    world.pass_by(PING)

    assert world.pings == []


def test_beside_a_running_request(world):
    """While a request of the conversation runs, it is left alone."""
    world.ask("hello")
    streams = [
        world.client.messages.create(**chat("hello"), stream=True) for _ in range(2)
    ]
    list(streams[0])
    world.pass_by(PING)

    assert world.pings == []
    list(streams[1])


def test_a_conversation_that_goes_on(world):
    """Its next request is what counts from then on."""
    world.ask("hello")
    world.pass_by(200)
    world.ask("hello")
    world.pass_by(200)
    assert world.pings == []
    world.pass_by(PING - 200)

    assert len(world.pings) == 1


def test_many_conversations_with_one_head(world):
    """What they share is kept once, by whoever used it last."""
    for number in range(5):
        world.ask(f"hello {number}")
    world.pass_by(PING)

    assert len(world.pings) == 1


async def test_asynchronous(emulator):
    """An asynchronous client sends its pings on its own loop."""
    world = World(emulator)
    async with anthropic.AsyncAnthropic(
        api_key="any", base_url=emulator.url, max_retries=0
    ) as plain:
        client = world.cache.attach(plain)
        await client.messages.create(**chat())
        emulator.clock.advance(PING)
        world.cache.warming.tend()
        landed = asyncio.to_thread(world.cache.warming.idle, 10)
        assert await landed

    assert len(world.pings) == 1
    world.cache.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_loop_that_has_ended(emulator, is_closed):
    """Nothing is sent once there is no loop to send it on."""
    world = World(emulator)

    async def ask():
        async with anthropic.AsyncAnthropic(
            api_key="any", base_url=emulator.url, max_retries=0
        ) as plain:
            await world.cache.attach(plain).messages.create(**chat())

    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask())
    if is_closed:
        loop.close()
    world.pass_by(PING)

    assert world.pings == []
    loop.close()
    world.cache.close()


def test_what_is_held_for_a_ping(world):
    """Beside the bytes of a body nothing of it is held."""
    world.ask("hello")

    (it,) = world.cache.warming._idle
    assert it.with_.repeat._request.options.json_data is None
    assert it.with_.prepared.body == {}
    assert it.with_.prepared.request.body == {"model": MODEL}


def test_a_provider_that_refuses(emulator):
    """A refusal ends the pings of that model, and reaches nobody."""
    cache = World(emulator).cache
    bodies = []

    def handler(request):
        body = request.read()
        bodies.append(body)
        if b'"max_tokens":0' in body.replace(b" ", b""):
            return answer({"error": {"type": "invalid_request_error"}}, status=400)
        return answer({**_WHOLE, "usage": _USAGE})

    client = standing_in(cache, handler)
    for text in ("hello", "you"):
        client.messages.create(**chat(text))
        emulator.clock.advance(PING)
        cache.warming.tend()

    assert len(bodies) == 3
    cache.close()


def test_agents_go_by_their_books(world):
    """An agent's prefix is pinged only where the books say so."""
    tools = [{"name": "f", "description": LONG, "input_schema": {"type": "object"}}]
    world.ask("hello", tools=tools)
    world.pass_by(PING)

    assert world.pings == []


def test_the_thread_sends_by_itself(world):
    """Nobody has to ask for what is due."""
    world.ask("hello")
    world.emulator.clock.advance(PING)
    done = threading.Event()
    world.cache.listen(lambda _: done.set())

    assert done.wait(10)
    assert len(world.pings) == 1


def test_close(emulator):
    """Closed, nothing is sent, held, or left running."""
    world = World(emulator)
    world.ask("hello")
    assert "promptcache-pings" in names_of_threads()
    world.cache.close()
    world.pass_by(PING)

    assert world.pings == []
    assert list(world.cache.warming._idle) == []
    assert "promptcache-pings" not in names_of_threads()


def test_bodies_are_bounded(world, monkeypatch):
    """Of what is too much to hold, the one that is silent longest goes."""
    monkeypatch.setattr("promptcache.warming.MAX_BYTES", 6_000)
    assert MAX_BYTES > 6_000
    for number in range(2):
        world.ask("hello", system=f"{number} {LONG}")

    held = [it.with_ is not None for it in world.cache.warming._idle]
    assert held == [False, True]


def names_of_threads():
    return [it.name for it in threading.enumerate()]


_USAGE = {
    "input_tokens": 4,
    "output_tokens": 1,
    "cache_read_input_tokens": 800,
    "cache_creation_input_tokens": 0,
}
_WHOLE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
}
