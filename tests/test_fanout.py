"""Requests that share an unwritten head: the first goes ahead, the others read."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from time import sleep
from typing import Any

import anthropic
import openai
import pytest
from fanned_out import answer_late, waits

from promptcache import Limits, Policy, PromptCache, options
from promptcache.clock import SystemClock
from promptcache.emulator import Fault
from promptcache.errors import PlanningError
from promptcache.fanout import _wait
from promptcache.gates import Gates, Heads
from promptcache.outline import Blocks, Outline

MODEL = "claude-sonnet-5-5"
MODEL_OF_OLD = "claude-sonnet-4-6"
LONG = "word " * 8_000
SHORT = "word " * 20
ALL = 8
"""So that a second of the emulator's is 50 ms, and requests overlap."""

pytestmark = pytest.mark.filterwarnings("error")


def messages(number, head=LONG, **fields):
    return {
        "model": MODEL,
        "max_tokens": 16,
        "system": head,
        "messages": [{"role": "user", "content": f"Question {number}"}],
        **fields,
    }


def chat(number, head=LONG, model="gpt-6.1-sol", **fields):
    turns = [
        {"role": "system", "content": head},
        {"role": "user", "content": f"Question {number}"},
    ]
    return {"model": model, "messages": turns, **fields}


def plain_chat(number, head=LONG):
    return chat(number, head, "gpt-4o")


def response(number, head=LONG, **fields):
    turns = [
        {"role": "developer", "content": head},
        {"role": "user", "content": f"Question {number}"},
    ]
    return {"model": "gpt-6.1-sol", "input": turns, **fields}


def _streamed(events):
    with events:
        return list(events)


@dataclass
class Wire:
    """One API: what is sent to it, and how."""

    kinds: tuple[Any, Any]
    path: str
    create: Callable[[Any], Callable[..., Any]]
    body: Callable[..., dict[str, Any]]
    writes: bool = True
    """Whether it bills what is written."""

    def client(self, cache, url, *, is_async=False, **fields):
        kind = self.kinds[is_async]
        given = {"api_key": "any", "max_retries": 0, **fields}
        return cache.attach(kind(base_url=url + self.path, **given))


_OPENAI = (openai.OpenAI, openai.AsyncOpenAI)
ANTHROPIC = Wire(
    (anthropic.Anthropic, anthropic.AsyncAnthropic),
    "",
    lambda client: client.messages.create,
    messages,
)
CHAT = Wire(_OPENAI, "/v1", lambda client: client.chat.completions.create, chat)
RESPONSES = Wire(_OPENAI, "/v1", lambda client: client.responses.create, response)
PLAIN = Wire(
    _OPENAI, "/v1", lambda client: client.chat.completions.create, plain_chat, False
)
WIRES = [
    pytest.param(ANTHROPIC, id="anthropic"),
    pytest.param(CHAT, id="chat"),
    pytest.param(RESPONSES, id="responses"),
    pytest.param(PLAIN, id="chat-without-breakpoints"),
]


@pytest.fixture
def emulator(slow_emulator):
    return slow_emulator


@pytest.fixture
def cache(patient_cache):
    return patient_cache


def at_once(calls):
    """Make calls in as many threads, with this context; return values and errors."""

    def kept(call):
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - what failed is looked at
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(copy_context().run, kept, call) for call in calls]
        return [future.result(timeout=60) for future in futures]


def in_threads(wire, cache, url, bodies, **fields):
    with wire.client(cache, url) as client:
        create = wire.create(client)
        return at_once([lambda body=body: create(**body, **fields) for body in bodies])


def in_streams(wire, cache, url, bodies):
    with wire.client(cache, url) as client:
        create = wire.create(client)
        return at_once(
            [
                lambda body=body: _streamed(create(**body, stream=True))
                for body in bodies
            ]
        )


def in_tasks(wire, cache, url, bodies):
    async def sent():
        async with wire.client(cache, url, is_async=True) as client:
            create = wire.create(client)
            return await asyncio.wait_for(
                asyncio.gather(
                    *(create(**body) for body in bodies), return_exceptions=True
                ),
                60,
            )

    # In a thread of its own, as the loop of the session is running in this one.
    return at_once([lambda: asyncio.run(sent())])[0]


def in_streaming_tasks(wire, cache, url, bodies):
    async def one(create, body):
        async with await create(**body, stream=True) as events:
            return [event async for event in events]

    async def sent():
        async with wire.client(cache, url, is_async=True) as client:
            create = wire.create(client)
            calls = (one(create, body) for body in bodies)
            return await asyncio.gather(*calls, return_exceptions=True)

    return at_once([lambda: asyncio.run(sent())])[0]


WAYS = [
    pytest.param(in_threads, id="threads"),
    pytest.param(in_streams, id="streams"),
    pytest.param(in_tasks, id="tasks"),
    pytest.param(in_streaming_tasks, id="streaming-tasks"),
]


def writers(emulator):
    """Return how many requests wrote a head; a tail is a few tokens."""
    return sum(row.cache_creation_input_tokens > 5_000 for row in emulator.ledger)


def readers(emulator):
    return sum(row.cache_read_input_tokens > 0 for row in emulator.ledger)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wire", WIRES)
def test_one_writes_and_the_others_read(emulator, cache, wire, way):
    """Eight at once pay for one head, and each says that it waited."""
    answer_late(emulator, 1, seconds=8.0)
    bodies = [wire.body(number) for number in range(ALL)]

    with options(fan_out=True), cache.collect() as receipts:
        way(wire, cache, emulator.url, bodies)

    assert (writers(emulator), readers(emulator)) == (int(wire.writes), ALL - 1)
    assert len(receipts) == ALL
    assert len(waits(receipts)) == ALL - 1
    assert all("for the first of its kind" in note for note in waits(receipts))
    assert len(cache.turns.gates) == 0


@pytest.mark.parametrize(
    ("way", "said"),
    [
        pytest.param(in_threads, None, id="threads"),
        pytest.param(in_tasks, False, id="tasks-without"),
    ],
)
@pytest.mark.parametrize("wire", WIRES)
def test_all_write_unless_it_is_asked_for(emulator, cache, wire, way, said):
    """Single calls are sent at once, as they always were."""
    answer_late(emulator, ALL)
    bodies = [wire.body(number) for number in range(ALL)]

    with options(fan_out=said), cache.collect() as receipts:
        way(wire, cache, emulator.url, bodies)

    assert (writers(emulator), readers(emulator)) == (ALL * wire.writes, 0)
    assert waits(receipts) == []


def test_what_is_sent_is_what_is_sent_without_waiting(emulator, cache):
    """A request that waited differs in nothing but when it was sent."""
    bodies = [messages(number) for number in range(ALL)]
    with options(fan_out=True):
        in_threads(ANTHROPIC, cache, emulator.url, bodies)
    waited = [row.body for row in emulator.ledger]
    emulator.reset()
    in_threads(ANTHROPIC, PromptCache(clock=emulator.clock), emulator.url, bodies)

    plain = [row.body for row in emulator.ledger]
    assert sorted(map(str, waited)) == sorted(map(str, plain))


def test_the_wait_is_part_of_how_long_it_took(emulator, cache):
    """A receipt counts from when it was asked, and says how much was waiting."""
    with options(fan_out=True), cache.collect() as receipts:
        in_streams(ANTHROPIC, cache, emulator.url, [messages(n) for n in range(2)])

    first, second = receipts
    (note,) = waits([second])
    waited = float(note.split()[1])
    assert waits([first]) == []
    assert waited == pytest.approx(first.first_token_s, abs=0.5)
    assert second.first_token_s > waited + 1.0
    assert second.total_s >= second.first_token_s
    # When it was sent, from which lifetimes count, is another time.
    assert second.at >= first.at + waited - 0.5


@pytest.mark.parametrize("wire", WIRES)
def test_the_first_token_is_enough(emulator, cache, wire):
    """Where the answer is streamed, nobody waits for its end."""
    for _ in range(2):
        emulator.answers.push("tick " * 400)
    fields = {"max_tokens": 600} if wire is ANTHROPIC else {}
    bodies = [wire.body(number, **fields) for number in range(2)]

    with options(fan_out=True), cache.collect() as receipts:
        in_streams(wire, cache, emulator.url, bodies)

    first, second = sorted(receipts, key=lambda it: it.at)
    waited = second.at - first.at
    assert len(waits(receipts)) == 1
    assert first.total_s > 5.0
    assert waited < first.total_s - 2.0
    assert readers(emulator) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wire", [WIRES[0], WIRES[1], WIRES[2]])
def test_when_the_first_fails_the_next_is_first(emulator, cache, wire, way):
    """An error of the first one makes one of the others write, not all."""
    emulator.faults.push(Fault(status=500, delay_seconds=1.0))

    with options(fan_out=True):
        bodies = [wire.body(number) for number in range(ALL)]
        answers = way(wire, cache, emulator.url, bodies)

    failed = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(failed) == 1
    assert (writers(emulator), readers(emulator)) == (1, ALL - 2)
    assert len(cache.turns.gates) == 0


def test_when_the_first_connection_drops(emulator, cache):
    """A failure without an answer is one as well."""
    emulator.faults.push(Fault(close=True, delay_seconds=1.0))

    with options(fan_out=True):
        in_threads(
            ANTHROPIC, cache, emulator.url, [messages(number) for number in range(ALL)]
        )

    assert (writers(emulator), readers(emulator)) == (1, ALL - 2)


def test_a_first_one_that_the_sdk_tries_again(emulator, cache):
    """Others do not wait for the pause between two attempts."""
    emulator.faults.push(Fault(status=529, delay_seconds=1.0))

    with (
        options(fan_out=True),
        ANTHROPIC.client(cache, emulator.url, max_retries=2) as client,
    ):
        answers = at_once(
            [
                lambda number=number: client.messages.create(**messages(number))
                for number in range(ALL)
            ]
        )

    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert (writers(emulator), readers(emulator)) == (1, ALL - 1)


def test_when_the_first_task_is_cancelled(emulator, cache):
    """Nobody waits for what was called off."""
    answer_late(emulator, 1)

    async def sent():
        async with ANTHROPIC.client(cache, emulator.url, is_async=True) as client:
            first = asyncio.create_task(client.messages.create(**messages(0)))
            while not len(cache.turns.gates):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)
            rest = [
                asyncio.create_task(client.messages.create(**messages(number)))
                for number in range(1, ALL)
            ]
            await asyncio.sleep(0.02)
            first.cancel()
            await asyncio.wait_for(asyncio.gather(*rest), 30)

    with options(fan_out=True), cache.collect() as receipts:
        at_once([lambda: asyncio.run(sent())])[0]

    assert len(receipts) == ALL - 1
    assert len(waits(receipts)) == ALL - 1
    assert readers(emulator) >= ALL - 2
    assert len(cache.turns.gates) == 0
    # The server answers what was called off as well, and later tests count answers.
    while len(emulator.ledger) < ALL:
        sleep(0.01)


def test_when_one_who_waits_is_cancelled(emulator, cache):
    """Those beside it go on waiting, and the first one knows nothing of it."""

    async def sent():
        async with ANTHROPIC.client(cache, emulator.url, is_async=True) as client:
            tasks = [
                asyncio.create_task(client.messages.create(**messages(number)))
                for number in range(ALL)
            ]
            await asyncio.sleep(0.03)
            tasks[3].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    with options(fan_out=True):
        answers = at_once([lambda: asyncio.run(sent())])[0]

    assert [type(it) for it in answers].count(asyncio.CancelledError) == 1
    assert (writers(emulator), readers(emulator)) == (1, ALL - 2)


@pytest.mark.parametrize("way", [WAYS[0], WAYS[2]])
def test_nobody_waits_longer_than_allowed(emulator, way):
    """Where the first one does not begin, all others go at the limit."""
    cache = PromptCache(clock=emulator.clock, limits=Limits(fan_out_seconds=10.0))
    for _ in range(ALL):
        emulator.faults.push(Fault(delay_seconds=60.0))

    with options(fan_out=True), cache.collect() as receipts:
        way(ANTHROPIC, cache, emulator.url, [messages(number) for number in range(ALL)])

    notes = waits(receipts)
    assert len(notes) == ALL - 1
    assert all(note.endswith("which had not begun") for note in notes)
    assert all(float(note.split()[1]) < 30.0 for note in notes)
    assert (writers(emulator), readers(emulator)) == (ALL, 0)
    assert len(cache.turns.gates) == 0


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param([messages(n, SHORT) for n in range(ALL)], id="below-the-minimum"),
        pytest.param([messages(n, f"{n} {LONG}") for n in range(ALL)], id="heads"),
        pytest.param(
            [
                messages(n, model=model)
                for n, model in enumerate(("claude-opus-5-5", "claude-sonnet-5-5"))
            ],
            id="models",
        ),
    ],
)
def test_who_shares_nothing_waits_for_nobody(emulator, cache, bodies):
    """Requests whose heads differ, or are too short, are sent at once."""
    with options(fan_out=True), cache.collect() as receipts:
        in_threads(ANTHROPIC, cache, emulator.url, bodies)

    assert len(receipts) == len(bodies)
    assert waits(receipts) == []


def test_tenants_wait_for_their_own_only(emulator, cache):
    """What one tenant writes is nobody else's business."""
    with cache.collect() as receipts, ANTHROPIC.client(cache, emulator.url) as client:

        def send(tenant, number):
            with options(fan_out=True, tenant=tenant):
                client.messages.create(**messages(number))

        at_once(
            [
                lambda it=it: send(it[0], it[1])
                for it in (("a", 0), ("a", 1), ("b", 2), ("b", 3))
            ]
        )

    for tenant in ("a", "b"):
        assert len(waits(it for it in receipts if it.tenant == tenant)) == 1


@pytest.mark.parametrize("wire", WIRES)
def test_a_live_head_is_waited_for_by_nobody(emulator, cache, wire):
    """Once it is written, all are sent at once, and all read."""
    with options(fan_out=True), cache.collect() as receipts:
        in_threads(wire, cache, emulator.url, [wire.body(0)])
        in_threads(wire, cache, emulator.url, [wire.body(n) for n in range(1, ALL)])

    assert waits(receipts) == []
    assert readers(emulator) == ALL - 1


def test_a_head_that_a_single_call_has_written(emulator, cache):
    """What history knows to be alive needs no switch to be known."""
    with cache.collect() as receipts:
        in_threads(ANTHROPIC, cache, emulator.url, [messages(0)])
        with options(fan_out=True):
            in_threads(ANTHROPIC, cache, emulator.url, [messages(1), messages(2)])

    assert waits(receipts) == []
    assert readers(emulator) == 2


def test_a_head_that_is_dead_is_written_once_more(emulator, cache):
    """After its lifetime, one goes ahead again."""
    bodies = [messages(number) for number in range(ALL)]
    with options(fan_out=True):
        in_threads(ANTHROPIC, cache, emulator.url, bodies)
        emulator.clock.advance(301)
        in_threads(ANTHROPIC, cache, emulator.url, bodies)

    assert (writers(emulator), readers(emulator)) == (2, 2 * (ALL - 1))


def test_documents_below_a_shared_head(emulator, cache):
    """Each document is written by the first request that has it, none twice."""
    mark = {"type": "ephemeral"}

    def body(document, number):
        text = f"Document {document} {LONG}"
        parts = [
            {"type": "text", "text": text, "cache_control": mark},
            {"type": "text", "text": f"Chunk {number}"},
        ]
        return messages(0, messages=[{"role": "user", "content": parts}])

    with options(fan_out=True):
        bodies = [body(document, n) for n in range(4) for document in "abc"]
        in_tasks(ANTHROPIC, cache, emulator.url, bodies)

    whole = [row.cache_creation_input_tokens for row in emulator.ledger]
    # What little is behind a document may be written too: that costs next to nothing.
    assert sum(written > 1_000 for written in whole) == 3
    assert sum(whole) < 42_000, "the head once, and each document once"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"policy": Policy.off()}, {}, id="policy"),
        pytest.param({}, {"enabled": False}, id="option"),
        pytest.param({"limits": Limits(fan_out_seconds=0)}, {}, id="limit"),
    ],
)
def test_nobody_waits_where_nothing_is_planned(emulator, fields, said):
    """Off is off, and no time is none."""
    cache = PromptCache(clock=emulator.clock, **fields)

    with options(fan_out=True, **said), cache.collect() as receipts:
        in_threads(ANTHROPIC, cache, emulator.url, [messages(n) for n in range(2)])

    assert len(receipts) == 2
    assert waits(receipts) == []


def test_a_stream_that_its_own_thread_has_not_read(emulator, cache):
    """Who would have to go on for the wait to end does not wait."""
    with (
        options(fan_out=True),
        cache.collect() as receipts,
        ANTHROPIC.client(cache, emulator.url) as client,
        client.messages.create(**messages(0), stream=True),
    ):
        client.messages.create(**messages(1))

    assert waits(receipts) == []


def test_a_stream_that_nobody_holds_any_more(emulator, cache):
    """It is over when it is dropped, unread as it is."""
    with (
        options(fan_out=True),
        cache.collect() as receipts,
        ANTHROPIC.client(cache, emulator.url) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        held = [client.messages.create(**messages(0), stream=True)]
        (gate,) = cache.turns.gates._closed
        later = threads.submit(
            copy_context().run, lambda: client.messages.create(**messages(1))
        )
        while not gate.waiting:
            sleep(0.01)
        held.clear()
        gc.collect()
        later.result(timeout=30)

    assert len(waits(receipts)) == 1


async def test_a_thread_whose_loop_is_running_does_not_wait(emulator, cache):
    """A loop that stood still would stop the very task that is waited for."""
    with options(fan_out=True), cache.collect() as receipts:
        async with ANTHROPIC.client(cache, emulator.url, is_async=True) as client:
            first = asyncio.create_task(client.messages.create(**messages(0)))
            await asyncio.sleep(0.02)
            with ANTHROPIC.client(cache, emulator.url) as blocking:
                blocking.messages.create(**messages(1))
            await first

    assert waits(receipts) == []
    assert len(receipts) == 2


def test_a_request_that_cannot_be_planned(emulator, cache):
    """It fails as it would have, and holds up nobody."""
    with ANTHROPIC.client(cache, emulator.url) as client:
        with options(fan_out=True, ttl="12h"), pytest.raises(PlanningError):
            client.messages.create(**messages(0))
        assert len(cache.turns.gates) == 0
        with options(fan_out=True), cache.collect() as receipts:
            client.messages.create(**messages(1))

    assert waits(receipts) == []


@pytest.mark.parametrize(
    ("way", "many"),
    [
        pytest.param(in_threads, 64, id="threads"),
        pytest.param(in_tasks, 200, id="tasks"),
    ],
)
def test_many_at_once(emulator, cache, way, many):
    """Four heads, some failures: all are answered, and little is written."""
    for _ in range(6):
        emulator.faults.push(Fault(status=500))
    models = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-opus-5", MODEL_OF_OLD)
    bodies = [messages(n, model=models[n % 4]) for n in range(many)]

    with options(fan_out=True):
        answers = way(ANTHROPIC, cache, emulator.url, bodies)

    failed = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(answers) == many
    assert len(failed) == 6
    assert writers(emulator) == 4
    assert readers(emulator) == many - 6 - 4
    assert len(cache.turns.gates) == 0


def test_threads_and_loops_wait_for_each_other(emulator, cache):
    """One head for all, whatever they are sent by."""
    bodies = [messages(number) for number in range(ALL)]

    with options(fan_out=True):
        at_once(
            [
                lambda: in_threads(ANTHROPIC, cache, emulator.url, bodies),
                lambda: in_tasks(ANTHROPIC, cache, emulator.url, bodies),
                lambda: in_tasks(ANTHROPIC, cache, emulator.url, bodies),
            ]
        )

    assert (writers(emulator), readers(emulator)) == (1, 3 * ALL - 1)


class Still:
    """A clock that stands still."""

    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return self.time

    def wait(self, seconds):
        pass


def heads(digests, *, live=-1, tokens=1_000, least=1.0):
    """Return what a request could share that writes all of its blocks."""
    blocks = Blocks(
        b"root", list(digests), [tokens * (n + 1) for n in range(len(digests))]
    )
    outline = Outline(blocks, len(digests), 0, len(digests), (), (), {})
    writes = tuple(range(len(digests)))
    return Heads(("anthropic", "here"), outline, live, writes, least)


def test_a_wait_ends_though_the_clock_stands_still():
    """The machine's own seconds are a limit as well."""
    gates = Gates(clock=Still(), seconds=0.1)
    _, gate = gates.ask(heads([b"a"]), "first")

    assert _wait(gate, Still(), 1_000.1) is True
    assert gate.waiting == []


def test_a_gate_that_was_closed_for_too_long_is_opened_by_the_next():
    """Who comes after the limit is a first one again."""
    clock = Still()
    gates = Gates(clock=clock, seconds=10.0)
    _, gate = gates.ask(heads([b"a"]), "first")
    woken = []
    assert gate.join(lambda: woken.append("joined"))
    assert gates.ask(heads([b"a"]), "second") == (gate, None)

    clock.time += 10.0
    ahead, mine = gates.ask(heads([b"a"]), "second")

    assert (ahead, woken, gate.outcome) == (None, ["joined"], "late")
    assert mine is not None
    # The late one says nothing any more of what the next one writes.
    gate.fail()
    assert gates.ask(heads([b"a"]), "third") == (mine, None)


def test_a_gate_opens_once():
    """What has begun has not failed, whatever comes after."""
    gates = Gates(clock=Still(), seconds=10.0)
    _, gate = gates.ask(heads([b"a"]), "first")

    gate.begin()
    gate.fail()

    assert gate.outcome == "begun"
    assert gate.join(print) is False
    assert gates.ask(heads([b"a"], live=0), "second") == (None, None)


def test_what_failed_is_not_alive_whatever_history_says():
    """History takes for written what was sent to be."""
    gates = Gates(clock=Still(), seconds=10.0)
    _, gate = gates.ask(heads([b"a"]), "first")
    gate.fail()

    _, second = gates.ask(heads([b"a"], live=0), "second")

    assert second is not None
    second.begin()
    assert gates.ask(heads([b"a"], live=0), "third") == (None, None)


def test_a_little_more_is_not_worth_a_wait():
    """What would be read beyond what is live must reach the minimum itself."""
    gates = Gates(clock=Still(), seconds=10.0)
    gates.ask(heads([b"a", b"b"], live=0, least=500.0), "first")

    ahead, _ = gates.ask(heads([b"a", b"b"], live=0, least=500.0), "second")
    assert ahead is not None
    ahead, mine = gates.ask(heads([b"a", b"b"], live=0, least=2_000.0), "third")
    assert (ahead, mine) == (None, None)


def test_gates_are_bounded():
    """The oldest of too many opens; nothing is kept of those that are over."""
    gates = Gates(clock=Still(), seconds=10.0)
    made = [gates.ask(heads([b"%d" % n]), n)[1] for n in range(1_200)]

    assert len(gates) == 1_000
    assert [gate.outcome for gate in made[:200]] == ["late"] * 200
    for gate in made:
        gate.fail()
    held = weakref.ref(made[-1])
    del made, gate
    assert len(gates) == 0
    assert held() is None
    assert len(gates._writers) == 0


def test_a_gate_opened_by_the_garbage_collector(monkeypatch):
    """A request that ends in the middle of all this waits for its own thread."""
    gates = Gates(clock=Still(), seconds=10.0)
    _, gate = gates.ask(heads([b"a"]), "first")
    live = gates._live

    def collected(*args):
        gate.fail()
        return live(*args)

    monkeypatch.setattr(gates, "_live", collected)

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(gates.ask, heads([b"a"]), "second")
        assert asked.result(timeout=10)[0] is gate
    assert gate.outcome == "failed"


def test_the_machines_clock_is_waited_for_in_one_piece(monkeypatch):
    """Nothing is looked at again and again where time is the machine's own."""
    clock = SystemClock()
    gates = Gates(clock=clock, seconds=30.0)
    _, gate = gates.ask(heads([b"a"]), "first")
    opener = threading.Timer(0.05, gate.begin)
    opener.start()

    started = clock.now()
    assert _wait(gate, clock, started + 30.0)

    assert gate.outcome == "begun"
    assert clock.now() - started < 10.0
