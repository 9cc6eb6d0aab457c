"""Cached contents that live as long as they pay, through `google-generativeai`."""

import copy
import importlib
import sys
from datetime import timedelta

import gemini_legacy as legacy
import pytest
from gemini_legacy import FORGIVEN, HEAD, MODEL, asked, genai, is_like

from promptcache import (
    GeminiCacheKeeper,
    Limits,
    MemoryStore,
    OptionError,
    PromptCache,
)
from promptcache.emulator import Emulator, GeminiSettings, ToolCall
from promptcache.providers.gemini import spelling_legacy, wire
from promptcache.receipts.events import CacheLost, PlanningFailed, Settled

pytestmark = pytest.mark.filterwarnings(FORGIVEN)

SYSTEM = "You answer with care. " * 1200
DOCUMENT = "Chapter by chapter. " * 1200
DECLARED = [{"function_declarations": [legacy.LOOK_UP]}]
CHOICE = {"function_calling_config": {"mode": "AUTO"}}


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky):
    unlucky.reset()
    return unlucky


@pytest.fixture(autouse=True)
def _configured(emulator):
    with legacy.as_before():
        legacy.configure(emulator.url)
        yield


@pytest.fixture
def cache(emulator, events):
    cache = PromptCache(
        store=MemoryStore(),
        clock=emulator.clock,
        limits=Limits(usd_per_hour=1.0),
        listeners=[events.append],
        strict=True,
    )
    yield cache
    cache.close()


@pytest.fixture
def keeper(cache):
    keeper = GeminiCacheKeeper(cache=cache)
    yield keeper
    keeper.remote.close()


@pytest.fixture
async def over_grpc(emulator):
    """Asynchronous requests go over gRPC: the SDK has nothing else."""
    with legacy.bridge(emulator.url) as address:
        made = legacy.over_grpc_asyncio(address)
        yield
        await made.close()


def generate(model):
    return model.generate_content("hello").text


def stream(model):
    return "".join(it.text for it in model.generate_content("hello", stream=True))


def chat(model):
    return model.start_chat().send_message("hello").text


def declared(model):
    # The SDK writes to it.
    choice = dict(CHOICE)
    return model.generate_content("hello", tools=DECLARED, tool_config=choice).text


def called(model):
    session = model.start_chat(enable_automatic_function_calling=True)
    return session.send_message("hello", tools=[legacy.get_weather]).text


WAYS = [generate, stream, chat, declared, called]


def come_again(cache, emulator, ask, *, times=8):
    """Ask once a minute, each time with a model of its own, as applications do."""
    plain = genai.GenerativeModel(MODEL, system_instruction=SYSTEM)
    for _ in range(times):
        model = cache.attach(plain)
        assert ask(model)
        assert cache.keeper.idle()
        emulator.clock.advance(60)


@pytest.mark.parametrize("way", WAYS)
def test_a_head_that_comes_again(way, cache, emulator, events):
    """It is created once and named; no request repeats what it has."""

    def ask(model):
        if way is called:
            emulator.answers.push([ToolCall("get_weather", {"city": "Bonn"})])
        return way(model)

    come_again(cache, emulator, ask)
    rows = asked(emulator)
    receipts = [event.receipt for event in events if isinstance(event, Settled)]
    named = [row for row in rows if wire.named(row.body)]

    assert len(named) >= len(rows) - 5 > 0
    assert rows[-1] is named[-1]
    assert not any(set(HEAD) & set(row.body) for row in named)
    assert all(row.cache_read_input_tokens > 6000 for row in named)
    assert len(emulator.caches) == 1
    assert len(rows) == len(receipts)
    assert all(map(is_like, receipts, rows))
    assert not [event for event in events if isinstance(event, PlanningFailed)]


@pytest.mark.usefixtures("over_grpc")
async def test_a_head_that_comes_again_asynchronously(cache, emulator):
    """The same, with a model whose requests are coroutines."""
    model = cache.attach(genai.GenerativeModel(MODEL, system_instruction=SYSTEM))
    for _ in range(8):
        assert (await model.generate_content_async("hello")).text
        assert cache.keeper.idle()
        emulator.clock.advance(60)
    last = asked(emulator)[-1]

    assert wire.named(last.body)
    assert not set(HEAD) & set(last.body)
    assert len(emulator.caches) == 1


@pytest.mark.parametrize("way", [generate, stream])
def test_one_that_is_deleted_behind_our_back(way, cache, emulator, events):
    """The request is sent once more in full, and the receipt says so."""
    come_again(cache, emulator, way)
    (row,) = emulator.caches
    genai.caching.CachedContent.get(row.name).delete()
    come_again(cache, emulator, way, times=1)
    settled = [event.receipt for event in events if isinstance(event, Settled)]
    full = asked(emulator)[-1]

    assert [it.name for it in events if isinstance(it, CacheLost)] == [row.name]
    assert settled[-1].attempts == 2
    assert is_like(settled[-1], full)
    assert "systemInstruction" in full.body


def content(text, role="user"):
    return {"role": role, "parts": [text]}


HELD = {
    "system": {"system": SYSTEM},
    "text": {"contents": DOCUMENT},
    "parts": {"contents": ["one", DOCUMENT]},
    "contents": {"contents": [content(DOCUMENT), content("Yes.", "model")]},
    "tools": {"system": SYSTEM, "tools": DECLARED, "tool_config": CHOICE},
    "functions": {"system": SYSTEM, "tools": [legacy.get_weather]},
    "all": {"system": SYSTEM, "contents": [content(DOCUMENT)], "tools": DECLARED},
}
BEGUN = {
    "text": [content(DOCUMENT)],
    "parts": [{"role": "user", "parts": ["one", DOCUMENT]}],
}


@pytest.mark.parametrize("case", HELD)
def test_requests_that_begin_so_name_it(case, keeper, cache, emulator):
    """Whoever builds requests as ever needs no word of the handle."""
    held = HELD[case]
    begun = BEGUN.get(case, held.get("contents", []))
    plain = genai.GenerativeModel(
        MODEL,
        system_instruction=held.get("system"),
        tools=held.get("tools"),
        tool_config=copy.deepcopy(held.get("tool_config")),
    )
    with keeper.hold(MODEL, **held, ttl=timedelta(minutes=10)) as handle:
        cache.attach(plain).generate_content([*begun, content("And now?")])
        (row,) = asked(emulator)

        assert wire.named(row.body) == handle.name
        assert row.body["contents"] == [
            {"role": "user", "parts": [{"text": "And now?"}]}
        ]
        assert row.cache_read_input_tokens == handle.tokens
    assert CHOICE["function_calling_config"] == {"mode": "AUTO"}
    assert [it.live for it in emulator.caches] == [False]


def test_a_model_of_what_is_held(keeper, emulator, events):
    """It names the handle, and its requests have receipts."""
    with keeper.hold(f"models/{MODEL}", system=SYSTEM) as handle:
        model = keeper.generative_model(handle)

        assert model.generate_content("hello").text
        assert stream(model)
        assert chat(model)
    receipts = [event.receipt for event in events if isinstance(event, Settled)]

    assert len(receipts) == 3
    assert all(it.usage.read_tokens == handle.tokens for it in receipts)
    assert all(map(is_like, receipts, asked(emulator)))
    assert {wire.named(row.body) for row in asked(emulator)} == {handle.name}


def test_the_same_held_by_both_sdks(keeper, cache, emulator):
    """What one SDK spells is what the other does, so there is one cached content."""
    pytest.importorskip("google.genai", reason="google-genai is not installed")
    from gemini_sdk import client_of  # noqa: PLC0415

    client = client_of(emulator.url)
    newer = GeminiCacheKeeper(client, cache=cache)
    held = HELD["tools"] | {"contents": [content(DOCUMENT)]}
    told = [{"role": "user", "parts": [{"text": DOCUMENT}]}]
    with (
        newer.hold(MODEL, **held | {"contents": told}) as first,
        keeper.hold(MODEL, **held) as second,
    ):
        assert first.name == second.name
    newer.remote.close()
    client.close()


def test_what_json_does_not_have(keeper):
    """A hold of numbers that nobody can send is refused at once."""
    call = {"function_call": {"name": "f", "args": {"x": float("inf")}}}
    contents = [{"role": "model", "parts": [call]}]
    with pytest.raises(OptionError, match="JSON"):
        keeper.hold(MODEL, contents=contents)


@pytest.mark.parametrize("nothing", [{}, {"contents": []}])
def test_nothing_to_hold(nothing, keeper):
    """A hold of nothing is refused at once."""
    with pytest.raises((OptionError, ValueError), match=r"contents|empty"):
        keeper.hold(MODEL, **nothing)


def test_without_the_sdk(monkeypatch):
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "google.generativeai.types", None)
    monkeypatch.delitem(sys.modules, spelling_legacy.__name__)
    with pytest.raises(ImportError, match=r"promptcache\[google-generativeai\]"):
        importlib.import_module(spelling_legacy.__name__)
