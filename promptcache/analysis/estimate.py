"""`estimate`: what a prefix costs, before anybody sends it."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from promptcache.analysis.estimating import Estimate, Load, estimated, unestimated
from promptcache.analysis.offers import offer_of, provider_of
from promptcache.clock import SystemClock
from promptcache.errors import OptionError
from promptcache.factsfile import read_facts
from promptcache.receipts.fixed_prices import FixedPrices, read_prices
from promptcache.receipts.prices import Prices
from promptcache.ttl import read_gap

__all__ = ["estimate"]


def estimate(  # noqa: PLR0917 - what is asked first comes first, as it is spoken
    model: str,
    prefix_tokens: int,
    tail_tokens: int = 0,
    output_tokens: int = 0,
    requests: int = 10,
    ttl: str | timedelta | None = None,
    prices: Prices | Mapping[str, Any] | None = None,
    *,
    every: float | str | timedelta | None = None,
    provider: str | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Estimate:
    """Return what requests that begin alike cost, with prompt caching and without.

    Nothing is sent. The prefix is written by the first request, or created before it
    on Gemini, and read by the others while it lives.

    Args:
        model: As requests spell it; its provider may stand before a colon.
        prefix_tokens: Tokens that all requests begin with.
        tail_tokens: Tokens of each request after that.
        output_tokens: Tokens of each answer.
        requests: How many there are.
        ttl: How long the prefix is kept: `5m` or `1h` on Anthropic, `30m` or `12h` on
            OpenAI (`24h` for models without breakpoints), any time from a minute on
            Gemini; else the provider's first.
        prices: A source of prices, or US dollars for a million tokens: `input`, `read`,
            `written`, `written_1h`, `output`, and `storage` by the hour; else those
            that `genai-prices` ships.
        every: Time from one request to the next, in seconds or as a timedelta. Where
            that is longer than the prefix lives, it is written again. Without it,
            every request comes in time.
        provider: `anthropic`, `google` or `openai`, where the name does not tell.
        facts: Provider rules by model, as `PromptCache` takes them.

    Returns:
        The estimate. What is not known is None, and its notes say why.

    Raises:
        OptionError: A value is not allowed.
    """
    if not isinstance(model, str) or not model:
        raise OptionError("model", model, "the name of a model")
    for name, count in (
        ("prefix_tokens", prefix_tokens),
        ("tail_tokens", tail_tokens),
        ("output_tokens", output_tokens),
    ):
        _check(name, count, least=0)
    _check("requests", requests, least=1)
    found, bare = provider_of(model, provider)
    load = Load(
        model=bare,
        provider=found,
        prefix_tokens=prefix_tokens,
        tail_tokens=tail_tokens,
        output_tokens=output_tokens,
        requests=requests,
        every_seconds=None if every is None else read_gap(every),
    )
    source = read_prices(prices)
    if found is None:
        return unestimated(load, "whose model this is its name does not tell")
    at = SystemClock().now()
    rows = {**read_facts(os.environ.get("PROMPTCACHE_FACTS")), **(facts or {})}
    offer = offer_of(found, bare, prefix=prefix_tokens, ttl=ttl, at=at, facts=rows)
    if isinstance(source, FixedPrices):
        offer = offer.priced(source.storage(found, bare))
    return estimated(load, offer, source, at=at)


def _check(name: str, count: object, *, least: int) -> None:
    is_count = isinstance(count, int) and not isinstance(count, bool)
    if not is_count or count < least:  # type: ignore[operator]
        raise OptionError(name, count, f"a whole number from {least}")
