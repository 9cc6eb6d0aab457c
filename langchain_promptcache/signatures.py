"""Methods of ours that say of themselves what the stock class's say.

Documentation, editors and LangChain's standard tests ask a class which arguments its
methods take, and those differ between the classes that ours stand in for.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature, unwrap
from typing import Any

__all__ = ["speak_as_parents"]

Method = Callable[..., Any]


def speak_as_parents(kind: type, mixin: type, names: tuple[str, ...]) -> None:
    """Have a class's methods show the signatures and texts of those that they call.

    Methods that the class or a base of it has put in place of ours stay as they are.

    Args:
        kind: A class that was derived from the mixin just now.
        mixin: Whose methods are meant.
        names: Which of them; no asynchronous ones.
    """
    for name in names:
        ours, parents = mixin.__dict__[name], getattr(super(mixin, kind), name)
        if unwrap(getattr(kind, name)) is ours:
            setattr(kind, name, _speaking_as(parents, ours))


def _speaking_as(parents: Method, ours: Method) -> Method:
    @wraps(ours)
    def method(*args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    method.__doc__ = parents.__doc__
    method.__signature__ = signature(parents)  # type: ignore[attr-defined]
    return method
