"""Every way into a Gemini: the stock class and its cached twin do the same.

Each path runs twice, so that the second run reads what the first one sent.
"""

import pytest
from langchain_google import bodies_of, without_ids
from langchain_google_paths import ASYNC_PATHS, SYNC_PATHS, WITHOUT
from langchain_results import receipted, shape, walked

from promptcache.receipts.events import Settled

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture
def check(rows_of, events, assert_settled, path):
    """Return a function that compares what a path did with what the stock one did."""

    def compare(receipts, expected, result):
        plain_rows, rows = rows_of("plain"), rows_of("cached")

        assert rows
        assert {row.status for row in (*rows, *plain_rows)} == {200}
        assert len(receipts) == len(rows) == len(plain_rows)
        assert [row.path for row in rows] == [row.path for row in plain_rows]
        assert [type(event) for event in events] == [Settled] * len(rows)
        assert_settled(receipts, rows)
        assert {receipt.attempts for receipt in receipts} == {1}
        assert bodies_of(rows) == bodies_of(plain_rows)
        assert sum(row.cache_read_input_tokens for row in rows) > 0
        assert len(receipted(result)) == (0 if path in WITHOUT else len(rows))
        assert without_ids(shape(result)) == without_ids(shape(expected))

    return compare


@pytest.mark.parametrize(("kind", "answers", "walk"), SYNC_PATHS)
def test_sync_path(answers, walk, kits, emulator, cache, check):
    """A path settles each request, sends and answers as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    with cache.collect() as collected:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check(collected, expected, result)


@pytest.mark.parametrize(("kind", "answers", "walk"), ASYNC_PATHS)
async def test_async_path(answers, walk, kits, emulator, cache, check):
    """A path settles each request, sends and answers as the stock one does."""
    stock, ours = kits
    expected = [await walked(walk, stock, answers, emulator) for _ in range(2)]
    with cache.collect() as collected:
        result = [await walked(walk, ours, answers, emulator) for _ in range(2)]

    check(collected, expected, result)
