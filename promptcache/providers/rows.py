"""Rows of facts as a caller may override them, for every provider alike."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

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
        OptionError: A field is not one of the row's.
    """
    if not fields:
        return row
    try:
        changed: Row = replace(row, **fields)  # type: ignore[type-var]
    except (TypeError, ValueError) as error:
        raise OptionError("facts", dict(fields), allowed) from error
    return changed
