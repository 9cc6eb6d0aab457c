"""Usage: unknown stays unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts.usage import Usage

counts = st.none() | st.integers(0, 10**9)
usages = st.builds(Usage, *[counts] * 8)


@given(usages, usages, usages)
def test_addition_is_associative(a, b, c):
    """The order in which requests are summed does not matter."""
    assert (a + b) + c == a + (b + c)


@given(usages, usages)
def test_addition_is_commutative(a, b):
    """The order of the requests does not matter either."""
    assert a + b == b + a


@given(usages)
def test_zero_changes_nothing(usage):
    """The start of a sum is no request at all."""
    assert Usage.zero() + usage == usage
    assert sum([usage, usage], Usage.zero()) == usage + usage


def test_known_numbers_are_summed():
    """Each count of a sum is that of both."""
    total = Usage(10, 1, 2, 2, 0, 5, 0, 1) + Usage(20, 3, 4, 1, 3, 6, 7, 8)

    assert total == Usage(30, 4, 6, 3, 3, 11, 7, 9)


def test_unknown_is_not_zero():
    """A count that one request did not report is unknown in the sum."""
    total = Usage(input_tokens=10, read_tokens=None) + Usage(5, 3)

    assert (total.input_tokens, total.read_tokens) == (15, None)


@pytest.mark.parametrize(
    ("usage", "uncached"),
    [
        pytest.param(Usage(100, 60, 30), 10, id="all known"),
        pytest.param(Usage(100, 0, 0), 100, id="nothing cached"),
        pytest.param(Usage(None, 60, 30), None, id="no prompt"),
        pytest.param(Usage(100, None, 30), None, id="no reads"),
        pytest.param(Usage(100, 60, None), None, id="no writes"),
    ],
)
def test_uncached_tokens(usage, uncached):
    """Uncached is what was neither read nor written, if all three are known."""
    assert usage.uncached_tokens == uncached


def test_only_usage_is_added():
    """Adding anything else is a type error."""
    with pytest.raises(TypeError):
        Usage() + 1
