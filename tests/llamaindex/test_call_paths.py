"""Every way into an LLM: the stock one and the cached one do the same.

Each path runs twice, so that the second run reads what the first one wrote.
"""

import pytest
from llamaindex_kit import IGNORED, Kit, walked
from llamaindex_paths import ASYNC, SYNC
from llamaindex_results import settled

pytestmark = IGNORED

CALLER = "claude-opus-4-8"
"""A model that LlamaIndex makes call a function for structured output."""


@pytest.fixture
def kits(make_plain, make_cached, head, shelf):
    """Return what to walk a path with, stock and cached."""
    calling = {"model": CALLER}
    return Kit(make_plain, head, shelf, calling), Kit(make_cached, head, shelf, calling)


@pytest.mark.parametrize(("answers", "walk"), SYNC)
def test_sync_path(
    answers, walk, kits, emulator, collecting, check, told, opened, same_traces
):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check(receipts, expected, result)
    same_traces(receipts, mark)


@pytest.mark.parametrize(("answers", "walk"), ASYNC)
async def test_async_path(
    answers, walk, kits, emulator, collecting, check, told, opened, same_traces
):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [await walked(walk, stock, answers, emulator) for _ in range(2)]
    await settled(opened)
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [await walked(walk, ours, answers, emulator) for _ in range(2)]
    await settled(opened)

    check(receipts, expected, result)
    same_traces(receipts, mark)
