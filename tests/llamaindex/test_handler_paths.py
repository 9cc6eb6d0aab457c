"""Every way into a plain LLM, with a handler registered."""

import pytest
from llamaindex_handling import walked_twice
from llamaindex_kit import IGNORED, Kit
from llamaindex_paths import ASYNC, SYNC

from llamaindex_promptcache import PromptCacheHandler

pytestmark = IGNORED

CALLER = "claude-opus-4-8"


@pytest.fixture
def kit_in(make_in, make_cached, head, shelf):
    """Return a function that gives what to walk a path with in a workspace."""

    def make(workspace):
        def made(**changes):
            if workspace == "cached":
                return make_cached(**changes)
            return make_in(workspace, **changes)

        return Kit(made, head, shelf, {"model": CALLER})

    return make


@pytest.mark.parametrize(("answers", "walk"), [*SYNC, *ASYNC])
async def test_path(answers, walk, kit_in, emulator, make_cache, opened, trial):
    """A path is watched as it is, and planned as our own class plans it."""
    expected = await walked_twice(walk, kit_in("plain"), answers, emulator, opened)
    trial.mark()
    with PromptCacheHandler(make_cache()) as handler:
        result = await walked_twice(walk, kit_in("watched"), answers, emulator, opened)
    trial.assert_watched(handler, expected, result)

    await walked_twice(walk, kit_in("cached"), answers, emulator, opened)
    trial.mark()
    with PromptCacheHandler(make_cache(), insert=True) as handler:
        result = await walked_twice(walk, kit_in("planned"), answers, emulator, opened)
    trial.assert_planned(handler, expected, result)
