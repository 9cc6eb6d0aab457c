"""An emulator, and a cache on its clock, for the seams of every provider."""

import pytest

from promptcache import PromptCache
from promptcache.emulator import Emulator


@pytest.fixture(scope="session")
def server():
    with Emulator() as running:
        yield running


@pytest.fixture
def emulator(server):
    server.reset()
    return server


@pytest.fixture
def events():
    return []


@pytest.fixture
def cache(emulator, events):
    return PromptCache(clock=emulator.clock, listeners=[events.append])
