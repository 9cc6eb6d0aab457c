"""What every test runs under."""

import gc
import os
import tempfile
from pathlib import Path

import certifi
import pytest
from hypothesis import settings
from slow_tests import is_slow

from promptcache import Limits, PromptCache, defaults
from promptcache.emulator import Emulator
from promptcache.prompts import parts

# A developer's own switches, keys and tracing reach no test.
_THEIRS = (
    "ANTHROPIC_",
    "AZURE_OPENAI_",
    "LANGCHAIN_",
    "LC_OUTPUT_",
    "LANGSMITH_",
    "GEMINI_",
    "GOOGLE_",
    "OPENAI_",
    "PROMPTCACHE",
)
for _name in tuple(os.environ):
    if _name.startswith(_THEIRS):
        del os.environ[_name]

# No test writes where its developer's handles are.
_CACHES = tempfile.TemporaryDirectory(prefix="promptcache-tests-")
os.environ["XDG_CACHE_HOME"] = os.environ["LOCALAPPDATA"] = _CACHES.name

# Each client reads 150 authorities, for 20 ms, to speak to an emulator without TLS. One
# is enough for them to be content with, also in the processes that tests start.
_AUTHORITY = Path(_CACHES.name) / "authority.pem"
_END = "-----END CERTIFICATE-----\n"
_AUTHORITY.write_text(Path(certifi.where()).read_text("utf-8").split(_END)[0] + _END)
os.environ["SSL_CERT_FILE"] = str(_AUTHORITY)

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the slow tests, before those are left out that are not wanted."""
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Return one more worker than there are cores: a third of the time tests wait."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish():
    """Leave what is imported out of every later collection.

    It is more than a million objects, which nothing drops; tests that collect on
    purpose, and Python itself now and then, would go through all of them each time.
    """
    gc.collect()
    gc.freeze()


# What a module has that sends from many threads at once.
_THREADS = ("ThreadPoolExecutor", "fan_out", "threading")


@pytest.fixture(autouse=True)
def unlearned():
    """Have the cache of the process begin anew: what others learned is not for this."""
    defaults._made_cache.cache_clear()


@pytest.fixture(autouse=True)
def collector_at_rest(request):
    """Collect no garbage among threads.

    httpcore holds a plain lock while it queues a request. A stream that an earlier test
    has dropped is closed when it is collected, which takes that lock again; if that
    comes in between, all threads wait for ever, with stock clients, too.
    """
    if not any(hasattr(request.module, name) for name in _THREADS):
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def nothing_given():
    """Let each test begin in a process that has given no text out."""
    parts._forget()


@pytest.fixture(scope="session")
def server():
    """Return the one emulator that most tests share."""
    with Emulator() as running:
        yield running


@pytest.fixture
def emulator(server):
    """Return an emulator that remembers nothing; its clock stands still."""
    server.reset()
    return server


@pytest.fixture
def events():
    """Return what the cache has told its listener so far."""
    return []


@pytest.fixture(scope="module")
def slow_server():
    """Return an emulator that real time passes in, 20 times as fast."""
    with Emulator(speed=20, first_byte_seconds=1.0) as running:
        yield running


@pytest.fixture
def slow_emulator(slow_server):
    """Return an emulator whose answers take their time; it remembers nothing."""
    slow_server.reset()
    return slow_server


@pytest.fixture
def patient_cache(slow_emulator, events):
    """Return a cache that waits longer than any machine takes for these answers."""
    return PromptCache(
        strict=True,
        clock=slow_emulator.clock,
        limits=Limits(fan_out_seconds=1_000.0),
        listeners=[events.append],
    )
