"""Models with and without caching, for both hosts on which LangChain reaches Gemini."""

import weakref
from importlib.util import find_spec
from pathlib import Path

import pytest
from gemini_sdk import TRUST, Anyone
from google.genai import Client
from langchain_core.messages import SystemMessage
from langchain_google import answered, without_ids
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_kit import Kit

from langchain_promptcache import PromptCachedChatGoogleGenerativeAI, prompt_cached
from promptcache import PromptCache, options
from promptcache.state.memory import MemoryStore

MODEL = "gemini-3.8-flash"

# About 6,300 tokens: its minimum is 4,096.
SYSTEM = "You are a careful clerk of a railway museum. " * 560


def pytest_collection_modifyitems(items):
    """Forgive what the SDK leaves to the garbage collector, with the stock class too.

    Without aiohttp its asynchronous connections are not closed with the client.
    """
    if find_spec("aiohttp") is not None:
        return
    forgiven = pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    )
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(forgiven)


@pytest.fixture(params=["developer", "vertex"])
def kind(request):
    """Return who serves the model; tests that need one host say so themselves."""
    return request.param


@pytest.fixture(autouse=True)
def implicit_only():
    """Leave cached contents to the tests of those: they come after some requests."""
    with options(gemini_caches=False):
        yield


@pytest.fixture
def cache(emulator, events):
    made = PromptCache(
        strict=True,
        store=MemoryStore(),
        clock=emulator.clock,
        listeners=[events.append],
    )
    yield made
    made.close()


@pytest.fixture
def arguments(emulator, kind):
    """Return a function that gives the arguments of a model in a workspace."""

    def of(workspace, **changes):
        common = {
            "model": MODEL,
            "base_url": emulator.url,
            "max_retries": 1,
            "max_tokens": 256,
            "client_args": TRUST,
        }
        key = f"ws-{workspace}-key"
        if kind == "vertex":
            place = {"vertexai": True, "project": "museum", "location": "l"}
            common |= {**place, "credentials": Anyone(key)}
        else:
            common["api_key"] = key
        return {**common, **changes}

    return of


@pytest.fixture
async def closing():
    """Return a function that takes models whose connections are closed in the end.

    Those that nobody holds any more have closed their own.
    """
    made = []

    def take(model):
        made.append(weakref.ref(model))
        return model

    yield take
    for reference in made:
        model = reference()
        if isinstance(getattr(model, "client", None), Client):
            await model.client.aio.aclose()


@pytest.fixture
def make_theirs(arguments, closing):
    """Return a function that makes LangChain's own models, in any workspace."""
    return lambda workspace, **changes: closing(
        ChatGoogleGenerativeAI(**arguments(workspace, **changes))
    )


@pytest.fixture
def make_cached(arguments, cache, closing):
    """Return a function that makes models with caching, in workspace `cached`."""

    def make(**changes):
        given = arguments("cached", **{"prompt_cache": cache, **changes})
        return closing(PromptCachedChatGoogleGenerativeAI(**given))

    return make


@pytest.fixture
def head():
    """Return a system message that is long enough to be cached."""
    return SystemMessage(SYSTEM)


@pytest.fixture
def rows_of(emulator):
    """Return a function that gives a workspace's rows of requests for an answer."""
    return lambda name: answered(
        row for row in emulator.ledger if row.workspace == name
    )


@pytest.fixture
def kits(make_plain, make_cached, arguments, cache, head):
    """Return what to walk a path with, stock and cached."""
    stock = Kit(make_plain, lambda part: part, arguments("plain"), head, "google_genai")
    ours = Kit(
        make_cached,
        lambda part: prompt_cached(part, cache),
        arguments("cached"),
        head,
        "google_genai",
    )
    return stock, ours


@pytest.fixture
def path(request, kind):
    """Return the name of the path."""
    return request.node.callspec.id.removeprefix(f"{kind}-")


@pytest.fixture
def strip():
    """Return a function that makes bodies comparable: nothing is added to them."""
    return without_ids


@pytest.fixture
def bill():
    """Return a function that gives the tokens of a ledger row or a receipt."""
    return _bill


def _bill(source):
    usage = getattr(source, "usage", None)
    if usage is None:
        return (
            source.total_input_tokens,
            source.cache_read_input_tokens,
            source.output_tokens,
        )
    return usage.input_tokens, usage.read_tokens, usage.output_tokens
