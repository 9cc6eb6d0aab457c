"""Every way into a Gemini while a cached content holds what its prompt begins with.

Implicit caching finds nothing here, so that cached contents pay after a few requests.
"""

from inspect import isawaitable
from math import inf

import pytest
from langchain.agents import create_agent
from langchain_asking import WAYS
from langchain_core.messages import AIMessage, HumanMessage
from langchain_google import bodies_of, whole_bodies, without_ids
from langchain_google_paths import ASYNC_PATHS, SYNC_PATHS, WITHOUT
from langchain_kit import look_up
from langchain_results import receipted, shape, walked
from langgraph.checkpoint.memory import InMemorySaver

from langchain_promptcache import prompt_cached
from promptcache import PromptCache, Receipt, Usage, options
from promptcache.emulator import Emulator, Fault, GeminiSettings, ToolCall
from promptcache.limits import Limits
from promptcache.receipts.events import (
    CacheCreated,
    CacheExtended,
    CacheLost,
    Settled,
)
from promptcache.receipts.prices import GenaiPrices
from promptcache.state.memory import MemoryStore

OPTION = "prompt_cache"
ANSWERED = "Understood. This is the emulator's answer."
WARMING = 8
"""Times that a prompt is sent at most until a cached content holds it."""
BETWEEN_SECONDS = 20
WELL = {Settled, CacheCreated, CacheExtended}
"""What is told of while all goes well."""
HEAD = {"systemInstruction", "tools", "toolConfig"}

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture(scope="module")
def server():
    # Early chunks that tell of the cache alone would not be those of the stock one.
    settings = GeminiSettings(implicit_luck=0.0, early_usage="cumulative")
    with Emulator(gemini=settings) as running:
        yield running


@pytest.fixture
def implicit_only():
    """Say nothing around the calls: here cached contents are wanted."""


@pytest.fixture
def kind():
    return "developer"


@pytest.fixture
def cache(emulator, events):
    made = PromptCache(
        strict=True,
        store=MemoryStore(),
        clock=emulator.clock,
        listeners=[events.append],
        limits=Limits(usd_per_hour=inf, live_caches=99),
    )
    yield made
    made.close()


@pytest.fixture
def rest(cache, emulator):
    """Return a function that lets the keeper do what is due, and time pass."""

    def wait(seconds=BETWEEN_SECONDS):
        assert cache.keeper.idle()
        cache.keeper.tend()
        emulator.clock.advance(seconds)

    return wait


@pytest.fixture
def warm(rest, rows_of):
    """Return a function that does something until all it sends names a handle.

    It returns what that did at last, and the rows that it left.
    """

    async def until_held(act):
        for _ in range(WARMING):
            before = len(rows_of("cached"))
            result = act()
            if isawaitable(result):
                result = await result
            rows = rows_of("cached")[before:]
            if rows and all("cachedContent" in row.body for row in rows):
                return result, rows
            rest()
        raise AssertionError([list(row.body) for row in rows])

    return until_held


@pytest.fixture
def check(emulator, events, cache, rows_of, assert_settled, path):
    """Return a function that compares the last of several walks with the stock one."""

    def compare(receipts, expected, walk):
        result, rows = walk
        stock = rows_of("plain")

        assert {row.status for row in emulator.ledger} == {200}
        assert not any(HEAD & row.body.keys() for row in rows)
        assert whole_bodies(rows, emulator) == bodies_of(stock)
        assert all(row.cache_read_input_tokens > 6000 for row in rows)
        assert_settled(receipts, rows_of("cached"))
        assert {receipt.attempts for receipt in receipts} == {1}
        assert {type(event) for event in events} <= WELL
        assert len(receipted(result)) == (0 if path in WITHOUT else len(rows))
        assert without_ids(shape(result)) == without_ids(shape(expected))
        cache.close()
        assert not any(row.live for row in emulator.caches)

    return compare


@pytest.mark.parametrize(("kind", "answers", "walk"), SYNC_PATHS)
async def test_sync_path(answers, walk, kits, emulator, cache, check, warm):
    """No request carries what is cached, and its answer is the stock one's."""
    stock, ours = kits
    expected = walked(walk, stock, answers, emulator)
    with cache.collect() as collected:
        last = await warm(lambda: walked(walk, ours, answers, emulator))

    check(collected, expected, last)


@pytest.mark.parametrize(("kind", "answers", "walk"), ASYNC_PATHS)
async def test_async_path(answers, walk, kits, emulator, cache, check, warm):
    """No request carries what is cached, and its answer is the stock one's."""
    stock, ours = kits
    expected = await walked(walk, stock, answers, emulator)
    with cache.collect() as collected:
        last = await warm(lambda: walked(walk, ours, answers, emulator))

    check(collected, expected, last)


@pytest.fixture
async def held(cached, prompt, warm, emulator):
    """Return the one cached content, which holds what the prompts begin with."""
    await warm(lambda: cached.invoke(prompt()))
    (row,) = emulator.caches
    return row


def named(rows):
    """Return the cached contents that requests name."""
    return [row.body.get("cachedContent") for row in rows]


async def test_models_of_one_key_share(
    held, make_cached, arguments, plain, cache, prompt, rows_of, emulator
):
    """Whatever models ask with the same prompt name the same cached content."""
    stock = type(plain)(**arguments("cached"))
    before = len(rows_of("cached"))
    for model in (
        make_cached(),
        make_cached(temperature=0.5),
        prompt_cached(stock, cache),
    ):
        model.invoke(prompt("And who built it?"))
        await model.ainvoke(prompt("And when?"))
    prompt_cached(plain, cache).invoke(prompt())
    stock.invoke(prompt())
    *ours, last = rows_of("cached")[before:]

    assert named(ours) == [held.name] * 6
    assert named([last, *rows_of("plain")]) == [None, None]
    assert len(emulator.caches) == 1
    await stock.aclose()


LEFT_OUT = {"gemini_caches": False}


@pytest.mark.parametrize("way", WAYS)
async def test_left_out(way, held, cached, make_cached, prompt, rows_of, emulator):
    """Who leaves cached contents out names none, though there is one."""
    before = len(rows_of("cached"))
    await way(make_cached(gemini_caches=False), prompt())
    await way(cached.bind(prompt_cache=LEFT_OUT), prompt())
    await way(cached.bind(prompt_cache=False), prompt())
    with options(**LEFT_OUT):
        await way(cached, prompt())
    await way(cached, prompt())
    *without, last = rows_of("cached")[before:]

    assert named(without) == [None] * 4
    assert named([last]) == [held.name]
    assert all(HEAD & row.body.keys() for row in without)


def test_other_tenants(held, cached, prompt, rows_of):
    """Tenants share no cached content."""
    cached.invoke(prompt(), prompt_cache={"tenant": "acme"})
    cached.invoke(prompt(), {"metadata": {"prompt_cache_tenant": "other"}})
    cached.invoke(prompt())

    assert named(rows_of("cached")[-3:]) == [None, None, held.name]


def test_changed_prompts(held, cached, prompt, head, rows_of):
    """Another instruction, other tools or another choice of them name nothing of it."""
    cached.invoke([type(head)(head.content + "!"), *prompt()[1:]])
    cached.bind_tools([look_up]).invoke(prompt())
    cached.bind_tools([look_up], tool_choice="any").invoke(prompt())

    assert named(rows_of("cached")[-3:]) == [None] * 3


def deleted_behind_our_back(emulator, cached, held):
    cached.plain_client().caches.delete(name=held.name)


def refused(emulator, cached, held):
    message = "CachedContent not found (or permission denied)"
    emulator.faults.push(Fault(status=403, match="enerateContent", message=message))


LOSSES = [
    pytest.param(deleted_behind_our_back, id="deleted"),
    pytest.param(refused, id="refused"),
]


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("way", WAYS)
async def test_lost(way, lose, held, cached, cache, prompt, rows_of, events, emulator):
    """A cached content that is gone costs one refusal; the caller sees an answer."""
    lose(emulator, cached, held)
    before = len(rows_of("cached"))
    with cache.collect() as collected:
        answer = await way(cached, prompt())
    refusal, row = rows_of("cached")[before:]
    (receipt,) = collected

    assert answer.text == ANSWERED
    assert (refusal.status, row.status) == (403, 200)
    assert named([refusal, row]) == [held.name, None]
    assert HEAD & row.body.keys()
    assert receipt.attempts == 2
    assert receipt.usage.input_tokens == row.total_input_tokens
    assert Receipt.from_metadata(answer.response_metadata[OPTION]).attempts == 2
    assert [event for event in events if isinstance(event, CacheLost)] != []
    await way(cached, prompt())
    assert held.name not in named(rows_of("cached")[before + 2 :])


@pytest.mark.parametrize("way", WAYS)
async def test_expired(way, held, cached, cache, prompt, rows_of, emulator):
    """After the end of a cached content, requests are whole again, at once."""
    emulator.clock.advance(7200)
    before = len(rows_of("cached"))
    with cache.collect() as collected:
        answer = await way(cached, prompt())
    (row,) = rows_of("cached")[before:]

    assert answer.text == ANSWERED
    assert row.status == 200
    assert named([row]) == [None]
    assert [receipt.attempts for receipt in collected] == [1]


@pytest.mark.parametrize("way", WAYS)
async def test_other_failures(way, held, cached, cache, prompt, rows_of, emulator):
    """A failure that is not about the cached content is the caller's to see."""
    emulator.faults.push(Fault(status=429))
    before = len(rows_of("cached"))
    with cache.collect() as collected, pytest.raises(Exception, match="429"):
        await way(cached, prompt())
    answer = await way(cached, prompt())

    assert answer.text == ANSWERED
    assert named(rows_of("cached")[before:]) == [held.name] * 2
    assert len(collected) == 0


@pytest.mark.parametrize("way", WAYS)
async def test_failed_creation(way, cached, prompt, rows_of, rest, emulator):
    """Where no cached content can be made, calls answer as ever."""
    emulator.faults.push(Fault(status=500, match="cachedContents", times=99))
    for _ in range(WARMING):
        answer = await way(cached, prompt())
        assert answer.text == ANSWERED
        rest()

    assert named(rows_of("cached")) == [None] * WARMING
    assert emulator.caches == []


def test_fallbacks(held, cached, plain, prompt, emulator, rows_of):
    """What another model is asked instead has the whole text, and no name in it."""
    emulator.faults.push(Fault(status=500, match="enerateContent"))
    chain = cached.with_fallbacks([plain])
    answer = chain.invoke(prompt())

    assert answer.text == ANSWERED
    assert named([rows_of("cached")[-1], *rows_of("plain")]) == [held.name, None]
    assert OPTION not in answer.response_metadata


def test_callers_objects_stay(held, cached, prompt, rows_of):
    """Nothing of the caller's is written to where a request leaves its head out."""
    messages = prompt()
    before = [message.model_copy(deep=True) for message in messages]
    cached.invoke(messages)

    assert named(rows_of("cached")[-1:]) == [held.name]
    assert messages == before


THREAD = {"configurable": {"thread_id": "visit"}}
ASKED = ("Who built the T 9?", "And the T 12?", "Which one is larger?", "And why?")
SAID = [
    answer
    for number in range(len(ASKED))
    for answer in (
        [ToolCall("look_up", {"name": f"T {number}"})],
        [ToolCall("look_up", {"name": f"T {number + 90}"})],
        "Borsig built it.",
    )
]


@pytest.fixture
def visit(emulator, head, cache):
    """Return a function that leads a conversation, a minute a question."""

    def lead(model):
        agent = create_agent(
            model,
            [look_up],
            system_prompt=head.content,
            checkpointer=InMemorySaver(),
        )
        emulator.answers.clear()
        for answer in SAID:
            emulator.answers.push(answer)
        for question in ASKED:
            state = agent.invoke({"messages": [("user", question)]}, THREAD)
            assert cache.keeper.idle()
            cache.keeper.tend()
            emulator.clock.advance(60)
        return [one for one in state["messages"] if isinstance(one, AIMessage)]

    return lead


def priced(rows, caches=()):
    """Return what rows and cached contents cost, whatever we think of it."""
    prices = GenaiPrices()
    usd = 0.0
    for row in rows:
        usage = Usage(
            input_tokens=row.total_input_tokens,
            read_tokens=row.cache_read_input_tokens,
            output_tokens=row.output_tokens,
        )
        usd += prices.cost("google", row.model, usage, tier=None).usd
    # Until 2026-12-31; see the facts.
    return usd + sum(row.tokens * 0.75e-6 + row.token_hours * 0.5e-6 for row in caches)


def test_agent_saves(
    visit, plain, cached, cache, rows_of, emulator, assert_settled, events
):
    """An agent's bill, with creation and storage, is well below the stock one's."""
    expected = visit(plain)
    with cache.collect() as collected:
        messages = visit(cached)
    cache.close()
    stock, rows = rows_of("plain"), rows_of("cached")

    assert [one.text for one in messages] == [one.text for one in expected]
    assert len(rows) == len(stock) == len(SAID)
    assert {row.status for row in emulator.ledger} == {200}
    assert_settled(collected, rows)
    assert any(isinstance(event, CacheCreated) for event in events)
    assert whole_bodies(rows, emulator) == bodies_of(stock)
    assert priced(rows, emulator.caches) < 0.7 * priced(stock)
    assert {one.conversation for one in collected} == {"visit"}


async def test_growing_conversation(cached, rest, head, rows_of, emulator, plain):
    """A chat that goes on sends what is not cached of it, and loses nothing."""
    said = [head]
    for number in range(12):
        said.append(HumanMessage(f"Question {number}. " + "Tell me more. " * 200))
        answer = cached.invoke(said) if number % 2 else await cached.ainvoke(said)
        said.append(answer)
        rest(30)
    rows = rows_of("cached")
    for number in range(12):
        plain.invoke(said[: 2 * number + 2])

    assert {row.status for row in emulator.ledger} == {200}
    assert whole_bodies(rows, emulator) == bodies_of(rows_of("plain"))
    assert None not in named(rows[-4:])
    assert len(rows[-1].body["contents"]) < len(said) - 2
