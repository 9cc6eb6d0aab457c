"""A running emulator, a cache on its clock, and models with and without caching."""

from collections import Counter

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage

from langchain_promptcache import PromptCachedChatAnthropic
from promptcache import PromptCache

# Its minimum is 1,024 tokens, and stock LangChain forces tools on it without a warning.
MODEL = "claude-sonnet-4-6"

# About 2,000 tokens, so that the head alone is long enough to be cached.
SYSTEM = "You are a careful clerk of a railway museum. " * 180


@pytest.fixture
def cache(emulator, events):
    return PromptCache(strict=True, clock=emulator.clock, listeners=[events.append])


@pytest.fixture
def arguments(emulator):
    """Return a function that gives the arguments of a model in a workspace."""

    def of(workspace, **changes):
        return {
            "model": MODEL,
            "api_key": f"ws-{workspace}-key",
            "base_url": emulator.url,
            "max_tokens": 256,
            "max_retries": 0,
            **changes,
        }

    return of


@pytest.fixture
def make_theirs(arguments):
    """Return a function that makes LangChain's own models, in any workspace."""
    return lambda workspace, **changes: ChatAnthropic(**arguments(workspace, **changes))


@pytest.fixture
def make_plain(make_theirs):
    """Return a function that makes models without caching, in workspace `plain`."""
    return lambda **changes: make_theirs("plain", **changes)


@pytest.fixture
def make_cached(arguments, cache):
    """Return a function that makes models with caching, in workspace `cached`."""

    def make(**changes):
        return PromptCachedChatAnthropic(
            **arguments("cached", **{"prompt_cache": cache, **changes})
        )

    return make


@pytest.fixture
def plain(make_plain):
    return make_plain()


@pytest.fixture
def cached(make_cached):
    return make_cached()


@pytest.fixture
def head():
    """Return a system message that is long enough to be cached."""
    return SystemMessage(SYSTEM)


@pytest.fixture
def prompt(head):
    """Return a function that makes a conversation of the head and one question."""
    return lambda question="What is a tender?": [head, HumanMessage(question)]


@pytest.fixture
def rows_of(emulator):
    """Return a function that gives the ledger's rows of one workspace."""
    return lambda name: [row for row in emulator.ledger if row.workspace == name]


@pytest.fixture
def last_row(emulator):
    """Return a function that gives the newest row of the ledger."""
    return lambda: emulator.ledger[-1]


@pytest.fixture
def strip():
    """Return a function that takes the markers off a body.

    A list of one plain text block becomes its string again.
    """
    return _stripped


@pytest.fixture
def markers():
    """Return a function that lists the markers of a body as paths and lifetimes."""
    return lambda body: dict(_markers(body, ""))


@pytest.fixture
def bill():
    """Return a function that gives the tokens of a ledger row or a receipt."""
    return _bill


@pytest.fixture
def assert_settled(bill):
    """Return a function that compares receipts with rows, in any order."""

    def check(receipts, rows):
        assert Counter(map(bill, receipts)) == Counter(map(bill, rows))

    return check


def _stripped(value):
    if isinstance(value, list):
        items = [_stripped(item) for item in value]
        return _text(items) if _is_plain_text(items) else items
    if isinstance(value, dict):
        return {
            key: _stripped(item)
            for key, item in value.items()
            if key != "cache_control"
        }
    return value


def _is_plain_text(items):
    return (
        len(items) == 1
        and isinstance(items[0], dict)
        and items[0].keys() == {"type", "text"}
    )


def _text(items):
    return items[0]["text"]


def _markers(value, path):
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _markers(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "cache_control" and item is not None:
                yield path or "top", item.get("ttl", "5m")
            else:
                yield from _markers(item, f"{path}.{key}" if path else key)


def _bill(source):
    usage = getattr(source, "usage", None)
    if usage is not None:
        return (
            usage.input_tokens,
            usage.read_tokens,
            usage.written_5m_tokens,
            usage.written_1h_tokens,
            usage.output_tokens,
        )
    return (
        source.total_input_tokens,
        source.cache_read_input_tokens,
        source.cache_creation_5m_input_tokens,
        source.cache_creation_1h_input_tokens,
        source.output_tokens,
    )
