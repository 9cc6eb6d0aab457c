"""What the seam makes of requests through `google-genai`."""

import asyncio
import copy
import gc
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from gemini_asking import (
    ASYNC_WAYS,
    HEAD,
    LONG,
    MODEL,
    WAYS,
    agenerate,
    asked,
    config,
    generate,
    is_like,
    order,
    stream,
    texts,
)
from gemini_keeping import FakeKeeper, NoKeeper
from google import genai
from google.genai import errors, types

from promptcache import AttachedError, PromptCache, UnsupportedClientError, options
from promptcache.emulator import Fault
from promptcache.providers.gemini import wire
from promptcache.providers.gemini.seam import Seam
from promptcache.receipts.events import PlanningFailed, Settled, SteppedAside

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


def receipts_of(events):
    return [event.receipt for event in events if isinstance(event, Settled)]


def named_in(row):
    return wire.named(row.body)


@pytest.mark.parametrize("way", WAYS)
def test_every_way(way, connect, cache, keeper, emulator, events, host):
    """No request sends along what its cached content has, and answers are the same."""
    order(emulator, way)
    stock = way(connect(host))
    emulator.reset()
    order(emulator, way)
    answer = way(cache.attach(connect(host)))
    rows, receipts = asked(emulator), receipts_of(events)

    if way.__name__ != "raw":
        assert answer == stock
    assert len(rows) == len(receipts) == len(keeper.receipts) > 0
    assert all(map(is_like, receipts, rows))
    for row in rows:
        assert named_in(row)
        assert not set(HEAD) & set(row.body)
    assert all(receipt.usage.read_tokens > 4000 for receipt in receipts)
    assert not [event for event in events if isinstance(event, PlanningFailed)]


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_every_asynchronous_way(way, connect, cache, keeper, emulator, events):
    """The same holds for the client that is asynchronous."""
    order(emulator, way)
    stock = await way(connect())
    emulator.reset()
    order(emulator, way)
    answer = await way(cache.attach(connect()))
    rows, receipts = asked(emulator), receipts_of(events)

    assert answer == stock
    assert len(rows) == len(receipts) == len(keeper.receipts) > 0
    assert all(map(is_like, receipts, rows))
    assert all(named_in(row) and not set(HEAD) & set(row.body) for row in rows)


@pytest.mark.parametrize("way", WAYS)
def test_without_cached_contents(way, connect, cache, emulator, events):
    """With `gemini_caches=False` bodies are the SDK's own, and receipts tell reads."""
    cache._holdings._keeper = NoKeeper()
    client, plain = cache.attach(connect()), connect()
    with options(gemini_caches=False):
        order(emulator, way)
        way(client)
        order(emulator, way)
        way(client)
    rows = asked(emulator)
    order(emulator, way)
    way(plain)
    stock = asked(emulator)[len(rows) :]

    assert [row.body for row in rows[: len(stock)]] == [row.body for row in stock]
    assert all(map(is_like, receipts_of(events), rows))
    assert receipts_of(events)[-1].usage.read_tokens > 4000


def bodies_of_off(connect, cache, emulator):
    client, plain = cache.attach(connect()), connect()
    generate(client)
    generate(plain)
    mine, stock = asked(emulator)
    return mine.body, stock.body


def test_a_policy_that_is_off(connect, emulator, events):
    """`off` sends what the SDK built and asks no keeper; receipts still come."""
    cache = PromptCache("off", clock=emulator.clock, listeners=[events.append])
    cache._holdings._keeper = NoKeeper()
    mine, stock = bodies_of_off(connect, cache, emulator)

    assert mine == stock
    assert receipts_of(events)[0].policy == "off"


def test_a_call_that_is_off(connect, cache, emulator):
    """The same for `enabled=False`."""
    cache._holdings._keeper = NoKeeper()
    with options(enabled=False):
        mine, stock = bodies_of_off(connect, cache, emulator)

    assert mine == stock


def test_a_cached_content_of_the_callers_own(connect, cache, emulator, events):
    """A request that names one is sent as it is, and has a receipt."""
    cache._holdings._keeper = NoKeeper()
    client = cache.attach(connect())
    made = client.caches.create(
        model=MODEL,
        config=types.CreateCachedContentConfig(system_instruction=LONG, ttl="300s"),
    )
    client.models.generate_content(
        model=MODEL,
        contents="hello",
        config=types.GenerateContentConfig(cached_content=made.name),
    )
    (row,), (receipt,) = asked(emulator), receipts_of(events)

    assert named_in(row) == made.name
    assert is_like(receipt, row)
    assert receipt.usage.read_tokens > 4000


def test_what_is_none_of_ours(connect, cache, keeper, emulator, events):
    """Counting, listing, getting and creating pass untouched, with no receipt."""
    client = cache.attach(connect())
    client.models.count_tokens(model=MODEL, contents="hello")
    client.models.get(model=MODEL)
    list(client.caches.list())

    assert len(emulator.ledger) == 0 or not asked(emulator)
    assert keeper.placed == []
    assert events == []


def test_luck_with_implicit_caching(connect, cache, emulator, events):
    """Implicit reads are told as they are billed, in receipts and their prices."""
    client = cache.attach(connect())
    with options(gemini_caches=False):
        generate(client)
        generate(client)
    first, second = receipts_of(events)

    assert first.usage.read_tokens == 0
    assert second.usage.read_tokens > 4000
    assert second.saved_usd == pytest.approx(second.usage.read_tokens * 0.675e-6)
    assert first.saved_usd == 0


def test_nothing_of_the_callers_is_written_to(connect, cache, keeper):
    """What the caller passed is afterwards as it was."""
    extra = {"generation_config": {"top_k": 4}, "labels": {"team": "a"}}
    said = {
        "system_instruction": {"parts": [{"text": LONG}]},
        "tools": [{"function_declarations": [{"name": "f", "description": "d"}]}],
        "temperature": 0.1,
        "http_options": {"extra_body": extra},
    }
    contents = [{"role": "user", "parts": [{"text": "hello"}]}]
    before = copy.deepcopy((extra, said, contents))
    client = cache.attach(connect())
    client.models.generate_content(model=MODEL, contents=contents, config=said)

    assert (extra, said, contents) == before
    assert keeper.receipts


def test_extra_body_of_the_client(connect, cache, keeper, emulator):
    """What the client adds to each body is planned, and not added a second time."""
    instruction = {"parts": [{"text": f"Be brief. {LONG}"}]}
    extra = {"systemInstruction": instruction, "generationConfig": {"topK": 3}}
    client = cache.attach(connect(extra_body=extra))
    client.models.generate_content(model=MODEL, contents="hello", config=config())
    (row,) = asked(emulator)

    assert "systemInstruction" not in row.body
    assert row.body["generationConfig"] == {"topK": 3}
    assert wire.members(keeper.placed[0].request.body, 0) == {
        "systemInstruction": {**instruction, "role": "user"}
    }


def test_extra_body_is_not_written_into_what_was_given(connect, cache):
    """Planning on the merged body leaves the SDK's own to the SDK."""
    given = {"contents": [], "generationConfig": {"topP": 1}, "_url": {"model": "m"}}
    extra = {"generation_config": {"topK": 3}}
    seam = Seam(connect(extra_body=extra), cache)
    call = seam._call("post", "models/m:generateContent", given, None)

    assert call.request.body["generationConfig"] == {"topP": 1, "topK": 3}
    assert given["generationConfig"] == {"topP": 1}
    assert extra == {"generation_config": {"topK": 3}}


def test_extra_body_that_names_a_cached_content(connect, cache, keeper, emulator):
    """What the caller names in that way is the caller's own, too."""
    client = cache.attach(connect())
    made = client.caches.create(
        model=MODEL,
        config=types.CreateCachedContentConfig(system_instruction=LONG),
    )
    fields = types.GenerateContentConfig(
        http_options=types.HttpOptions(extra_body={"cachedContent": made.name})
    )
    client.models.generate_content(model=MODEL, contents="hello", config=fields)

    assert keeper.placed == []
    assert named_in(asked(emulator)[0]) == made.name


@pytest.mark.parametrize("send", [generate, stream])
def test_a_cached_content_that_is_gone(send, connect, cache, keeper, emulator, host):
    """The whole request is sent once more, and the caller sees an answer."""
    client = cache.attach(connect(host))
    send(client)
    emulator.clock.advance(601)
    answer = send(client)
    refused, full = emulator.ledger[-2:]

    assert answer
    assert refused.status in (400, 403)
    assert named_in(refused)
    assert set(full.body) >= {"systemInstruction"}
    assert named_in(full) is None
    assert keeper.placed[-1].attempts == 2


async def test_one_that_is_gone_of_an_asynchronous_client(
    connect, cache, keeper, emulator
):
    """The same, with the keeper's part beside the loop."""
    client = cache.attach(connect())
    await agenerate(client)
    emulator.clock.advance(601)

    assert await agenerate(client)
    assert named_in(emulator.ledger[-1]) is None
    assert keeper.refusals[0][0] == 403


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("send", [generate, stream])
def test_errors_of_the_provider(send, status, connect, cache, keeper, emulator, events):
    """An error that is about nothing of ours reaches the caller, with no receipt."""
    client = cache.attach(connect())
    send(client)
    emulator.faults.push(Fault(status=status, match="enerateContent"))
    with pytest.raises(errors.APIError) as caught:
        send(client)

    assert caught.value.code == status
    assert len(receipts_of(events)) == 1
    assert len(keeper.refusals) == (status < 500)
    assert send(client)


def test_attempts_are_counted(connect, cache, keeper, emulator, events):
    """What the SDK repeats is one request with one plan and one receipt."""
    retrying = types.HttpRetryOptions(attempts=3, initial_delay=0.0, jitter=0.0)
    client = cache.attach(connect(retry_options=retrying))
    emulator.faults.push(Fault(status=503, match="enerateContent"))
    generate(client)
    (receipt,) = receipts_of(events)

    assert receipt.attempts == 2
    assert len(keeper.placed) == 1


async def test_attempts_of_an_asynchronous_client(connect, cache, emulator, events):
    """The same, where the SDK must see that what it repeats is asynchronous."""
    retrying = types.HttpRetryOptions(attempts=3, initial_delay=0.0, jitter=0.0)
    client = cache.attach(connect(retry_options=retrying))
    emulator.faults.push(Fault(status=503, match="enerateContent"))
    with options(gemini_caches=False):
        await agenerate(client)

    assert receipts_of(events)[0].attempts == 2


def broken(prepared, remote):
    prepared.body = {"contents": []}
    raise ZeroDivisionError("words of the prompt")
    yield


def test_a_keeper_that_fails(connect, cache, keeper, emulator, events, monkeypatch):
    """The request goes out as the SDK built it, with an event that quotes nothing."""
    monkeypatch.setattr(keeper, "place", broken)
    generate(cache.attach(connect()))
    failed, _ = events

    assert isinstance(failed, PlanningFailed)
    assert "words" not in failed.message
    assert named_in(asked(emulator)[0]) is None


def test_a_keeper_that_fails_at_a_refusal(
    connect, cache, keeper, emulator, events, monkeypatch
):
    """The whole request is sent even so."""
    client = cache.attach(connect())
    generate(client)
    emulator.clock.advance(601)

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(keeper, "lost", fail)

    assert generate(client)
    assert named_in(emulator.ledger[-1]) is None
    assert [type(event) for event in events].count(PlanningFailed) == 1


def test_a_creation_that_is_refused(connect, cache, keeper, emulator, events):
    """An error on the way to a cached content costs no answer."""
    emulator.faults.push(Fault(status=429, match="cachedContents"))

    assert generate(cache.attach(connect()))
    assert named_in(asked(emulator)[0]) is None
    assert isinstance(events[0], PlanningFailed)


async def test_the_loop_is_never_blocked(connect, cache, keeper, monkeypatch):
    """While the keeper waits, other tasks go on."""
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()
    create = FakeKeeper.place

    def slow(self, prepared, remote):
        from promptcache.flow import Aside  # noqa: PLC0415

        def wait():
            loop.call_soon_threadsafe(seen.set)
            assert asyncio.run_coroutine_threadsafe(seen.wait(), loop).result(5)

        yield Aside(wait)
        yield from create(self, prepared, remote)

    monkeypatch.setattr(FakeKeeper, "place", slow)

    assert await asyncio.wait_for(agenerate(cache.attach(connect())), 5)


def test_threads_share_a_client(connect, cache, keeper, emulator, events):
    """Many threads may ask through one client at once."""
    client = cache.attach(connect())
    generate(client)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(generate, [client] * 24))

    assert len(set(answers)) == 1
    assert len(receipts_of(events)) == 25
    assert all(map(named_in, asked(emulator)))


def test_options_hold_for_what_runs_inside(connect, cache, keeper, events):
    """Tenants enter receipts and digests; a stream's are those of its first step."""
    client = cache.attach(connect())
    with options(tenant="a"):
        generate(client)
        chunks = client.models.generate_content_stream(
            model=MODEL, contents="hello", config=config()
        )
    with options(tenant="b"), cache.collect() as collected:
        next(chunks)
    list(chunks)

    assert [it.tenant for it in receipts_of(events)] == ["a", "b"]
    assert [it.tenant for it in collected] == ["b"]
    assert len(keeper.held) == 2


def test_the_client_that_was_passed_in(connect, cache, keeper):
    """It stays as it is; the new one is of its kind and shares its connections."""
    plain = connect()
    before = dict(vars(plain)), dict(vars(plain._api_client)), dict(vars(plain.aio))
    client = cache.attach(plain)
    generate(plain)

    assert (
        dict(vars(plain)),
        dict(vars(plain._api_client)),
        dict(vars(plain.aio)),
    ) == before
    assert keeper.placed == []
    assert isinstance(client, genai.Client)
    assert client._api_client._httpx_client is plain._api_client._httpx_client
    assert client._api_client._aiohttp_sessions is plain._api_client._aiohttp_sessions
    assert client.vertexai is False
    for part in ("models", "caches", "files", "batches", "tunings", "operations"):
        assert getattr(client, part)._api_client is client._api_client
        assert getattr(client.aio, part)._api_client is client._api_client


def test_attaching_twice(connect, cache):
    """The same cache changes nothing; another one is an error that says so."""
    client = cache.attach(connect())

    assert cache.attach(client) is client
    assert cache.attach(client.aio) is client.aio
    with pytest.raises(AttachedError):
        PromptCache().attach(client)


async def test_the_asynchronous_client_alone(connect, cache, keeper, emulator):
    """What a client has as `aio` may be attached without the rest."""
    aio = cache.attach(connect().aio)
    await aio.models.generate_content(model=MODEL, contents="hi", config=config())

    assert isinstance(aio, genai.client.AsyncClient)
    assert named_in(asked(emulator)[0])


def test_a_client_that_nobody_holds_any_more(connect, cache, keeper):
    """An attached client that goes ends nothing that the other one uses."""
    plain = connect()
    client = cache.attach(plain)
    del client
    gc.collect()

    assert not plain._api_client._httpx_client.is_closed
    assert generate(plain)


def test_a_client_whose_original_goes(emulator, connect, cache, keeper):
    """An attached client keeps alive what it shares, and lets go of it at its end."""
    made = []
    client = cache.attach(connect())
    made.append(client._api_client._httpx_client)
    gc.collect()

    assert generate(client)
    client.close()
    assert made[0].is_closed


def test_a_client_that_only_the_attached_one_holds(emulator, cache, keeper):
    """When both go, the connections are closed."""
    from gemini_sdk import client_of  # noqa: PLC0415

    client = cache.attach(client_of(emulator.url))
    gc.collect()
    http = client._api_client._httpx_client

    assert generate(client)
    assert not http.is_closed
    del client
    assert http.is_closed


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://generativelanguage.googleapis.com/", "developer"),
        ("https://us-central1-aiplatform.googleapis.com/", "vertex"),
        ("https://gateway.example:8443/v", "gateway.example:8443"),
        ("https://other.example", "developer"),
        ("http://127.0.0.1:8089", "developer"),
    ],
)
def test_hosts(connect, url, host):
    """The platform is known by its server, or named by the caller's facts."""
    cache = PromptCache(facts={"gateway.example:8443": {"host": "vertex"}})
    seam = Seam(connect(), cache)

    assert seam._host(url) == host


def test_the_mode_of_a_client_names_its_host(connect, cache, keeper):
    """On any other server the API is the one that the client was made for."""
    generate(cache.attach(connect("vertex")))

    assert keeper.placed[0].request.host == "vertex"
    assert keeper.placed[0].request.model == MODEL


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("models/gemini-3.8-flash:generateContent", "gemini-3.8-flash"),
        ("models/gemini-3.8-flash:streamGenerateContent?alt=sse", "gemini-3.8-flash"),
        ("publishers/google/models/g:generateContent", "g"),
        ("projects/p/locations/l/publishers/google/models/g:generateContent", "g"),
        ("tunedModels/mine:generateContent", "tunedModels/mine"),
        (
            "projects/p/locations/l/endpoints/7:generateContent",
            "projects/p/locations/l/endpoints/7",
        ),
        ("models/g:countTokens", None),
        ("models/g:batchGenerateContent", None),
        ("cachedContents", None),
    ],
)
def test_paths(connect, cache, path, model):
    """Only answers are asked for; the model is named as everybody names it."""
    call = Seam(connect(), cache)._call("post", path, {"contents": []}, None)

    assert (call and call.request.model) == model


def test_other_methods(connect, cache):
    """A GET asks for no answer, whatever its path."""
    path = "models/g:generateContent"

    assert Seam(connect(), cache)._call("get", path, {}, None) is None


@pytest.mark.parametrize("name", ["request", "async_request_streamed"])
def test_an_sdk_that_differs(connect, cache, events, monkeypatch, name):
    """An SDK without what we rely on is left alone, which is told once."""
    from google.genai import _api_client  # noqa: PLC0415

    def other(self, http_method, path, request_dict, http_options=None, retry=None):
        pass

    monkeypatch.setattr(_api_client.BaseApiClient, name, other)
    plain = connect()
    with pytest.warns(UserWarning, match=f"{name}.*tested with google-genai 2") as told:
        assert cache.attach(plain) is plain
    (event,) = events

    assert len(told) == 1
    assert isinstance(event, SteppedAside)
    assert (event.provider, name in event.why) == ("google", True)


@pytest.mark.parametrize(
    ("where", "name", "why"),
    [
        ("_api_client.BaseApiClient", "_request_once", "another"),
        ("_api_client.BaseApiClient", "_async_request_once", "another"),
        ("_common", "recursive_dict_update", "no `recursive_dict_update`"),
    ],
)
def test_an_sdk_that_lacks_something(connect, cache, monkeypatch, where, name, why):
    """The same where something is missing that is not called by others."""
    plain = connect()
    monkeypatch.delattr(f"google.genai.{where}.{name}")
    with pytest.warns(UserWarning, match=why):
        assert cache.attach(plain) is plain


def test_parts_of_a_client(connect, cache):
    """What is no client has nothing to attach, and works as before."""
    models = connect().models
    with pytest.warns(UserWarning, match="has no `Models.models`"):
        assert cache.attach(models) is models


def test_clients_of_others(cache):
    """What is of no SDK that is supported is refused, whatever Google's it is."""
    kind = type("Client", (), {"__module__": "google.genaix.client"})
    with pytest.raises(UnsupportedClientError, match="google-genai"):
        cache.attach(kind())


def test_a_body_that_cannot_be_read(connect, cache, keeper, emulator, events):
    """It is sent as it is, and the provider says what is wrong with it."""
    client = cache.attach(connect())
    with pytest.raises(errors.ClientError):
        client._api_client.request(
            "post", f"models/{MODEL}:generateContent", {"contents": "hello"}
        )

    assert keeper.placed == []
    assert "BodyUnreadable" in [type(event).__name__ for event in events]
    assert json.loads(json.dumps(emulator.ledger[-1].body)) == {"contents": "hello"}


def test_texts_are_the_emulators(connect):
    """The helper of these tests reads answers and chunks alike."""
    assert texts([]) == ""
    assert generate(connect()) == stream(connect())
