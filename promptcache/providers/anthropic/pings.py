"""The request that reads a prefix again, so that it lives on.

A request with `max_tokens: 0` reads and writes at its breakpoints and answers at once.
It is refused with a stream, with `thinking.type: "enabled"`, with a format of the
answer, and with a forced tool; all of these but the stream are part of what is cached,
so a request that has one is not repeated. Source:
https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pre-warming
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["can_repeat", "repeated"]

_FORCED = ("any", "tool")
_LEFT_OUT = ("stream", "diagnostics")
"""What a ping has no use for, and what is no part of a prefix."""


def can_repeat(body: Mapping[str, Any]) -> bool:
    """Tell whether a body is accepted with `max_tokens: 0`."""
    output = body.get("output_config")
    return not (
        _kind(body.get("thinking")) == "enabled"
        or _kind(body.get("tool_choice")) in _FORCED
        or (isinstance(output, Mapping) and output.get("format") is not None)
        or body.get("output_format") is not None
    )


def repeated(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a ping: what was sent, with nothing to answer."""
    kept = {name: value for name, value in body.items() if name not in _LEFT_OUT}
    return {**kept, "max_tokens": 0}


def _kind(value: object) -> object:
    return value.get("type") if isinstance(value, Mapping) else None
