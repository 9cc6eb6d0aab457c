"""`GeminiCacheKeeper`: cached contents for people who say themselves what to cache."""

from datetime import timedelta

import pytest
from gemini_asking import MODEL, asked
from gemini_sdk import CREATION, client_of
from google.genai import errors, types

from promptcache import (
    GeminiCacheKeeper,
    HoldError,
    Limits,
    MemoryStore,
    OptionError,
    PromptCache,
)
from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.providers.gemini import wire

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

SYSTEM = "You answer with care. " * 1200
DOCUMENT = "Chapter by chapter. " * 1200


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky):
    unlucky.reset()
    return unlucky


@pytest.fixture
def cache(emulator):
    cache = PromptCache(
        store=MemoryStore(), clock=emulator.clock, limits=Limits(usd_per_hour=1.0)
    )
    yield cache
    cache.close()


@pytest.fixture
def client(emulator, cache):
    plain = client_of(emulator.url)
    yield cache.attach(plain)
    plain.close()


@pytest.fixture
def keeper(client, cache):
    keeper = GeminiCacheKeeper(client, cache=cache)
    yield keeper
    keeper.remote.close()


def live(emulator):
    return [row.name for row in emulator.caches if row.live]


def test_what_is_held_lives_as_long_as_the_with(keeper, client, emulator):
    """It is created, can be named, and is deleted at the end."""
    with keeper.hold(MODEL, system=SYSTEM, ttl="10m") as handle:
        assert live(emulator) == [handle.name]
        config = types.GenerateContentConfig(cached_content=handle.name)
        answer = client.models.generate_content(
            model=MODEL, contents="?", config=config
        )
        assert answer.usage_metadata.cached_content_token_count == handle.tokens
    assert live(emulator) == []


async def test_asynchronously(keeper, client, emulator):
    """The same, in a coroutine."""
    async with keeper.hold(MODEL, system=SYSTEM) as handle:
        assert live(emulator) == [handle.name]
    assert live(emulator) == []


CONFIGS = {
    "system": {"system": SYSTEM},
    "contents": {"contents": [DOCUMENT]},
    "both": {"system": SYSTEM, "contents": DOCUMENT},
    "tools": {
        "system": SYSTEM,
        "tools": [{"function_declarations": [{"name": "look_up"}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
    },
}


@pytest.mark.parametrize("held", CONFIGS.values(), ids=CONFIGS)
def test_requests_that_begin_so_name_it_by_themselves(held, keeper, client, emulator):
    """Whoever builds requests as ever needs no word of the handle."""
    contents = held.get("contents", [])
    asking = [*([contents] if isinstance(contents, str) else contents)]
    question = types.Content(role="user", parts=[types.Part(text="And now?")])
    config = types.GenerateContentConfig(
        system_instruction=held.get("system"),
        tools=held.get("tools"),
        tool_config=held.get("tool_config"),
    )
    with keeper.hold(MODEL, **held) as handle:
        client.models.generate_content(
            model=MODEL, contents=[*asking, question], config=config
        )
        (row,) = asked(emulator)
        assert wire.named(row.body) == handle.name
        assert len(row.body["contents"]) == 1
        assert row.cache_read_input_tokens == handle.tokens


def test_it_is_extended_while_it_is_held(keeper, cache, emulator):
    """Hours pass; storage is ordered for ten minutes at a time."""
    with keeper.hold(MODEL, system=SYSTEM, ttl=timedelta(minutes=10)) as handle:
        for _ in range(120):
            emulator.clock.advance(60)
            cache.keeper.tend()
            (row,) = [row for row in emulator.caches if row.live]
            assert row.name == handle.name
            assert row.expires - emulator.clock.now() <= 601
    assert live(emulator) == []


def test_the_last_one_to_let_go_deletes(emulator, cache, client):
    """Two hold the same, in two workers of one store: there is one cached content."""
    other = PromptCache(store=cache.store, clock=emulator.clock)
    first = GeminiCacheKeeper(client, cache=cache)
    second = GeminiCacheKeeper(client, cache=other)
    with first.hold(MODEL, system=SYSTEM) as one:
        with second.hold(MODEL, system=SYSTEM) as two:
            assert one.name == two.name
        assert live(emulator) == [one.name]
        with first.hold(MODEL, system=SYSTEM) as again:
            assert again.name == one.name
        assert live(emulator) == [one.name]
    assert live(emulator) == []
    other.close()
    for keeper in (first, second):
        keeper.remote.close()


def test_an_error_inside_lets_go(keeper, emulator):
    """Nothing is left behind."""
    with (
        pytest.raises(ZeroDivisionError),
        keeper.hold(MODEL, system=SYSTEM),
    ):
        _ = 1 / 0
    assert live(emulator) == []


def test_what_the_provider_refuses(keeper):
    """Too small: the error says that the provider refused it."""
    with pytest.raises(HoldError, match="refused"), keeper.hold(MODEL, system="Short."):
        pass


def test_what_limits_do_not_allow(emulator, client):
    """The error says that it would exceed them."""
    cache = PromptCache(
        store=MemoryStore(), clock=emulator.clock, limits=Limits(live_caches=0)
    )
    keeper = GeminiCacheKeeper(client, cache=cache)
    with pytest.raises(HoldError, match="Limits"), keeper.hold(MODEL, system=SYSTEM):
        pass
    assert emulator.caches == []
    cache.close()
    keeper.remote.close()


def test_a_server_that_fails(keeper, emulator):
    """It is an error to the one who asked for it."""
    emulator.faults.push(Fault(status=500, match=CREATION))
    with pytest.raises(HoldError), keeper.hold(MODEL, system=SYSTEM):
        pass


@pytest.mark.parametrize("ttl", ["", "1", "1d", "10 m", -1, 0, 30, True, None, "1s"])
def test_a_ttl_that_is_none(ttl, keeper):
    """What is no time, or less than a minute, is refused at once."""
    with pytest.raises(OptionError, match="ttl"):
        keeper.hold(MODEL, system=SYSTEM, ttl=ttl)


def test_nothing_to_hold(keeper):
    """A hold of nothing is refused at once."""
    with pytest.raises(OptionError, match="contents"):
        keeper.hold(MODEL)


def test_what_others_created_is_adopted_and_left(keeper, client, cache, emulator):
    """It is kept alive while it is held, and not deleted at the end, nor at close."""
    config = types.CreateCachedContentConfig(system_instruction=SYSTEM, ttl="120s")
    made = client.caches.create(model=MODEL, config=config)
    with keeper.adopt(made.name, ttl="10m") as handle:
        assert handle.name == made.name
        for _ in range(30):
            emulator.clock.advance(60)
            cache.keeper.tend()
        assert live(emulator) == [made.name]
    cache.close()
    assert live(emulator) == [made.name]


def test_adopting_what_is_not_there(keeper):
    """The error says so."""
    with pytest.raises(HoldError), keeper.adopt("cachedContents/nothing"):
        pass


def test_a_plain_client_will_do(emulator, cache):
    """A keeper needs no attached client; the requests do, to have receipts."""
    plain = client_of(emulator.url)
    keeper = GeminiCacheKeeper(plain, cache=cache)
    with keeper.hold(MODEL, system=SYSTEM) as handle:
        config = types.GenerateContentConfig(
            cached_content=handle.name, system_instruction=SYSTEM
        )
        with pytest.raises(errors.ClientError, match="CachedContent"):
            plain.models.generate_content(model=MODEL, contents="?", config=config)
    keeper.remote.close()
    plain.close()
