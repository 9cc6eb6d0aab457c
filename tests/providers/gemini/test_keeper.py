"""Cached contents that live as long as they pay, through the SDK and the emulator."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from gemini_asking import MODEL, asked, is_like
from gemini_sdk import CREATION, client_of
from google.genai import errors, types

from promptcache import Limits, MemoryStore, PromptCache, options
from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.providers.gemini import wire
from promptcache.receipts.events import (
    CacheCreated,
    CacheEnded,
    CacheLost,
    CreateRefused,
    LimitReached,
    Settled,
)

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

SYSTEM = "You answer with care. " * 1200
TURN = "Tell me more of that. " * 200


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky):
    unlucky.reset()
    return unlucky


@pytest.fixture
def make(emulator, events):
    """Return a function that makes a cache and a client attached to it."""
    made = []

    def making(**fields):
        given = {"store": MemoryStore(), "clock": emulator.clock, **fields}
        cache = PromptCache(listeners=[events.append], strict=True, **given)
        plain = client_of(emulator.url)
        made.append((cache, plain))
        return cache, cache.attach(plain)

    yield making
    for cache, plain in made:
        cache.close()
        plain.close()


@pytest.fixture
def pair(make):
    return make()


def ask(client, question="What now?", *, system=SYSTEM, **fields):
    config = types.GenerateContentConfig(system_instruction=system, **fields)
    answer = client.models.generate_content(
        model=MODEL, contents=question, config=config
    )
    return answer.text


def questions(pair, emulator, number=4, *, seconds=10.0, **fields):
    """Ask questions behind one head, and let what they start be done."""
    cache, client = pair
    answers = []
    for index in range(number):
        answers.append(ask(client, f"Question {index}", **fields))
        assert cache.keeper.idle()
        emulator.clock.advance(seconds)
    return answers


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def creations(emulator):
    """Return the requests that were to create a cached content."""
    rows = (row for row in emulator.ledger if row.path.endswith("/cachedContents"))
    return [row for row in rows if row.method == "POST"]


def live(emulator):
    return [row for row in emulator.caches if row.live]


def test_a_head_that_comes_again_is_named(pair, emulator, events):
    """The third request asks for it, the fourth names it and sends the rest."""
    questions(pair, emulator)
    rows, (created,) = asked(emulator), live(emulator)

    assert [wire.named(row.body) for row in rows] == [None] * 3 + [created.name]
    assert set(rows[-1].body) & {"systemInstruction", "tools", "toolConfig"} == set()
    assert rows[-1].cache_read_input_tokens == created.tokens
    receipts = [event.receipt for event in of_kind(events, Settled)]
    assert all(map(is_like, receipts, rows))
    assert receipts[-1].breakpoints == (f"system[0] in {created.name}",)
    assert any("creating a cached content" in note for note in receipts[2].notes)


def test_answers_are_the_plain_ones(pair, emulator):
    """Nobody can tell from an answer whether its prefix was cached."""
    cached = questions(pair, emulator)
    emulator.reset()
    plain = client_of(emulator.url)
    assert cached == [ask(plain, f"Question {index}") for index in range(4)]


def test_one_request_creates_nothing(pair, emulator):
    """Nor do two, and heads that are different each time never do."""
    cache, client = pair
    for index in range(12):
        ask(client, system=f"{index} {SYSTEM}")
        cache.keeper.idle()

    assert emulator.caches == []


def test_a_head_below_the_minimum(pair, emulator):
    """It is not even tried."""
    questions(pair, emulator, 8, system="Be brief. " * 300)

    assert emulator.caches == []
    assert all(row.status == 200 for row in emulator.ledger)


def test_where_implicit_caching_reads_the_same_nothing_is_created(server, events):
    """Luck is measured: a head that is read unasked is not paid for again."""
    server.reset()
    plain = client_of(server.url)
    cache = PromptCache(store=MemoryStore(), clock=server.clock, strict=True)
    questions((cache, cache.attach(plain)), server, 10)

    assert server.caches == []
    cache.close()
    plain.close()


def test_a_conversation_rolls_on(pair, emulator):
    """What it leaves behind is deleted, its head aside; what is read grows with it."""
    cache, client = pair
    config = types.GenerateContentConfig(system_instruction=SYSTEM)
    chat = client.chats.create(model=MODEL, config=config)
    for _ in range(16):
        chat.send_message(TURN)
        assert cache.keeper.idle()
        emulator.clock.advance(20)
        cache.keeper.tend()
    reads = [row.cache_read_input_tokens for row in asked(emulator)]
    emulator.clock.advance(60)
    cache.keeper.tend()

    assert len(emulator.caches) >= 3
    assert len(live(emulator)) <= 2
    assert reads[-1] > 1.5 * min(read for read in reads if read)
    assert all(row.body["contents"] for row in asked(emulator))


def test_it_pays(pair, emulator):
    """Creations, storage and readings together cost less than sending it all."""
    cache, _ = pair
    questions(pair, emulator, 40)
    rows = emulator.ledger
    price = 0.75e-6
    sent = sum(row.input_tokens for row in rows)
    read = sum(row.cache_read_input_tokens for row in rows)
    stored = emulator.storage_token_hours * 0.5e-6
    whole = sum(row.total_input_tokens for row in asked(emulator)) * price

    assert sent * price + read * price / 10 + stored < 0.25 * whole
    assert cache.report().to_dict()["total"]["read_tokens"] == read


def test_it_is_extended_while_it_is_used_and_ends_after(pair, emulator, events):
    """A busy head lives on; after the last use it is let go within its life."""
    cache, _ = pair
    questions(pair, emulator, 60, seconds=60.0)
    assert len(emulator.caches) == 1
    for _ in range(40):
        emulator.clock.advance(60)
        cache.keeper.tend()

    assert live(emulator) == []
    (ended,) = of_kind(events, CacheEnded)
    assert ended.token_hours == pytest.approx(emulator.storage_token_hours, rel=0.02)


def test_a_handle_that_expired_between_two_requests(pair, emulator):
    """The next request goes out in full, and nobody waits."""
    questions(pair, emulator)
    emulator.clock.advance(7200)
    assert all(questions(pair, emulator, 1))
    assert wire.named(asked(emulator)[-1].body) is None


@pytest.mark.parametrize("way", ["sync", "stream", "async", "async stream"])
async def test_a_handle_that_is_deleted_behind_our_back(way, pair, emulator, events):
    """The request is sent once more, in full; the caller sees an answer."""
    _, client = pair
    questions(pair, emulator)
    other = client_of(emulator.url)
    other.caches.delete(name=live(emulator)[0].name)
    config = types.GenerateContentConfig(system_instruction=SYSTEM)
    given = {"model": MODEL, "contents": "And now?", "config": config}

    async def asynchronous():
        try:
            if way == "async":
                return (await client.aio.models.generate_content(**given)).text
            chunks = await client.aio.models.generate_content_stream(**given)
            return "".join([chunk.text or "" async for chunk in chunks])
        finally:
            await client.aio.aclose()

    if way == "sync":
        text = client.models.generate_content(**given).text
    elif way == "stream":
        chunks = client.models.generate_content_stream(**given)
        text = "".join(chunk.text or "" for chunk in chunks)
    else:
        text = await asynchronous()

    assert text
    assert asked(emulator)[-1].body["systemInstruction"]
    (lost,) = of_kind(events, CacheLost)
    assert lost.status == 403
    receipt = of_kind(events, Settled)[-1].receipt
    assert receipt.attempts == 2
    assert any("sent again in full" in note for note in receipt.notes)
    other.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_creation_that_fails(status, pair, emulator, events):
    """Requests go out in full, and it is not tried again at once."""
    emulator.faults.push(Fault(status=status, match=CREATION, times=5))
    answers = questions(pair, emulator, 6, seconds=1.0)
    assert all(answers)
    assert len(creations(emulator)) == 1
    assert of_kind(events, CreateRefused)


def test_a_slow_creation():
    """Requests go out in full beside it, and name it once it is there."""
    settings = GeminiSettings(implicit_luck=0.0)
    with Emulator(speed=40.0, first_byte_seconds=0.0, gemini=settings) as emulator:
        cache = PromptCache(store=MemoryStore(), clock=emulator.clock, strict=True)
        plain = client_of(emulator.url)
        client = cache.attach(plain)
        slow = Fault(delay_seconds=40.0, match=CREATION)
        emulator.faults.push(slow)
        for index in range(3):
            assert ask(client, f"Question {index}")
            assert cache.keeper.idle(0.2) is (index < 2)
        assert ask(client, "Meanwhile")
        assert live(emulator) == []
        assert cache.keeper.idle()
        assert ask(client, "Then")
        names = [wire.named(row.body) for row in asked(emulator)]
        assert names == [None] * 4 + [live(emulator)[0].name]
        cache.close()
        plain.close()


def test_free_tier(make, events):
    """A quota of nothing is found out once."""
    settings = GeminiSettings(implicit_luck=0.0, free_tier=True)
    with Emulator(gemini=settings) as emulator:
        cache = PromptCache(
            store=MemoryStore(), clock=emulator.clock, listeners=[events.append]
        )
        plain = client_of(emulator.url)
        assert all(questions((cache, cache.attach(plain)), emulator, 10, seconds=60))
        assert len(creations(emulator)) == 1
        assert [event.kind for event in of_kind(events, CreateRefused)] == ["no_quota"]
        cache.close()
        plain.close()


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_request_that_fails_fails_as_the_plain_one_does(status, pair, emulator):
    """An error that says nothing of the handle is the caller's."""
    questions(pair, emulator)
    emulator.faults.push(Fault(status=status, match="generateContent"))

    with pytest.raises(errors.APIError) as raised:
        ask(pair[1])
    assert raised.value.code == status
    assert len(live(emulator)) == 1


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(live_caches=0), "live_caches"),
        (Limits(usd_per_hour=0.0001), "usd_per_hour"),
        (Limits(token_hours=1000), "token_hours"),
    ],
)
def test_limits(limits, limit, make, emulator, events):
    """At a limit nothing is created, and one event says so."""
    questions(make(limits=limits), emulator, 8)

    assert emulator.caches == []
    assert [event.limit for event in of_kind(events, LimitReached)] == [limit]


def test_no_cached_contents_on_request(pair, emulator):
    """By a call's option, and where planning is off."""
    with options(gemini_caches=False):
        questions(pair, emulator, 6)
    with options(enabled=False):
        questions(pair, emulator, 6)

    assert emulator.caches == []


@pytest.mark.parametrize(("ttl", "seconds"), [("5m", 300), ("30m", 1800)])
def test_a_life_on_request(ttl, seconds, pair, emulator):
    """What the caller says is ordered, and moved by each use."""
    with options(ttl=ttl):
        questions(pair, emulator, 12, seconds=60.0)
    (row,) = live(emulator)

    assert 0.7 * seconds <= row.expires - (emulator.clock.now() - 60) <= seconds + 1


def test_tenants_share_no_handle(pair, emulator):
    """The same words of two customers are two prefixes."""
    for tenant in ("a", "b"):
        with options(tenant=tenant):
            questions(pair, emulator, 4)
    names = [wire.named(row.body) for row in asked(emulator)]

    assert len(live(emulator)) == 2
    assert names[3] != names[7]
    assert names[4:7] == [None] * 3


def test_the_callers_own_cached_content(pair, emulator):
    """It is named as the caller says, and counts for nothing else."""
    cache, client = pair
    config = types.CreateCachedContentConfig(system_instruction=SYSTEM)
    held = client.caches.create(model=MODEL, config=config)
    for _ in range(6):
        ask(client, system=None, cached_content=held.name)
        cache.keeper.idle()

    assert [wire.named(row.body) for row in asked(emulator)] == [held.name] * 6
    assert len(emulator.caches) == 1


def test_a_request_may_wait_for_a_creation(make, emulator):
    """With `wait_seconds` the request that asks for it names it already."""
    questions(make(limits=Limits(wait_seconds=5.0)), emulator, 3)
    rows = asked(emulator)

    assert wire.named(rows[2].body) == live(emulator)[0].name


async def test_waiting_does_not_block_the_event_loop(make, emulator):
    """While one request waits for a slow creation, others go on."""
    _, client = make(limits=Limits(wait_seconds=5.0))
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    config = types.GenerateContentConfig(system_instruction=SYSTEM)
    for _ in range(4):
        before = len(ticks)
        await client.aio.models.generate_content(
            model=MODEL, contents="?", config=config
        )
        assert len(ticks) > before
    ticking.cancel()
    await client.aio.aclose()
    assert len(emulator.caches) == 1


def test_many_threads_create_once(pair, emulator):
    """However many ask for the same at once."""
    cache, client = pair
    start = threading.Barrier(16)

    def work(number):
        start.wait()
        return [ask(client, f"{number} {index}") for index in range(4)]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(work, range(16)))
    cache.keeper.idle()

    assert all(map(all, answers))
    assert len(emulator.caches) == 1
    assert len(asked(emulator)) == 64


def test_what_is_in_the_store_is_used_by_the_next_process(make, emulator):
    """A second cache on the same store names what the first has created."""
    store = MemoryStore()
    questions(make(store=store), emulator)
    questions(make(store=store), emulator, 1)

    assert wire.named(asked(emulator)[-1].body) == live(emulator)[0].name


def test_closing_deletes_what_was_created(pair, emulator, events):
    """Nothing lives on that nobody is going to use."""
    questions(pair, emulator)
    pair[0].close()

    assert live(emulator) == []
    assert [event.why for event in of_kind(events, CacheEnded)] == ["deleted"]


def test_a_model_without_cached_contents(pair, emulator):
    """It is asked as ever."""
    cache, client = pair
    for _ in range(6):
        client.models.generate_content(
            model="gemini-4-argon",
            contents="?",
            config=types.GenerateContentConfig(system_instruction=SYSTEM),
        )
        cache.keeper.idle()

    assert emulator.caches == []


def test_a_price_that_is_not_known(make, emulator, events):
    """Nothing is created unasked, and the receipt says why."""
    facts = {"gemini-3.7-flash": {"explicit": True}}
    cache, client = make(facts=facts)
    for _ in range(6):
        client.models.generate_content(
            model="gemini-3.7-flash",
            contents="?",
            config=types.GenerateContentConfig(system_instruction=SYSTEM),
        )
        cache.keeper.idle()

    assert emulator.caches == []
    notes = of_kind(events, Settled)[-1].receipt.notes
    assert "no cached content: a price is not known" in notes


def test_a_creation_is_told_of(pair, emulator, events):
    """With what it holds, how long it lives and what it cost."""
    questions(pair, emulator)
    (created,) = of_kind(events, CacheCreated)
    (row,) = emulator.caches

    assert (created.name, created.tokens) == (row.name, row.tokens)
    assert created.cost_usd == pytest.approx(row.tokens * 0.75e-6)
    assert created.seconds == pytest.approx(row.expires - row.created, abs=1)
