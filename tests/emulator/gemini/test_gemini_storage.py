"""What storage, creation and reading come to."""

import json
import urllib.request

import pytest

from promptcache.emulator import Emulator, GeminiSettings

MODEL = "gemini-3.8-flash"
HOUR = 3600


@pytest.mark.parametrize(
    ("until", "billed"),
    [
        pytest.param("delete", 600, id="to-the-deletion"),
        pytest.param("expiry", 2400, id="for-what-was-asked-for"),
    ],
)
def test_an_early_delete(world, until, billed):
    """It ends the bill, or what was asked for is owed at once."""
    kept = world(storage_until=until)
    name = kept.create(5000, ttl="2400s").name
    kept.now = 600.0
    (before,) = kept.cache.rows(kept.now)
    kept.delete(name)
    (after,) = kept.cache.rows(kept.now)
    (later,) = kept.cache.rows(9999.0)

    assert before.token_seconds == 5000 * 600
    assert after.token_seconds == later.token_seconds == 5000 * billed
    assert (before.live, after.live, after.deleted) == (True, False, 600)


@pytest.mark.parametrize(
    ("at", "until", "billed"),
    [(50, "300s", 350), (50, "10s", 60)],
    ids=["longer", "shorter"],
)
def test_an_update(world, at, until, billed):
    """Storage is billed to the expiration that holds at last."""
    kept = world()
    name = kept.create(5000, ttl="100s").name
    kept.now = at
    kept.update(name, {"ttl": until})

    assert kept.cache.rows(9999.0)[0].token_seconds == 5000 * billed


def test_what_is_refused_is_not_stored(world):
    """There is no row of it."""
    kept = world()
    kept.refusal(kept.create, 10)

    assert kept.cache.rows(9999.0) == []


def test_rows(world):
    """Rows tell each cached content of every workspace, and never what it holds."""
    kept = world()
    kept.create(5000, displayName="one")
    kept.where, kept.now = kept.place("vertex", "other"), 1800.0
    kept.create(6000, ttl="1800s")
    rows = kept.cache.rows(5400.0)

    assert [(row.host, row.workspace, row.display_name) for row in rows] == [
        ("developer", "default", "one"),
        ("vertex", "other", ""),
    ]
    assert [row.token_hours for row in rows] == [5000, 3000]
    assert rows[0].as_dict() == {
        "name": rows[0].name,
        "host": "developer",
        "workspace": "default",
        "model": MODEL,
        "display_name": "one",
        "tokens": 5000,
        "created": 0,
        "expires": HOUR,
        "deleted": None,
        "live": False,
        "token_seconds": 5000 * HOUR,
        "token_hours": 5000,
    }


@pytest.mark.parametrize(
    ("host", "billed", "input_tokens"),
    [
        ("developer", True, 5000),
        ("developer", False, 0),
        ("vertex", True, 5000),
        ("vertex", False, 5000),
    ],
)
def test_a_creation(connect, turn, host, billed, input_tokens):
    """It costs its tokens as input; on the Developer API no source says so."""
    settings = GeminiSettings(creation_billed=billed)
    with Emulator(gemini=settings) as emulator:
        client = connect(emulator, host)
        client.caches.create(model=MODEL, config={"contents": [turn(5000)]})
        (row,) = emulator.ledger

    assert (row.input_tokens, row.cache_read_input_tokens) == (input_tokens, 0)
    assert row.path.endswith("/cachedContents")
    assert (row.method, row.model) == ("POST", MODEL)


INPUT, READ, STORAGE, OUTPUT = 0.3125, 0.078125, 1.125, 1.25
"""US dollars per million; of storage, for an hour. They are those that a published
calculation implies, in which one unit is what is counted here as one token."""


def test_a_published_calculation(connect, turn):
    """100,000 units for an hour, and ten requests of 150 new ones and 1,500 answered.

    Its parts are these; the sum that is published with them is 0.001 less.
    """
    spent = {"creation": 0.0, "input": 0.0, "output": 0.0}
    with Emulator() as emulator:
        client = connect(emulator)
        cached = client.caches.create(
            model=MODEL, config={"contents": [turn(100_000)], "ttl": "3600s"}
        )
        for _ in range(10):
            emulator.clock.advance(300)
            emulator.answers.push("y" * 4 * 1499)
            client.models.generate_content(
                model=MODEL,
                contents=[turn(150)],
                config={"cached_content": cached.name},
            )
        emulator.clock.advance(600)
        stored, rows = emulator.storage_token_hours, emulator.ledger
    spent["creation"] = rows[0].input_tokens * INPUT / 1e6
    spent["storage"] = stored * STORAGE / 1e6
    spent["input"] = (
        sum(
            row.input_tokens * INPUT + row.cache_read_input_tokens * READ
            for row in rows[1:]
        )
        / 1e6
    )
    spent["output"] = sum(row.output_tokens for row in rows) * OUTPUT / 1e6
    without = sum(row.total_input_tokens for row in rows[1:]) * INPUT / 1e6

    assert spent == {
        "creation": pytest.approx(0.03125),
        "storage": pytest.approx(0.1125),
        "input": pytest.approx(0.07859375),
        "output": pytest.approx(0.01875),
    }
    assert sum(spent.values()) == pytest.approx(0.24109375)
    assert without + spent["output"] == pytest.approx(0.33171875)


def test_rows_over_http(connect, emulator, turn):
    """The emulator's own endpoint tells them, and a reset forgets them."""
    client = connect(emulator)
    client.caches.create(model=MODEL, config={"contents": [turn(5000)]})
    emulator.clock.advance(HOUR)
    with urllib.request.urlopen(f"{emulator.url}/_emulator/caches") as told:
        (row,) = json.load(told)
    rows = emulator.caches
    emulator.reset()

    assert [row] == [it.as_dict() for it in rows]
    assert row["token_hours"] == 5000
    assert (emulator.caches, emulator.storage_token_hours) == ([], 0)


def test_what_is_over_is_not_kept(world):
    """Of those whose life is over only the row stays, and it is the same."""
    kept = world()
    deleted = kept.create(5000, displayName="d", ttl="90s").name
    kept.create(5000, displayName="e", ttl="60s")
    kept.delete(deleted)
    kept.now = 60.0
    before = kept.cache.rows(kept.now)
    for _ in range(64):
        kept.create(5000)
    contents = kept.cache._contents[kept.where].values()

    assert [bool(it.segments) for it in contents][:3] == [False, False, True]
    assert kept.cache.rows(kept.now)[:2] == before
