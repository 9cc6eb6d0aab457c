"""OpenAI's usage objects, read into the one meaning that receipts have.

Source: https://developers.openai.com/api/docs/guides/prompt-caching, and the SDK's
types of both APIs.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.receipts.usage import Usage, read_count

__all__ = ["metered", "read_usage"]


def read_usage(reported: Mapping[str, Any]) -> Usage:
    """Read the `usage` of a completion or a response; what it does not say is unknown.

    Tokens read and tokens written are slices of the input that do not overlap.
    """
    details = _details(reported, "prompt_tokens_details", "input_tokens_details")
    split = _details(details, "cache_write_tokens_details")
    written_30m = _count(split, "ttl_30m_tokens")
    written_12h = _count(split, "ttl_12h_tokens")
    written = _count(details, "cache_write_tokens")
    if written is None and written_30m is not None and written_12h is not None:
        written = written_30m + written_12h
    if written == 0:
        written_30m = written_12h = 0
    no_such = None if written is None else 0
    return Usage(
        input_tokens=_count(reported, "prompt_tokens", "input_tokens"),
        read_tokens=_count(details, "cached_tokens"),
        written_tokens=written,
        written_5m_tokens=no_such,
        written_1h_tokens=no_such,
        output_tokens=_count(reported, "completion_tokens", "output_tokens"),
        written_30m_tokens=written_30m,
        written_12h_tokens=written_12h,
    )


def metered(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a streaming body with the question for its usage, unless that is answered.

    Without it a stream of Chat Completions tells no usage at all.
    """
    given = body.get("stream_options")
    options = {} if given is None else given
    if body.get("stream") is not True or not isinstance(options, Mapping):
        return body
    if options.get("include_usage") is not None:
        return body
    return {**body, "stream_options": {**options, "include_usage": True}}


def _details(reported: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found = (reported.get(name) for name in names)
    return next((value for value in found if isinstance(value, Mapping)), {})


def _count(reported: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = read_count(reported.get(name))
        if value is not None:
            return value
    return None
