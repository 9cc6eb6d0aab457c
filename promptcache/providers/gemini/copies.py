"""Shallow copies of the SDK's objects that share what these hold and never end it.

Source: `google-genai` 3.4, client.py: a client that nobody holds any more closes the
connections, which another one may be using.
"""

from functools import lru_cache
from typing import Any

__all__ = ["lasting_copy", "moved"]


def lasting_copy(original: Any) -> Any:
    """Return a shallow copy that does nothing when nobody holds it any more."""
    kind: Any = type(original)
    copied = object.__new__(_lasting(kind))
    vars(copied).update(vars(original))
    return copied


def moved(holder: Any, plain: Any, front: Any) -> Any:
    """Return a copy of an object of the SDK that uses another API client.

    Args:
        holder: A client, or one of the parts of a client.
        plain: The API client that it uses, like its parts and theirs.
        front: What they are to use instead.
    """
    return _moved(holder, {id(plain): front}, plain)


def _moved(holder: Any, copies: dict[int, Any], plain: Any) -> Any:
    copied = copies[id(holder)] = lasting_copy(holder)
    for name, value in vars(holder).items():
        if id(value) in copies:
            setattr(copied, name, copies[id(value)])
        elif getattr(value, "__dict__", {}).get("_api_client") is plain:
            setattr(copied, name, _moved(value, copies, plain))
    return copied


@lru_cache(maxsize=64)
def _lasting(kind: Any) -> Any:
    """Return a class that is the given one in all but its end."""
    if not hasattr(kind, "__del__"):
        return kind
    fields = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__del__": _stay,
    }
    return type(kind)(kind.__name__, (kind,), fields)


def _stay(self: Any) -> None:
    """End nothing: the original does."""
