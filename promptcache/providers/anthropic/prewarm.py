"""Writing a head before the first request that reads it.

A request with `max_tokens: 0` writes at its breakpoints and answers at once; it is
billed as a write. Source:
https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pre-warming
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["warming"]

_PLACEHOLDER = {"role": "user", "content": "."}
"""Any text but white space will do; it ends the prompt and is not written."""


def warming(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that writes what requests like this one begin with.

    Args:
        request: Arguments of `messages.create`; of `messages`, give those that every
            conversation begins with, or none.
    """
    messages = [*request.get("messages", ()), _PLACEHOLDER]
    return {**request, "messages": messages, "max_tokens": 0}
