"""What holds of every plan, whatever earlier requests are said to have shown."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.options import CallOptions
from promptcache.outline import Blocks, Outline
from promptcache.planning.chances import Chance
from promptcache.planning.lifetimes import terms_of
from promptcache.planning.past import Again, Past
from promptcache.planning.places import SLACK, head_end, markable, stable_end
from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.ways import WAYS
from promptcache.planning.writing import NAMES, decide
from promptcache.ttl import TTL_SECONDS

ANTHROPIC = Rules(minimum_tokens=512, lookback=5)
OPENAI = Rules(matching="marked", minimum_tokens=512, ttls=("30m",), takes_key=True)
RESPONSES = Rules(matching="marked", minimum_tokens=512, ttls=("30m", "12h"))
AUTO = Policy.auto()


@st.composite
def requests(draw, *, marks=True):
    """Return the outline of a request some blocks of which refuse breakpoints."""
    blocks = Blocks(b"root")
    counts = [draw(st.integers(0, 2)), draw(st.integers(0, 3))]
    turns = draw(st.lists(st.integers(1, 6), max_size=5))
    length, starts = sum(counts), []
    for turn in turns:
        starts.append(length)
        length += turn
    for number in range(length):
        refusal = draw(st.sampled_from(["", "", "", "thinking"]))
        size = draw(st.sampled_from([0, 40, 400, 4_000, 40_000]))
        blocks.add(b"%d" % number, size, "text", refusal)
    free = [it for it in range(length) if not blocks.refusals[it]]
    markers = {}
    if marks and free:
        ttls = st.sampled_from(["5m", "1h"])
        markers = draw(st.dictionaries(st.sampled_from(free), ttls, max_size=2))
    return Outline(
        blocks=blocks,
        length=length,
        tools_end=counts[0],
        system_end=sum(counts),
        starts=tuple(starts),
        roles=tuple(("user", "assistant")[it % 2] for it in range(len(turns))),
        markers=markers,
        forced=draw(st.booleans()),
        implicit=length - 1,
    )


@st.composite
def pasts(draw, request_):
    """Return a past of a request in which its blocks may be anything."""
    place = st.integers(-1, request_.length - 1)
    shared = draw(place)
    # Nothing that is shorter than every provider's minimum is alive.
    long = [it for it in range(shared + 1) if request_.blocks.tokens[it] >= LEAST]
    entry = draw(st.sampled_from([*reversed(long), -1]))
    chance = st.builds(Chance, st.floats(0, 1), st.floats(0, 0.3))
    again = st.builds(Again, chance, chance)
    head = request_.system_end
    volatile = st.one_of(st.none(), st.integers(0, head - 1)) if head else st.none()
    kinds = st.sampled_from(["static", "document"])
    ends = st.lists(st.tuples(place.filter(lambda it: it >= 0), kinds), max_size=3)
    return Past(
        shared=shared,
        entry=entry,
        held=draw(st.integers(-1, entry)),
        is_firm=draw(st.booleans()),
        volatile=draw(volatile),
        chances=draw(st.dictionaries(st.sampled_from(NAMES), again)),
        way=draw(st.sampled_from(WAYS)),
        pauses=draw(st.integers(0, 9)),
        gaps=draw(st.integers(0, 30)),
        room=draw(st.sampled_from([0.0, 200.0, 5_000.0, inf])),
        ends=tuple(sorted(draw(ends))) if request_.length else (),
    )


def known(*, marks=True):
    """Return requests with what is known of them."""
    return requests(marks=marks).flatmap(
        lambda it: st.tuples(st.just(it), pasts(it)),
    )


rules_given = st.sampled_from([ANTHROPIC, OPENAI, RESPONSES])
LEAST = 1_024
policies = st.sampled_from(
    [AUTO, Policy.fixed(), Policy.fixed(tools=None, system=None, tail=None)]
)


def premium(request_, made, past, terms):
    """Return what a plan writes beyond the price of plain input, place by place."""
    tokens = request_.blocks.tokens
    before, extra = tokens[past.entry] if past.entry >= 0 else 0, 0.0
    for position, ttl in made.entries:
        if position > past.entry:
            extra += (terms.write(ttl) - 1) * (tokens[position] - before)
            before = tokens[position]
    return extra


@given(known(), policies, st.sampled_from([None, "5m", "1h"]))
def test_legal(request_and_past, policy, ttl):
    """Four breakpoints at most, none forbidden or too short, none lives longer."""
    request_, past = request_and_past
    said = CallOptions(ttl=ttl)
    made = plan(request_, rules=ANTHROPIC, policy=policy, past=past, options=said)
    lives = [TTL_SECONDS[point.ttl] for point in made.breakpoints]

    assert len(made.breakpoints) <= 4
    assert lives == sorted(lives, reverse=True)
    for point in made.breakpoints:
        assert not request_.blocks.refusals[point.position]
        assert point.reason == "fixed" or (
            request_.blocks.tokens[point.position] >= SLACK * 512
        )


@given(known(), rules_given, policies)
def test_the_callers_stay(request_and_past, rules, policy):
    """Where they were, and as long as they were, unless that would be refused."""
    request_, past = request_and_past
    made = plan(request_, rules=rules, policy=policy, past=past)
    found = {it.position: it.ttl for it in made.breakpoints if it.reason == "fixed"}
    lives = [TTL_SECONDS[ttl] for _, ttl in sorted(request_.markers.items())]

    assert found.keys() == request_.markers.keys()
    if lives == sorted(lives, reverse=True):
        assert found == request_.markers


@given(known(marks=False), rules_given)
def test_nothing_is_written_that_was_decided_against(request_and_past, rules):
    """But for texts that were said to come again, and documents."""
    request_, past = request_and_past
    terms = terms_of(rules, None)
    made = plan(request_, rules=rules, policy=AUTO, past=past)
    tail = markable(request_, stable_end(request_, past))
    head = markable(request_, head_end(request_, past))
    until = decide(request_, past, terms, head=head, tail=tail).until
    said = {position for position, _ in past.ends}

    for position, _ in made.entries:
        by_provider = made.automatic and position == made.automatic_position
        assert position <= max(until, past.entry) or position in said or by_provider
    if made.automatic and until < tail and past.entry < request_.system_end:
        only_head = request_.implicit < request_.system_end
        assert only_head or request_.blocks.refusals[past.entry]


@given(known(marks=False), rules_given)
def test_never_more_than_there_is_room_for(request_and_past, rules):
    """What a plan writes costs no more than it may, whoever places it."""
    request_, past = request_and_past
    terms = terms_of(rules, None)
    made = plan(request_, rules=rules, policy=AUTO, past=past)
    spent = premium(request_, made, past, terms)
    read = request_.blocks.tokens[past.entry] if past.entry >= 0 else 0

    # What the provider writes for the sake of a head that takes no breakpoint is
    # less than what reading that head saves.
    assert spent <= past.room + (made.automatic is not None) * 0.9 * read + 1e-6


@given(known(marks=False), rules_given, st.booleans())
def test_what_is_alive_is_read(request_and_past, rules, warms):
    """A breakpoint stands on it, or looks back as far as to it."""
    request_, past = request_and_past
    if warms:
        request_ = Outline(
            **{
                name: getattr(request_, name)
                for name in Outline.__dataclass_fields__
                if name != "warms"
            },
            warms=True,
        )
    entry, units = past.entry, request_.blocks.units
    if entry < 0 or request_.blocks.refusals[entry]:
        return
    if request_.blocks.tokens[entry] < 512:
        return
    made = plan(request_, rules=rules, policy=AUTO, past=past)
    places = [position for position, _ in made.entries]
    if rules.matching == "lookback":
        assert any(
            entry <= it and units[it] - units[entry] < rules.lookback for it in places
        )
    elif entry >= request_.tools_end:
        assert entry in places


@given(known(marks=False))
def test_a_lifetime_that_was_asked_for(request_and_past):
    """Is that of all that is placed, whatever lives for longer."""
    request_, past = request_and_past
    said = CallOptions(ttl="5m")
    made = plan(request_, rules=ANTHROPIC, policy=AUTO, past=past, options=said)

    assert {point.ttl for point in made.breakpoints} <= {"5m"}


def agent(turns, *, size=1_000):
    """Return a request of an agent with a head of two blocks."""
    blocks = Blocks(b"root")
    for number in range(2 + turns):
        blocks.add(b"%d" % number, size * 4, "text")
    return Outline(
        blocks=blocks,
        length=2 + turns,
        tools_end=1,
        system_end=2,
        starts=tuple(range(2, 2 + turns)),
        roles=tuple(("user", "assistant")[it % 2] for it in range(turns)),
        markers={},
        implicit=1 + turns,
    )


def placed(request_, past, rules=ANTHROPIC, **options):
    made = plan(
        request_, rules=rules, policy=AUTO, past=past, options=CallOptions(**options)
    )
    return [(it.position, it.ttl, it.reason) for it in made.breakpoints]


def test_what_is_held_is_named_for_as_long():
    """The head and what was promoted live on for an hour; what follows does not."""
    past = Past(shared=7, entry=7, held=4, way="promote", gaps=200)

    assert placed(agent(8), past) == [
        (1, "1h", "system"),
        (4, "1h", "held"),
        (8, "5m", "stable"),
        (9, "5m", "tail"),
    ]


def test_what_protects_all_before_it_is_the_only_one_needed():
    """With a long tail nothing else has to be held."""
    past = Past(shared=7, entry=7, held=-1, way="promote", pauses=5, gaps=5)
    found = placed(agent(7), past)

    assert found[-1] == (8, "1h", "tail")
    assert "held" not in {reason for *_, reason in found}


@pytest.mark.parametrize(
    "past",
    [
        pytest.param(Past(shared=0, entry=0, room=0.0), id="tools"),
        pytest.param(Past(shared=1, entry=1, room=0.0), id="head"),
        pytest.param(Past(shared=8, entry=3, way="none"), id="some-turns"),
        pytest.param(Past(shared=2, entry=2, way="none", room=0.0), id="first-turn"),
    ],
)
def test_reading_without_writing(past):
    """Where nothing may be written, what is alive is read all the same."""
    found = placed(agent(9), past)

    assert found
    assert max(position for position, *_ in found) == past.entry


def test_documents_of_a_question_without_a_head():
    """They are worth a breakpoint without anything before them."""
    blocks = Blocks(b"root")
    for number, size in enumerate((4_000, 80_000)):
        blocks.add(b"%d" % number, size, "text")
    question = Outline(
        blocks=blocks,
        length=2,
        tools_end=0,
        system_end=0,
        starts=(0,),
        roles=("user",),
        markers={},
    )
    ends = ((0, "document"),)

    assert placed(question, Past(ends=ends)) == [(0, "5m", "part")]
    assert placed(question, Past(ends=ends, room=250.0)) == [(0, "5m", "part")]
    assert placed(question, Past(ends=ends, room=249.0)) == []
