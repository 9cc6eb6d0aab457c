"""Gemini's usage, as receipts have it, and what it costs."""

from datetime import datetime, timezone

import pytest

from promptcache.providers.gemini import GEMINI
from promptcache.providers.gemini.usage import merged, read_tier, read_usage
from promptcache.receipts.prices import GenaiPrices
from promptcache.receipts.usage import Usage

# As a live server sent it, 2026-09-07.
LIVE = {
    "promptTokenCount": 7036,
    "candidatesTokenCount": 19,
    "totalTokenCount": 7055,
    "cachedContentTokenCount": 7021,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7036}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 7021}],
    "serviceTier": "standard",
}


def usage(input_tokens, read_tokens, output_tokens):
    return Usage(
        input_tokens=input_tokens,
        read_tokens=read_tokens,
        written_tokens=0,
        written_5m_tokens=0,
        written_1h_tokens=0,
        output_tokens=output_tokens,
        written_30m_tokens=0,
        written_12h_tokens=0,
    )


@pytest.mark.parametrize(
    ("reported", "read"),
    [
        pytest.param(LIVE, usage(7036, 7021, 19), id="live"),
        pytest.param(
            {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11},
            usage(9, 0, 2),
            id="a-miss-says-nothing",
        ),
        pytest.param(
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 41,
            },
            usage(9, 0, 32),
            id="thoughts",
        ),
        pytest.param(
            {
                "promptTokenCount": 9,
                "toolUsePromptTokenCount": 100,
                "thoughtsTokenCount": 3,
                "totalTokenCount": 112,
            },
            usage(109, 0, 3),
            id="results-of-tools-are-input",
        ),
        pytest.param(
            {"promptTokenCount": 9, "totalTokenCount": 9}, usage(9, 0, 0), id="blocked"
        ),
        pytest.param(
            {"promptTokenCount": 9, "totalTokenCount": 14}, usage(9, 0, 5), id="total"
        ),
        pytest.param(
            {"promptTokenCount": 9}, usage(9, 0, None), id="output-is-unknown"
        ),
        pytest.param(
            {"cachedContentTokenCount": 5}, usage(None, 5, None), id="early-chunk"
        ),
        pytest.param({}, usage(None, None, None), id="nothing"),
        pytest.param(
            {"promptTokenCount": "9", "candidatesTokenCount": True},
            usage(None, None, None),
            id="no-counts",
        ),
    ],
)
def test_usage(reported, read):
    """What is not reported is unknown, except what the provider leaves out at zero."""
    assert read_usage(reported) == read
    assert GEMINI.usage(reported) == read


def test_chunks_are_cumulative():
    """Later chunks replace what earlier ones said, and leave the rest."""
    early = {"cachedContentTokenCount": 5}
    middle = merged(early, {"promptTokenCount": 9, "candidatesTokenCount": 1})

    assert merged(None, early) == early
    assert merged(middle, {"candidatesTokenCount": 4}) == {
        "cachedContentTokenCount": 5,
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
    }
    assert early == {"cachedContentTokenCount": 5}


@pytest.mark.parametrize(
    ("reported", "tier"),
    [
        ({"serviceTier": "standard"}, "standard"),
        ({"serviceTier": "FLEX"}, "flex"),
        ({"serviceTier": "unspecified"}, None),
        ({"serviceTier": 3}, None),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({}, None),
    ],
)
def test_tiers(reported, tier):
    """Both hosts say in which tier an answer was given, in words of their own."""
    assert read_tier(reported) == tier


AT = datetime(2026, 11, 22, tzinfo=timezone.utc).timestamp()
LATER = datetime(2027, 1, 2, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("model", "at", "counts", "usd", "plain"),
    [
        ("gemini-3.8-flash", AT, (10_000, 8_000, 100), 0.002475, 0.007875),
        ("gemini-3.8-flash", LATER, (10_000, 8_000, 100), 0.00495, 0.01575),
        ("gemini-2.5-pro", AT, (200_000, 100_000, 0), 0.1375, 0.25),
        ("gemini-2.5-pro", AT, (200_001, 100_000, 0), 0.2750025, 0.5000025),
    ],
)
def test_costs(model, at, counts, usd, plain):
    """Reads have their price, by the day and by the size of the prompt."""
    prompt, read, output = counts
    cost = GenaiPrices().cost("google", model, usage(prompt, read, output), at=at)

    assert cost.usd == pytest.approx(usd)
    assert cost.without_caching_usd == pytest.approx(plain)


def test_a_tier_without_a_price():
    """What is paid for in another way has no cost that is known."""
    counted = usage(10, 0, 1)
    prices = GenaiPrices()

    assert (
        prices.cost("google", "gemini-3.8-flash", counted, tier="provisioned") is None
    )
