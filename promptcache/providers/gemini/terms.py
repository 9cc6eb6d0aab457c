"""What a cached content costs: creating it, keeping it, reading it.

Rule 1: a price that is not known is None, and then nothing is created unasked.
"""

from dataclasses import dataclass
from datetime import datetime, timezone

from promptcache.providers.gemini.facts import ModelFacts
from promptcache.receipts.fixed_prices import FixedPrices
from promptcache.receipts.prices import Prices
from promptcache.receipts.usage import Usage

__all__ = ["Terms", "terms_of"]

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """US dollars for one token of a cached content."""

    input: float
    """To send it instead."""
    read: float
    """To read it once."""
    storage: float
    """To keep it for an hour."""
    creation: float
    """To create it. The Developer API says nothing of that; Vertex AI bills the input
    price, and so it is reckoned everywhere."""


def terms_of(
    prices: Prices, model: str, facts: ModelFacts, *, tokens: int, at: float
) -> Terms | None:
    """Return what a cached content costs, or None if a price is not known.

    Args:
        prices: What tokens cost.
        model: The model as the request spells it.
        facts: Its row, which has the price of storage where `prices` says none.
        tokens: Of the prompts that read it, since prices may depend on that.
        at: The time, in UTC seconds.
    """
    storage = facts.storage_price_on(datetime.fromtimestamp(at, tz=timezone.utc).date())
    size = max(tokens, 1)
    usage = Usage(
        input_tokens=size, read_tokens=size, written_tokens=0, output_tokens=0
    )
    cost = prices.cost("google", model.rsplit("/", 1)[-1], usage, at=at)
    if isinstance(prices, FixedPrices):
        said = prices.storage("google", model)
        storage = storage if said is None else said
    if storage is None or cost is None:
        return None
    plain, read = cost.without_caching_usd / size, cost.usd / size
    return Terms(plain, read, storage / _MILLION, creation=plain)
