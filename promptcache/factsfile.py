"""Provider rules that a user lays over those that ship, in a TOML file.

A table a model, its fields as the provider's rows name them:

    [claude-sonnet-5-5]
    minimum_tokens = 1024
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptcache.errors import OptionError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_facts"]


def read_facts(path: str | None) -> Mapping[str, Mapping[str, Any]]:
    """Read the file; no path is no rules.

    Raises:
        OptionError: The file cannot be read, or is not a table of tables.
    """
    if not path:
        return {}
    allowed = "the path of a TOML file with a table for each model"
    try:
        rows = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError("PROMPTCACHE_FACTS", path, allowed) from error
    if not all(isinstance(row, dict) for row in rows.values()):
        raise OptionError("PROMPTCACHE_FACTS", path, allowed)
    return rows
