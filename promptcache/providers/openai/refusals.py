"""Whether a refusal is about a field that we added.

Rule 1: what the caller said is the caller's: a refusal of that is handed on.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptcache.providers.openai.breakpoints import MARK
from promptcache.providers.openai.values import fields_of

__all__ = ["names_our_fields", "refuses_system"]

_STATUSES = (400, 422)

_SYSTEM_ROLES = ("system message", "developer message", "'system'", "'developer'")

_FIELDS = {
    "prompt_cache_key": "prompt_cache_key",
    "prompt_cache_options": "prompt_cache_options",
    "prompt_cache_retention": "prompt_cache_retention",
    "stream_options": "stream_options",
    "include_usage": "stream_options",
}
"""The field of a body by the word that a refusal has for it."""


def names_our_fields(
    status: int,
    message: str,
    *,
    built: Mapping[str, Any],
    sent: Mapping[str, Any],
) -> bool:
    """Tell whether a refusal names a field that the caller did not send like that.

    Args:
        status: The HTTP status.
        message: The text of the refusal.
        built: The body as the framework built it.
        sent: The body that was refused.
    """
    if status not in _STATUSES:
        return False
    for word, name in _FIELDS.items():
        value = sent.get(name)
        if word in message and value is not None and value != built.get(name):
            return True
    return MARK in message and _is_ours(message, built, sent)


def refuses_system(status: int, message: str) -> bool:
    """Tell whether a refusal is about where a system or developer message stands.

    Servers of others say that in many words, all of which name the role.
    """
    words = message.lower()
    return status in _STATUSES and any(role in words for role in _SYSTEM_ROLES)


def _is_ours(message: str, built: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Tell whether we placed the breakpoint, or any if it is not said which."""
    callers, all_sent = set(_marked(built)), set(_marked(sent))
    named = {path for path in all_sent if f"{path}.{MARK}" in message}
    return bool((named or all_sent) - callers)


def _marked(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield where breakpoints stand, in the words of the provider."""
    for name in ("messages", "input"):
        for index, message in enumerate(_list(body.get(name))):
            for key in ("content", "output"):
                for number, part in enumerate(_list(fields_of(message).get(key))):
                    if fields_of(part).get(MARK) is not None:
                        yield f"{name}[{index}].{key}[{number}]"


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()
