"""Usage that is missing, null, or no number: unknown for every provider."""

import pytest

from promptcache.providers import provider_named
from promptcache.providers.openai import RESPONSES
from promptcache.receipts.prices import GenaiPrices
from promptcache.receipts.usage import Usage, read_count

COMPLETE = {
    "anthropic": {
        "input_tokens": 100,
        "cache_read_input_tokens": 2_000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 200,
            "ephemeral_1h_input_tokens": 100,
        },
        "output_tokens": 50,
    },
    "openai": {
        "prompt_tokens": 2_400,
        "prompt_tokens_details": {
            "cached_tokens": 2_000,
            "cache_write_tokens": 300,
            "cache_write_tokens_details": {
                "ttl_30m_tokens": 300,
                "ttl_12h_tokens": 0,
            },
        },
        "completion_tokens": 50,
    },
    "responses": {
        "input_tokens": 2_400,
        "input_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 300},
        "output_tokens": 50,
    },
    "google": {
        "promptTokenCount": 2_300,
        "toolUsePromptTokenCount": 100,
        "cachedContentTokenCount": 2_000,
        "candidatesTokenCount": 40,
        "thoughtsTokenCount": 10,
        "totalTokenCount": 2_450,
    },
}
MODELS = {
    "anthropic": "claude-sonnet-5-5",
    "openai": "gpt-6-sol",
    "responses": "gpt-6-sol",
    "google": "gemini-2.5-pro",
}
ODD = {
    "text": "100",
    "a fraction": 100.0,
    "negative": -100,
    "a flag": True,
    "a list": [100],
    "an object": {"tokens": 100},
    "not a number": float("nan"),
}
FIELDS = [
    pytest.param("anthropic", "input_tokens", {"input_tokens"}, id="a-input"),
    pytest.param(
        "anthropic",
        "cache_read_input_tokens",
        {"input_tokens", "read_tokens"},
        id="a-read",
    ),
    pytest.param(
        # Then it is the sum of its lifetimes.
        "anthropic",
        "cache_creation_input_tokens",
        set(),
        id="a-written",
    ),
    pytest.param(
        "anthropic",
        "cache_creation",
        {"written_5m_tokens", "written_1h_tokens"},
        id="a-lifetimes",
    ),
    pytest.param("anthropic", "output_tokens", {"output_tokens"}, id="a-output"),
    pytest.param("openai", "prompt_tokens", {"input_tokens"}, id="o-input"),
    pytest.param("openai", "completion_tokens", {"output_tokens"}, id="o-output"),
    pytest.param("responses", "input_tokens", {"input_tokens"}, id="r-input"),
    pytest.param("responses", "output_tokens", {"output_tokens"}, id="r-output"),
    pytest.param("google", "totalTokenCount", set(), id="g-total"),
]
LEFT_OUT_IS_ZERO = [
    pytest.param("toolUsePromptTokenCount", "input_tokens", id="g-tools"),
    pytest.param("cachedContentTokenCount", "read_tokens", id="g-read"),
    pytest.param("candidatesTokenCount", "output_tokens", id="g-answer"),
    pytest.param("thoughtsTokenCount", "output_tokens", id="g-thoughts"),
]
odd_values = pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())


def read(provider, reported):
    if provider == "responses":
        return RESPONSES.usage(reported)
    return provider_named(provider).usage(reported)


def unknown(usage):
    return {
        name
        for name in ("input_tokens", "read_tokens", "written_tokens", "output_tokens")
        if getattr(usage, name) is None
    }


@pytest.mark.parametrize("provider", COMPLETE)
def test_complete_usage_has_a_cost(provider):
    """What the tables below break is whole to begin with."""
    usage = read(provider, COMPLETE[provider])
    name = "openai" if provider == "responses" else provider

    assert (usage.input_tokens, usage.read_tokens) == (2_400, 2_000)
    assert usage.output_tokens == 50
    assert GenaiPrices().cost(name, MODELS[provider], usage) is not None


@odd_values
@pytest.mark.parametrize(("provider", "field", "lost"), FIELDS)
def test_a_count_that_is_none_is_unknown(provider, field, lost, value):
    """It is as if it were not said, and what needs it is unknown, too."""
    complete = COMPLETE[provider]
    usage = read(provider, {**complete, field: value})
    missing = read(provider, {**complete, field: None})

    whole = read(provider, complete)
    assert usage == missing
    assert {name for name in Usage.__slots__ if getattr(usage, name) is None} - {
        name for name in Usage.__slots__ if getattr(whole, name) is None
    } == lost


@odd_values
@pytest.mark.parametrize("field", ["cached_tokens", "cache_write_tokens"])
@pytest.mark.parametrize("provider", ["openai", "responses"])
def test_a_detail_that_is_none_is_unknown(provider, field, value):
    """The same holds within the details."""
    complete = COMPLETE["responses"]
    details = {**complete["input_tokens_details"], field: value}
    name = "read_tokens" if field == "cached_tokens" else "written_tokens"
    reported = {
        "input_tokens": 2_400,
        "output_tokens": 50,
        "input_tokens_details": details,
    }

    assert unknown(read(provider, reported)) == {name}


@odd_values
@pytest.mark.parametrize(("field", "lost"), LEFT_OUT_IS_ZERO)
def test_what_may_be_left_out_is_unknown_if_it_is_odd(field, lost, value):
    """A count that is zero where it is missing is not zero where it is no count."""
    complete = COMPLETE["google"]
    without = {name: it for name, it in complete.items() if name != field}

    assert unknown(read("google", {**complete, field: value})) == {lost}
    assert unknown(read("google", {**complete, field: None})) == set()
    assert unknown(read("google", without)) == set()


@pytest.mark.parametrize("provider", COMPLETE)
@pytest.mark.parametrize("value", [None, "x", -1, 1.5, [], {}], ids=repr)
def test_no_report_raises(provider, value):
    """A usage of which every field is odd is read, and costs an unknown amount."""
    usage = read(provider, dict.fromkeys(COMPLETE[provider], value))
    name = "openai" if provider == "responses" else provider

    assert usage.input_tokens is None
    assert GenaiPrices().cost(name, MODELS[provider], usage) is None


@pytest.mark.parametrize("provider", COMPLETE)
def test_nothing_reported(provider):
    """An empty report is an unknown amount of everything that is billed."""
    usage = read(provider, {})

    assert (usage.input_tokens, usage.output_tokens) == (None, None)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        pytest.param("claude-sonnet-5-5", "nobody", id="provider"),
        pytest.param("claude-sonnet-5-5", "", id="no provider"),
        pytest.param("", "anthropic", id="no model"),
        pytest.param("\x00/@", "anthropic", id="odd model"),
    ],
)
def test_unknown_names_have_no_cost(provider, model):
    """A provider or a model that nobody knows costs an unknown amount."""
    usage = read("anthropic", COMPLETE["anthropic"])

    assert GenaiPrices().cost(provider, model, usage) is None


def test_counts():
    """A count is a whole number from zero."""
    assert [read_count(it) for it in (0, 7, 10**30)] == [0, 7, 10**30]
    assert [it for it in ODD.values() if read_count(it) is not None] == []
