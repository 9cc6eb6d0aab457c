"""A clock that jumps: calls end as ever, receipts hold, and nothing gets stuck."""

from itertools import count

import pytest
from broken_stores import BrokenStore
from faulty_soak import DAY, SkewedClock
from faulty_subjects import NAMED, is_stream
from faulty_tricks import named
from gemini_remote import SCOPE, World

from promptcache import PromptCache
from promptcache.receipts.events import (
    CacheCreated,
    PlanningFailed,
    Settled,
    StoreFailed,
)

TALK = ["What is a tender?"]
JUMPS = [3_600.0, 0.0, 400 * DAY, -400 * DAY, -DAY, -60.0, 0.0, 0.5]
SUBJECTS = ["sdk.anthropic", "sdk.openai", "sdk.google", "langchain.google"]


@pytest.fixture
def clock(faulty):
    """Return a clock that a test may set, beside that of the provider."""
    return SkewedClock(faulty.clock)


@pytest.fixture
def jumpy(clock, events):
    made = PromptCache(
        store="memory:", strict=True, clock=clock, listeners=[events.append]
    )
    yield made
    made.close()


@pytest.mark.parametrize("name", SUBJECTS)
async def test_a_clock_that_jumps(name, jumpy, clock, faulty, events):
    """However far and in whichever direction; times in receipts are never negative."""
    subject = NAMED[name]
    model = subject.make(faulty.url, "cached", jumpy, 30.0, 0)
    ways = list(subject.ways.items())
    for number, skew in enumerate([0.0, 0.0, *JUMPS, *JUMPS]):
        clock.skew = skew
        faulty.clock.advance(10.0)
        _, way = ways[number % len(ways)]
        assert "Understood" in await way(model, TALK)
    told = [event.receipt for event in events if isinstance(event, Settled)]
    rows = [it.row for it in faulty.met["cached"] if it.row.status == 200]
    created = [event for event in events if isinstance(event, CacheCreated)]
    await subject.close(model)

    assert len(told) == len(rows) == 2 + 2 * len(JUMPS)
    assert [it.usage.output_tokens for it in told if it.usage.output_tokens] == [
        row.output_tokens
        for row, it in zip(rows, told, strict=True)
        if it.usage.output_tokens
    ]
    assert all(it.total_s >= 0 for it in told)
    assert all((it.first_token_s or 0) >= 0 for it in told)
    assert not [event for event in events if isinstance(event, PlanningFailed)]
    # Each jump beyond its life may lose a cached content, and no more than that.
    assert len(created) <= 1 + 2 * len(JUMPS)


@pytest.mark.parametrize("name", ["sdk.anthropic", "sdk.openai"])
@pytest.mark.parametrize("skew", [-DAY, DAY], ids=["back", "forward"])
async def test_a_jump_within_a_stream(name, skew, jumpy, clock, faulty, events):
    """The receipt of a stream during which the clock was set has no negative time."""
    subject = NAMED[name]
    clients = subject.make(faulty.url, "cached", jumpy, 30.0, 0)
    way = next(it for it in subject.ways if is_stream(it))
    faulty.answers.push("It was built in 1911. " * 20)
    before, calls = clock.now, count()

    def now():
        if next(calls) == 2:
            clock.skew = skew
        return before()

    clock.now = now
    assert "1911" in await subject.ways[way](clients, TALK)
    (receipt,) = [it.receipt for it in events if isinstance(it, Settled)]
    await subject.close(clients)

    assert clock.skew == skew
    assert receipt.total_s >= 0
    assert (receipt.first_token_s or 0) >= 0


async def test_what_is_refused_is_tried_again_after_a_jump_back(jumpy, clock, faulty):
    """A clock that is set back does not keep a refusal for longer than a day."""
    subject = NAMED["sdk.anthropic"]
    clients = subject.make(faulty.url, "cached", jumpy, 30.0, 0)
    clock.skew = 400 * DAY
    faulty.scripts["cached"].extend(named("anthropic", "forbidden"))
    way = next(iter(subject.ways.values()))
    await way(clients, TALK)
    clock.skew = 0.0
    faulty.clock.advance(DAY + 1)
    await way(clients, TALK)
    await subject.close(clients)

    assert faulty.met["cached"][-1].ours == "cache_control"


def test_what_pauses_goes_on_after_a_jump_back(clock):
    """A refusal, a secret that could not be read, an event that was told: all again."""
    world = World(clock=clock)
    store = BrokenStore(world.store)
    worker = world.worker()
    unread = world.worker(store)
    refused = worker.key(SCOPE, b"digest")
    world.remote.fail("too_small", 400)
    clock.skew = 400 * DAY

    assert worker.create(refused, world.creation()) is None
    assert worker.backed_off(refused)
    assert unread.key(SCOPE, b"digest") == b""
    assert len(world.told(StoreFailed)) == 1

    clock.skew = 0.0
    assert unread.key(SCOPE, b"digest") == b""
    assert len(world.told(StoreFailed)) == 2

    store.left, clock.skew = None, -60.0
    assert not worker.backed_off(refused)
    assert unread.key(SCOPE, b"digest") == refused

    world.remote.fail("too_small", 400)
    assert worker.create(refused, world.creation()) is None
    assert worker.backed_off(refused)
