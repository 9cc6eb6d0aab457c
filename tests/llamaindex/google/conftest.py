"""LLMs of Gemini, with and without caching, for both hosts on the emulator."""

import ssl
from collections import Counter

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.google_genai import GoogleGenAI
from llamaindex_google import Anyone, answered

from llamaindex_promptcache import PromptCachedGoogleGenAI, prompt_cached
from promptcache import PromptCache

MODEL = "gemini-3.8-flash"

# About 6,300 tokens: the model's minimum is 4,096.
SYSTEM = "You are a careful clerk of a railway museum. " * 560


@pytest.fixture
def cache(emulator, events):
    """Return a cache whose handles are in memory, out of the user's files."""
    listeners = [events.append]
    cache = PromptCache(
        store="memory:", strict=True, clock=emulator.clock, listeners=listeners
    )
    yield cache
    cache.close()


@pytest.fixture
def host():
    """Return who serves the model; tests of both say so themselves."""
    return "developer"


@pytest.fixture(scope="session")
def trusted():
    """Return what each client would read from disk again."""
    return {"verify": ssl.create_default_context()}


@pytest.fixture
def arguments(emulator, host, trusted):
    """Return a function that gives the arguments of an LLM in a workspace."""

    def of(workspace, **changes):
        key = f"ws-{workspace}-key"
        place = {"project": "museum", "location": "l", "credentials": Anyone(key)}
        known = {"vertexai_config": place} if host == "vertex" else {"api_key": key}
        options = {"client_args": trusted, "async_client_args": trusted}
        return {
            "model": MODEL,
            "max_tokens": 256,
            "context_window": 1_000_000,
            "max_retries": 0,
            "http_options": {"base_url": emulator.url, **options},
            **known,
            **changes,
        }

    return of


@pytest.fixture
async def closing():
    """Return a function that takes LLMs whose connections are closed in the end."""
    made = []

    def take(llm):
        made.append(llm)
        return llm

    yield take
    for llm in made:
        await llm._client.aio.aclose()
        llm._client.close()


@pytest.fixture
def stock_class():
    return GoogleGenAI


@pytest.fixture
def make_plain(arguments, closing):
    """Return a function that makes LLMs without caching, in workspace `plain`."""
    return lambda **changes: closing(GoogleGenAI(**arguments("plain", **changes)))


@pytest.fixture
def gemini_caches():
    """Return whether cached contents are used; else there is implicit caching only."""
    return False


@pytest.fixture
def make_cached(arguments, cache, closing, gemini_caches):
    """Return a function that makes LLMs with caching, in workspace `cached`."""

    def make(**changes):
        said = {"prompt_cache": cache, "gemini_caches": gemini_caches, **changes}
        return closing(PromptCachedGoogleGenAI(**arguments("cached", **said)))

    return make


@pytest.fixture
def twin_of(closing):
    """Return a function that makes twins, whose clients are closed in the end."""

    def make(llm, *choice):
        twin = prompt_cached(llm, *choice)
        closing(getattr(twin, "llm", twin))
        return twin

    return make


@pytest.fixture
def head():
    """Return a system message that is long enough to be cached."""
    return ChatMessage(role="system", content=SYSTEM)


@pytest.fixture
def rows_of(emulator):
    """Return a function that gives a workspace's rows of requests for an answer."""
    return lambda name: answered(
        row for row in emulator.ledger if row.workspace == name
    )


@pytest.fixture
def strip():
    """Return a function that makes bodies comparable: nothing is added to them."""
    return lambda body: body


@pytest.fixture
def assert_settled():
    """Return a function that compares receipts with rows, in any order."""

    def check(receipts, rows):
        assert Counter(map(_used, receipts)) == Counter(map(_billed, rows))

    return check


def _used(receipt):
    usage = receipt.usage
    return usage.input_tokens, usage.read_tokens, usage.output_tokens


def _billed(row):
    return row.total_input_tokens, row.cache_read_input_tokens, row.output_tokens
