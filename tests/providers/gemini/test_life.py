"""Whether a cached content pays, and how long it should live."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.providers.gemini.gaps import Gaps
from promptcache.providers.gemini.life import Books, Prospect, best_life, next_expiry
from promptcache.providers.gemini.terms import Terms

TERMS = Terms(input=0.75e-6, read=0.075e-6, storage=0.5e-6, creation=0.75e-6)
TOKENS = 10_000


def gaps_of(*seconds):
    gaps = Gaps()
    for _ in range(50):
        for gap in seconds:
            gaps.add(gap)
    return gaps


def prospect(returns, *seconds, gained=TOKENS):
    return Prospect(
        tokens=TOKENS, gained=gained, returns=returns, gaps=gaps_of(*seconds)
    )


@pytest.mark.parametrize(
    ("returns", "seconds", "pays"),
    [
        (0, 10, False),  # nobody comes back
        (1, 10, False),  # one reading does not pay for a creation
        (2, 10, True),
        (100, 10, True),
        (2, 3600, False),  # storage eats what is saved
        (100, 3600, True),  # 0.675 saved against 0.5 stored each time
        (1000, 7200, False),  # 1.0 stored against 0.675 saved
    ],
)
def test_what_pays(returns, seconds, pays):
    """A creation pays if readings in time outweigh it and the storage between them."""
    assert (best_life(prospect(returns, seconds), TERMS).gain_usd > 0) is pays


def test_what_is_read_anyway_is_no_gain():
    """Where implicit caching reads nine tokens in ten, ten times as many must come."""
    assert best_life(prospect(10, 10), TERMS).gain_usd > 0
    assert best_life(prospect(10, 10, gained=TOKENS / 10), TERMS).gain_usd < 0
    assert best_life(prospect(0, 10, gained=0), TERMS).gain_usd < 0


def test_a_life_covers_the_usual_gap_and_no_night():
    """Gaps of ten minutes with a night between: it lives for those, not for that."""
    gaps = Gaps()
    for _ in range(20):
        for _ in range(20):
            gaps.add(600)
        gaps.add(9 * 3600)
    life = best_life(Prospect(TOKENS, TOKENS, 100, gaps), TERMS)

    assert 600 <= life.seconds <= 4096


def test_dear_storage_shortens_a_life():
    """The dearer storage is, the sooner a cached content is let go."""
    gaps = [60] * 8 + [1200]
    lives = [
        best_life(prospect(50, *gaps), replace(TERMS, storage=price)).seconds
        for price in (0.1e-6, 4.5e-6, 40e-6)
    ]

    assert lives == sorted(lives, reverse=True)
    assert lives[0] > lives[-1]


@given(
    returns=st.floats(0, 1e4),
    gap=st.floats(1, 1e5),
    gained=st.floats(0, TOKENS),
)
def test_more_returns_never_hurt_what_pays(returns, gap, gained):
    """Who pays with some returns pays with more."""
    before = best_life(prospect(returns, gap, gained=gained), TERMS).gain_usd
    after = best_life(prospect(returns * 2 + 1, gap, gained=gained), TERMS).gain_usd

    assert before <= 0 or after >= before


def test_an_end_is_moved_when_a_quarter_of_the_life_is_over():
    """Busy prefixes do not ask for a later end each time."""
    assert next_expiry(1000.0, 600.0, now=540.0) is None
    assert next_expiry(1000.0, 600.0, now=800.0) == 1400.0


def test_storage_is_ordered_an_hour_ahead_at_most():
    """A longer life is extended on the way."""
    assert next_expiry(0.0, 7200.0, now=0.0) == 3600.0


@given(
    costs=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    inputs=st.lists(st.floats(0, 0.5), min_size=60, max_size=60),
)
def test_what_is_lost_is_bounded(costs, inputs):
    """Creations that never pay stop at the allowance and a part in a hundred."""
    books = Books()
    lost = 0.0
    for cost, paid in zip(costs, inputs, strict=False):
        books.input += paid
        if books.allows(cost, TERMS):
            books.spent += cost
            lost += cost

    allowance = max(200_000 * TERMS.input, *costs, 0.0)
    assert lost <= allowance + 0.01 * books.input + 1e-12


def test_a_creation_that_is_dearer_than_the_allowance_may_be_tried_once():
    """A large prefix is not shut out, and it is not tried again while it has lost."""
    books = Books()
    cost = 1_000_000 * TERMS.input

    assert books.allows(cost, TERMS)
    books.spent += cost
    assert not books.allows(cost, TERMS)
    books.saved += cost
    assert books.allows(cost, TERMS)
