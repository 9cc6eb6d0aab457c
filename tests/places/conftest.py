"""What the tests of places run under: a cache that has been in use."""

import gc

import pytest
from llamaindex_kit import IGNORED

from promptcache import Limits, Policy, PromptCache
from promptcache.emulator import Emulator, GeminiSettings

FORGIVEN = [
    *IGNORED,
    # Newer Pythons warn of every fork beside threads, which is what is tried here.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
    # What belongs to a loop that is closed is left to Python by stock classes, too.
    pytest.mark.filterwarnings("ignore:Unclosed c:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*aclose.* was never awaited:RuntimeWarning"),
]


def pytest_collection_modifyitems(items):
    """Forgive what stock classes do."""
    for item in items:
        if "tests/places/" in item.path.as_posix():
            for mark in FORGIVEN:
                item.add_marker(mark)


@pytest.fixture(autouse=True, scope="module")
def collected_here():
    """Have what others leave open collected where their warnings are ignored."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def unlucky_server():
    """Return an emulator on which Gemini reads nothing that has no name."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky_server):
    unlucky_server.reset()
    return unlucky_server


@pytest.fixture
def make(emulator, events, tmp_path):
    """Return a function that makes caches that share a store and keep warm."""
    made = []

    def making(store="sqlite", **fields):
        url = "memory:" if store == "memory" else f"sqlite:///{tmp_path}/state.db"
        given = {
            "policy": Policy.auto(keep_warm=True),
            "limits": Limits(ping_usd_per_hour=1.0),
            "clock": emulator.clock,
            "listeners": [events.append],
            "strict": True,
            **fields,
        }
        made.append(PromptCache(store=url, **given))
        return made[-1]

    yield making
    for cache in made:
        cache.close()
