"""Anthropic's usage objects, read into the one meaning that receipts have.

Its `input_tokens` are those after the last breakpoint; ours are the whole prompt.
Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

from collections.abc import Mapping
from typing import Any

from promptcache.receipts.usage import Usage, read_count

__all__ = ["merge_usage", "read_tier", "read_usage"]

_DEARER = frozenset({"us"})
"""Places of inference with a price of their own. Source:
https://platform.claude.com/docs/en/about-claude/pricing, 1.1 times."""


def read_usage(reported: Mapping[str, Any]) -> Usage:
    """Read the `usage` of a message; what it does not say stays unknown.

    Tokens of a compaction are not in the totals of the message, so they are added.
    """
    usage = _read(reported)
    iterations = reported.get("iterations")
    for one in iterations if isinstance(iterations, (list, tuple)) else ():
        if isinstance(one, Mapping) and one.get("type") == "compaction":
            usage += _read(one)
    return usage


def read_tier(reported: Mapping[str, Any]) -> str | None:
    """Return all that the price depends on beside the tokens, as far as it is said.

    That is the service tier, `fast` for the speed, and the place of inference where
    that is dearer: each has prices of its own, and they stack, as in `batch+us`.
    """
    tier = _text(reported.get("service_tier"))
    words = [tier, _text(reported.get("speed"))]
    special = [word for word in words if word is not None and word != "standard"]
    place = _text(reported.get("inference_geo"))
    if place in _DEARER:
        special.append(str(place))
    return "+".join(special) or tier


def merge_usage(start: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a later report of a stream over an earlier one.

    Counts in `message_delta` are cumulative, and what it leaves out or sends as null
    stays what `message_start` said: the split by lifetime stands only there.
    """
    merged = dict(start)
    merged.update({key: value for key, value in more.items() if value is not None})
    return merged


def _read(reported: Mapping[str, Any]) -> Usage:
    uncached = _count(reported, "input_tokens")
    read = _count(reported, "cache_read_input_tokens")
    split = reported.get("cache_creation")
    lives = split if isinstance(split, Mapping) else {}
    written_5m = _count(lives, "ephemeral_5m_input_tokens")
    written_1h = _count(lives, "ephemeral_1h_input_tokens")
    written = _count(reported, "cache_creation_input_tokens")
    if written is None and written_5m is not None and written_1h is not None:
        written = written_5m + written_1h
    if written == 0:
        written_5m, written_1h = 0, 0
    if written is not None and written_5m is not None and written_1h is not None:
        # What a server tool's result writes later in a stream lives for five minutes,
        # and the split is that of the stream's beginning.
        written_5m = max(written - written_1h, written_5m)
    parts = (uncached, read, written)
    known = [part for part in parts if part is not None]
    return Usage(
        input_tokens=sum(known) if len(known) == len(parts) else None,
        read_tokens=read,
        written_tokens=written,
        written_5m_tokens=written_5m,
        written_1h_tokens=written_1h,
        written_30m_tokens=None if written is None else 0,
        written_12h_tokens=None if written is None else 0,
        output_tokens=_count(reported, "output_tokens"),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(reported: Mapping[str, Any], name: str) -> int | None:
    return read_count(reported.get(name))
