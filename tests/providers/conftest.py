"""An emulator, and a cache on its clock, for the seams of every provider."""

import pytest

from promptcache import PromptCache


@pytest.fixture
def cache(emulator, events):
    return PromptCache(clock=emulator.clock, listeners=[events.append])
