"""Models with and without caching, for each way in which LangChain reaches GPTs."""

import openai
import pytest
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_openai_bodies import marks, stripped

from langchain_promptcache import PromptCachedAzureChatOpenAI, PromptCachedChatOpenAI

MODEL = "gpt-6.1-sol"


@pytest.fixture(params=["chat", "responses", "azure"])
def kind(request):
    """Return how models are reached; tests that need one way say so themselves."""
    return request.param


@pytest.fixture(scope="session")
def pool():
    with openai.DefaultHttpxClient() as client:
        yield client


@pytest.fixture(scope="session")
async def async_pool():
    async with openai.DefaultAsyncHttpxClient() as client:
        yield client


@pytest.fixture
def model_name():
    """Return a model that takes breakpoints; tests of earlier ones name another."""
    return MODEL


@pytest.fixture
def arguments(emulator, kind, model_name, pool, async_pool):
    """Return a function that gives the arguments of a model in a workspace.

    All models share connections, which are closed in the end.
    """

    def of(workspace, **changes):
        common = {
            "model": model_name,
            "api_key": f"ws-{workspace}-key",
            "http_client": pool,
            "http_async_client": async_pool,
            "max_retries": 0,
            "max_tokens": 256,
            "use_responses_api": kind.endswith("responses"),
        }
        if kind.startswith("azure"):
            common |= {
                "azure_endpoint": emulator.url,
                "azure_deployment": changes.get("model", model_name),
                "api_version": "2026-10-01-preview",
            }
        else:
            common["base_url"] = f"{emulator.url}/v1"
        return {**common, **changes}

    return of


@pytest.fixture
def stock_class(kind):
    return AzureChatOpenAI if kind.startswith("azure") else ChatOpenAI


@pytest.fixture
def cached_class(kind):
    if kind.startswith("azure"):
        return PromptCachedAzureChatOpenAI
    return PromptCachedChatOpenAI


@pytest.fixture
def make_theirs(arguments, stock_class):
    """Return a function that makes LangChain's own models, in any workspace."""
    return lambda workspace, **changes: stock_class(**arguments(workspace, **changes))


@pytest.fixture
def make_cached(arguments, cached_class, cache):
    """Return a function that makes models with caching, in workspace `cached`."""

    def make(**changes):
        return cached_class(**arguments("cached", **{"prompt_cache": cache, **changes}))

    return make


@pytest.fixture
def strip():
    """Return a function that takes off what caching adds to a body."""
    return stripped


@pytest.fixture
def markers():
    """Return a function that lists the breakpoints of a body."""
    return marks


@pytest.fixture
def is_planned():
    """Return a function that tells whether a body has anything of ours."""
    return lambda body: "prompt_cache_key" in body or "prompt_cache_options" in body


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
            source.cache_creation_input_tokens,
            source.output_tokens,
        )
    # Models that write for nothing do not tell what they write.
    written = usage.written_tokens or 0
    return usage.input_tokens, usage.read_tokens, written, usage.output_tokens
