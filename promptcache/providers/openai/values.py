"""Values of a body as the callers of an SDK may give them.

Rule 1: nothing is consumed and nothing is written to.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from promptcache.errors import UnreadableBodyError

__all__ = ["encoded", "fields_of", "mapping_of", "rest_of", "sequence_of", "word"]


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return a message, item, part or tool as a mapping; it may be an SDK's object.

    Raises:
        UnreadableBodyError: It is neither.
    """
    if type(value) is dict or isinstance(value, Mapping):
        return value
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    dumped = None if dump is None else dump(mode="json", exclude_unset=True)
    if isinstance(dumped, Mapping):
        return dumped
    raise UnreadableBodyError(f"a {type(value).__name__} stands for an object")


def fields_of(value: Any) -> Mapping[str, Any]:
    """Return a value as a mapping, an empty one if it is none."""
    try:
        return mapping_of(value)
    except UnreadableBodyError:
        return {}


def word(value: Any) -> str:
    """Return a role or a type; whatever else stands there is no known one."""
    return value if isinstance(value, str) else repr(value)


def sequence_of(value: Any, path: str) -> Sequence[Any]:
    """Return a list that a request may have; none at all is an empty one.

    Raises:
        UnreadableBodyError: It is no list: a generator can be read only once.
    """
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise UnreadableBodyError(f"`{path}` is a {type(value).__name__}, not a list")
    return value


def rest_of(message: Mapping[str, Any], own: frozenset[str]) -> dict[str, Any]:
    """Return what a message says besides its own fields; null and [] say nothing."""
    return {
        key: value
        for key, value in message.items()
        if key not in own and value is not None and value != []
    }


def encoded(value: Any, *, in_order: bool = False) -> bytes:
    """Return a value as JSON.

    Args:
        value: Any value that a body may have.
        in_order: Keep the order of keys, where a prompt has them in that order.

    Raises:
        UnreadableBodyError: It is no JSON, or is nested too deeply.
    """
    option = 0 if in_order else orjson.OPT_SORT_KEYS
    try:
        return orjson.dumps(value, default=_plain, option=option)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, which the SDK does send.
        try:
            text = json.dumps(value, default=_plain, sort_keys=not in_order)
        except (TypeError, ValueError, RecursionError) as error:
            raise UnreadableBodyError(f"a part is no JSON: {error}") from error
        return text.encode()


def _plain(value: Any) -> Any:
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    return repr(value) if dump is None else dump(mode="json", exclude_unset=True)
