"""The flat form: short, printable, and exact when added up."""

import pytest

from promptcache.receipts import metadata


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("claude-a", "claude-a", id="short"),
        pytest.param("x" * 10, "x" * 10, id="exact"),
        pytest.param("x" * 11, "x" * 8 + "..", id="long"),
        pytest.param('a"b\\c\n', "a_b_c_", id="escapes"),
        pytest.param("né\ud800", "n__", id="not ascii"),
    ],
)
def test_plain(text, shown):
    """Names are cut and hold nothing that JSON escapes."""
    assert metadata.plain(text, length=10) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00.000+00:00", id="epoch"),
        pytest.param(1795000000.1234, "2026-11-18T11:06:40.123+00:00", id="rounded"),
    ],
)
def test_moment(seconds, text):
    """Times are ISO 8601 in UTC to the millisecond and read back as such."""
    assert metadata.moment(seconds) == text
    assert metadata.utc_seconds(text) == round(seconds, 3)


def test_rows_are_summed_even_if_equal():
    """Two equal messages count twice, which adding their integers would not give."""
    row = metadata.row(dict.fromkeys(metadata.NUMBERS, 5))

    assert metadata.numbers({"each": [row, row]})["input_tokens"] == 10


def test_unknown_in_one_row_is_unknown():
    """A number that one message lacks is unknown in the sum."""
    known = dict.fromkeys(metadata.NUMBERS, 5)
    rows = [metadata.row(known), metadata.row({**known, "read_tokens": None})]

    assert metadata.numbers({"each": rows})["read_tokens"] is None
