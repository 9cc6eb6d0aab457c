"""Whose doing it is that a request read, told by the size of what it read."""

import pytest

from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.credits import credits_of
from promptcache.receipts.footprint import footprint_of
from promptcache.receipts.usage import Usage


def read(tokens, *positions):
    """Return the footprint of a request of four blocks of 250 tokens."""
    text = "x" * 1000
    body = {
        "model": "m",
        "system": text,
        "messages": [
            {"role": ("user", "assistant")[number % 2], "content": text}
            for number in range(3)
        ],
    }
    return footprint_of(
        ANTHROPIC.outline(body, host="anthropic", tenant=None),
        tenant=None,
        conversation=None,
        entries=tuple((position, 300.0) for position in positions),
        usage=Usage(input_tokens=1000, read_tokens=tokens),
        sent=0.0,
        readable=0.0,
    )


CASES = [
    pytest.param(read(None, 0), ["placed"], (), id="unknown"),
    pytest.param(read(0, 0), ["placed"], (), id="nothing"),
    pytest.param(read(250), [], ("implicit",), id="unasked"),
    pytest.param(read(250, 0, 3), ["fixed", "placed"], ("fixed",), id="at the first"),
    pytest.param(read(260, 0, 3), ["fixed", "placed"], ("fixed",), id="about there"),
    pytest.param(read(500, 0, 3), ["fixed", "placed"], ("placed",), id="behind it"),
    pytest.param(read(500, 0, 3), ["placed", "fixed"], ("fixed",), id="theirs found"),
    pytest.param(read(999, 0, 1), ["fixed", "placed"], ("placed",), id="beyond all"),
]


@pytest.mark.parametrize(("asked", "whose", "expected"), CASES)
def test_credits(asked, whose, expected):
    """The first breakpoint whose prefix is as long as what was read has the credit."""
    assert credits_of(asked, whose) == expected


@pytest.mark.parametrize("named", ["placed", "fixed"])
def test_a_named_content(named):
    """What is named is what is read."""
    assert credits_of(read(250), [], named=named) == (named,)
    assert credits_of(read(0), [], named=named) == ()
