"""A gateway with faults in front of the emulator, and models that pass it."""

import gc
from types import SimpleNamespace

import anthropic
import openai
import pytest
from faulty_gateway import FaultyEmulator
from google.genai import _api_client
from llamaindex_kit import IGNORED

from promptcache import PromptCache, options

FORGIVEN = [
    *IGNORED,
    # LangChain asks for the words of an error without waiting for them.
    pytest.mark.filterwarnings("ignore:coroutine 'ClientResponse.json' was never"),
    # The SDK leaves the connection of a broken stream to Python.
    pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    # google-generativeai asks its kit for something by an older name.
    pytest.mark.filterwarnings("ignore:The argument `including_default_value_fields`"),
]


def pytest_collection_modifyitems(items):
    """Forgive what stock classes do."""
    for item in items:
        if "tests/faults/" in item.path.as_posix():
            for mark in FORGIVEN:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def faulty_server():
    with FaultyEmulator() as running:
        yield running


@pytest.fixture
def faulty(faulty_server):
    """Return an emulator behind a gateway with no fault ordered yet."""
    faulty_server.reset()
    return faulty_server


@pytest.fixture
def implicit_only():
    """Leave cached contents to the tests of those: they come after some requests."""
    with options(gemini_caches=False):
        yield


@pytest.fixture
def cache(faulty, events):
    made = PromptCache(
        store="memory:", strict=True, clock=faulty.clock, listeners=[events.append]
    )
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Let the SDKs try again at once."""
    for sdk in (anthropic, openai):
        monkeypatch.setattr(
            sdk._base_client.BaseClient,
            "_calculate_retry_timeout",
            lambda *args, **kwargs: 0.0,
        )
    # Gemini's waits for 1 second and some more before a closed connection.
    monkeypatch.setattr(_api_client, "random", SimpleNamespace(randint=lambda *_: -1))


@pytest.fixture(autouse=True, scope="module")
def collected_here():
    """Have what others leave open collected where their warnings are ignored."""
    yield
    gc.collect()
