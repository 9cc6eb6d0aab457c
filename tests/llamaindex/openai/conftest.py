"""LLMs of both of OpenAI's APIs, with and without caching, on the emulator."""

from collections import Counter

import pytest
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llamaindex_promptcache import (
    PromptCachedOpenAI,
    PromptCachedOpenAIResponses,
    prompt_cached,
)

MARKED = "gpt-6.1-sol"
MATCHED = "gpt-5.2"
"""A model that takes breakpoints, and one that takes no more than a key."""

STOCK = {"chat": OpenAI, "responses": OpenAIResponses}
CACHED = {"chat": PromptCachedOpenAI, "responses": PromptCachedOpenAIResponses}


@pytest.fixture(params=["chat", "responses"])
def api(request):
    return request.param


@pytest.fixture
def stock_class(api):
    return STOCK[api]


@pytest.fixture
def cached_class(api):
    return CACHED[api]


@pytest.fixture
def model():
    return MARKED


@pytest.fixture
def arguments(emulator, model):
    """Return a function that gives the arguments of an LLM in a workspace."""

    def of(workspace, **changes):
        return {
            "model": model,
            "api_key": f"ws-{workspace}-key",
            "api_base": f"{emulator.url}/v1",
            "max_retries": 0,
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
        if llm._client is not None:
            llm._client.close()
        if llm._aclient is not None:
            await llm._aclient.close()


@pytest.fixture
def make_plain(stock_class, arguments, closing):
    """Return a function that makes LLMs without caching, in workspace `plain`."""
    return lambda **changes: closing(stock_class(**arguments("plain", **changes)))


@pytest.fixture
def make_cached(cached_class, arguments, cache, closing):
    """Return a function that makes LLMs with caching, in workspace `cached`."""

    def make(**changes):
        given = arguments("cached", **{"prompt_cache": cache, **changes})
        return closing(cached_class(**given))

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
def strip():
    """Return a function that takes what promptcache may add off a body.

    A list of one plain text part becomes its string again, and a string that is the
    whole input the message that it stands for.
    """
    return _stripped


@pytest.fixture
def markers():
    """Return a function that lists the markers of a body as paths and lifetimes."""
    return lambda body: dict(_markers(body, ""))


@pytest.fixture
def assert_settled():
    """Return a function that compares receipts with rows, in any order."""

    def check(receipts, rows):
        assert Counter(map(_used, receipts)) == Counter(map(_billed, rows))

    return check


_OURS = {
    "prompt_cache_breakpoint",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
}
_PLAIN = ({"type": "text"}, {"type": "input_text"})


def _stripped(value):
    if isinstance(value, list):
        items = [_stripped(item) for item in value]
        is_one = len(items) == 1 and isinstance(items[0], dict)
        rest = {**items[0]} if is_one else {}
        text = rest.pop("text", None)
        return text if isinstance(text, str) and rest in _PLAIN else items
    if not isinstance(value, dict):
        return value
    found = {key: _stripped(value[key]) for key in value if key not in _OURS}
    if isinstance(found.get("input"), str):
        found["input"] = [{"role": "user", "content": found["input"]}]
    return found


def _markers(value, path):
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _markers(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "prompt_cache_breakpoint":
                yield path, item.get("ttl")
            elif isinstance(item, (dict, list)):
                yield from _markers(item, f"{path}.{key}" if path else key)


def _used(receipt):
    usage = receipt.usage
    # Models without breakpoints write, but do not tell.
    return (
        usage.input_tokens,
        usage.read_tokens,
        usage.written_tokens or 0,
        usage.output_tokens,
    )


def _billed(row):
    return (
        row.total_input_tokens,
        row.cache_read_input_tokens,
        row.cache_creation_input_tokens,
        row.output_tokens,
    )
