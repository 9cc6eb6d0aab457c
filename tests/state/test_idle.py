"""Silent conversations: what is due, what ends a silence, and what it teaches."""

from math import inf

import pytest

from promptcache.analysis.replay.traces import BlockTrace
from promptcache.planning.terms import Terms
from promptcache.planning.warming import INTERVAL, PINGS
from promptcache.state.idle import Idle, Quiet

TRACE = BlockTrace(64)
CHEAP = Terms(0.025)
"""At such a price a silence of any kind is worth two pings."""


def outline(text, head=2, tools=0):
    return TRACE.outline(
        [text[: number + 1].encode() for number in range(len(text))],
        root=b"",
        tools=tools,
        system=head,
        answered=True,
    )


def quiet(text="head and a talk", at=0.0, places=(1, -1), head=2, tools=0, **fields):
    it = outline(text, head, tools)
    last = it.length
    entries = tuple((place % last, "5m") for place in places)
    terms = fields.pop("terms", CHEAP)
    return Quiet(it, entries, at, terms, kept=64.0 * last, **fields)


def numbers(idle, until=inf):
    return [(ping.at, ping.number) for ping in idle.due(until)]


def test_due():
    """Pings are due at every interval, as long as they pay."""
    idle = Idle()
    idle.begin(quiet())

    assert idle.next_at == INTERVAL
    assert numbers(idle, INTERVAL - 1) == []
    assert numbers(idle, INTERVAL) == [(INTERVAL, 1)]
    assert numbers(idle) == [(2 * INTERVAL, 2)]
    assert (len(idle), idle.next_at) == (0, None)


@pytest.mark.parametrize(
    "it",
    [
        pytest.param(quiet(may_ping=False), id="may not"),
        pytest.param(quiet(terms=Terms(0.5)), id="does not pay"),
        pytest.param(quiet(rest=1e6), id="too much beside it"),
        pytest.param(quiet(places=()), id="nothing kept"),
    ],
)
def test_not_due(it):
    """What would not pay, or may not be, is counted alone."""
    idle = Idle()
    idle.begin(it)

    assert numbers(idle) == []


def test_what_lives_long_is_left_alone():
    """A prefix that was written for an hour needs no ping."""
    idle, it = Idle(), quiet()
    it.entries = ((1, "1h"), (it.outline.length - 1, "1h"))
    idle.begin(it)

    assert numbers(idle) == []


def test_a_ping_that_did_not_read():
    """After that there is nothing left to keep."""
    idle = Idle()
    idle.begin(quiet())
    for ping in idle.due(INTERVAL):
        idle.answered(ping, kept=False)

    assert numbers(idle) == []


def test_going_on():
    """A request with the prefix ends its silence, and is one turn further."""
    idle = Idle()
    first = quiet("head and a talk")
    idle.begin(first)
    after = idle.seen(outline("head and a talk goes on"), now=100.0)
    second = quiet("head and a talk goes on", at=100.0)
    idle.begin(second, after)

    assert after is first
    assert first.is_over
    assert (second.turns, len(idle)) == (1, 1)
    assert numbers(idle, 100 + INTERVAL) == [(100 + INTERVAL, 1)]


def test_another_conversation():
    """A request that shares little more than the head goes on from nothing."""
    idle, it = Idle(), quiet("head and a talk that is long")
    idle.begin(it)

    assert idle.seen(outline("head and something else"), now=100.0) is None
    assert not it.is_over


def test_a_past_that_was_cut_short():
    """With a name and the same head, it is the same conversation all the same."""
    idle, it = Idle(), quiet("head and a talk", conversation="c")
    idle.begin(it)

    assert idle.seen(outline("no head"), now=9.0, conversation="c") is None
    assert idle.seen(outline("head: in short"), now=9.0, conversation="d") is None
    assert idle.seen(outline("head: in short"), now=9.0, conversation="c") is it


def test_a_head_alone():
    """Where nothing more was written, whoever has the head keeps it alive."""
    idle = Idle()
    first, second = quiet("head one", places=(1,)), quiet("head two", places=(1,))
    idle.begin(first)
    idle.begin(second)
    assert (first.is_over, second.is_over) == (True, False)
    idle.begin(quiet("head and a talk"), idle.seen(outline("head and"), now=9.0))

    assert second.is_over


def test_a_longer_request_keeps_the_head_as_well():
    """What goes on from a conversation has its head too."""
    idle = Idle()
    head, talk = quiet("head one", places=(1,)), quiet("head and a talk")
    idle.begin(head)
    idle.begin(talk)

    assert idle.seen(outline("head and a talk goes on"), now=9.0) is talk
    assert head.is_over


@pytest.mark.parametrize(
    ("tools", "intervals", "pings"),
    [
        pytest.param(0, 1.5, 1, id="chat"),
        pytest.param(0, 3.5, 0, id="chat-that-is-silent-for-long"),
        pytest.param(1, 1.5, 3, id="agent"),
        pytest.param(1, 3.5, 3, id="agent-that-is-silent-for-long"),
    ],
)
def test_learning(tools, intervals, pings):
    """Silences that end make the pings before worth it, but a chat's first alone.

    An agent is pinged through intervals that by themselves are in vain.
    """
    idle, last, late = Idle(), None, intervals * INTERVAL
    given = {"tools": tools, "terms": Terms(0.1), "stop": "end_turn"}
    for number in range(600):
        idle.begin(quiet(at=number * late, **given), last)
        for _ in idle.due((number + 1) * late):
            pass
        again = outline("head and a talk", tools=tools)
        last = idle.seen(again, now=(number + 1) * late)
    idle.begin(quiet(at=1e6, **given), last)

    assert len(numbers(idle)) == pings


@pytest.mark.parametrize(
    ("name", "pings"),
    [pytest.param("c", [2], id="the-same"), pytest.param("d", [1, 2], id="another")],
)
def test_another_agent_of_the_conversation(name, pings):
    """While it is at work, what fell silent before it is not kept."""
    idle = Idle()
    idle.begin(quiet("one head and a talk", conversation="c"))
    idle.begin(quiet("its second, and a talk", at=1.0, conversation=name))

    assert [it.quiet.at + 1 for it in idle.due(INTERVAL + 1)] == pings


def test_what_comes_back_without_its_prefix_teaches_that():
    """A return counts by the part that it reads."""
    idle = Idle()
    idle.begin(quiet("head and a talk that goes on", conversation="c"))
    after = idle.seen(outline("head: cut"), now=1.5 * INTERVAL, conversation="c")

    (counts,) = after.own.values()
    assert counts.silent[1] == 1.0
    assert 0 < counts.returned[1] < 0.5


def test_silences_that_never_end_are_counted():
    """Each interval that passes counts, pinged or not."""
    idle, it = Idle(), quiet(may_ping=False)
    idle.begin(it)
    numbers(idle)

    (counts,) = it.own.values()
    assert counts.silent == [0.0, *[1.0] * PINGS]
    assert not any(counts.returned)


def test_bound():
    """Of too many, the one that is silent longest goes."""
    idle = Idle(max_quiet=2)
    talks = [quiet(f"{number} talk", head=0) for number in range(3)]
    for it in talks:
        it.with_ = "held"
        idle.begin(it)

    assert [it.is_over for it in talks] == [True, False, False]
    assert talks[0].with_ is None
    assert len(idle) == 2


def test_clear():
    """Nothing is due any more."""
    idle = Idle()
    idle.begin(quiet(conversation="c"))
    idle.clear()

    assert (len(idle), idle.next_at, numbers(idle)) == (0, None, [])
    assert idle.seen(outline("head and a talk"), now=1.0, conversation="c") is None


def test_what_lives_for_long_counts_against_a_ping():
    """Little that is short behind much that is long is not worth reading it all."""
    idle = Idle()
    idle.begin(quiet("head and a talk", held=13))
    assert numbers(idle) == []
    idle.begin(quiet("head and a talk", held=1))

    assert len(numbers(idle)) == 2
