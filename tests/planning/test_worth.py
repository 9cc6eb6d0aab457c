"""What is worth writing, against every other choice."""

from itertools import product
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.planning.chances import Chance
from promptcache.planning.terms import WRITE, Terms
from promptcache.planning.worth import DOUBT, Part, choose, premium, worth

BOTH = Terms()
HALF_HOUR = Terms(0.05, "30m", None)
HOUR = Terms(0.1, "1h", None)

chances = st.builds(Chance, st.floats(0, 1), st.floats(0, 0.3))
parts = st.builds(
    Part,
    tokens=st.one_of(st.just(0), st.integers(1, 50_000)),
    short=chances,
    long=chances,
    is_new=st.booleans(),
)
terms_given = st.sampled_from([BOTH, Terms(0.025), HALF_HOUR, HOUR])
rooms = st.one_of(st.just(inf), st.floats(0, 60_000))


def part(tokens, short, long=None, *, error=0.0, is_new=True):
    long = short if long is None else long
    return Part(tokens, Chance(short, error), Chance(long, error), is_new)


@pytest.mark.parametrize(
    ("short", "long", "read", "for_short", "for_long"),
    [
        pytest.param(1.0, 1.0, 0.1, 0.90, 0.15, id="sure"),
        pytest.param(0.0, 0.0, 0.1, -0.25, -1.0, id="never"),
        pytest.param(0.5, 0.9, 0.1, 0.325, 0.035, id="after-a-while"),
        pytest.param(0.25, 0.5, 0.025, 0.05625, -0.3875, id="cheap-to-read"),
    ],
)
def test_worth(short, long, read, for_short, for_long):
    """A token saves (1.25 - r) p - 0.25, or (1.25 - r) p - 1 for an hour."""
    given_part, terms = part(1_000, short, long), Terms(read)

    assert worth(given_part, "5m", terms) == pytest.approx(1_000 * for_short)
    assert worth(given_part, "1h", terms) == pytest.approx(1_000 * for_long)


@given(chances, st.booleans(), terms_given)
def test_doubt(chance, is_new, terms):
    """What is new has to prove that it comes again, what is known that it does not."""
    found = worth(Part(1, chance, chance, is_new), terms.short, terms)
    sure = chance.at_least(DOUBT) if is_new else chance.at_most(DOUBT)

    assert (found > 1e-12) == (sure > terms.break_even(terms.short) + 1e-12) or abs(
        found
    ) < 1e-9


def test_an_hour_is_taken_for_sure_things_only():
    """Even of what was seen before: it costs four times what a mistake costs else."""
    known = part(1_000, 0.85, error=0.1, is_new=False)

    assert worth(known, "5m", BOTH) > worth(part(1_000, 0.85), "5m", BOTH)
    assert worth(known, "1h", BOTH) < worth(part(1_000, 0.85), "1h", BOTH)


def legal(lifetimes):
    """Whether no part is written for longer than one before it."""
    lives = [0 if ttl is None else WRITE[ttl] for ttl in lifetimes]
    return lives == sorted(lives, reverse=True)


def saved(given_parts, lifetimes, terms):
    return sum(
        worth(it, ttl, terms)
        for it, ttl in zip(given_parts, lifetimes, strict=True)
        if ttl is not None
    )


@given(st.lists(parts, max_size=4), terms_given, rooms)
def test_nothing_is_better(given_parts, terms, room):
    """Of all that there is room for, and that a prefix allows, it is the best."""
    chosen = choose(given_parts, terms, room=room)
    offered = {None, terms.short, terms.long}
    others = [
        saved(given_parts, it, terms)
        for it in product(offered, repeat=len(given_parts))
        if legal(it) and premium(given_parts, it, terms) <= room
    ]

    assert legal(chosen)
    assert saved(given_parts, chosen, terms) >= max(others) - 1e-6
    assert premium(given_parts, chosen, terms) <= room


@given(st.lists(parts, max_size=4), terms_given)
def test_without_room_nothing_is_written(given_parts, terms):
    """What has no tokens costs nothing."""
    chosen = choose(given_parts, terms, room=0)

    assert all(
        ttl is None or not it.tokens
        for it, ttl in zip(given_parts, chosen, strict=True)
    )


def test_of_the_same_worth_the_least():
    """A part that is not there makes no other live longer than it has to."""
    empty, new = part(0, 1.0), part(100, 0.5)

    assert choose([empty, new], BOTH, room=inf) == ("5m", "5m")
    assert choose([new, empty], BOTH, room=inf) == ("5m", None)
    assert choose([empty, empty], BOTH, room=inf) == (None, None)


def test_a_cheap_part_before_a_dear_one_is_written_with_it():
    """A prefix is read as a whole, so what is lost on one part another may gain."""
    rare, likely = part(100, 0.0), part(1_000, 0.9)

    assert choose([rare, likely], BOTH, room=inf) == ("5m", "5m")
    assert choose([likely, rare], BOTH, room=inf) == ("5m", None)


def test_a_head_for_longer_than_its_tail():
    """A head that surely comes again within the hour, but not so soon."""
    head, tail = part(1_000, 0.0, 0.95), part(1_000, 0.9)

    assert choose([head, tail], BOTH, room=inf) == ("1h", "5m")
    assert choose([head, tail], BOTH, room=1_000) == ("1h", None)
    assert choose([head, tail], BOTH, room=999) == ("5m", "5m")


@given(st.lists(parts, max_size=4), terms_given)
def test_premium(given_parts, terms):
    """What writing all of it costs more than plain input."""
    total = sum(it.tokens for it in given_parts)
    whole = [terms.short] * len(given_parts)

    assert premium(given_parts, [None] * len(given_parts), terms) == 0
    assert premium(given_parts, whole, terms) == pytest.approx(
        total * (terms.write(terms.short) - 1)
    )


@pytest.mark.parametrize(
    ("short", "long", "ttl"),
    [
        pytest.param(0.0, 0.5, None, id="late-and-not-likely-enough"),
        pytest.param(0.0, 0.6, "1h", id="late"),
        pytest.param(0.3, 0.6, "5m", id="soon-or-late"),
        pytest.param(0.3, 0.98, "1h", id="nearly-always-late"),
    ],
)
def test_what_comes_too_late_for_the_short_lifetime(short, long, ttl):
    """It would be written for an hour the next time, too, so that is what is saved."""
    assert choose([part(1_000, short, long)], BOTH, room=inf) == (ttl,)
