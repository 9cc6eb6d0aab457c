"""What is remembered of the latest requests, and how much of it at most."""

import gc
import os
import signal
import threading
import tracemalloc
from dataclasses import replace

import pytest

from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.footprint import footprint_of
from promptcache.receipts.sketch import Sketch, digest_of
from promptcache.receipts.usage import Usage
from promptcache.state import footprints as module
from promptcache.state.footprints import Footprints


def left(*turns, system="s", tenant=None, conversation=None, sent=0.0, model="m"):
    """Return the footprint of a conversation."""
    messages = [
        {"role": ("user", "assistant")[number % 2], "content": text}
        for number, text in enumerate(turns)
    ]
    body = {"model": model, "system": system, "messages": messages}
    outline = ANTHROPIC.outline(
        body, host="anthropic", tenant=tenant, wanted=range(10_000)
    )
    found = footprint_of(
        outline,
        tenant=tenant,
        conversation=conversation,
        entries=((0, 300.0),),
        usage=Usage(),
        sent=sent,
        readable=sent,
    )
    contents = outline.blocks.contents
    return found.with_contents(
        {it: digest_of(content, found.salt) for it, content in contents.items()}
    )


@pytest.fixture
def footprints():
    return Footprints()


@pytest.mark.parametrize(
    ("earlier", "asked"),
    [
        pytest.param(left("a", "b"), left("a", "b", "c"), id="end"),
        pytest.param(left("a", "b"), left("a", "x", "c"), id="opening"),
        pytest.param(left("a"), left("b"), id="system"),
        pytest.param(left("a", system="x"), left("b"), id="root"),
        pytest.param(
            left("a", conversation="c"),
            left("b", model="n", system="x", conversation="c"),
            id="name",
        ),
        pytest.param(
            left("a", model="n"), left("b"), id="the system section of another model"
        ),
        pytest.param(
            left("a", model="n", system="x"), left("a", "b"), id="the first message"
        ),
    ],
)
def test_what_a_request_is_found_by(footprints, earlier, asked):
    """Anything that a later request may share with it."""
    footprints.note(earlier)

    assert footprints.near(asked) == [earlier]


def test_nothing_in_common(footprints):
    """Another prompt for another model has nothing to do with it."""
    footprints.note(left("a", model="n", system="x"))

    assert footprints.near(left("b")) == []


def test_tenants_never_see_each_other(footprints):
    """Not even a word that both say, or a name that both give."""
    footprints.note(left("a", "b", tenant="one", conversation="c"))

    assert footprints.near(left("a", "b", tenant="two", conversation="c")) == []
    assert footprints.near(left("a", "b", conversation="c")) == []
    assert left("a", tenant="one").content(0) != left("a", tenant="two").content(0)


def test_a_conversation_keeps_its_latest_two(footprints):
    """Those before them say nothing that these do not."""
    turns = [f"turn {number}" for number in range(40)]
    for number in range(1, 41, 2):
        footprints.note(left(*turns[:number], sent=float(number)))

    assert len(footprints) == 2
    assert [it.length for it in footprints.near(left(*turns, "more"))] == [38, 40]


def test_many_at_a_time_leave_some_from_before(footprints):
    """Though all come in one second, one from before it is still there."""
    footprints.note(left("old", sent=0.0))
    for number in range(100):
        footprints.note(left(f"new {number}", sent=100.0 + number / 100))
    found = [it.sent for it in footprints.near(left("asked", sent=102.0))]

    assert 0.0 in found
    assert max(found) == pytest.approx(100.99)


def test_the_same_again_and_again(footprints):
    """What nothing leads to any more is forgotten."""
    for number in range(100):
        footprints.note(left("a", sent=60.0 * number))

    assert len(footprints) <= 8
    assert footprints._blocks == 2 * len(footprints)


@pytest.mark.parametrize(
    ("bound", "most"), [("_MAX_FOOTPRINTS", 10), ("_MAX_BLOCKS", 20)]
)
def test_bounds(footprints, monkeypatch, bound, most):
    """What was noted first goes first, and every trace of it."""
    monkeypatch.setattr(module, bound, most)
    for number in range(50):
        footprints.note(left(f"{number}", system=f"{number}", conversation=f"{number}"))

    assert len(footprints) == 10
    assert footprints._blocks == 20
    assert footprints.near(left("x", conversation="0"))[0].sent == 0.0
    assert left("0").conversation is None
    named = left("x", model="n", system="y", conversation="0")
    assert footprints.near(named) == []
    keys = {key for kept in footprints._kept.values() for key in kept.keys}
    assert set(footprints._rings) == keys


def test_memory():
    """Filled to its bounds, it takes no more than 16 MB."""
    gc.collect()
    tracemalloc.start()
    footprints = Footprints()
    one = left(*(f"{number}" for number in range(49)))
    for number in range(6_000):
        own = number.to_bytes(8, "big")
        prefixes = own * one.length
        it = replace(one, prefixes=prefixes, contents=prefixes, conversation=own)
        it = replace(it, root=own, tokens=one.tokens[:])
        footprints.note(it)
        sketches = {bytes(8) + own: Sketch(9_000, 64, bytes(560), bytes(32), bytes(32))}
        footprints.keep_sketches(sketches)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert len(footprints) == 4_000
    assert 4e6 < taken < 16e6


def test_sketches(footprints, monkeypatch):
    """Those that came again latest stay, and none is counted twice."""
    monkeypatch.setattr(module, "_MAX_SKETCH_BYTES", 5_000)
    sketches = {bytes([number]): Sketch.of(b"x" * 64) for number in range(12)}
    for content, sketch in sketches.items():
        footprints.keep_sketches({content: sketch})
        footprints.keep_sketches({content: sketch})
        footprints.touch_sketches(iter([bytes([0]), b"unknown"]))

    kept = [content for content in sketches if footprints.sketch(content)]
    assert kept == [bytes([number]) for number in (0, *range(3, 12))]
    assert footprints._sketch_bytes == sum(
        module._size(it) for it in footprints._sketches.values()
    )


def test_many_threads(footprints):
    """Noting and looking at once loses no count."""

    def work(which):
        for number in range(200):
            footprints.note(left(f"{which}", f"{number}", sent=float(number)))
            footprints.near(left(f"{which}"))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = footprints._kept.values()
    assert footprints._blocks == sum(it.footprint.length for it in kept)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_begins_anew(footprints):
    """A lock that another thread holds at a fork does not stay locked in the child."""
    footprints.note(left("a"))
    taken, go = threading.Event(), threading.Event()

    def hold():
        with footprints._lock:
            taken.set()
            go.wait(2)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if not child:
        signal.alarm(5)
        footprints.note(left("b"))
        os._exit(0 if len(footprints) == 1 else 1)
    go.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(footprints) == 1
