"""Prices that a caller states: what they cost, and what stays unknown."""

from decimal import Decimal

import pytest

from promptcache.cache import PromptCache
from promptcache.errors import OptionError
from promptcache.options import CallOptions, current_options, options
from promptcache.providers import Request, provider_named
from promptcache.providers.gemini.facts import model_facts
from promptcache.providers.gemini.terms import terms_of
from promptcache.receipts.fixed_prices import FixedPrices, read_prices
from promptcache.receipts.prices import GenaiPrices, Prices
from promptcache.receipts.rates import Cost
from promptcache.receipts.usage import Usage

RATES = {"input": 4, "read": 0.5, "written": 5, "written_1h": 8, "output": 20}
BATCH = {name: rate / 2 for name, rate in RATES.items()}
MILLION = 1_000_000


def used(read=0, short=0, hour=0, rest=0, output=0, *, half_hour=0, half_day=0):
    """Return a usage by its parts, in millions of tokens."""
    parts = (read, short, hour, rest, output, half_hour, half_day)
    read, short, hour, rest, output, half_hour, half_day = (
        round(it * MILLION) for it in parts
    )
    written = short + hour + half_hour + half_day
    return Usage(
        read + written + rest, read, written, short, hour, output, half_hour, half_day
    )


def cost(rates, usage, **options):
    prices = FixedPrices({"own-1": rates})
    return prices.cost("anthropic", "own-1", usage, **options)


@pytest.mark.parametrize(
    ("usage", "usd", "plain"),
    [
        pytest.param(used(read=1), 0.5, 4, id="read"),
        pytest.param(used(short=1), 5, 4, id="written 5m"),
        pytest.param(used(half_hour=1), 5, 4, id="written 30m"),
        pytest.param(used(hour=1), 8, 4, id="written 1h"),
        pytest.param(used(rest=1), 4, 4, id="neither"),
        pytest.param(used(output=1), 20, 20, id="output"),
        pytest.param(used(1, 1, 1, 1, 1), 37.5, 36, id="all"),
        pytest.param(used(), 0, 0, id="nothing"),
    ],
)
def test_rates(usage, usd, plain):
    """Each part of a request is priced by its own rate."""
    assert cost(RATES, usage) == Cost(usd, plain)


@pytest.mark.parametrize(
    ("rates", "usage", "usd"),
    [
        pytest.param({"input": 4}, used(read=1), 4.0, id="no discount"),
        pytest.param({"input": 4}, used(short=1), 4.0, id="no premium"),
        pytest.param({"input": 4}, used(hour=1), 4.0, id="none for an hour either"),
        pytest.param({"input": 4}, used(output=1), None, id="no output"),
        pytest.param({"input": 4, "output": None}, used(output=1), None, id="null"),
        pytest.param({"input": 4, "written": 5}, used(hour=1), None, id="no hour"),
        pytest.param(RATES, used(half_day=1), None, id="no twelve hours"),
        pytest.param({**RATES, "written_12h": 9}, used(half_day=1), 9.0, id="12h"),
        pytest.param({"input": 0}, used(rest=1), 0.0, id="free"),
        pytest.param({"input": Decimal("0.1")}, used(rest=3), 0.3, id="decimal"),
        pytest.param(RATES, Usage(None, 0, 0, 0, 0, 0), None, id="no count"),
        pytest.param(RATES, Usage(5, None, 0, 0, 0, 0), None, id="no reads"),
    ],
)
def test_what_is_left_out(rates, usage, usd):
    """A rate that is not stated is as in the price list, or unknown; never zero."""
    found = cost(rates, usage)

    assert (None if found is None else found.usd) == usd


@pytest.mark.parametrize(
    ("tier", "usd"),
    [
        pytest.param(None, 4.0, id="none"),
        pytest.param("standard", 4.0, id="standard"),
        pytest.param("default", 4.0, id="default"),
        pytest.param("batch", 2.0, id="stated"),
        pytest.param("priority", None, id="not stated"),
    ],
)
def test_tiers(tier, usd):
    """A tier has its own rates, or no known ones."""
    rates = {**RATES, "tiers": {"batch": BATCH}}
    found = cost(rates, used(rest=1), tier=tier)

    assert (None if found is None else found.usd) == usd


@pytest.mark.parametrize(
    "model",
    ["own-1", "own-1-20260601", "models/own-1", "own-1@20260601", "own-1-2026-06-01"],
)
def test_spellings(model):
    """A path or a date around the name is seen through."""
    prices = FixedPrices({"own-1": RATES})

    assert prices.cost("anthropic", model, used(rest=1)) == Cost(4, 4)


def test_other_models_have_the_prices_of_the_list():
    """Only what is named is stated; for the rest another source answers."""
    prices = FixedPrices({"own-1": RATES})
    usage, model = used(rest=0.01), "claude-sonnet-5-5"
    alone = FixedPrices({"own-1": RATES}, otherwise=FixedPrices({"*": {"input": 7}}))

    listed = GenaiPrices().cost("anthropic", model, usage)
    assert prices.cost("anthropic", model, usage) == listed
    assert listed is not None
    assert prices.cost("anthropic", "nobody-1", usage) is None
    assert alone.cost("anthropic", model, used(rest=1)) == Cost(7, 7)


def test_any_model():
    """A star stands for each model that is not named."""
    prices = FixedPrices({"own-1": RATES, "*": {"input": 1}})

    assert prices.cost("openai", "own-1", used(rest=1)) == Cost(4, 4)
    assert prices.cost("openai", "another", used(rest=1)) == Cost(1, 1)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        pytest.param(None, GenaiPrices, id="nothing"),
        pytest.param(RATES, FixedPrices, id="for all"),
        pytest.param({"own-1": RATES}, FixedPrices, id="by model"),
        pytest.param(FixedPrices({}), FixedPrices, id="itself"),
    ],
)
def test_forms(said, kind):
    """Prices are a source, rates of all models or of each, or those that ship."""
    prices = read_prices(said)

    assert type(prices) is kind
    assert isinstance(prices, Prices)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        pytest.param(5, "a Prices, or a dict", id="number"),
        pytest.param({}, "a Prices, or a dict", id="empty"),
        pytest.param({"own-1": 4}, "a Prices, or a dict", id="no rates"),
        pytest.param({"own-1": {}}, "`input`", id="no input"),
        pytest.param({"own-1": {"read": 1}}, "`input`", id="no input but read"),
        pytest.param({"input": None}, "an amount", id="input null"),
        pytest.param({"input": 1, "reads": 1}, "written_1h", id="name"),
        pytest.param({"input": -1}, "0 or more", id="negative"),
        pytest.param({"input": "1"}, "0 or more", id="text"),
        pytest.param({"input": True}, "0 or more", id="flag"),
        pytest.param({"input": float("nan")}, "0 or more", id="nan"),
        pytest.param({"input": float("inf")}, "0 or more", id="inf"),
        pytest.param({"input": 1, "tiers": 5}, "service tier", id="tiers"),
        pytest.param({"input": 1, "tiers": {"batch": 5}}, "`input`", id="tier"),
    ],
)
def test_what_is_not_allowed(said, named):
    """What is no price is refused with what is one."""
    with pytest.raises(OptionError) as caught:
        read_prices(said)

    assert named in caught.value.allowed


def test_a_call_may_have_prices_of_its_own():
    """They are an option as others are: read, laid over, and left again."""
    outer = FixedPrices({"*": {"input": 1}})
    with options(prices=outer, tenant="acme"):
        assert current_options().prices is outer
        with options(prices=RATES):
            inner = current_options()
            assert isinstance(inner.prices, FixedPrices)
            assert inner.tenant == "acme"
        assert CallOptions.read({"ttl": "1h"}).over(current_options()).prices is outer
    assert current_options().prices is None
    assert CallOptions.read({"prices": None}).prices is None


def test_wrong_prices_of_a_call_are_refused():
    """They are checked where they are said, not where they are needed."""
    with pytest.raises(OptionError, match="`input`"):
        CallOptions.read({"prices": {"output": 1}})


def test_storage_that_is_stated():
    """What a cached content costs by the hour is the caller's, else the facts'."""
    row = model_facts("gemini-2.5-flash")
    stated = FixedPrices({"gemini-2.5-flash": {"input": 1, "storage": 9}})
    silent = FixedPrices({"gemini-2.5-flash": {"input": 1}})

    def storage(prices):
        terms = terms_of(prices, "models/gemini-2.5-flash", row, tokens=9_000, at=1e9)
        return terms and terms.storage * MILLION

    assert storage(stated) == pytest.approx(9)
    assert storage(silent) == row.storage_price
    assert stated.storage("google", "gemini-2.5-pro") is None


BODY = {
    "model": "own-1",
    "messages": [{"role": "user", "content": "hello"}],
}
USAGE = {
    "input_tokens": 1_000,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "output_tokens": 0,
}


def settled(cache, **said):
    """Return the receipt of a request that is made under options."""
    with options(**said):
        prepared = cache.prepare(
            Request(provider_named("anthropic"), BODY, "anthropic")
        )
    cache.settle(prepared, USAGE)
    return prepared.receipt


def test_receipts_reckon_with_them():
    """A cache has prices by model; a call's own come first, for that call alone."""
    cache = PromptCache(prices={"own-1": {"input": 4, "output": 1}})

    assert settled(cache).cost_usd == 0.004
    call = {"input": 1, "output": 1}
    assert settled(cache, prices=call).cost_usd == 0.001
    assert settled(cache, prices={"other": {"input": 1}}).cost_usd is None
    assert settled(cache).cost_usd == 0.004
    assert cache.report().to_dict()["total"]["requests"] == 4
