"""Each fault, through every class and way: what the stock class ends with."""

import asyncio

import pytest
from faulty_subjects import NAMED, SUBJECTS, cells
from faulty_tricks import HASTY, REFUSALS, SINGLE, named
from faulty_twins import ended

from promptcache.providers import provider_named
from promptcache.receipts.events import PlanningFailed

SECONDS = 30.0
HASTY_SECONDS = (0.5, 2.0, 8.0)
DAY = 86_400.0
QUESTION = ["What is a tender?"]

pytestmark = pytest.mark.usefixtures("implicit_only")


@pytest.fixture
async def twins(faulty, cache):
    """Return a function that asks a stock model and a cached one, script by script."""
    made = []

    def make(subject, seconds=SECONDS, retries=0):
        pair = [
            subject.make(faulty.url, workspace, chosen, seconds, retries)
            for workspace, chosen in (("plain", None), ("cached", cache))
        ]
        made.extend((subject, model) for model in pair)
        return pair

    yield make
    for subject, model in made:
        await subject.close(model)


async def both(subject, way, pair, faulty, script):
    """Return how both ended, and what each of them sent."""
    ends = []
    for workspace, model in zip(("plain", "cached"), pair, strict=True):
        faulty.scripts[workspace].clear()
        faulty.scripts[workspace].extend(script)
        faulty.met[workspace].clear()
        ends.append(await ended(subject.ways[way], model, QUESTION))
    met = [list(faulty.met[it]) for it in ("plain", "cached")]
    assert all(met), "a fault that nothing was sent to is none"
    return ends, met


@pytest.mark.parametrize(("name", "way"), cells(SUBJECTS))
async def test_single_faults(name, way, twins, faulty):
    """The same answer or the same error, after as many requests."""
    subject, found = NAMED[name], {}
    pair = twins(subject)
    for fault in SINGLE:
        script = named(subject.provider, fault)
        (plain, cached), met = await both(subject, way, pair, faulty, script)
        sent = [len(it) for it in met]
        if plain != cached or sent[0] != sent[1]:
            found[fault] = plain, cached, sent

    assert found == {}


MARKED = [subject for subject in SUBJECTS if subject.provider != "google"]
SDKS = [subject for subject in SUBJECTS if subject.name.startswith("sdk.")]


@pytest.mark.parametrize(("name", "way"), cells(MARKED))
async def test_refusals(name, way, twins, faulty):
    """A gateway that refuses a field of ours is asked once more, and then never."""
    subject, found = NAMED[name], {}
    pair = twins(subject)
    for refusal in REFUSALS:
        # What was refused before counts for a day.
        faulty.clock.advance(DAY + 1)
        script = 3 * named(subject.provider, refusal)
        first, (_, refused) = await both(subject, way, pair, faulty, script)
        again, (_, spared) = await both(subject, way, pair, faulty, script)
        sent = [bool(it.ours) for it in (*refused, *spared)]
        if first[0] != first[1] or again[0] != again[1] or sent != [True, False, False]:
            found[refusal] = first, again, sent

    assert found == {}


@pytest.mark.parametrize(("name", "way"), cells(SDKS))
async def test_another_try(name, way, twins, faulty):
    """Where the SDK tries again, both send as often, whatever is refused between."""
    subject, found = NAMED[name], {}
    pair = twins(subject, retries=1)
    for names in (["429"], ["529", "closed"], ["503", "half_then_closed"]):
        script = named(subject.provider, *names)
        (plain, cached), met = await both(subject, way, pair, faulty, script)
        sent = [len(it) for it in met]
        if plain != cached or sent[0] != sent[1]:
            found[tuple(names)] = plain, cached, sent

    assert found == {}


@pytest.mark.parametrize(("name", "way"), cells(SUBJECTS, streams_only=True))
async def test_time_outs(name, way, faulty, cache):
    """A server that says nothing, or stops within an answer, is waited for alike."""
    subject = NAMED[name]
    for seconds in HASTY_SECONDS:
        asked = [
            _waited_out(subject, way, fault, faulty, cache, seconds) for fault in HASTY
        ]
        told = await asyncio.gather(*asked)
        # On a slow machine the time may be over before anything was sent.
        if all(sent == [1, 1] for _, sent in told):
            break

    assert all(sent == [1, 1] for _, sent in told)
    assert [kinds[0] for kinds, _ in told] == [kinds[1] for kinds, _ in told]


async def _waited_out(subject, way, fault, faulty, cache, seconds):
    """Return what kinds of ends there were, and how many requests."""
    kinds, sent = [], []
    for twin, chosen in (("plain", None), ("cached", cache)):
        space = f"{twin}{way}{fault}".replace("_", "")
        faulty.scripts[space].extend(named(subject.provider, fault))
        faulty.met[space].clear()
        model = subject.make(faulty.url, space, chosen, seconds, 0)
        end = await asyncio.to_thread(asyncio.run, _alone(subject, way, model))
        kinds.append(end[:1] if end[0] == "answer" else (end[0], *end[1][:2]))
        sent.append(len(faulty.met[space]))
    return kinds, sent


async def _alone(subject, way, model):
    try:
        return await ended(subject.ways[way], model, QUESTION)
    finally:
        await subject.close(model)


async def test_an_error_of_ours_while_a_refusal_is_read(
    twins, faulty, events, monkeypatch
):
    """The refusal reaches the caller as it came, and an event says what failed."""

    def failing(*args, **kwargs):
        raise ZeroDivisionError

    subject = NAMED["sdk.anthropic"]
    monkeypatch.setattr(type(provider_named("anthropic")), "is_our_fault", failing)
    script = named("anthropic", "400")
    ends, met = await both(subject, "create", twins(subject), faulty, script)

    assert ends[0] == ends[1]
    assert [len(it) for it in met] == [1, 1]
    assert [type(event) for event in events] == [PlanningFailed]
