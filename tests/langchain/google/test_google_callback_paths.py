"""Ways into a plain Gemini, with a handler that watches and one that plans."""

import pytest
from langchain_google import without_ids
from langchain_google_paths import on_both_hosts
from langchain_handled import ASYNC_SOME, SYNC_SOME, Walks
from langchain_results import walked

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture
def walks(make_theirs, make_cached, arguments, head, emulator, rows_of, strip, bill):
    return Walks(
        make_theirs,
        make_cached,
        arguments,
        head,
        "google_genai",
        emulator,
        rows_of,
        strip,
        without_ids,
        bill,
        {},
    )


@pytest.mark.parametrize(("kind", "answers", "walk"), on_both_hosts(SYNC_SOME))
def test_sync_path(answers, walk, walks, emulator, path):
    """Watching changes nothing that is sent, and planning costs what our class does."""
    *kits, ours = walks.kits()
    results = [[walked(walk, kit, answers, emulator) for _ in "12"] for kit in kits]
    with walks.ours.collect() as collected:
        results.append([walked(walk, ours, answers, emulator) for _ in "12"])

    walks.check(collected, results, path)


@pytest.mark.parametrize(("kind", "answers", "walk"), on_both_hosts(ASYNC_SOME))
async def test_async_path(answers, walk, walks, emulator, path):
    """Watching changes nothing that is sent, and planning costs what our class does."""
    *kits, ours = walks.kits()
    results = [
        [await walked(walk, kit, answers, emulator) for _ in "12"] for kit in kits
    ]
    with walks.ours.collect() as collected:
        results.append([await walked(walk, ours, answers, emulator) for _ in "12"])

    walks.check(collected, results, path)
