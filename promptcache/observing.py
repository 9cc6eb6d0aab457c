"""Receipts of calls that passed no seam, from what a framework tells of them.

Rule 1: what is told is written down as it is; nothing is guessed.
"""

from collections.abc import Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from promptcache.options import CallOptions
from promptcache.planlog import note_unread
from promptcache.providers import ProviderName, provider_named
from promptcache.receipts.collect import deliver
from promptcache.receipts.events import Settled
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage
from promptcache.runs import identified

if TYPE_CHECKING:
    from promptcache.cache import PromptCache

__all__ = ["observe", "read_usage"]


def read_usage(
    reported: Mapping[str, Any], *, form: ProviderName, model: str = ""
) -> Usage:
    """Return the tokens of a usage in the form that a provider's API gives it.

    What is no count, such as a text or a negative number, is unknown, and logged at
    DEBUG.

    Args:
        reported: The usage.
        form: Whose API has this form; others have taken it over.
        model: The model that answered, for the log.
    """
    note_unread(form, model, reported)
    return provider_named(form).usage(reported)


def observe(
    cache: "PromptCache",
    usage: Usage,
    *,
    provider: str,
    model: str,
    at: float,
    tier: str | None = None,
    first_token: float | None = None,
    options: CallOptions | None = None,
    message_id: str | None = None,
    run_id: str | None = None,
) -> Receipt:
    """Write the receipt of a call that was made past every client we know.

    It is in the cache's report, and its listeners and collectors are told of it.

    Args:
        cache: Whose prices it is reckoned with, and who is told.
        usage: The tokens of this one call.
        provider: Who was called, as prices name them, such as `aws`.
        model: The model that answered.
        at: When the call was made, in UTC seconds.
        tier: The service tier that it was answered in, where that has a price.
        first_token: When the answer began, in UTC seconds; None if nobody knows.
        options: Who asked, and other prices if there are any.
        message_id: The provider's id of the answer.
        run_id: The framework's own id of the call.
    """
    said = CallOptions() if options is None else options
    prices = said.prices or cache.prices
    cost = prices.cost(provider, model, usage, tier=tier, at=at)
    receipt = Receipt(
        provider=provider,
        model=model,
        at=at,
        policy="off",
        usage=usage,
        cost_usd=None if cost is None else cost.usd,
        without_caching_usd=None if cost is None else cost.without_caching_usd,
        # A clock that was set back must not make times negative.
        first_token_s=None if first_token is None else max(first_token - at, 0.0),
        total_s=max(cache.clock.now() - at, 0.0),
        tenant=said.tenant,
        conversation=said.conversation,
        id=message_id,
    )
    with identified(run_id):
        deliver(receipt, owner=cache)
        cache.report().add(receipt)
        cache.tell(Settled(receipt, copy_context()))
    return receipt
