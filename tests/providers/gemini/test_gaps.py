"""How long prefixes rest between two uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.providers.gemini.gaps import Gaps


def test_nothing_is_known():
    """Any length is as likely as twice that length."""
    gaps = Gaps()

    assert gaps.within(2.0**9) == pytest.approx(0.5)
    assert sum(gaps.shares()) == pytest.approx(1.0)


def test_what_was_seen_outweighs_what_was_assumed():
    """A hundred gaps of half a minute leave little doubt."""
    gaps = Gaps()
    for _ in range(100):
        gaps.add(30.0)

    assert gaps.within(64.0) > 0.95
    assert gaps.mean_within(3600.0) < 120.0


def test_habits_change():
    """Old gaps fade."""
    gaps = Gaps()
    for seconds in [4000.0] * 300 + [10.0] * 300:
        gaps.add(seconds)

    assert gaps.within(16.0) > 0.9


def test_a_wider_class_stands_in():
    """Where a prefix is new, gaps of all its like are what is expected."""
    wider = Gaps()
    for _ in range(100):
        wider.add(10.0)
    gaps = Gaps(wider=wider)

    assert gaps.within(16.0) == pytest.approx(wider.within(16.0))
    for _ in range(50):
        gaps.add(2000.0)
    assert gaps.within(16.0) < 0.1


@given(seen=st.lists(st.floats(0, 1e7), max_size=30), limit=st.floats(0, 1e6))
def test_chances_and_means_are_such(seen, limit):
    """A chance lies between 0 and 1, and no mean is beyond its limit."""
    gaps = Gaps()
    for seconds in seen:
        gaps.add(seconds)

    assert 0.0 <= gaps.within(limit) <= 1.0 + 1e-9
    assert 0.0 <= gaps.mean_within(limit) <= limit + 1e-6
    assert gaps.within(limit) <= gaps.within(limit * 2) + 1e-9
