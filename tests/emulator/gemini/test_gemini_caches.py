"""Cached contents through the SDK, on both hosts."""

from datetime import datetime, timedelta, timezone

import pytest

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")

from google.genai import errors, types

from promptcache.emulator import Emulator, Fault, GeminiSettings

MODEL = "gemini-3.8-flash"
GONE = {"developer": (403, "PERMISSION_DENIED"), "vertex": (404, "NOT_FOUND")}
OVER = {"developer": (403, "PERMISSION_DENIED"), "vertex": (400, "INVALID_ARGUMENT")}


def refused(act, **fields):
    with pytest.raises(errors.ClientError) as raised:
        act(**fields)
    return raised.value.code, raised.value.status


def now_of(emulator):
    return datetime.fromtimestamp(emulator.clock.now(), timezone.utc)


def test_a_life(connect, emulator, turn, host):
    """Created, found, listed, extended, used, deleted, gone."""
    client = connect(emulator, host)
    made = client.caches.create(
        model=MODEL,
        config=types.CreateCachedContentConfig(
            contents=[turn(5000)],
            system_instruction="s" * 400,
            display_name="promptcache/1",
            ttl="600s",
        ),
    )
    got = client.caches.get(name=made.name)
    listed = list(client.caches.list(config={"page_size": 1}))
    begun = made.create_time
    extended = client.caches.update(name=made.name, config={"ttl": "1200s"})
    used = client.models.generate_content(
        model=MODEL, contents=[turn(50)], config={"cached_content": made.name}
    ).usage_metadata
    deleted = client.caches.delete(name=made.name)

    assert made == got == listed[0]
    assert made.display_name == "promptcache/1"
    assert made.expire_time == begun + timedelta(seconds=600)
    assert extended.expire_time == begun + timedelta(seconds=1200)
    assert made.usage_metadata.total_token_count == 5102
    assert (used.cached_content_token_count, used.prompt_token_count) == (5102, 5152)
    assert isinstance(deleted, types.DeleteCachedContentResponse)
    assert refused(client.caches.get, name=made.name) == GONE[host]
    assert list(client.caches.list()) == []
    assert emulator.ledger[4].hit == made.name
    assert [row.method for row in emulator.ledger] == [
        "POST",
        "GET",
        "GET",
        "PATCH",
        "POST",
        "DELETE",
        "GET",
        "GET",
    ]


def test_expiry(connect, emulator, turn, host):
    """Its time is over by the emulator's clock."""
    client = connect(emulator, host)
    until = now_of(emulator) + timedelta(minutes=10)
    made = client.caches.create(
        model=MODEL, config={"contents": [turn(5000)], "expire_time": until}
    )
    fields = {"model": MODEL, "contents": "x", "config": {"cached_content": made.name}}
    emulator.clock.advance(599)
    read = client.models.generate_content(**fields).usage_metadata
    emulator.clock.advance(1.01)

    assert abs(made.expire_time - until) < timedelta(milliseconds=1)
    assert read.cached_content_token_count == 5000
    assert refused(client.models.generate_content, **fields) == OVER[host]
    assert refused(client.caches.delete, name=made.name) == OVER[host]
    assert (
        refused(client.caches.update, name=made.name, config={"ttl": "60s"})
        == (GONE[host])
    )


# Where aiohttp is there the SDK builds on it in a way that it advises against.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")
async def test_async(connect, emulator, turn, host):
    """The asynchronous client gets the same."""
    client = connect(emulator, host)
    caches = client.aio.caches
    made = await caches.create(model=MODEL, config={"contents": [turn(5000)]})
    listed = [it async for it in await caches.list(config={"page_size": 10})]
    await caches.delete(name=made.name)
    with pytest.raises(errors.ClientError) as raised:
        await caches.get(name=made.name)
    await client.aio.aclose()

    assert listed == [made]
    assert (raised.value.code, raised.value.status) == GONE[host]


def test_pages(connect, emulator, turn, host):
    """The SDK asks for page after page."""
    client = connect(emulator, host)
    names = [
        client.caches.create(model=MODEL, config={"contents": [turn(5000)]}).name
        for _ in range(3)
    ]
    pages = client.caches.list(config={"page_size": 2})

    assert [it.name for it in pages] == names
    assert [row.method for row in emulator.ledger[3:]] == ["GET", "GET"]


def test_what_is_refused(connect, emulator, turn, host):
    """Errors of the rules reach the SDK as errors of the client."""
    client = connect(emulator, host)
    made = client.caches.create(model=MODEL, config={"contents": [turn(5000)]})
    cached = {"cached_content": made.name}
    small = {"model": MODEL, "config": {"contents": ["x"]}}
    beside = {**cached, "system_instruction": "s"}
    ask = client.models.generate_content

    assert refused(client.caches.create, **small) == (400, "INVALID_ARGUMENT")
    assert refused(ask, model=MODEL, contents="x", config=beside) == (
        400,
        "INVALID_ARGUMENT",
    )
    assert refused(ask, model="gemini-2.5-pro", contents="x", config=cached) == (
        400,
        "INVALID_ARGUMENT",
    )
    assert emulator.ledger[1].model == MODEL
    assert emulator.ledger[-1].error.startswith("Model used by GenerateContent")


def test_a_key_of_the_callers_own(connect, emulator, turn):
    """Vertex AI takes the name of a key, as the SDK spells it."""
    client = connect(emulator, "vertex")
    made = client.caches.create(
        model=MODEL,
        config=types.CreateCachedContentConfig(contents=[turn(5000)], kms_key_name="k"),
    )

    assert client.caches.get(name=made.name).name == made.name
    assert emulator.ledger[0].body["encryption_spec"] == {"kmsKeyName": "k"}


def test_the_free_tier(connect, turn):
    """A key of the free tier may not cache, if it is set so."""
    with Emulator(gemini=GeminiSettings(free_tier=True)) as emulator:
        client = connect(emulator)
        fields = {"model": MODEL, "config": {"contents": [turn(5000)]}}

        assert refused(client.caches.create, **fields) == (429, "RESOURCE_EXHAUSTED")
        assert emulator.gemini_settings.free_tier
        assert emulator.caches == []


@pytest.mark.parametrize(
    ("match", "act"),
    [
        ("POST /", "create"),
        ("GET /", "get"),
        ("PATCH /", "update"),
        ("DELETE /", "delete"),
        ("cachedContents/", "get"),
    ],
)
def test_faults(connect, emulator, turn, host, match, act):
    """One operation alone can be made to fail; the next one goes on."""
    client = connect(emulator, host)
    made = client.caches.create(model=MODEL, config={"contents": [turn(5000)]})
    acts = {
        "create": {"model": MODEL, "config": {"contents": [turn(5000)]}},
        "get": {"name": made.name},
        "update": {"name": made.name, "config": {"ttl": "60s"}},
        "delete": {"name": made.name},
    }
    emulator.faults.push(Fault(status=429, message="slow down", match=match))
    assert list(client.caches.list()) == [made] if match != "GET /" else True

    assert refused(getattr(client.caches, act), **acts[act]) == (
        429,
        "RESOURCE_EXHAUSTED",
    )
    assert getattr(client.caches, act)(**acts[act])


def test_a_creation_takes_its_time(connect, emulator, turn):
    """What is cached must be computed first; a delay comes on top."""
    emulator.faults.push(Fault(delay_seconds=2))
    client = connect(emulator)
    client.caches.create(model=MODEL, config={"contents": [turn(8000)]})

    assert emulator.ledger[0].total_seconds == pytest.approx(0.4 + 1 + 2)


def test_workspaces_share_nothing(connect, emulator, turn, host):
    """What one has cached is not there for another."""
    mine = connect(emulator, host, key="ws-mine-1")
    other = connect(emulator, host, key="ws-other-1")
    made = mine.caches.create(model=MODEL, config={"contents": [turn(5000)]})

    assert refused(other.caches.get, name=made.name) == GONE[host]
    assert list(other.caches.list()) == []
    assert [row.workspace for row in emulator.caches] == ["mine"]
