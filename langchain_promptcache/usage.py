"""Token counts as LangChain's messages carry them, and as receipts do.

Rule 1: LangChain's input tokens include what was read and written; so do ours.
Rule 2: a count that cannot be read is unknown, and never an error.
Rule 3: what is written into a message has the form that LangChain itself gives to the
answer of such a call, and can be added up as that can.
"""

import logging
from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata

from promptcache import Receipt, Usage

__all__ = [
    "OPTION",
    "completed",
    "is_replayed",
    "read_usage",
    "usage_of_text",
    "with_receipt",
    "without_receipt",
]

OPTION = "prompt_cache"
"""The field, the argument of a call, and where a message has its receipt."""

_LOGGER = logging.getLogger("promptcache")

_READ = "cache_read"
_WRITTEN = "cache_creation"
_5M = "ephemeral_5m_input_tokens"
_1H = "ephemeral_1h_input_tokens"
_DETAILS = "input_token_details"

_WITH_LIFETIMES = frozenset({"anthropic"})
"""Providers of whose answers LangChain tells how long what was written lives."""


def read_usage(said: Mapping[str, Any]) -> tuple[Usage, str | None]:
    """Return the tokens of a message's `usage_metadata`, and the tier they are of.

    OpenAI's tiers stand before the names of counts, as in `priority_cache_read`. With
    lifetimes given, LangChain says 0 for what was written in all, or the sum.
    """
    counts = _Counts(said)
    details = said.get(_DETAILS)
    inner = _Counts(details if isinstance(details, Mapping) else {})
    tier = next((it for name in inner.said if (it := _tier_in(name))), None)
    read = inner.total(_of_any_tier(inner, _READ))
    written = inner.total((*_of_any_tier(inner, _WRITTEN), _5M, _1H))
    given = counts.total(("input_tokens",))
    if given is not None:
        # Some count what was read and written beside the input.
        given = max(given, (read or 0) + (written or 0))
    usage = Usage(
        input_tokens=given,
        read_tokens=read,
        written_tokens=written,
        written_5m_tokens=inner.total((_5M,)),
        written_1h_tokens=inner.total((_1H,)),
        output_tokens=counts.total(("output_tokens",)),
    )
    odd = (*counts.odd, *inner.odd)
    if odd or not isinstance(details, Mapping | None):
        _LOGGER.debug("Some of the usage of a message is no count: %s", odd or _DETAILS)
    return usage, tier


def is_replayed(message: AIMessage) -> bool:
    """Tell whether LangChain had an answer in store, so that nothing was asked.

    Such an answer has the usage of the one that it repeats, at no cost.
    """
    usage = cast("Mapping[str, Any]", message.usage_metadata or {})
    return usage.get("total_cost") == 0


def with_receipt(
    message: BaseMessage, receipt: Receipt, *, is_whole: bool
) -> BaseMessage:
    """Return a message with a receipt on it, and with the usage that this knows.

    Args:
        message: An answer, or the chunk of one that has its usage; stays as it is.
        receipt: What the receipt is of.
        is_whole: Whether the message is the whole answer.
    """
    metadata = {OPTION: receipt.to_metadata(), **message.response_metadata}
    changes: dict[str, Any] = {"response_metadata": metadata}
    if isinstance(message, AIMessage):
        usage = completed(message.usage_metadata, receipt, is_whole=is_whole)
        changes["usage_metadata"] = usage
    return message.model_copy(update=changes)


def without_receipt(message: BaseMessage) -> BaseMessage:
    """Return a message without the receipt of the answer that it repeats."""
    if OPTION not in message.response_metadata:
        return message
    left = {k: v for k, v in message.response_metadata.items() if k != OPTION}
    return message.model_copy(update={"response_metadata": left})


def usage_of_text(output: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the usage of an answer that is no message, as a message would have it.

    Args:
        output: The `llm_output` of the result, where models of plain text tell it.
    """
    said = (output or {}).get("token_usage")
    if not isinstance(said, Mapping) or not said:
        return None
    details = said.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return {
        "input_tokens": said.get("prompt_tokens"),
        "output_tokens": said.get("completion_tokens"),
        _DETAILS: {_READ: cached},
    }


def completed(
    said: UsageMetadata | None, receipt: Receipt, *, is_whole: bool
) -> UsageMetadata | None:
    """Return a message's usage with what LangChain has lost on the way.

    Streams of Anthropic lose the lifetimes of what was written, and behind some
    gateways the input. Where nothing is missing, what was said is returned.

    Args:
        said: The message's `usage_metadata`.
        receipt: What the receipt says.
        is_whole: Whether there is no other message that may say it.
    """
    usage = receipt.usage
    if said is None:
        return _made(receipt) if is_whole else None
    five, hour = usage.written_5m_tokens, usage.written_1h_tokens
    details: Mapping[str, Any] = cast("Any", said).get(_DETAILS) or {}
    is_lost = receipt.provider in _WITH_LIFETIMES and _5M not in details
    if not is_lost or five is None or hour is None or receipt.requests != 1:
        return said
    given = usage.input_tokens
    given = said["input_tokens"] if given is None else given
    changed: Any = {
        **said,
        "input_tokens": given,
        "total_tokens": given + said["output_tokens"],
        _DETAILS: {
            **details,
            _READ: details.get(_READ, 0)
            if usage.read_tokens is None
            else usage.read_tokens,
            _WRITTEN: max((usage.written_tokens or 0) - five - hour, 0),
            _5M: five,
            _1H: hour,
        },
    }
    return cast("UsageMetadata", changed)


def _made(receipt: Receipt) -> UsageMetadata | None:
    usage = receipt.usage
    given, answered = usage.input_tokens, usage.output_tokens
    if given is None or answered is None:
        return None
    details = {_READ: usage.read_tokens, _WRITTEN: usage.written_tokens}
    if receipt.provider in _WITH_LIFETIMES:
        five, hour = usage.written_5m_tokens, usage.written_1h_tokens
        details |= {_5M: five, _1H: hour}
        if five is not None and hour is not None:
            details[_WRITTEN] = 0
    made: Any = {
        "input_tokens": given,
        "output_tokens": answered,
        "total_tokens": given + answered,
        _DETAILS: {name: it for name, it in details.items() if it is not None},
    }
    return cast("UsageMetadata", made)


class _Counts:
    """The counts of a mapping, as far as they are counts."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.said = said
        self.odd: list[str] = []
        """Names of what is no count."""

    def total(self, names: tuple[str, ...]) -> int | None:
        """Return the sum of what is said; None if nothing is, or if one is no count."""
        there = [name for name in names if self.said.get(name) is not None]
        odd = [name for name in there if not _is_count(self.said[name])]
        self.odd.extend(name for name in odd if name not in self.odd)
        if odd or not there:
            return None
        return sum(int(self.said[name]) for name in there)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _of_any_tier(counts: _Counts, name: str) -> tuple[str, ...]:
    return tuple(it for it in counts.said if it == name or _tier_in(it, name))


def _tier_in(name: object, *counts: str) -> str | None:
    for count in counts or (_READ, _WRITTEN):
        tier, found, end = str(name).rpartition(f"_{count}")
        if found and tier and not end:
            return tier
    return None
