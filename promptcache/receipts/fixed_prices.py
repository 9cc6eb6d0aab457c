"""Prices that a caller states, for all requests or for one.

Rule 1: a rate that is not stated is not guessed; what that leaves unknown has no cost.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from promptcache.errors import OptionError
from promptcache.receipts.prices import STANDARD, GenaiPrices, Prices, spellings
from promptcache.receipts.rates import Cost, Rates
from promptcache.receipts.usage import Usage

__all__ = ["FixedPrices", "read_prices"]

_ANY = "*"
_RATES = (
    "input",
    "read",
    "written",
    "written_1h",
    "written_12h",
    "output",
    "storage",
)
_NAMES = ", ".join(_RATES)
_ALLOWED = (
    "a Prices, or a dict of US dollars per million tokens, for all models or for each: "
    f"{_NAMES}, tiers"
)


class FixedPrices:
    """US dollars per million tokens as the caller states them, by model.

    The rates of a model are `input`, `read`, `written` (for five minutes or for 30),
    `written_1h`, `written_12h`, `output`, and `storage` (of a cached content, by the
    hour). `input` has to be there. Without `read` there is no discount and without
    `written` no premium, as in the price list; any other rate that is left out is not
    known, and nor is the cost of a request that needs it. They are those of the
    standard service tier: `tiers` has the rates of the others by their names, and a
    tier that is not among them has no known price.

        FixedPrices({"gpt-6-sol": {"input": 1.5, "read": 0.15, "output": 8}})

    The model `"*"` stands for each that is not named.
    """

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any]],
        *,
        otherwise: Prices | None = None,
    ) -> None:
        """State prices.

        Args:
            models: Rates by model, whose date and path may be left out.
            otherwise: Prices of models that are not named; else those that
                `genai-prices` ships.

        Raises:
            OptionError: A rate is not known by that name, or is no amount.
        """
        self._models = {name: _read(rates) for name, rates in models.items()}
        self._otherwise: Prices = GenaiPrices() if otherwise is None else otherwise

    def __repr__(self) -> str:
        return f"FixedPrices({', '.join(self._models)})"

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
        tiers = self._of(provider, model)
        if tiers is None:
            return self._otherwise.cost(provider, model, usage, tier=tier, at=at)
        rates = tiers.get(None if tier in STANDARD else tier)
        if rates is None or usage.input_tokens is None:
            return None
        return rates[0].cost(usage, usage.input_tokens)

    def storage(self, provider: str, model: str) -> float | None:
        """Return what a million stored tokens cost for an hour, if that is stated."""
        tiers = self._of(provider, model)
        storage = None if tiers is None else tiers[None][1]
        return None if storage is None else float(storage)

    def _of(self, provider: str, model: str) -> "_Tiers | None":
        for _, name in spellings(provider, model):
            if name in self._models:
                return self._models[name]
        return self._models.get(_ANY)


_Tiers = Mapping[str | None, tuple[Rates, Decimal | None]]
"""Rates, and the price of storage, by service tier; None is the standard one."""


def read_prices(said: object) -> Prices:
    """Read prices as a caller states them.

    Args:
        said: A source of prices; rates of each model, or of all of them; or None for
            the prices that `genai-prices` ships.

    Raises:
        OptionError: It is none of these.
    """
    if said is None:
        return GenaiPrices()
    if isinstance(said, Prices):
        return said
    if not isinstance(said, Mapping) or not said:
        raise OptionError("prices", said, _ALLOWED)
    if any(name in said for name in _RATES):
        return FixedPrices({_ANY: said})
    return FixedPrices(said)


def _read(said: object) -> _Tiers:
    if not isinstance(said, Mapping):
        raise OptionError("prices", said, _ALLOWED)
    standard = {name: it for name, it in said.items() if name != "tiers"}
    others = said.get("tiers", {})
    if not isinstance(others, Mapping):
        raise OptionError("prices", others, "rates by the name of a service tier")
    named = {None: standard, **others}
    return {tier: _read_rates(rates) for tier, rates in named.items()}


def _read_rates(said: object) -> tuple[Rates, Decimal | None]:
    if not isinstance(said, Mapping) or "input" not in said:
        raise OptionError("prices", said, f"`input`, and any of {_NAMES}")
    unknown = [name for name in said if name not in _RATES]
    if unknown:
        raise OptionError("prices", unknown[0], f"{_NAMES}, tiers")
    rates = {name: _amount(name, said.get(name)) for name in _RATES}
    plain = rates["input"]
    if plain is None:
        raise OptionError("prices", said, "an amount as `input`")
    written, hour = rates["written"], rates["written_1h"]
    made = Rates(
        above=-1,
        input=plain,
        read=plain if rates["read"] is None else rates["read"],
        written=plain if written is None else written,
        # As in the price list: where writing has no price, it is free for any time.
        written_1h=plain if written is None and hour is None else hour,
        written_12h=rates["written_12h"],
        output=rates["output"],
    )
    return made, rates["storage"]


def _amount(name: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float | Decimal) and type(value) is not bool
    if not is_number or not isfinite(value) or value < 0:
        raise OptionError(f"prices.{name}", value, "0 or more dollars a million tokens")
    return Decimal(str(value))
