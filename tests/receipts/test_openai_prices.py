"""Costs on OpenAI: each slice of the prompt at its own price, on both sides of 272k."""

from datetime import datetime, timezone

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts import prices
from promptcache.receipts.prices import Cost, GenaiPrices
from promptcache.receipts.usage import Usage

AT = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
MILLION = 1_000_000
LONG = 272_000
"""The longest prompt at the usual price, where a longer one is dearer."""

# Dollars per million tokens: input, read, written for 30 minutes (None: as input),
# output; and whether prompts above `LONG` cost double, their answers one and a half.
TABLE = [
    pytest.param("gpt-6-astra", 10, 1, 12.5, 50, True, id="gpt-6-astra"),
    pytest.param("gpt-6.1-sol", 2, 0.1, 2.5, 10, True, id="gpt-6.1-sol"),
    pytest.param("gpt-6-luna", 0.1, 0.01, 0.125, 0.5, True, id="gpt-6-luna"),
    pytest.param("gpt-5.6-sol", 4, 0.4, 5, 20, True, id="gpt-5.6-sol"),
    pytest.param("gpt-5.6", 4, 0.4, 5, 20, True, id="gpt-5.6 is sol"),
    pytest.param("gpt-5.6-terra", 2, 0.2, 2.5, 12, True, id="gpt-5.6-terra"),
    pytest.param("gpt-5.5", 5, 0.5, None, 30, True, id="gpt-5.5"),
    pytest.param("gpt-5.4", 2.5, 0.25, None, 15, True, id="gpt-5.4"),
    pytest.param("gpt-5.2", 1.75, 0.175, None, 14, False, id="gpt-5.2"),
    pytest.param("gpt-5-mini", 0.25, 0.025, None, 2, False, id="gpt-5-mini"),
    pytest.param("gpt-4.1", 2, 0.5, None, 8, False, id="gpt-4.1 reads at a quarter"),
    pytest.param("gpt-4o", 2.5, 1.25, None, 10, False, id="gpt-4o reads at half"),
    pytest.param("o4-mini", 1.1, 0.275, None, 4.4, False, id="o4-mini"),
]


def used(total, read, written, output, *, half_day=0):
    """Return a usage as the Responses API reports it."""
    return Usage(
        input_tokens=total,
        read_tokens=read,
        written_tokens=written,
        output_tokens=output,
        written_5m_tokens=0,
        written_1h_tokens=0,
        written_30m_tokens=written - half_day,
        written_12h_tokens=half_day,
    )


def cost(model, usage, *, at=AT, **options):
    return GenaiPrices().cost("openai", model, usage, at=at.timestamp(), **options)


def listed(model, usage, *, context=None):
    """Return what the price list itself makes of a usage, with and without a cache."""
    plain = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    cached = {
        "cache_read_tokens": usage.read_tokens,
        "cache_write_tokens": usage.written_tokens,
    }
    costs = [
        genai_prices.calc_price(
            genai_prices.Usage(**tokens),
            model,
            provider_id="openai",
            genai_request_timestamp=AT,
            price_context=context,
        ).total_price
        for tokens in ({**plain, **cached}, plain)
    ]
    return Cost(*map(float, costs))


@pytest.mark.parametrize("total", [LONG, LONG + 1])
@pytest.mark.parametrize(("model", "inp", "read", "write", "out", "tiers"), TABLE)
def test_table(model, inp, read, write, out, tiers, total):
    """What is read, written and neither are disjoint parts of the prompt."""
    dearer = tiers and total > LONG
    usage = used(total, 200_000, 50_000, 1_000)

    billed = cost(model, usage)

    new = inp if write is None else write
    prompt = 200_000 * read + 50_000 * new + (total - 250_000) * inp
    answer = 1_000 * out * (1.5 if dearer else 1)
    times = 2 if dearer else 1
    assert billed.usd == pytest.approx((prompt * times + answer) / MILLION)
    assert billed.without_caching_usd == pytest.approx(
        (total * inp * times + answer) / MILLION
    )


@given(
    st.sampled_from([row.values[0] for row in TABLE]),
    st.tuples(*[st.integers(0, 150_000)] * 4),
    st.sampled_from([None, "default", "auto"]),
)
def test_any_usage_costs_what_the_list_says(model, tokens, tier):
    """Rates that were derived once give what the list calculates each time."""
    read, written, rest, output = tokens
    usage = used(read + written + rest, read, written, output)

    assert cost(model, usage, tier=tier) == listed(model, usage)


@pytest.mark.parametrize(
    ("model", "tier", "key", "times"),
    [
        pytest.param("gpt-6.1-sol", "flex", "service_tier", 0.5, id="flex"),
        pytest.param("gpt-6.1-sol", "priority", "service_tier", 2, id="priority"),
        pytest.param("gpt-6.1-sol", "batch", "processing", 0.5, id="batch"),
        pytest.param("gpt-5.2", "flex", "service_tier", 0.5, id="earlier flex"),
        pytest.param("gpt-5.2", "priority", "service_tier", 2, id="earlier priority"),
        pytest.param("gpt-5.2", "batch", "processing", 0.5, id="earlier batch"),
    ],
)
def test_tier_has_its_own_price(model, tier, key, times):
    """A service tier is half or double the price, of reads and writes, too."""
    usage = used(10_000, 6_000, 3_000, 500)

    assert cost(model, usage, tier=tier) == listed(model, usage, context={key: tier})
    assert cost(model, usage, tier=tier).usd == pytest.approx(
        times * cost(model, usage).usd
    )


def test_batches_of_the_oldest_models_read_at_the_plain_price():
    """Before GPT-5 a batch has no discount for what it reads."""
    usage = used(10_000, 6_000, 0, 0)

    batch = cost("gpt-4o", usage, tier="batch")

    assert batch.saved_usd == 0
    assert batch.usd == pytest.approx(10_000 * 1.25 / MILLION)


@pytest.mark.parametrize(
    ("model", "tier"),
    [
        pytest.param("gpt-6.1-sol", "scale", id="scale is paid otherwise"),
        pytest.param("gpt-4o", "flex", id="no flex"),
    ],
)
def test_tier_without_a_price(model, tier):
    """A tier that the list does not price has no cost."""
    assert cost(model, used(10, 0, 0, 1), tier=tier) is None


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        pytest.param("gpt-5.6-terra-2026-06-30", "gpt-5.6-terra", id="dated"),
        pytest.param("gpt-5.2-2025-12-11", "gpt-5.2", id="earlier dated"),
        pytest.param("gpt-5.2-20251211", "gpt-5.2", id="eight digits"),
        pytest.param("openai/gpt-6.1-sol", "gpt-6.1-sol", id="router"),
    ],
)
def test_spelling_does_not_change_the_price(spelling, same):
    """Dates and routers' prefixes around a known name are seen through."""
    usage = used(10_000, 6_000, 3_000, 500)

    assert cost(spelling, usage) == cost(same, usage)
    assert cost(spelling, usage) is not None


@pytest.mark.parametrize(
    ("spelling", "times"),
    [
        pytest.param("openai.gpt-5.6-terra", 1.1, id="region"),
        pytest.param("us.openai.gpt-5.6-terra", 1.1, id="regional profile"),
        pytest.param("global.openai.gpt-5.6-terra", 1.0, id="global profile"),
        pytest.param(
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.openai.gpt-5.6-terra",
            1.1,
            id="arn",
        ),
    ],
)
def test_bedrock_names_have_bedrock_prices(spelling, times):
    """A Bedrock name is priced there, and a region costs a tenth more."""
    usage = used(10_000, 6_000, 3_000, 500)
    if prices.GenaiPrices().cost("aws", spelling, usage) is None:
        pytest.skip("the last price list for Python 3.10 has no OpenAI on Bedrock")

    assert cost(spelling, usage).usd == pytest.approx(
        times * cost("gpt-5.6-terra", usage).usd
    )


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("gpt-6.2-sol", id="6.2-sol"),
        pytest.param("gpt-6.2-astra", id="6.2-astra"),
        pytest.param("openai.gpt-6.2-sol", id="on bedrock"),
        pytest.param("gpt-6.2-sol-2026-11-01", id="dated"),
        pytest.param("ft:gpt-4.1-2025-04-14:acme:x:id", id="fine-tuned"),
        pytest.param("my-deployment", id="a deployment's name"),
    ],
)
def test_model_without_a_price(model):
    """A model that the list does not know has no cost, not that of its base."""
    assert cost(model, used(10, 0, 0, 1)) is None


def test_fine_tuned_model_with_a_price():
    """A fine-tuned model that the list knows has its own price."""
    usage = used(1_000, 0, 0, 100)

    assert cost("ft:gpt-4o-2024-08-06:acme::id", usage).usd == pytest.approx(
        (1_000 * 3.75 + 100 * 15) / MILLION
    )


@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.6-terra", "gpt-5.2"])
def test_twelve_hours_have_no_price(model):
    """One token written for twelve hours makes the cost unknown."""
    assert cost(model, used(10_000, 6_000, 3_000, 500, half_day=1)) is None
    assert cost(model, used(10_000, 6_000, 3_000, 500)) is not None


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(Usage(9_000, 5_000, 3_000, None, None, 1), id="no lifetime"),
        pytest.param(Usage(9_000, 5_000, 3_000, 0, 0, 1), id="Chat"),
        pytest.param(
            Usage(9_000, 5_000, 3_000, output_tokens=1, written_12h_tokens=0),
            id="12h alone",
        ),
        pytest.param(
            Usage(
                9_000,
                5_000,
                None,
                output_tokens=1,
                written_30m_tokens=3_000,
                written_12h_tokens=0,
            ),
            id="no total",
        ),
    ],
)
def test_unreported_lifetime_is_priced_as_thirty_minutes(usage):
    """Written tokens without a split cost what a 30 minute write costs."""
    assert cost("gpt-6.1-sol", usage) == cost(
        "gpt-6.1-sol", used(9_000, 5_000, 3_000, 1)
    )


def test_rest_of_a_split_is_of_the_other_lifetime():
    """What was not written for 30 minutes was for 12 hours, which has no price."""
    usage = Usage(9_000, 0, 3_000, output_tokens=1, written_30m_tokens=2_000)

    assert cost("gpt-6.1-sol", usage) is None


def test_half_a_split_has_no_cost():
    """What one lifetime's count leaves open stays open, whatever the others say."""
    usage = Usage(9_000, 0, None, 5, None, 1, 0, 0)

    assert GenaiPrices().cost("anthropic", "claude-sonnet-5", usage) is None


def test_unreported_writes_of_earlier_models_do_not_matter():
    """Up to gpt-5.5 writing is free, and Chat Completions does not report it."""
    usage = Usage(input_tokens=10_000, read_tokens=9_216, output_tokens=100)

    assert cost("gpt-5.2", usage).usd == pytest.approx(
        (784 * 1.75 + 9_216 * 0.175 + 100 * 14) / MILLION
    )
    assert cost("gpt-6.1-sol", usage) is None


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(used(10, 6, 5, 1), id="more than the prompt"),
        pytest.param(Usage(10, None, 0, output_tokens=1), id="no reads"),
        pytest.param(
            Usage(10, 0, 3, output_tokens=1, written_30m_tokens=4), id="split above"
        ),
    ],
)
def test_impossible_or_missing_counts_have_no_cost(usage):
    """Counts that contradict each other, or that a price needs, give no cost."""
    assert cost("gpt-6.1-sol", usage) is None


def test_price_is_that_of_the_day():
    """gpt-5.6-terra became cheaper in the summer after it came out."""
    usage = used(10_000, 0, 0, 0)
    before, after = (
        cost("gpt-5.6-terra", usage, at=datetime(2026, 7, day, tzinfo=timezone.utc))
        for day in (29, 31)
    )

    assert before.usd > after.usd == pytest.approx(0.02)
