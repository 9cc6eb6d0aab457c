"""Chances from counts, drawn towards what is known of more."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.planning.chances import Chance, shrunk

shares = st.floats(0, 1)
counts = st.integers(0, 500).flatmap(
    lambda total: st.tuples(st.integers(0, total), st.just(total))
)


@pytest.mark.parametrize(
    ("counted", "prior", "mean", "error"),
    [
        pytest.param([], 0.35, 0.35, sqrt(0.35 * 0.65 / 8), id="no-count"),
        pytest.param([(0, 0)], 0.35, 0.35, sqrt(0.35 * 0.65 / 8), id="nothing-counted"),
        pytest.param([(0, 20)], 0.5, 0.25, sqrt(0.25 * 0.75 / 28), id="as-the-prior"),
        pytest.param([(20, 20)], 0.5, 0.75, sqrt(0.75 * 0.25 / 28), id="all-came"),
        pytest.param(
            [(0, 20), (8, 8)], 0.5, 0.625, sqrt(0.625 * 0.375 / 16), id="a-special-one"
        ),
        pytest.param(
            [(20, 20), (0, 0)], 0.5, 0.75, sqrt(0.75 * 0.25 / 8), id="special-unseen"
        ),
    ],
)
def test_means_and_errors(counted, prior, mean, error):
    """A prior counts for twenty sights, what is more general for eight."""
    found = shrunk(counted, prior)

    assert found.mean == pytest.approx(mean)
    assert found.error == pytest.approx(error)


@pytest.mark.parametrize(
    ("own", "mean", "sights"),
    [
        pytest.param(None, 0.75, 20, id="unknown"),
        pytest.param((0, 0), 0.75, 20, id="without-a-gap"),
        pytest.param((0, 2), 1.5 / 4, 22, id="twice-not"),
        pytest.param((9, 10), 10.5 / 12, 30, id="nearly-always"),
    ],
)
def test_what_a_conversation_says_itself(own, mean, sights):
    """All counts stand for two of its own sights."""
    found = shrunk([(20, 20)], 0.5, own)

    assert found.mean == pytest.approx(mean)
    assert found.error == pytest.approx(sqrt(mean * (1 - mean) / (sights + 8)))


@given(st.lists(counts, max_size=4), shares)
def test_between_what_it_is_made_of(counted, prior):
    """A chance is never outside of the prior and the shares that were counted."""
    made_of = [prior, *(came / total for came, total in counted if total)]
    mean = shrunk(counted, prior).mean

    assert min(made_of) - 1e-12 <= mean <= max(made_of) + 1e-12


@given(st.lists(counts, max_size=3), shares, counts)
def test_one_more_turns_it(counted, prior, special):
    """What came once more is likelier, what was lost once more is less likely."""
    came, total = special
    mean = shrunk([*counted, special], prior).mean

    assert shrunk([*counted, (came + 1, total + 1)], prior).mean >= mean - 1e-12
    assert shrunk([*counted, (came, total + 1)], prior).mean <= mean + 1e-12


@given(shares, counts)
def test_many_sights_are_believed(prior, general):
    """Against ten thousand sights of its own neither prior nor general count stands."""
    found = shrunk([general, (3_000, 10_000)], prior)

    assert found.mean == pytest.approx(0.3, abs=0.001)
    assert found.error < 0.005


@given(shares, st.floats(0, 0.5), st.floats(0, 3))
def test_bounds(mean, error, errors):
    """What is left in doubt stays a chance."""
    chance = Chance(mean, error)

    assert 0 <= chance.at_least(errors) <= mean <= chance.at_most(errors) <= 1
    assert chance.at_least(errors) == max(0, mean - errors * error)
    assert chance.at_most(errors) == min(1, mean + errors * error)
