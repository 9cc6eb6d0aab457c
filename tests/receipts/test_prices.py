"""Costs: equal to those of `genai-prices`, unknown where it knows none."""

import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import version

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts import prices
from promptcache.receipts.prices import Cost, GenaiPrices, Prices
from promptcache.receipts.usage import Usage

AT = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
MODELS = [
    pytest.param("anthropic", "claude-sonnet-4-5-20250929", id="whole-prompt tier"),
    pytest.param("anthropic", "claude-haiku-4-5", id="reads at a tenth"),
    pytest.param("anthropic", "claude-opus-5-5", id="reads at a twentieth"),
    pytest.param("anthropic", "claude-fable-5-1", id="reads at a fortieth"),
    pytest.param("anthropic", "claude-haiku-5-5", id="tier above 100k"),
    pytest.param("anthropic", "claude-opus-4-6", id="price that changed"),
    pytest.param("aws", "us.anthropic.claude-haiku-5-5-v1:0", id="bedrock"),
    pytest.param("google", "claude-sonnet-5@20260601", id="vertex"),
]
USAGES = [
    pytest.param(Usage(1000, 0, 0, 0, 0, 100), id="plain"),
    pytest.param(Usage(100_000, 60_000, 30_000, 10_000, 20_000, 500), id="at 100k"),
    pytest.param(Usage(100_001, 60_000, 30_000, 10_000, 20_000, 500), id="above 100k"),
    pytest.param(Usage(200_001, 0, 200_001, 0, 200_001, 1), id="1h write above 200k"),
    pytest.param(Usage(5000, 5000, 0, 0, 0, 0), id="all read"),
    pytest.param(Usage(0, 0, 0, 0, 0, 0), id="nothing"),
]


def listed(provider, model, usage, *, tier=None):
    """Return what the price list itself makes of a usage, with and without a cache."""
    plain = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    cached = {
        "cache_read_tokens": usage.read_tokens,
        "cache_write_tokens": usage.written_tokens,
        "cache_write_1h_tokens": usage.written_1h_tokens,
    }
    return [
        genai_prices.calc_price(
            genai_prices.Usage(**tokens),
            model,
            provider_id=provider,
            genai_request_timestamp=AT,
            price_context=tier,
        ).total_price
        for tokens in ({**plain, **cached}, plain)
    ]


def cost(provider, model, usage, **options):
    return GenaiPrices().cost(provider, model, usage, at=AT.timestamp(), **options)


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_cost_is_that_of_the_price_list(provider, model, usage):
    """Rates that were derived once give what the list calculates each time."""
    billed, plain = listed(provider, model, usage)

    assert cost(provider, model, usage) == Cost(float(billed), float(plain))


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize(
    ("model", "tier", "context"),
    [
        pytest.param("claude-sonnet-5-5", "batch", {"processing": "batch"}, id="batch"),
        pytest.param("claude-haiku-5-5", "batch", {"processing": "batch"}, id="tiers"),
        pytest.param(
            "claude-opus-4-8",
            "fast",
            {"speed": "fast"},
            id="fast",
            marks=pytest.mark.skipif(
                version("genai-prices").startswith("0.1."),
                reason="the last price list for Python 3.10 has no fast prices",
            ),
        ),
    ],
)
def test_tier_has_its_own_price(model, tier, context, usage):
    """A service tier that the list knows is priced as such."""
    billed, plain = listed("anthropic", model, usage, tier=context)

    assert cost("anthropic", model, usage, tier=tier) == Cost(
        float(billed), float(plain)
    )


@given(
    st.sampled_from([model.values for model in MODELS]),
    st.tuples(*[st.integers(0, 150_000)] * 5),
)
def test_any_usage_costs_what_the_list_says(model, tokens):
    """The same holds for all usages, on both sides of the tiers."""
    read, short, long, rest, output = tokens
    written = short + long
    usage = Usage(read + written + rest, read, written, short, long, output)

    billed, plain = listed(*model, usage)

    assert cost(*model, usage) == Cost(float(billed), float(plain))


@pytest.mark.parametrize(
    ("provider", "model", "same"),
    [
        pytest.param(
            "anthropic", "claude-opus-5-5@20260901", "claude-opus-5-5", id="@"
        ),
        pytest.param(
            "anthropic", "claude-opus-5-5@default", "claude-opus-5-5", id="@d"
        ),
        pytest.param(
            "anthropic", "claude-sonnet-5-20260601", "claude-sonnet-5", id="8"
        ),
        pytest.param(
            "anthropic",
            "publishers/anthropic/models/claude-sonnet-5",
            "claude-sonnet-5",
            id="path",
        ),
    ],
)
def test_spelling_does_not_change_the_price(provider, model, same):
    """Dates and paths around a known model's name are seen through."""
    usage = Usage(1000, 500, 400, 100, 300, 50)

    assert cost(provider, model, usage) == cost(provider, same, usage)
    assert cost(provider, model, usage) is not None


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("us.anthropic.claude-sonnet-5-v1:0", id="inference profile"),
        pytest.param(
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-5-v1:0",
            id="arn",
        ),
    ],
)
def test_bedrock_names_have_bedrock_prices(model):
    """A Bedrock name is priced there, whatever provider it is called under."""
    usage = Usage(1_000_000, 0, 0, 0, 0, 0)

    assert cost("anthropic", model, usage).usd == pytest.approx(2.2)


def test_unreported_lifetime_is_priced_as_five_minutes():
    """Written tokens without a split cost what a 5 minute write costs."""
    unsplit = Usage(1000, 0, 1000, None, None, 0)
    split = Usage(1000, 0, 1000, 1000, 0, 0)

    assert cost("anthropic", "claude-sonnet-5", unsplit) == cost(
        "anthropic", "claude-sonnet-5", split
    )


@pytest.mark.parametrize(
    ("usage", "same"),
    [
        pytest.param(
            Usage(900, 0, 800, 300, None, 0), Usage(900, 0, 800, 300, 500, 0), id="1h"
        ),
        pytest.param(
            Usage(900, 0, 800, None, 500, 0), Usage(900, 0, 800, 300, 500, 0), id="5m"
        ),
        pytest.param(
            Usage(900, 0, None, 300, 500, 0), Usage(900, 0, 800, 300, 500, 0), id="all"
        ),
    ],
)
def test_a_missing_third_of_the_split_follows(usage, same):
    """Two of total, 5 minutes and 1 hour tell the third."""
    assert cost("anthropic", "claude-sonnet-5", usage) == cost(
        "anthropic", "claude-sonnet-5", same
    )


@pytest.mark.parametrize(
    ("provider", "model", "usage", "tier"),
    [
        pytest.param("anthropic", "claude-nonsense", Usage.zero(), None, id="model"),
        pytest.param("nobody", "claude-sonnet-5", Usage.zero(), None, id="provider"),
        pytest.param(
            "anthropic", "claude-sonnet-5", Usage.zero(), "priority", id="tier"
        ),
        pytest.param(
            "openai", "text-embedding-3-small", Usage(1, 0, 0, 0, 0, 1), None, id="out"
        ),
        pytest.param(
            "openai", "gpt-5.6", Usage(9, 0, 9, 0, 9, 0), None, id="1h without a price"
        ),
        *(
            pytest.param("anthropic", "claude-sonnet-5", usage, None, id=why)
            for why, usage in {
                "no prompt": Usage(None, 0, 0, 0, 0, 0),
                "no reads": Usage(10, None, 0, 0, 0, 0),
                "no writes": Usage(10, 0, None, None, None, 0),
                "half a split": Usage(10, 0, None, 5, None, 0),
                "no output": Usage(10, 0, 0, 0, 0, None),
                "split above total": Usage(10, 0, 5, 4, 4, 0),
                "cached above prompt": Usage(10, 6, 5, 5, 0, 0),
            }.items()
        ),
    ],
)
def test_unknown_has_no_cost(provider, model, usage, tier):
    """A missing price, a missing count or an impossible one gives no cost at all."""
    assert cost(provider, model, usage, tier=tier) is None


def test_unreported_writes_do_not_matter_where_writing_is_free():
    """A model without a price for writing needs no count of written tokens."""
    known, unknown = Usage(10, 4, 0, 0, 0, 1), Usage(10, 4, None, None, None, 1)

    assert cost("google", "gemini-2.5-pro", unknown) is not None
    assert cost("google", "gemini-2.5-pro", unknown) == cost(
        "google", "gemini-2.5-pro", known
    )


def test_price_is_that_of_the_day():
    """A price that changed is looked up at the time of the request."""
    usage = Usage(300_000, 0, 0, 0, 0, 0)
    old, new = (
        GenaiPrices().cost(
            "anthropic",
            "claude-opus-4-6",
            usage,
            at=datetime(2026, month, 1, tzinfo=timezone.utc).timestamp(),
        )
        for month in (3, 4)
    )

    assert (old.usd, new.usd) == (3.0, 1.5)


def test_saved_may_be_negative():
    """Writing what is never read costs more than no cache."""
    assert (
        cost("anthropic", "claude-sonnet-5", Usage(10, 0, 10, 10, 0, 0)).saved_usd < 0
    )


def test_list_is_asked_once_per_model():
    """The second cost of a model only multiplies."""
    prices._bands.cache_clear()
    source: Prices = GenaiPrices()
    for tokens in range(10):
        source.cost("anthropic", "claude-opus-5", Usage(tokens, 0, 0, 0, 0, 0))

    assert prices._bands.cache_info().misses == 1


def test_import_does_not_load_the_price_list():
    """The price list is read with the first cost, and `load` does it ahead."""
    code = (
        "import sys; from promptcache.receipts.prices import GenaiPrices as G;"
        "assert 'genai_prices' not in sys.modules; G().load();"
        "assert 'genai_prices.data' in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
