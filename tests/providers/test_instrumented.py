"""Plain clients of the SDKs, whose requests are planned where a run is open."""

import asyncio
import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anthropic
import openai
import pytest
from anthropic_sdk import ASYNC_WAYS as ANTHROPIC_ASYNC_WAYS
from anthropic_sdk import WAYS as ANTHROPIC_WAYS
from anthropic_sdk import agent, is_like
from gemini_sdk import client_of
from openai_sdk import ASYNC_WAYS as OPENAI_ASYNC_WAYS
from openai_sdk import WAYS as OPENAI_WAYS

from promptcache import CallOptions, PromptCache, Run, attach, instrument
from promptcache import instrumented as instrumented_module
from promptcache.emulator import Fault

SYSTEM = "word " * 9000


@pytest.fixture(scope="module", autouse=True)
def instrumented():
    """Instrument the classes, twice: the second time changes nothing."""
    instrument()
    instrument()


@pytest.fixture
def cache(emulator):
    """Return a cache on the emulator's clock that serves this test only."""
    made = PromptCache(clock=emulator.clock)
    yield made
    made.close()


@contextmanager
def run_of(cache, told, *, plans=True, clients=None):
    enabled = None if plans else False
    run = Run(
        cache,
        options=CallOptions(enabled=enabled, stream_usage=True if plans else None),
        told=told.append,
        run_id="r",
        clients=clients,
    )
    run.open()
    try:
        yield run
    finally:
        run.close()


def claude(url):
    return anthropic.Anthropic(base_url=url, api_key="any")


def gpt(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any")


def question(system=SYSTEM):
    return {"contents": "hello", "config": {"system_instruction": system}}


def gemini(client):
    return client.models.generate_content(model="gemini-3.8-flash", **question())


def gemini_stream(client):
    stream = client.models.generate_content_stream
    return list(stream(model="gemini-3.8-flash", **question()))


async def agemini(client):
    send = client.aio.models.generate_content
    return await send(model="gemini-3.8-flash", **question())


async def agemini_stream(client):
    send = client.aio.models.generate_content_stream
    stream = await send(model="gemini-3.8-flash", **question())
    return [chunk async for chunk in stream]


WAYS = [
    *(
        pytest.param(claude, lambda c, w=w: w(c, agent()), id=f"anthropic {w.__name__}")
        for w in ANTHROPIC_WAYS
    ),
    *(pytest.param(gpt, w, id=f"openai {w.__name__}") for w in OPENAI_WAYS),
    pytest.param(client_of, gemini, id="google generate_content"),
    pytest.param(client_of, gemini_stream, id="google generate_content_stream"),
]


@pytest.mark.parametrize(("make", "way"), WAYS)
def test_every_way(emulator, cache, make, way):
    """Outside a run nothing changes; inside, one request is watched or planned."""
    client, told = make(emulator.url), []
    with client:
        way(client)
        plain = emulator.ledger[0].body
        with run_of(cache, told, plans=False):
            way(client)
            way(client)
        assert [row.body for row in emulator.ledger] == [plain] * 3
        assert [receipt.policy for receipt in told] == ["off"]
        with run_of(cache, told):
            way(client)
            way(client)
        way(client)

    assert len(told) == 2
    assert told[1].policy == "auto"
    assert told[1].requests == 1
    assert is_like(told[1], emulator.ledger[3])
    assert [row.body for row in emulator.ledger[4:]] == [plain] * 2


async def test_every_asynchronous_way(emulator, cache):
    """The same holds for asynchronous clients."""
    told = []
    async_claude = anthropic.AsyncAnthropic(base_url=emulator.url, api_key="any")
    async_gpt = openai.AsyncOpenAI(base_url=f"{emulator.url}/v1", api_key="any")
    google = client_of(emulator.url)
    ways = [
        *((async_claude, lambda c, w=w: w(c, agent())) for w in ANTHROPIC_ASYNC_WAYS),
        *((async_gpt, way) for way in OPENAI_ASYNC_WAYS),
        (google, agemini),
        (google, agemini_stream),
    ]
    async with async_claude, async_gpt, google.aio:
        for number, (client, way) in enumerate(ways, 1):
            await way(client)
            with run_of(cache, told):
                await way(client)
                assert len(told) == number, way
                await way(client)
            assert len(told) == number, way

    planned = emulator.ledger[1::3]
    assert len(planned) == len(ways)
    assert all(map(is_like, told, planned))


def test_half_of_many_threads(emulator, cache):
    """Exactly those requests are planned whose threads have a run."""
    with claude(emulator.url) as client:

        def ask(number):
            told = []
            if number % 2:
                with run_of(cache, told):
                    client.messages.create(**agent(), metadata={"user_id": "planned"})
            else:
                client.messages.create(**agent(), metadata={"user_id": "plain"})
            return len(told)

        with ThreadPoolExecutor(32) as pool:
            told = list(pool.map(ask, range(64)))

    assert told == [0, 1] * 32
    for row in emulator.ledger:
        is_planned = "cache_control" in repr(row.body)
        assert is_planned == (row.body["metadata"]["user_id"] == "planned")


async def test_half_of_many_tasks(emulator, cache):
    """Tasks have runs of their own; what a task asks after its run is plain."""
    told = []
    async with anthropic.AsyncAnthropic(base_url=emulator.url, api_key="any") as client:

        async def ask(number):
            if number % 2:
                with run_of(cache, told):
                    await client.messages.create(**agent())
            await client.messages.create(**agent())

        await asyncio.gather(*map(ask, range(32)))

    assert len(told) == 16
    marked = [row for row in emulator.ledger if "cache_control" in repr(row.body)]
    assert len(marked) == 16


def test_attached_client_plans_once(emulator, cache):
    """A client that is attached is left to its seam; the run has the receipt."""
    told = []
    for client in (claude(emulator.url), gpt(emulator.url), client_of(emulator.url)):
        with client:
            attached = attach(client, cache)
            ask = {
                "Anthropic": lambda it: it.messages.create(**agent()),
                "OpenAI": OPENAI_WAYS[0],
                "Client": gemini,
            }[type(client).__name__]
            with cache.collect() as receipts, run_of(cache, told) as run:
                ask(attached)
            assert len(receipts) == 1
            assert run.receipt == receipts[0]

    assert len(told) == 3


def test_other_cache(emulator, cache):
    """A run of one cache and a client of another: the client's cache plans."""
    other, told = PromptCache(clock=emulator.clock), []
    with claude(emulator.url) as client, run_of(cache, told):
        attach(client, other).messages.create(**agent())

    assert cache.report().to_dict()["total"]["requests"] == 0
    assert len(told) == 1


@pytest.mark.parametrize("make", [claude, gpt, client_of])
def test_refused_request(emulator, cache, make):
    """What fails leaves the run waiting for the next attempt of the framework."""
    client, told = make(emulator.url), []
    ask = {
        claude: lambda it: it.messages.create(**agent()),
        gpt: OPENAI_WAYS[0],
        client_of: gemini,
    }[make]
    emulator.faults.push(Fault(status=400))
    with client, run_of(cache, told):
        with pytest.raises(Exception, match="400"):
            ask(client)
        ask(client)

    assert len(told) == 1
    assert is_like(told[0], emulator.ledger[-1])


def test_other_requests_pass(emulator, cache):
    """Counting tokens is no model call, and takes no run."""
    told = []
    with claude(emulator.url) as client, run_of(cache, told) as run:
        body = agent()
        body.pop("max_tokens")
        client.messages.count_tokens(**body)
        assert not run.is_claimed
        client.messages.create(**agent())

    assert len(told) == 1


def test_stream_read_elsewhere(emulator, cache):
    """A stream that sends late finds the run of its client in any thread."""
    told = []
    with client_of(emulator.url) as client:
        sender = client._api_client
        with run_of(cache, told, clients=(sender,)) as run:
            stream = client.models.generate_content_stream(
                model="gemini-3.8-flash", **question()
            )
            run.detach()
            reader = threading.Thread(target=lambda: list(stream))
            reader.start()
            reader.join()

    assert len(told) == 1


def test_arguments_stay(emulator, cache):
    """Nothing that the caller hands in is written to."""
    body, told = agent(), []
    before = copy.deepcopy(body)
    with claude(emulator.url) as client, run_of(cache, told):
        client.messages.create(**body)

    assert body == before


def test_sdk_of_another_kind(monkeypatch, caplog):
    """An SDK that cannot be instrumented is left alone, with one warning."""
    wrong = {"anthropic": "promptcache.clock"}
    monkeypatch.setattr(instrumented_module, "_INSTRUMENTED", wrong)
    monkeypatch.setattr(instrumented_module, "_done", set())
    instrument()
    instrument()

    assert len(caplog.records) == 1
    assert "cannot be instrumented" in caplog.text


def test_switched_off(monkeypatch):
    """With `PROMPTCACHE=off` no class is touched."""
    monkeypatch.setattr(instrumented_module, "is_switched_off", lambda: True)
    monkeypatch.setattr(instrumented_module, "_done", set())
    instrument()

    assert instrumented_module._done == set()
