"""Whose client a cached GPT calls: LangChain's own, the caller's, or none."""

import openai
import pytest
from langchain_core.messages import HumanMessage

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatOpenAI,
    prompt_cached,
)
from promptcache import AttachedError, PromptCache, attach
from promptcache.receipts.events import SteppedAside

OPTION = "prompt_cache"
CLIENTS = ("root_client", "root_async_client", "client", "async_client")


@pytest.fixture
def sdk(emulator, pool):
    """Return a client of the caller's own."""
    return openai.OpenAI(
        api_key="ws-cached-key",
        base_url=f"{emulator.url}/v1",
        organization="museum",
        http_client=pool,
        max_retries=0,
    )


@pytest.fixture
def async_sdk(emulator, async_pool):
    return openai.AsyncOpenAI(
        api_key="ws-cached-key",
        base_url=f"{emulator.url}/v1",
        organization="museum",
        http_client=async_pool,
        max_retries=0,
    )


def test_every_client_is_attached(cached, cache):
    """Attaching any of the four clients once more changes nothing."""
    assert attach(cached.root_client, cache) is cached.root_client
    assert attach(cached.root_async_client, cache) is cached.root_async_client
    assert cached.client._client is cached.root_client
    assert cached.async_client._client is cached.root_async_client


def test_pool_of_the_caller(cached, pool, async_pool):
    """HTTP clients that the caller gives serve the attached clients."""
    assert cached.root_client._client is pool
    assert cached.root_async_client._client is async_pool


@pytest.mark.parametrize("kind", ["chat", "responses"])
@pytest.mark.parametrize("part", [True, False], ids=["with_part", "roots"])
async def test_clients_of_the_caller(
    part, make_cached, sdk, async_sdk, prompt, kind, emulator
):
    """Clients that the caller gives are called, and stay as they are."""
    given = {"root_client": sdk, "root_async_client": async_sdk}
    if part:
        given["client"] = sdk.chat.completions
        given["async_client"] = async_sdk.chat.completions
    cached = make_cached(**given)
    stock = cached.plain_clients()
    answers = [cached.invoke(prompt()), await cached.ainvoke(prompt())]

    assert all(OPTION in answer.response_metadata for answer in answers)
    assert "request" not in vars(sdk)
    assert "request" not in vars(async_sdk)
    if part:
        assert stock["client"] is sdk.chat.completions
        assert stock["root_client"] is sdk
        headers = [row.headers.get("openai-organization") for row in emulator.ledger]
        assert headers == ["museum", "museum"]
        assert cached.client._client is cached.root_client


@pytest.mark.parametrize("kind", ["chat"])
def test_part_of_a_client_alone(arguments, cache, sdk, prompt):
    """A part without its client, as some callers give it, is attached."""
    cached = PromptCachedChatOpenAI(
        **arguments("cached"), client=sdk.chat.completions, prompt_cache=cache
    )

    assert OPTION in cached.invoke(prompt()).response_metadata
    assert cached.root_client is None


@pytest.mark.parametrize("kind", ["chat"])
def test_attached_client_of_the_caller(make_cached, cache, sdk, prompt):
    """A client that serves the cache already is kept; one of another is refused."""
    attached = attach(sdk, cache)
    given = {"client": attached.chat.completions, "root_client": attached}
    cached = make_cached(**given)

    assert cached.root_client is attached
    assert cached.client is attached.chat.completions
    assert OPTION in cached.invoke(prompt()).response_metadata
    with pytest.raises(AttachedError):
        make_cached(**given, prompt_cache=PromptCache())
    with pytest.raises(AttachedError):
        prompt_cached(cached, PromptCache())


@pytest.mark.parametrize("kind", ["chat"])
def test_client_put_in_place_later(cached, sdk, cache, prompt, emulator):
    """A client that somebody puts in place of ours is attached at the next call."""
    cached.client = sdk.chat.completions
    with cache.collect() as collected:
        cached.invoke(prompt())
        list(cached.stream(prompt()))
        cached.model_copy(update={"client": sdk.chat.completions}).invoke(prompt())

    assert len(collected) == 3
    assert {row.headers["openai-organization"] for row in emulator.ledger} == {"museum"}
    other = PromptCache(clock=emulator.clock)
    assert OPTION in prompt_cached(cached, other).invoke(prompt()).response_metadata


class StandIn:
    """What tests put in place of a client: it answers by itself."""

    def __init__(self, answer):
        self.answer = answer
        self.with_raw_response = self

    def create(self, **_):
        return self

    def parse(self):
        return self.answer


@pytest.mark.parametrize("kind", ["chat"])
def test_stand_in_of_a_test(make_cached, cached, events):
    """What is no client of the SDK is called as it is, and listeners are told so."""
    message = {"role": "assistant", "content": "A tender."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    stand_in = StandIn({"choices": [choice]})
    given = make_cached(client=stand_in)
    cached.client = stand_in
    answers = [model.invoke([HumanMessage("Hello")]) for model in (given, cached)]

    assert [answer.text for answer in answers] == ["A tender."] * 2
    assert not any(OPTION in answer.response_metadata for answer in answers)
    assert given.client is cached.client is stand_in
    assert [type(event) for event in events] == [SteppedAside] * 2


async def key_later():
    return "ws-cached-key"


@pytest.mark.parametrize("kind", ["chat", "responses"])
async def test_key_that_only_async_calls_get(make_cached, make_plain, prompt, cache):
    """Where there is no synchronous client, there is none; the other one is cached."""
    cached, plain = make_cached(api_key=key_later), make_plain(api_key=key_later)
    with pytest.raises(ValueError, match="Sync client is not available") as stock:
        plain.invoke(prompt())
    with pytest.raises(ValueError, match="Sync client is not available") as ours:
        cached.invoke(prompt())
    twin = prompt_cached(plain, cache)

    assert str(stock.value) == str(ours.value)
    assert (cached.client, cached.root_client) == (None, None)
    assert (twin.client, twin.root_client) == (None, None)
    assert OPTION in (await cached.ainvoke(prompt())).response_metadata
    assert OPTION in (await twin.ainvoke(prompt())).response_metadata


@pytest.mark.parametrize("kind", ["chat"])
def test_key_from_a_function(make_cached, prompt, rows_of):
    """A key that is asked for at each call reaches the provider."""
    asked = []

    def key():
        asked.append(1)
        return "ws-asked-key"

    make_cached(api_key=key).invoke(prompt())

    assert asked
    assert len(rows_of("asked")) == 1


@pytest.mark.parametrize("kind", ["azure"])
async def test_token_that_only_async_calls_get(arguments, cache, prompt, rows_of):
    """The same holds for Azure's tokens."""
    given = arguments("cached")
    del given["api_key"]
    cached = PromptCachedAzureChatOpenAI(
        **given, azure_ad_async_token_provider=key_later, prompt_cache=cache
    )

    assert (cached.client, cached.root_client) == (None, None)
    assert OPTION in (await cached.ainvoke(prompt())).response_metadata
    assert len(rows_of("cached")) == 1


@pytest.mark.parametrize("kind", ["chat", "azure"])
def test_default_connections(arguments, cached_class, stock_class, cache, prompt):
    """Without HTTP clients of the caller's, LangChain's own are shared."""
    # LangChain keeps one client for each timeout, and this one is closed below.
    given = arguments("cached", timeout=61)
    del given["http_client"]
    stock = stock_class(**given)
    cached = cached_class(**given, prompt_cache=cache)
    twin = prompt_cached(stock, cache)

    assert OPTION in cached.invoke(prompt()).response_metadata
    assert twin.root_client._client is stock.root_client._client
    for model in (stock, cached):
        model.root_client.close()


def test_copies_share_clients(cached, cache, prompt):
    """A copy serves the same cache through the same clients."""
    copied = cached.model_copy(update={"max_tokens": 99})

    assert [getattr(copied, name) for name in CLIENTS] == [
        getattr(cached, name) for name in CLIENTS
    ]
    with cache.collect() as collected:
        copied.invoke(prompt())
    assert len(collected) == 1


@pytest.mark.parametrize("kind", ["chat", "azure"])
def test_calls_past_langchain(cached, cache, prompt):
    """A request that is made with a model's client alone has its receipt as well."""
    with cache.collect() as collected:
        cached.invoke(prompt())
        cached.client.create(
            model=cached.model_name, messages=[{"role": "user", "content": "Hello"}]
        )

    assert [receipt.requests for receipt in collected] == [1, 1]
