"""The ways into plain LLMs of OpenAI's, with a handler registered."""

import pytest
from llama_index.core.types import PydanticProgramMode
from llamaindex_handling import known, walked_twice
from llamaindex_kit import ENGINE_CALL, ENGINE_TEXT, IGNORED, Kit
from llamaindex_paths import ASYNC, SYNC

from llamaindex_promptcache import PromptCacheHandler

pytestmark = IGNORED

CALLING = {"pydantic_program_mode": PydanticProgramMode.FUNCTION}
USAGE = {"stream_options": {"include_usage": True}}
PATHS = [
    path for path in (*SYNC, *ASYNC) if "ngine" not in path.id or "Simple" in path.id
]


@pytest.fixture
def kit_in(api, make_in, make_cached, head, shelf):
    """Return a function that gives what to walk a path with in a workspace.

    Stock LLMs that are not planned ask for the usage of a stream themselves.
    """
    answers = {}
    if api == "responses":
        answers = {"parts": ENGINE_CALL, "called": ENGINE_TEXT}

    def make(workspace):
        def made(**changes):
            if workspace == "cached":
                return make_cached(**changes)
            if api == "chat" and workspace in ("plain", "watched"):
                changes["additional_kwargs"] = USAGE
            return make_in(workspace, **changes)

        return Kit(made, head, shelf, CALLING, **answers)

    return make


@pytest.mark.parametrize(("answers", "walk"), PATHS)
async def test_path(answers, walk, kit_in, emulator, make_cache, opened, trial):
    """A path is watched as it is, and planned as our own class plans it."""
    expected = await walked_twice(walk, kit_in("plain"), answers, emulator, opened)
    trial.mark()
    with PromptCacheHandler(make_cache()) as handler:
        result = await walked_twice(walk, kit_in("watched"), answers, emulator, opened)
    trial.assert_watched(handler, expected, result)
    assert known([it.receipt for it in handler.calls])

    await walked_twice(walk, kit_in("cached"), answers, emulator, opened)
    trial.mark()
    with PromptCacheHandler(make_cache(), insert=True) as handler:
        result = await walked_twice(walk, kit_in("planned"), answers, emulator, opened)
    trial.assert_planned(handler, expected, result)
