"""What sketches tell of two blocks that are no longer there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts.sketch import (
    STEP,
    Sketch,
    common_bytes,
    common_end,
    digest_of,
    form_of,
)

FORMS = [
    pytest.param(b"a\n b ", b"a b", "white space", id="white space"),
    pytest.param(b'{"a":"b\\n\\tc"}', b'{"a":"b c"}', "white space", id="escaped"),
    pytest.param(b'"b\\\\nc"', b'"bc"', "white space", id="escaped twice"),
    pytest.param("a\u00a0b".encode(), b"a b", "white space", id="no-break space"),
    pytest.param(b"a\r\nb\rc", b"a\nb\nc", "line ends", id="line ends"),
    pytest.param(b'"a\\r\\nb"', b'"a\\nb"', "line ends", id="line ends in JSON"),
    pytest.param("Straße".encode(), b"STRASSE", "case", id="case"),
    pytest.param("é".encode(), "e\u0301".encode(), "Unicode form", id="Unicode form"),
    pytest.param(b"a b", b"A  b", None, id="two at once"),
    pytest.param(b"a", b"b", None, id="a word"),
]


@pytest.mark.parametrize(("one", "other", "form"), FORMS)
def test_form(one, other, form):
    """What alone differs, where two blocks say the same."""
    assert form_of(Sketch.of(one), Sketch.of(other)) == form
    assert form_of(Sketch.of(other), Sketch.of(one)) == form


def same(one, other):
    """Return how many bytes two texts begin with that are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    ends = (position for position, (mine, theirs) in pairs if mine != theirs)
    return next(ends, min(len(one), len(other)))


PIECES = st.lists(st.sampled_from([b"ab", b"c", b"d" * 70]), max_size=600)


@given(PIECES, PIECES, st.integers(0, 40_000))
def test_common_bytes(one, other, length):
    """Never more than there are, and less than a step of the longer block fewer."""
    shared = (b"shared %d " * 8_000 % (*range(8_000),))[:length]
    blocks = [shared + b"".join(pieces) for pieces in (one, other)]
    found = common_bytes(*map(Sketch.of, blocks))
    truth = same(*blocks)

    step = max(Sketch.of(block).step for block in blocks)
    assert truth - step < found <= truth


@given(PIECES, PIECES, st.integers(0, 5_000))
def test_common_end(one, other, length):
    """At least half of what is the same at the end, from 64 bytes on."""
    shared = b"0123456789 ends alike! " * 300
    blocks = [b"".join(pieces) + shared[:length] for pieces in (one, other)]
    found = common_end(*map(Sketch.of, blocks))
    truth = same(*(block[::-1] for block in blocks))

    assert found <= truth
    assert truth < STEP or found * 2 > truth


def test_size():
    """However long a block is, little is kept of it."""
    sketch = Sketch.of(b"word " * 1_000_000)

    assert len(sketch.sums) <= 256 * 4
    assert len(sketch.ends) + len(sketch.forms) < 128


def test_digests_of_others():
    """With another salt, the same content has another digest."""
    assert digest_of(b"a") != digest_of(b"a", b"salt")
    assert digest_of(b"a", b"salt") == digest_of(b"a", b"salt")
