"""Rows of facts as a caller may override them, for every provider alike."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import inf
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from promptcache.errors import OptionError

__all__ = ["laid_over", "model_rows"]

Row = TypeVar("Row")


def model_rows(
    overrides: Mapping[str, Mapping[str, Any]] | None,
) -> Mapping[str, Mapping[str, Any]]:
    """Return the overrides that are for models; one with a `host` is for a server."""
    return {
        name: fields
        for name, fields in (overrides or {}).items()
        if "host" not in fields
    }


def laid_over(row: Row, fields: Mapping[str, Any], allowed: str) -> Row:
    """Return a row with a caller's fields laid over it; itself if there are none.

    Args:
        row: A frozen dataclass.
        fields: What the caller says of it.
        allowed: The fields that may be said, for the error.

    Raises:
        OptionError: A field is not one of the row's, or cannot have that value.
    """
    if not fields:
        return row
    kind: Any = type(row)
    kinds = _kinds(kind)
    try:
        read = {name: _read(value, kinds[name]) for name, value in fields.items()}
    except (KeyError, ValueError) as error:
        raise OptionError("facts", dict(fields), allowed) from error
    changed: Row = replace(row, **read)  # type: ignore[type-var]
    return changed


@cache
def _kinds(row: type) -> Mapping[str, Any]:
    """Return the types of a row's fields; each request of a changed row asks."""
    return get_type_hints(row)


def _read(value: Any, kind: Any) -> Any:
    """Return a value as a field of that type has it: lists of a file become tuples.

    Raises:
        ValueError: It is of another type, or a number below 0.
    """
    form, inner = get_origin(kind), get_args(kind)
    if form is UnionType:
        return None if value is None else _read(value, inner[0])
    if form is tuple and isinstance(value, list | tuple):
        if inner[-1] is ...:
            return tuple(_read(it, inner[0]) for it in value)
        return tuple(_read(*it) for it in zip(value, inner, strict=True))
    if form is Literal:
        fits = isinstance(value, str) and value in inner
    elif kind in (int, float):
        is_number = isinstance(value, int | kind) and not isinstance(value, bool)
        fits = is_number and 0 <= value < inf
    else:
        fits = form is None and isinstance(value, kind)
    if not fits:
        raise ValueError(value)
    return value
