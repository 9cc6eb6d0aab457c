"""A miss in words, and in the text that messages carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts.miss import Cause, Form, Miss, Proof

counts = st.none() | st.integers(0, 10**9)
misses = st.builds(
    Miss,
    cause=st.sampled_from(Cause.__args__),
    proof=st.sampled_from(Proof.__args__),
    place=st.none() | st.sampled_from(["tools[3]", "messages[4].content[1]"]),
    near=counts,
    form=st.none() | st.sampled_from(Form.__args__),
    tokens=counts,
    cost_usd=st.none() | st.integers(0, 10**12).map(lambda nanos: nanos / 10**9),
)


@given(misses)
def test_text_and_back(miss):
    """What is written is read back, to a billionth of a dollar."""
    assert Miss.from_text(miss.to_text()) == miss


@pytest.mark.parametrize(
    ("miss", "words"),
    [
        (Miss("first_seen", "outline"), "first_seen (by outline)"),
        (Miss("expired", "clock", tokens=9), "expired (by clock)"),
        (
            Miss("prefix_changed", "outline", place="system[0]", near=128),
            "prefix_changed at system[0] after 128 bytes (by outline)",
        ),
        (
            Miss("prefix_changed", "outline", place="system[0]", form="line ends"),
            "prefix_changed at system[0], only in line ends (by outline)",
        ),
    ],
)
def test_words(miss, words):
    """A person reads what happened, where, and what shows it."""
    assert str(miss) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "expired",
        "expired clock - - - -",
        "evil clock - - - - -",
        "expired guess - - - - -",
    ],
)
def test_no_miss(text):
    """What is none is none, and raises nothing."""
    assert Miss.from_text(text) is None


@pytest.mark.parametrize("number", ["-5", "1.5", "x", "9" * 5000])
def test_numbers_that_are_none(number):
    """A count that cannot be one is unknown."""
    text = f"expired clock - {number} - {number} {number}"

    assert Miss.from_text(text) == Miss("expired", "clock")
