"""The ways into plain LLMs of Gemini's, with a handler registered."""

import pytest
from llama_index.core.types import PydanticProgramMode
from llamaindex_google import ASYNC_GOOGLE, IGNORED_HERE, SYNC_GOOGLE
from llamaindex_handling import walked_twice
from llamaindex_kit import Kit
from llamaindex_paths import ASYNC, SYNC

from llamaindex_promptcache import PromptCacheHandler
from promptcache import options

pytestmark = IGNORED_HERE

CALLING = {"pydantic_program_mode": PydanticProgramMode.FUNCTION}
# LlamaIndex makes a synchronous call of it, which fails in an event loop.
BROKEN = "astructured_predict.function"
# Of one role are two turns of it, and the plain class then grows them.
GROWING = ("chat.image", "stream.image", "achat.image")
LEFT = (BROKEN, *GROWING)


def chosen(paths):
    return [
        path
        for path in paths
        if path.id not in LEFT and ("ngine" not in path.id or "Simple" in path.id)
    ]


@pytest.fixture
def kit_in(make_in, make_cached, head, shelf):
    """Return a function that gives what to walk a path with in a workspace."""

    def make(workspace):
        def made(**changes):
            if workspace == "cached":
                return make_cached(**changes)
            return make_in(workspace, **changes)

        return Kit(made, head, shelf, CALLING)

    return make


@pytest.fixture
def walk_twice(emulator, opened):
    """Return a function that walks a path."""
    return lambda walk, kit, answers: walked_twice(walk, kit, answers, emulator, opened)


@pytest.mark.parametrize(("answers", "walk"), chosen([*SYNC, *SYNC_GOOGLE]))
def test_sync_path(answers, walk, kit_in, walk_twice, make_cache, trial):
    """A path is watched as it is, and planned as our own class plans it."""
    # The stock class runs a loop of its own, so none may run here.
    steps = compared(answers, walk, kit_in, walk_twice, make_cache, trial)
    with pytest.raises(StopIteration):
        steps.send(None)


@pytest.mark.parametrize(("answers", "walk"), chosen([*ASYNC, *ASYNC_GOOGLE]))
async def test_async_path(answers, walk, kit_in, walk_twice, make_cache, trial):
    """A path is watched as it is, and planned as our own class plans it."""
    await compared(answers, walk, kit_in, walk_twice, make_cache, trial)


async def compared(answers, walk, kit_in, walk_twice, make_cache, trial):
    expected = await walk_twice(walk, kit_in("plain"), answers)
    trial.mark()
    with PromptCacheHandler(make_cache()) as handler:
        result = await walk_twice(walk, kit_in("watched"), answers)
    trial.assert_watched(handler, expected, result)

    await walk_twice(walk, kit_in("cached"), answers)
    trial.mark()
    handler = PromptCacheHandler(make_cache(), insert=True)
    with handler, options(gemini_caches=False):
        result = await walk_twice(walk, kit_in("planned"), answers)
    trial.assert_planned(handler, expected, result)
