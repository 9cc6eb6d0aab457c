"""Ways into a plain GPT, with a handler that watches and one that plans."""

import pytest
from langchain_handled import ASYNC_SOME, SYNC_SOME, Walks
from langchain_openai_bodies import without_ids
from langchain_results import walked

# What LangChain's own class warns of, as it adds up the usage of several completions
# and writes down a parsed answer.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Unexpected type for token usage"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]


@pytest.fixture
def walks(
    make_theirs, make_cached, arguments, head, emulator, rows_of, strip, bill, kind
):
    return Walks(
        make_theirs,
        make_cached,
        arguments,
        head,
        "azure_openai" if kind == "azure" else "openai",
        emulator,
        rows_of,
        strip,
        without_ids,
        bill,
        # Without that, LangChain asks no server but OpenAI's own.
        {"stream_usage": True},
    )


@pytest.fixture
def name(request, kind):
    """Return the name of the path."""
    found = request.node.callspec.id
    return found.replace(f"{kind}-", "").replace(f"-{kind}", "")


@pytest.mark.parametrize(("answers", "walk"), SYNC_SOME)
def test_sync_path(answers, walk, walks, emulator, name):
    """Watching changes nothing that is sent, and planning costs what our class does."""
    *kits, ours = walks.kits()
    results = [[walked(walk, kit, answers, emulator) for _ in "12"] for kit in kits]
    with walks.ours.collect() as collected:
        results.append([walked(walk, ours, answers, emulator) for _ in "12"])

    walks.check(collected, results, name)


@pytest.mark.parametrize(("answers", "walk"), ASYNC_SOME)
async def test_async_path(answers, walk, walks, emulator, name):
    """Watching changes nothing that is sent, and planning costs what our class does."""
    *kits, ours = walks.kits()
    results = [
        [await walked(walk, kit, answers, emulator) for _ in "12"] for kit in kits
    ]
    with walks.ours.collect() as collected:
        results.append([await walked(walk, ours, answers, emulator) for _ in "12"])

    walks.check(collected, results, name)
