"""Every way into a chat model: the stock one and its cached twin do the same.

Each path runs twice, so that the second run reads what the first one wrote.
"""

import pytest
from langchain_kit import Kit
from langchain_paths import ASYNC, SYNC, WITHOUT_MESSAGES
from langchain_results import bodies, receipted, shape, walked

from langchain_promptcache import prompt_cached
from promptcache.receipts.events import Settled


@pytest.fixture
def kits(make_plain, make_cached, arguments, cache, head):
    """Return what to walk a path with, stock and cached."""
    stock = Kit(make_plain, lambda part: part, arguments("plain"), head, "anthropic")
    ours = Kit(
        make_cached,
        lambda part: prompt_cached(part, cache),
        arguments("cached"),
        head,
        "anthropic",
    )
    return stock, ours


@pytest.fixture
def check(rows_of, events, strip, assert_settled, request):
    """Return a function that compares what a path did with what the stock one did."""

    def compare(receipts, expected, result):
        plain_rows, rows = rows_of("plain"), rows_of("cached")
        with_messages = request.node.callspec.id not in WITHOUT_MESSAGES

        assert rows
        assert {row.status for row in rows} == {200}
        assert len(receipts) == len(rows) == len(plain_rows)
        assert [type(event) for event in events] == [Settled] * len(rows)
        assert_settled(receipts, rows)
        assert {receipt.attempts for receipt in receipts} == {1}
        assert bodies(rows, strip) == bodies(plain_rows, strip)
        assert sum(row.cache_read_input_tokens for row in rows) > 0
        assert len(receipted(result)) == (len(rows) if with_messages else 0)
        assert shape(result) == shape(expected)

    return compare


@pytest.mark.parametrize(("answers", "walk"), SYNC)
def test_sync_path(answers, walk, kits, emulator, cache, check):
    """A path plans and settles each request, and answers as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    with cache.collect() as collected:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check(collected, expected, result)


@pytest.mark.parametrize(("answers", "walk"), ASYNC)
async def test_async_path(answers, walk, kits, emulator, cache, check):
    """A path plans and settles each request, and answers as the stock one does."""
    stock, ours = kits
    expected = [await walked(walk, stock, answers, emulator) for _ in range(2)]
    with cache.collect() as collected:
        result = [await walked(walk, ours, answers, emulator) for _ in range(2)]

    check(collected, expected, result)
