"""The life of cached contents, by the clock."""

import re

import pytest

from promptcache.emulator.rules.gemini_contents import page
from promptcache.emulator.rules.gemini_times import duration, instant, timestamp
from promptcache.providers.gemini.facts import HOSTS

SAID = {"parts": [{"text": "s" * 20_000}]}
HOUR = 3600


def test_the_usual_life(world, turn):
    """Without a word it is an hour, and use does not extend it."""
    kept = world()
    name = kept.create().name
    kept.now = HOUR - 1
    read = kept.read(turn(9), cachedContent=name)
    kept.now = HOUR
    found = kept.refusal(kept.ask, turn(9), cachedContent=name)

    assert read == 5000
    assert found[0] == 403


@pytest.mark.parametrize(
    ("fields", "expires"),
    [
        ({"ttl": "90s"}, 190),
        ({"ttl": "3.5s"}, 103.5),
        ({"ttl": "0.000000001s"}, 100),
        ({"expireTime": "1970-01-01T00:05:00Z"}, 300),
        ({"expire_time": "1970-01-01T02:05:00.5+02:00"}, 300.5),
    ],
)
def test_a_life_that_is_asked_for(world, fields, expires):
    """A duration counts from now, a time is a time."""
    kept = world()
    kept.now = 100.0

    assert kept.create(**fields).expires == pytest.approx(expires)


@pytest.mark.parametrize(
    ("body", "mask", "expires"),
    [
        ({"ttl": "600s"}, None, 650),
        ({"ttl": "600s"}, "ttl", 650),
        ({"expireTime": "1970-01-01T01:00:00Z"}, "expire_time", HOUR),
        ({"expireTime": "1970-01-01T00:01:00Z"}, "expireTime", 60),
        ({"ttl": "9s", "expireTime": "1970-01-01T01:00:00Z"}, "expireTime", HOUR),
    ],
)
def test_an_update(world, body, mask, expires):
    """It gives another expiration, later or sooner, and changes nothing else."""
    kept = world()
    before = kept.create(ttl="100s", displayName="d")
    kept.now = 50.0
    after = kept.update(before.name, body, mask)

    assert (after.expires, after.updated, after.created) == (expires, 50, 0)
    assert after.resource() | {"expireTime": 0, "updateTime": 0} == (
        before.resource() | {"expireTime": 0, "updateTime": 0}
    )
    assert kept.get(before.name) == after


def test_a_resource_tells_nothing_that_it_holds(world):
    """Of what is cached only the count is told."""
    tool = {"functionDeclarations": [{"name": "f"}]}
    kept = world()
    kept.now = 1.5
    cached = kept.create(systemInstruction=SAID, tools=[tool], ttl="60s")

    assert cached.resource() == {
        "name": cached.name,
        "model": "models/gemini-3.8-flash",
        "createTime": "1970-01-01T00:00:01.500000Z",
        "updateTime": "1970-01-01T00:00:01.500000Z",
        "expireTime": "1970-01-01T00:01:01.500000Z",
        "displayName": "",
        "usageMetadata": {"totalTokenCount": cached.tokens},
    }


def test_a_resource_of_vertex(world):
    """It counts characters and images, and has the name of its key."""
    image = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}
    kept = world("vertex")
    contents = [{"parts": [{"text": "x" * 20_000}, image]}]
    spec = {"kmsKeyName": "k"}
    told = kept.create(contents=contents, encryption_spec=spec).resource()

    assert told["model"].endswith(
        "locations/l/publishers/google/models/gemini-3.8-flash"
    )
    assert told["usageMetadata"] == {
        "totalTokenCount": 1 + 5001 + 1601,
        "textCount": 20_000,
        "imageCount": 1,
    }
    assert told["encryptionSpec"] == spec


def test_names(world, host):
    """No name comes twice, and each has the shape that was seen."""
    kept = world(host)
    names = [kept.create().name for _ in range(20)]
    parent, _, _ = names[0].rpartition("cachedContents/")
    pattern = re.compile(HOSTS[host].id_pattern)

    assert len(set(names)) == 20
    assert parent == ("projects/p/locations/l/" if host == "vertex" else "")
    assert all(pattern.fullmatch(name.rsplit("/", 1)[-1]) for name in names)


def test_pages(world):
    """A list shows what is live, oldest first, and goes on where a page ended."""
    kept = world(page_size=2)
    names = [kept.create(ttl=f"{life}s").name for life in (90, 50, 90, 90)]
    kept.delete(names[2])
    kept.now = 60
    assert kept.listed() == {
        "cachedContents": [kept.get(names[0]).resource(), kept.get(names[3]).resource()]
    }
    first = kept.listed(size="1")
    kept.delete(names[0])
    second = kept.listed(size="1", token=first["nextPageToken"])

    assert first["nextPageToken"] == names[0]
    assert second == {"cachedContents": [kept.get(names[3]).resource()]}
    assert len(kept.listed(size="5000")["cachedContents"]) == 1


def test_the_most_on_a_page(world):
    """More than the most is coerced to it."""
    kept = world()
    names = [kept.create().name for _ in range(3)]
    contents = {name: kept.get(name) for name in names}
    told = page(contents, size="9", token=None, now=0, usual=1, most=2)

    assert [it["name"] for it in told["cachedContents"]] == names[:2]
    assert told["nextPageToken"] == names[1]


def test_an_empty_page(world):
    """It is an object with nothing in it."""
    kept = world()
    over = kept.create(ttl="60s")
    kept.now = 60

    assert not over.live(kept.now)
    assert kept.listed() == {}


@pytest.mark.parametrize(
    "asked", [{"size": "x"}, {"size": "-1"}, {"token": "cachedContents/none"}]
)
def test_no_such_page(world, asked):
    """A size that is none and a token that was never given are refused."""
    kept = world()

    assert kept.refusal(kept.listed, **asked)[:2] == (400, "INVALID_ARGUMENT")


def test_a_prefix_costs_the_same_in_a_cache(world, turn):
    """Cached and sent, the same contents have the same tokens, counted once."""
    kept = world(implicit_luck=0.0)
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    held = {"systemInstruction": SAID, "tools": tools, "contents": [turn(100)]}
    cached = kept.create(**held)
    plain = kept.ask(*held.pop("contents"), turn(50), **held).usage
    through = kept.ask(turn(50), cachedContent=cached.name).usage

    assert (plain.total, plain.read) == (through.total, 0)
    assert (through.read, through.uncached) == (cached.tokens, 50)


def test_contents_that_are_sent_again_are_billed_again(world, turn):
    """What is cached and sent as well is accepted, and counts twice."""
    kept = world()
    cached = kept.create(contents=[turn(5000)])
    used = kept.ask(turn(5000), turn(50), cachedContent=cached.name).usage

    assert (used.total, used.read) == (10_050, 5000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3.5s", 3.5),
        ("-1s", -1),
        ("3600s", 3600),
        ("3600", None),
        ("s", None),
        ("1e3s", None),
        (60, None),
    ],
)
def test_durations(text, seconds):
    """Seconds with up to nine digits behind the point, and an s."""
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-09-07T02:18:17.023637828Z", 1788747497.0236378),
        ("2026-09-07t02:18:17z", 1788747497),
        ("2026-09-07T04:18:17+02:00", 1788747497),
        ("2026-09-07 02:18:17Z", None),
        ("2026-09-07T02:18:17", None),
        ("2026-09-31T02:18:17Z", None),
        (None, None),
    ],
)
def test_times(text, seconds):
    """A day, a time and a zone."""
    assert instant(text) == (None if seconds is None else pytest.approx(seconds))
    if seconds is not None:
        assert instant(timestamp(seconds)) == pytest.approx(seconds)
