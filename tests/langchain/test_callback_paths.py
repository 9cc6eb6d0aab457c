"""Every way into a plain Claude, with a handler that watches and one that plans."""

import pytest
from langchain_handled import Walks
from langchain_paths import ASYNC, SYNC
from langchain_results import walked


@pytest.fixture
def walks(make_theirs, make_cached, arguments, head, emulator, rows_of, strip, bill):
    return Walks(
        make_theirs,
        make_cached,
        arguments,
        head,
        "anthropic",
        emulator,
        rows_of,
        strip,
        lambda body: body,
        bill,
        {},
    )


@pytest.mark.parametrize(("answers", "walk"), SYNC)
def test_sync_path(answers, walk, walks, emulator, request):
    """Watching changes nothing that is sent, and planning costs what our class does."""
    *kits, ours = walks.kits()
    results = [[walked(walk, kit, answers, emulator) for _ in "12"] for kit in kits]
    with walks.ours.collect() as collected:
        results.append([walked(walk, ours, answers, emulator) for _ in "12"])

    walks.check(collected, results, request.node.callspec.id)


@pytest.mark.parametrize(("answers", "walk"), ASYNC)
async def test_async_path(answers, walk, walks, emulator, request):
    """Watching changes nothing that is sent, and planning costs what our class does."""
    *kits, ours = walks.kits()
    results = [
        [await walked(walk, kit, answers, emulator) for _ in "12"] for kit in kits
    ]
    with walks.ours.collect() as collected:
        results.append([await walked(walk, ours, answers, emulator) for _ in "12"])

    walks.check(collected, results, request.node.callspec.id)
