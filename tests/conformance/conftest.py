"""What LangChain's standard tests ask for, without the network and without timing."""

import os
import struct
import zlib
from importlib.util import find_spec
from io import BytesIO
from types import SimpleNamespace

import httpx
import pytest
import requests

from promptcache import PromptCache
from promptcache.state.memory import MemoryStore

ALL = os.environ.get("CONFORMANCE") == "all"
# google-genai leaves its asynchronous connections to the garbage collector without
# aiohttp, with the stock class, too; whichever test runs then is told of it.
LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
STRUCTURED = "test_structured_output"


def pytest_generate_tests(metafunc):
    """Ask for structured output in each way that a suite names."""
    methods = getattr(metafunc.cls, "methods", ())
    if methods and metafunc.function.__name__.startswith(STRUCTURED):
        metafunc.parametrize("structured", methods, indirect=True)


def pytest_collection_modifyitems(config, items):
    """Expect the failures of a suite's stock class, in that class, too.

    Of stock classes no more is run than shows that, unless all is asked for; nor of
    suites that repeat what others have shown.
    """
    kept, left_out = [], []
    for item in items:
        how = getattr(item.cls, "how", None) if hasattr(item, "cls") else None
        reason = _refused(item) if how else None
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
        if how and find_spec("aiohttp") is None:
            item.add_marker(LEFT_OPEN)
        is_short = how == "stock" or getattr(item.cls, "repeats", False)
        is_wanted = not is_short or reason or "usage_metadata" in item.name or ALL
        (kept if is_wanted else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _refused(item):
    refused = getattr(item.cls, "refused", {})
    return refused.get(item.name) or refused.get(item.originalname)


@pytest.fixture
def structured(request):
    """Return how structured output is asked for; None for the class's own way."""
    return getattr(request, "param", None)


@pytest.fixture
def cache(emulator, events):
    """Return a cache that hides no error of ours."""
    made = PromptCache(
        strict=True,
        store=MemoryStore(),
        clock=emulator.clock,
        listeners=[events.append],
    )
    yield made
    made.close()


@pytest.fixture
def note():
    """Return what is told of each model that a suite makes."""
    return lambda model: None


@pytest.fixture
def benchmark(benchmark):
    """Return what calls a function once: how long it takes is nobody's test here."""
    benchmark.disabled = True
    return benchmark


@pytest.fixture(autouse=True)
def vcr():
    """Return what a suite takes for a tape; the emulator answers."""
    return SimpleNamespace(responses=["the emulator's"])


@pytest.fixture(autouse=True)
def downloads(monkeypatch):
    """Have the files that a suite downloads be small ones, made here."""

    def content(url):
        return _pdf() if url.endswith(".pdf") else _png()

    def got(url, **_):
        return httpx.Response(200, content=content(url))

    def got_by_requests(url, **_):
        answer = requests.Response()
        answer.status_code, answer.raw = 200, BytesIO(content(url))
        return answer

    monkeypatch.setattr(httpx, "get", got)
    # langchain-google-genai downloads pictures itself.
    monkeypatch.setattr(requests, "get", got_by_requests)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none")


def _png():
    """Return a picture of one gray dot."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0\x80")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _pdf():
    """Return a document of one empty page."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n"
    )
