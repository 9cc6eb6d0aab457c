"""Every way into an LLM of OpenAI's: the stock one and the cached one do the same.

Each path runs twice, so that the second run reads what the first one wrote.
"""

import pytest
from llama_index.core.types import PydanticProgramMode
from llamaindex_kit import ENGINE_CALL, ENGINE_TEXT, IGNORED, Kit, walked
from llamaindex_paths import ASYNC, SYNC
from llamaindex_results import settled

pytestmark = IGNORED

CALLING = {"pydantic_program_mode": PydanticProgramMode.FUNCTION}
USAGE = {"stream_options": {"include_usage": True}}


def with_models(paths):
    """Yield all paths for a model with breakpoints, the basic ones for one without."""
    for path in paths:
        yield pytest.param("gpt-6.1-sol", *path.values, id=path.id)
        if "ngine" not in path.id:
            yield pytest.param("gpt-5.2", *path.values, id=f"{path.id}-gpt-5.2")


@pytest.fixture
def kits(api, make_plain, make_cached, head, shelf):
    """Return what to walk a path with, stock and cached.

    The stock one asks for the usage of a stream, as the cached one does by itself.
    """
    if api == "responses":
        # Whole, it is parsed by the SDK; streamed, it is a function that is called.
        answers = {"parts": ENGINE_CALL, "called": ENGINE_TEXT}
        makes = (make_plain, make_cached)
        return [Kit(make, head, shelf, CALLING, **answers) for make in makes]

    def make_stock(**changes):
        return make_plain(additional_kwargs=USAGE, **changes)

    return [Kit(make, head, shelf, CALLING) for make in (make_stock, make_cached)]


@pytest.fixture
def check_both(check, same_traces, rows_of, model, markers, head):
    """Return a function that also looks at what is sent beside the content."""

    def compare(receipts, expected, result, mark):
        check(receipts, expected, result)
        same_traces(receipts, mark)
        for row in rows_of("cached"):
            takes_marks = model == "gpt-6.1-sol"
            assert ("prompt_cache_options" in row.body) is takes_marks
            if begins_with(row.body, head.content):
                assert row.body["prompt_cache_key"].startswith("promptcache-")
                assert bool(markers(row.body)) is takes_marks

    return compare


def begins_with(body, text):
    first = (body["messages"] if "messages" in body else body["input"])[0]
    return "role" in first and first["role"] != "user" and text in str(first["content"])


@pytest.mark.parametrize(("model", "answers", "walk"), list(with_models(SYNC)))
def test_sync_path(answers, walk, kits, emulator, collecting, told, opened, check_both):
    """A path plans, settles, traces and answers as often as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    mark = len(told), len(opened.names)
    with collecting() as receipts:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check_both(receipts, expected, result, mark)


@pytest.mark.parametrize(("model", "answers", "walk"), list(with_models(ASYNC)))
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
