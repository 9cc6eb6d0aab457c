"""Event loops that are closed and opened again, one in another, as notebooks have them.

The clients of the SDKs keep connections of a loop that is closed, and fail or try again
in the next one. What a stock class does then, ours does. `PLACES=all` runs all classes.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_subjects import NAMED, SUBJECTS
from faulty_twins import ended

from promptcache import Limits, Policy, PromptCache
from promptcache.receipts.events import PlanningFailed, Settled

ALL = os.environ.get("PLACES") == "all"
SUPPORT = Path(__file__).parents[1] / "support"
TALK = ["Who built it?"]
WITHOUT_CHOICE = {"langchain.azure", "llamaindex.responses", "sdk.responses"}
CHOSEN = [it for it in SUBJECTS if ALL or it.name not in WITHOUT_CHOICE]
AGAIN = ["langchain.anthropic", "llamaindex.openai", "sdk.anthropic", "sdk.google"]


def billed(emulator):
    return [row for row in emulator.ledger if row.output_tokens]


def settled(events):
    return [it for it in events if isinstance(it, Settled)]


async def asked(subject, model):
    """Ask in every way; return how each call ends, and how many tasks are left."""
    ends = [await ended(way, model, TALK) for way in subject.ways.values()]
    return ends, len(asyncio.all_tasks() - {asyncio.current_task()})


@pytest.mark.parametrize("subject", CHOSEN, ids=lambda it: it.name)
def test_one_loop_after_another(make, emulator, events, subject):
    """Each call ends as the stock class's, leaves as many tasks, and has a receipt."""
    cache = make("memory")
    told, sent = [], []
    for chosen in (None, cache):
        space = "plain" if chosen is None else "cached"
        model = subject.make(emulator.url, space, chosen, 60.0, 1)
        told.append([asyncio.run(asked(subject, model)) for _ in range(2)])
        sent.append(len(billed(emulator)))

    assert told[0] == told[1]
    # What is sent on a connection of a closed loop is billed, and answered to nobody.
    assert sent[1] == 2 * sent[0]
    ends = [end for ends, _ in told[1] for end in ends]
    assert len(settled(events)) == [kind for kind, *_ in ends].count("answer")
    assert not [it for it in events if isinstance(it, PlanningFailed)]


def test_a_batch_that_its_loop_did_not_finish(make, emulator):
    """Who waits in a later loop waits for nobody who has gone with an earlier one."""
    cache = make("memory", limits=Limits(fan_out_seconds=1_000.0))
    subject = NAMED["langchain.anthropic"]

    async def cancelled(model):
        batch = asyncio.ensure_future(model.abatch(["One?", "Two?", "Three?"]))
        for _ in range(20):
            await asyncio.sleep(0)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch

    async def whole(model):
        return [it.text for it in await model.abatch(["One?", "Two?", "Three?"])]

    for run in (cancelled, whole, cancelled, whole):
        model = subject.make(emulator.url, "w", cache, 60.0, 1)
        texts = asyncio.run(run(model))
    assert all(texts)
    assert not len(cache.turns.gates)


def test_a_ping_for_a_loop_that_is_closed(make, emulator, events):
    """What was asked in a loop that is closed is not pinged, and nothing fails."""
    cache = PromptCache(
        Policy.auto(keep_warm=True),
        limits=Limits(ping_usd_per_hour=1.0),
        listeners=[events.append],
        clock=emulator.clock,
    )
    subject = NAMED["sdk.anthropic"]

    async def call():
        clients = subject.make(emulator.url, "w", cache, 60.0, 0)
        await ended(subject.ways["acreate"], clients, TALK)
        await subject.close(clients)

    asyncio.run(call())
    emulator.clock.advance(290)
    cache.warming.tend()
    assert cache.warming.idle(5)
    assert len(emulator.ledger) == 1
    assert [type(it) for it in events] == [Settled]
    cache.close()


@pytest.mark.parametrize("name", AGAIN)
def test_synchronous_calls_where_a_loop_runs(make, emulator, events, name):
    """A cell of a notebook calls `invoke` while its loop runs, and awaits others."""
    cache, subject = make("memory"), NAMED[name]

    async def cell():
        model = subject.make(emulator.url, "w", cache, 60.0, 0)
        ends = [await ended(way, model, TALK) for way in subject.ways.values()]
        await subject.close(model)
        return {kind for kind, *_ in ends}

    assert [asyncio.run(cell()) for _ in range(2)] == [{"answer"}] * 2
    assert len(settled(events)) == len(billed(emulator))


NOTEBOOK = """
import asyncio, sys
import nest_asyncio
sys.path.insert(0, sys.argv[2])
from faulty_subjects import NAMED
from promptcache import PromptCache

nest_asyncio.apply()
events = []
cache = PromptCache(store="memory:", listeners=[events.append], strict=True)
model = NAMED["langchain.anthropic"].make(sys.argv[1], "w", cache, 60.0, 0)
llm = NAMED["llamaindex.openai"].make(sys.argv[1], "w", cache, 60.0, 0)

async def inner(number):
    answer = await model.ainvoke(f"Question {number}")
    return answer.response_metadata["prompt_cache"]["requests"]

async def cell():
    nested = [asyncio.run(inner(number)) for number in range(3)]
    said = model.invoke("And here?").response_metadata["prompt_cache"]["requests"]
    done = asyncio.get_event_loop().run_until_complete(llm.acomplete("And there?"))
    left = asyncio.all_tasks() - {asyncio.current_task()}
    return nested, said, bool(done.text), len(left)

print(asyncio.run(cell()), [type(it).__name__ for it in events])
"""


@pytest.mark.skipif(not ALL, reason="a process of its own; PLACES=all runs it")
def test_a_loop_within_a_loop(emulator):
    """With `nest_asyncio`, as in notebooks, each call has its answer and receipt."""
    pytest.importorskip("nest_asyncio", reason="what nests loops is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NOTEBOOK, emulator.url, str(SUPPORT)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == f"([1, 1, 1], 1, True, 0) {['Settled'] * 5}\n"
