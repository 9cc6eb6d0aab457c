"""Whose client a cached Gemini calls, and how long its connections stay open."""

import asyncio
import gc

import pytest
from gemini_sdk import client_of
from google import genai
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField

from langchain_promptcache import prompt_cached
from promptcache import AttachedError, PromptCache, attach
from promptcache.receipts.events import SteppedAside

pytest.importorskip("aiohttp", reason="connections are looked at as aiohttp has them")

OPTION = "prompt_cache"

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture
def kind():
    return "developer"


@pytest.fixture
def sdk(emulator):
    """Return a client of the caller's own, closed in the end."""
    client = client_of(emulator.url, key="ws-own-key")
    yield client
    client.close()


def pool_of(model):
    """Return the connections that a model's synchronous calls go through."""
    return model.client._api_client._httpx_client


def sessions_of(model):
    """Return the connections that a model's asynchronous calls go through."""
    return list(model.client._api_client._aiohttp_sessions.values())


@pytest.mark.parametrize("kind", ["developer", "vertex"])
async def test_client_is_attached(cached, cache, prompt):
    """Attaching the client once more changes nothing; sync and async go through it."""
    assert attach(cached.client, cache) is cached.client
    assert cached.async_client is cached.client.aio
    assert isinstance(cached.client, genai.Client)
    assert cached.plain_client() is not cached.client
    assert OPTION in cached.invoke(prompt()).response_metadata
    assert OPTION in (await cached.ainvoke(prompt())).response_metadata


async def test_twin_keeps_connections_alive(make_plain, cache, prompt):
    """The connections of a model stay open as long as a twin of it lives."""
    plain = make_plain()
    await plain.ainvoke(prompt())
    pool, (session,) = pool_of(plain), sessions_of(plain)
    twin = prompt_cached(plain, cache)
    del plain
    gc.collect()

    assert not pool.is_closed
    assert not session.closed
    assert twin.invoke(prompt()).text
    assert (await twin.ainvoke(prompt())).text
    assert sessions_of(twin) == [session]
    del twin
    await closed_in_the_end(session)
    assert pool.is_closed


async def test_model_outlives_its_twin(plain, cache, prompt):
    """A twin that is collected closes nothing that its model still uses."""
    twin = prompt_cached(plain, cache)
    twin.invoke(prompt())
    await twin.ainvoke(prompt())
    (session,) = sessions_of(plain)
    del twin
    gc.collect()
    await asyncio.sleep(0)

    assert not pool_of(plain).is_closed
    assert not session.closed
    assert plain.invoke(prompt()).text
    assert (await plain.ainvoke(prompt())).text


async def test_cached_model_closes_its_connections(make_cached, prompt):
    """The connections of a cached model are closed with the last model on them."""
    cached = make_cached()
    copied = cached.bind(prompt_cache={"tenant": "acme"})
    cached.invoke(prompt())
    await cached.ainvoke(prompt())
    pool, (session,) = pool_of(cached), sessions_of(cached)
    del cached
    gc.collect()

    assert copied.invoke(prompt()).text
    del copied
    await closed_in_the_end(session)
    assert pool.is_closed


async def closed_in_the_end(session):
    """Let Python collect what was dropped, and the event loop close what was open."""
    for _ in range(20):
        gc.collect()
        await asyncio.sleep(0)
        if session.closed:
            return
    raise AssertionError(session)


@pytest.mark.parametrize("how", ["class", "twin"])
async def test_closing(how, make_plain, make_cached, cache, prompt):
    """`aclose` closes what the model's calls went through, as the stock one does."""
    model = make_cached() if how == "class" else prompt_cached(make_plain(), cache)
    model.invoke(prompt())
    await model.ainvoke(prompt())
    pool, (session,) = pool_of(model), sessions_of(model)
    await model.aclose()

    assert pool.is_closed
    assert session.closed


def test_closing_elsewhere(cached, plain, prompt):
    """An event loop that was not asked for closes nothing, and says the same."""
    told = []
    for model in (plain, cached):
        loops = asyncio.new_event_loop(), asyncio.new_event_loop()
        loops[0].run_until_complete(model.ainvoke(prompt()))
        with pytest.raises(RuntimeError) as info:
            loops[1].run_until_complete(model.aclose())
        told.append(str(info.value))
        loops[0].run_until_complete(model.aclose())
        for loop in loops:
            loop.close()

    assert told[0] == told[1]


def test_event_loops_one_after_another(cached, plain, prompt, cache):
    """A model serves one event loop after another, as the stock one does."""

    async def asked(model):
        answer = await model.ainvoke(prompt())
        for session in sessions_of(model):
            await session.close()
        return answer

    for model in (plain, cached, prompt_cached(plain, cache)):
        for _ in range(2):
            assert asyncio.run(asked(model)).text


def test_copies_share_the_client(cached, cache, prompt):
    """A copy serves the same cache through the same client."""
    copied = cached.model_copy(update={"max_output_tokens": 99})

    assert copied.client is cached.client
    with cache.collect() as collected:
        copied.invoke(prompt())
    assert len(collected) == 1


def test_configured_model(cached, cache, prompt, rows_of):
    """What LangChain makes anew of a cached model's fields serves the same cache."""
    configurable = cached.configurable_fields(
        max_output_tokens=ConfigurableField(id="max_tokens")
    )
    with cache.collect() as collected:
        configurable.with_config(configurable={"max_tokens": 99}).invoke(prompt())
    (row,) = rows_of("cached")

    assert row.body["generationConfig"]["maxOutputTokens"] == 99
    assert len(collected) == 1


async def test_client_put_in_place_later(cached, sdk, cache, prompt, rows_of):
    """A client that somebody puts in place of ours is attached at the next call."""
    cached.client = sdk
    with cache.collect() as collected:
        cached.invoke(prompt())
        list(cached.stream(prompt()))
        await cached.ainvoke(prompt())
        cached.model_copy(update={"client": sdk}).invoke(prompt())

    assert len(collected) == len(rows_of("own")) == 4
    assert cached.plain_client() is sdk
    assert "request" not in vars(sdk._api_client)
    await sdk.aio.aclose()


def test_attached_client_of_the_caller(cached, sdk, cache, prompt, emulator):
    """A client that serves the cache already is kept; one of another is refused."""
    cached.client = attached = attach(sdk, cache)

    assert OPTION in cached.invoke(prompt()).response_metadata
    assert cached.client is attached
    cached.client = attach(sdk, PromptCache(clock=emulator.clock))
    with pytest.raises(AttachedError):
        cached.invoke(prompt())
    with pytest.raises(AttachedError):
        prompt_cached(cached, cache)


class StandIn:
    """What tests put in place of a client: it answers by itself."""

    def __init__(self):
        self.models = self
        self.asked = []

    def generate_content(self, **request):
        self.asked.append(request)
        part = {"text": "A tender."}
        candidate = {"content": {"parts": [part], "role": "model"}}
        return genai.types.GenerateContentResponse.model_validate(
            {"candidates": [{**candidate, "finish_reason": "STOP"}]}
        )


def test_stand_in_of_a_test(cached, events):
    """What is no client of the SDK is called as it is, and listeners are told so."""
    cached.client = stand_in = StandIn()
    answers = [cached.invoke([HumanMessage("Hello")]) for _ in range(2)]

    assert [answer.text for answer in answers] == ["A tender."] * 2
    assert not any(OPTION in answer.response_metadata for answer in answers)
    assert cached.client is stand_in
    assert len(stand_in.asked) == 2
    assert [type(event) for event in events] == [SteppedAside]


def test_no_client(cached, plain, prompt, cache):
    """Without a client, a cached model says what a stock one says."""
    told = []
    plain.client = None
    cached.client = None
    for model in (plain, cached, prompt_cached(plain, cache)):
        with pytest.raises(ValueError, match="not initialized") as info:
            model.invoke(prompt())
        told.append(str(info.value))

    assert len(set(told)) == 1


def test_calls_past_langchain(cached, cache, prompt, emulator):
    """What is asked of a model's client alone has its receipt; counting has none."""
    with cache.collect() as collected:
        cached.invoke(prompt())
        cached.client.models.generate_content(model=cached.model, contents="Hello")
        cached.get_num_tokens("Hello")

    assert [receipt.requests for receipt in collected] == [1, 1]
    assert emulator.ledger[-1].path.endswith(":countTokens")
