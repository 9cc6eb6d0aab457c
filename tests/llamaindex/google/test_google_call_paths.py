"""Every way into an LLM of Gemini's: the stock one and the cached one do the same.

Each path runs twice, so that the second run reads what the first one sent.
"""

import pytest
from llama_index.core.types import PydanticProgramMode
from llamaindex_google import ASYNC_GOOGLE, IGNORED_HERE, SYNC_GOOGLE
from llamaindex_kit import Kit, walked
from llamaindex_paths import ASYNC, SYNC
from llamaindex_results import settled

pytestmark = IGNORED_HERE

CALLING = {"pydantic_program_mode": PydanticProgramMode.FUNCTION}


# LlamaIndex makes a synchronous call of it, which fails in an event loop.
BROKEN = "astructured_predict.function"


def on_hosts(paths):
    """Yield all paths on the Developer API, the basic ones on Vertex AI as well."""
    for path in (path for path in paths if path.id != BROKEN):
        yield pytest.param("developer", *path.values, id=path.id)
        if "ngine" not in path.id:
            yield pytest.param("vertex", *path.values, id=f"{path.id}-vertex")


@pytest.fixture
def kits(make_plain, make_cached, head, shelf):
    """Return what to walk a path with, stock and cached."""
    return [Kit(make, head, shelf, CALLING) for make in (make_plain, make_cached)]


@pytest.fixture
def check_both(check, same_traces, emulator):
    """Return a function that also tells whether anything else was sent."""

    def compare(receipts, expected, result, mark):
        check(receipts, expected, result)
        same_traces(receipts, mark)
        assert all("enerateContent" in row.path for row in emulator.ledger)

    return compare


SYNC_PATHS = list(on_hosts([*SYNC, *SYNC_GOOGLE]))
ASYNC_PATHS = list(on_hosts([*ASYNC, *ASYNC_GOOGLE]))


@pytest.mark.parametrize(("host", "answers", "walk"), SYNC_PATHS)
def test_sync_path(answers, walk, kits, emulator, collecting, told, opened, check_both):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check_both(receipts, expected, result, mark)


@pytest.mark.parametrize(("host", "answers", "walk"), ASYNC_PATHS)
async def test_async_path(
    answers, walk, kits, emulator, collecting, told, opened, check_both
):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [await walked(walk, stock, answers, emulator) for _ in range(2)]
    await settled(opened)
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [await walked(walk, ours, answers, emulator) for _ in range(2)]
    await settled(opened)

    check_both(receipts, expected, result, mark)
