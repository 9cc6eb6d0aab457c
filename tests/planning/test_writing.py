"""Which parts of a request are written, and why not more."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.outline import Blocks, Outline
from promptcache.planning.chances import Chance, shrunk
from promptcache.planning.past import Again, Past
from promptcache.planning.terms import Terms
from promptcache.planning.ways import WAYS
from promptcache.planning.worth import Part, worth
from promptcache.planning.writing import (
    NAMES,
    bounds_of,
    context_of,
    decide,
    prior,
)
from promptcache.ttl import TTL_SECONDS

SIZE = 1_000
"""Tokens of each block."""
BOTH = Terms()


def outline(*, tools=1, system=1, turns=3, forced=False, size=SIZE):
    """Return a request of blocks of one size, each turn one block."""
    blocks = Blocks(b"root")
    head = tools + system
    for number in range(head + turns):
        blocks.add(b"%d" % number, size * 4, "text")
    return Outline(
        blocks=blocks,
        length=head + turns,
        tools_end=tools,
        system_end=head,
        starts=tuple(range(head, head + turns)),
        roles=tuple(("user", "assistant")[it % 2] for it in range(turns)),
        markers={},
        forced=forced,
    )


def again(**chances):
    return {name: Again.certain(chance) for name, chance in chances.items()}


def decided(request, past, terms=BOTH):
    head, tail = request.system_end - 1, request.length - 1
    return decide(request, past, terms, head=head, tail=tail)


def lives(made):
    return [made.head, made.seen, made.turns, made.last]


@pytest.mark.parametrize(
    ("request_", "context"),
    [
        pytest.param(outline(), "agent", id="agent"),
        pytest.param(outline(turns=1), "tools", id="first-question-with-tools"),
        pytest.param(outline(tools=0), "chat", id="chat"),
        pytest.param(outline(tools=0, turns=1), "single", id="question"),
        pytest.param(outline(forced=True), "forced", id="forced-answer"),
    ],
)
def test_contexts(request_, context):
    """What a request looks like tells what becomes of its end."""
    assert context_of(request_) == context


@pytest.mark.parametrize(
    ("part", "context", "soon", "later"),
    [
        pytest.param("last", "agent", 0.9, 0.968, id="agent"),
        pytest.param("last", "tools", 0.5, 0.646, id="first-question-with-tools"),
        pytest.param("last", "chat", 0.35, 0.476, id="chat"),
        pytest.param("last", "single", 0.12, 0.174, id="question"),
        pytest.param("last", "forced", 0.12, 0.174, id="forced-answer"),
        pytest.param("turns", "chat", 0.35, 0.476, id="turns"),
        pytest.param("seen", "single", 0.35, 0.476, id="second-sight"),
        pytest.param("head", "single", 0.6, 0.747, id="head"),
    ],
)
def test_priors(part, context, soon, later):
    """Within half an hour more comes again than within five minutes."""
    assert prior(part, context) == soon
    assert prior(part, context, 299) == soon
    assert prior(part, context, 3_600) == pytest.approx(later, abs=5e-4)
    least = 0.35 if context == "single" and part == "last" else 0
    assert prior(part, context, 1_800) == pytest.approx(max(later, least), abs=5e-4)


@pytest.mark.parametrize(
    ("part", "context", "tokens", "expected"),
    [
        pytest.param("last", "single", 0, 0.4, id="tiny"),
        pytest.param("last", "forced", 512, 0.12, id="forced-answer"),
        pytest.param("last", "single", 512, 0.4, id="small"),
        pytest.param("last", "single", 4_096, 0.241, id="larger"),
        pytest.param("last", "single", 20_000, 0.12, id="large"),
        pytest.param("last", "single", 1e9, 0.12, id="boundless"),
        pytest.param("last", "chat", 512, 0.4, id="chat-small"),
        pytest.param("last", "chat", 20_000, 0.35, id="chat-large"),
        pytest.param("turns", "chat", 512, 0.4, id="turns"),
        pytest.param("last", "agent", 512, 0.9, id="agent"),
        pytest.param("last", "tools", 512, 0.5, id="first-question-with-tools"),
        pytest.param("head", "single", 512, 0.6, id="head"),
        pytest.param("seen", "single", 512, 0.35, id="second-sight"),
    ],
)
def test_priors_by_size(part, context, tokens, expected):
    """What is new in chats and questions comes again the likelier the less it is."""
    assert prior(part, context, 300, tokens) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("context", "tokens", "is_written"),
    [
        pytest.param("single", 9_000, True, id="question"),
        pytest.param("chat", 9_000, True, id="chat"),
        pytest.param("single", 100, True, id="tiny"),
        pytest.param("forced", 9_000, False, id="forced-answer"),
    ],
)
def test_half_an_hour(context, tokens, is_written):
    """With half an hour to come again, a question is written before any counts."""
    terms = Terms(short="30m", long=None)
    usual = prior("last", context, terms.short_seconds, tokens)
    part = Part(tokens, shrunk([], usual), shrunk([], usual), is_new=True)

    assert (worth(part, "30m", terms) > 0) == is_written


@pytest.mark.parametrize(
    ("live", "shared", "tail", "expected"),
    [
        pytest.param(-1, -1, 6, (-1, 1, 1, 5, 6), id="all-new"),
        pytest.param(1, 1, 6, (1, 1, 1, 5, 6), id="head-alive"),
        pytest.param(1, 4, 6, (1, 1, 4, 5, 6), id="seen-before"),
        pytest.param(4, 6, 6, (4, 4, 6, 6, 6), id="seen-to-the-end"),
        pytest.param(6, 6, 6, (6, 6, 6, 6, 6), id="all-alive"),
        pytest.param(-1, 0, 6, (-1, 1, 1, 5, 6), id="tools-seen"),
        pytest.param(-1, -1, -1, (-1, 1, 1, 1, 1), id="nothing-to-be-marked"),
        pytest.param(-1, -1, 2, (-1, 1, 1, 1, 2), id="up-to-the-first-turn"),
    ],
)
def test_bounds(live, shared, tail, expected):
    """Head, what was seen, turns and the last turn follow one another."""
    request_ = outline(turns=5)
    found = bounds_of(request_, live=live, head=1, shared=shared, tail=tail)

    assert found == expected


@pytest.mark.parametrize(
    ("request_", "past", "until"),
    [
        pytest.param(outline(), Past(), 4, id="agent"),
        pytest.param(outline(tools=0, turns=1, size=20_000), Past(), 0, id="question"),
        pytest.param(outline(tools=0, turns=1), Past(), 1, id="short-question"),
        pytest.param(outline(tools=0), Past(), 3, id="chat"),
        pytest.param(
            outline(tools=0), Past(chances=again(last=0)), 2, id="all-but-the-last-turn"
        ),
        pytest.param(
            outline(tools=0, turns=5),
            Past(shared=3, chances=again(turns=0, last=0)),
            3,
            id="what-was-seen",
        ),
        pytest.param(
            outline(tools=0, turns=5),
            Past(shared=3, chances=again(seen=0, turns=0, last=0)),
            0,
            id="what-was-seen-for-the-last-time",
        ),
        pytest.param(
            outline(tools=0, turns=5),
            Past(shared=4, entry=2, chances=again(seen=0, turns=0, last=0)),
            2,
            id="nothing-but-what-is-alive",
        ),
        pytest.param(
            outline(tools=0),
            Past(chances=again(head=0, turns=0, last=0)),
            -1,
            id="nothing",
        ),
        pytest.param(
            outline(tools=0, turns=1),
            Past(chances=again(head=0, last=0.9)),
            1,
            id="a-head-for-the-sake-of-what-follows",
        ),
        pytest.param(outline(turns=0), Past(), 1, id="only-a-head"),
    ],
)
def test_up_to_where(request_, past, until):
    """What is likely to come again is written, with all that is before it."""
    assert decided(request_, past).until == until


def test_a_part_that_is_not_there_lives_as_the_one_before():
    """What ends in it ends there."""
    hour = Again(Chance(0.0, 0.0), Chance(1.0, 0.0))
    chances = {"head": hour, "seen": hour, **again(turns=0, last=0)}
    made = decided(outline(tools=0, turns=5), Past(shared=4, chances=chances))

    assert lives(made) == ["1h", "1h", "1h", None]
    assert made.until == 4


def test_what_has_no_tokens_is_not_left_out():
    """An end that adds nothing is as good as the one before it."""
    request_ = outline(turns=2)
    blocks = request_.blocks
    blocks.tokens[-1] = blocks.tokens[-2]
    made = decided(request_, Past(way="none", shared=2, entry=2))

    assert made.until == 3
    assert made.notes == []


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param(Past(way="short"), "5m", id="short"),
        pytest.param(Past(way="long"), "1h", id="long-from-nothing"),
        pytest.param(Past(way="long", shared=3, entry=3), "5m", id="long-too-late"),
        pytest.param(
            Past(way="long", shared=3, entry=3, is_firm=True), "1h", id="long-goes-on"
        ),
        pytest.param(Past(way="promote"), "5m", id="nothing-to-promote-yet"),
        pytest.param(
            Past(way="promote", shared=9, entry=9, pauses=2, gaps=2),
            "1h",
            id="promoted",
        ),
        pytest.param(
            Past(way="promote", shared=9, entry=9, held=9), "5m", id="held-already"
        ),
        pytest.param(
            Past(way="promote", shared=9, entry=9, held=8), "5m", id="held-nearly"
        ),
        pytest.param(
            Past(way="promote", shared=9, entry=9, gaps=200), "5m", id="no-pauses"
        ),
    ],
)
def test_an_agents_way(past, expected):
    """The books of its traffic tell for how long."""
    made = decided(outline(turns=9), past)

    assert made.last == expected
    assert made.until == 10
    assert made.notes == []


def test_an_agent_that_is_better_not_cached():
    """If the books say so, nothing new is written; what is alive is read."""
    made = decided(outline(), Past(way="none", shared=2, entry=2))

    assert made.until == 2
    assert made.premium == 0
    assert made.notes == ["nothing written: by the books, that is cheapest here"]


def test_an_agents_way_is_of_what_is_written():
    """An agent whose ends never come again writes none, whatever its way."""
    made = decided(outline(), Past(way="long", chances=again(last=0)))

    assert made.until == 3


@pytest.mark.parametrize(
    ("way", "room", "until", "last"),
    [
        pytest.param("long", 5_000, 4, "1h", id="enough"),
        pytest.param("long", 4_999, 4, "5m", id="enough-for-short-ones"),
        pytest.param("long", 1_249, 3, None, id="for-all-but-one"),
        pytest.param("short", 500, 1, None, id="for-the-head"),
        pytest.param("short", 0, -1, None, id="none"),
    ],
)
def test_room(way, room, until, last):
    """Whatever is likely, no more is spent than may be, and that is said."""
    made = decided(outline(), Past(way=way, room=room))
    spent = "tail not written: writing has cost as much as it may"

    assert (made.until, made.last) == (until, last)
    assert made.premium <= room
    assert made.notes == ([] if last else [spent])


@pytest.mark.parametrize(
    ("chances", "note"),
    [
        pytest.param({}, "12%", id="prior"),
        pytest.param(again(last=0.034), "3%", id="learned"),
    ],
)
def test_why_not(chances, note):
    """The chance stands in the note."""
    made = decided(outline(tools=0, turns=1, size=20_000), Past(chances=chances))

    assert made.notes == [f"tail not written: {note} likely to be read again"]


chance = st.builds(Chance, st.floats(0, 1), st.floats(0, 0.3))
pasts = st.builds(
    Past,
    shared=st.integers(-1, 9),
    entry=st.integers(-1, 9),
    held=st.integers(-1, 9),
    is_firm=st.booleans(),
    chances=st.dictionaries(st.sampled_from(NAMES), st.builds(Again, chance, chance)),
    way=st.sampled_from(WAYS),
    pauses=st.integers(0, 5),
    gaps=st.integers(0, 20),
    room=st.one_of(st.just(inf), st.floats(0, 10_000)),
)
requests = st.builds(
    outline,
    tools=st.integers(0, 2),
    system=st.integers(0, 2),
    turns=st.integers(0, 6),
    forced=st.booleans(),
)


@given(requests, pasts, st.sampled_from([BOTH, Terms(0.05, "30m", None)]))
def test_what_holds_of_every_decision(request_, past, terms):
    """It is within its room, in order, up to no more than there is, and counted."""
    last = request_.length - 1
    entry = min(past.entry, past.shared, last)
    known = Past(
        shared=min(past.shared, last),
        entry=entry,
        held=min(past.held, entry),
        is_firm=past.is_firm,
        chances=past.chances,
        way=past.way,
        pauses=past.pauses,
        gaps=past.gaps,
        room=past.room,
    )
    made = decided(request_, known, terms)
    seconds = [TTL_SECONDS[it] for it in lives(made) if it is not None]
    written = max(made.until - entry, 0) * SIZE

    assert made.premium <= known.room
    assert entry <= made.until <= last
    assert (made.premium > 0) == (written > 0)
    assert written * 0.25 <= made.premium <= written
    assert seconds == sorted(seconds, reverse=True)
    if made.until < last:
        assert len(made.notes) == 1
    elif last > entry:
        assert made.notes == []
