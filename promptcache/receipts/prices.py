"""What tokens cost, from the price list of `genai-prices`.

Rule 1: what has no known price has no cost: `None`, never zero.
Rule 2: the list is the one that is installed; nothing here uses the network.
Rule 3: the list is asked once per model, tier and quarter of an hour; after that a
cost is a handful of multiplications.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from promptcache.receipts.rates import Cost, Rates
from promptcache.receipts.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

__all__ = ["STANDARD", "Cost", "GenaiPrices", "Prices", "spellings"]

STANDARD = frozenset({"auto", "default", "standard"})
"""Names of the tier that is meant where none is named."""

_STEP_SECONDS = 900
_TIER_KEYS = ("processing", "service_tier", "speed")
_LISTED = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "cache_write_12h",
    "output",
)
"""The list's names of prices. It has none of the last lifetime so far: None."""
_BEDROCK = re.compile(r"(?:^|\.)(?:anthropic|openai)\.")
_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")


@runtime_checkable
class Prices(Protocol):
    """A source of prices."""

    def cost(
        self,
        provider: str,
        model: str,
        usage: Usage,
        *,
        tier: str | None = None,
        at: float | None = None,
    ) -> Cost | None:
        """Return what one request cost.

        Args:
            provider: The provider's or the platform's name, such as `anthropic`.
            model: The model as the request or the answer spells it.
            usage: The tokens of this one request, since a price may depend on the
                size of the prompt.
            tier: The service tier, such as `batch` or `fast`; standard if not given.
            at: When the request was made, in UTC seconds; today if not given.

        Returns:
            The cost, or `None` if the price or a token count it needs is unknown.
        """
        ...


class GenaiPrices:
    """The prices that come with the installed `genai-prices`.

    The list has one price for writing for a short time, five minutes or 30 by provider,
    one for an hour, and none for twelve hours. Written tokens of unreported lifetime
    are priced as living for the short time. A token count that is not reported only
    matters if its price differs from that of plain input, so a provider that writes for
    free need not report what it wrote. Where the list has no price for reading, there
    is no discount.
    """

    def load(self) -> None:
        """Read the price list, which takes up to a second, ahead of the first cost."""
        _bands("anthropic", "", None, None)

    def cost(
        self,
        provider: str,
        model: str,
        usage: Usage,
        *,
        tier: str | None = None,
        at: float | None = None,
    ) -> Cost | None:
        """Return what one request cost, as `Prices` describes."""
        if usage.input_tokens is None:
            return None
        step = None if at is None else int(at // _STEP_SECONDS)
        for band in _bands(provider, model, tier, step):
            if usage.input_tokens > band.above:
                return band.cost(usage, usage.input_tokens)
        return None


def spellings(provider: str, model: str) -> Iterator[tuple[str, str]]:
    """Yield the platform and model names to look for, the most exact first.

    Args:
        provider: The provider's or the platform's name.
        model: The model as the request or the answer spells it, with its path or date.
    """
    name = model.rsplit("/", 1)[-1]
    platform = "aws" if _BEDROCK.search(name) else provider
    yield provider, model
    yield platform, name
    undated = name.partition("@")[0] if "@" in name else _DATE.sub("", name)
    yield platform, undated


@lru_cache(maxsize=512)
def _bands(
    provider: str, model: str, tier: str | None, step: int | None
) -> tuple[Rates, ...]:
    """Return the bands of a model's price, largest prompts first; none if unknown."""
    for platform, name in spellings(provider, model):
        try:
            price = _price(platform, name, tier, step)
        except LookupError:
            continue
        return () if price is None else _bands_of(price)
    return ()


def _price(
    platform: str, model: str, tier: str | None, step: int | None
) -> "ModelPrice | None":
    # Imported here, since it takes half a second and many processes never need it.
    from genai_prices import Usage as ListUsage  # noqa: PLC0415
    from genai_prices import calc_price  # noqa: PLC0415

    at = (
        None
        if step is None
        else datetime.fromtimestamp(step * _STEP_SECONDS, tz=timezone.utc)
    )

    def listed(context: dict[str, str] | None) -> "ModelPrice":
        return calc_price(
            ListUsage(input_tokens=0, output_tokens=0),
            model,
            provider_id=platform,
            genai_request_timestamp=at,
            price_context=context,
        ).model_price

    standard = listed(None)
    if tier is None or tier in STANDARD:
        return standard
    special = listed(dict.fromkeys(_TIER_KEYS, tier))
    # The list answers with the standard price where it knows none for the tier.
    return None if special == standard else special


def _bands_of(price: "ModelPrice") -> tuple[Rates, ...]:
    listed = [getattr(price, f"{name}_mtok", None) for name in _LISTED]
    starts = {tier.start for entry in listed for tier in getattr(entry, "tiers", ())}
    bands = []
    for above in [*sorted(starts, reverse=True), -1]:
        plain, read, short, hour, half_day, output = (
            _rate(entry, above) for entry in listed
        )
        if plain is None:
            return ()
        bands.append(
            Rates(
                above=above,
                input=plain,
                read=plain if read is None else read,
                written=plain if short is None else short,
                written_1h=plain if short is None and hour is None else hour,
                written_12h=half_day,
                output=output,
            )
        )
    return tuple(bands)


def _rate(entry: object, above: int) -> Decimal | None:
    """Return the price per million for prompts just over `above` tokens."""
    if entry is None or isinstance(entry, Decimal):
        return entry
    rate: Decimal = entry.base  # type: ignore[attr-defined]
    for tier in entry.tiers:  # type: ignore[attr-defined]
        if tier.start <= above:
            rate = tier.price
    return rate
