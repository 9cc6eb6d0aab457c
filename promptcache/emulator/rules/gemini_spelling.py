"""The spellings of a request that the server takes to be the same.

Rule 1: a field may be spelled in camelCase or snake_case, an enum by name or number, a
list of one as the one; null is absent. Source: what google-genai 2.34 and 3.4 and
google-generativeai 0.8.6 were seen to send, and the JSON form of protocol buffers.
Rule 2: what the caller made up is left alone: arguments, results, JSON schemas, labels.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["Body", "camel", "spelled"]

Body: TypeAlias = Mapping[str, Any]

OPAQUE = frozenset(
    [
        "args",
        "labels",
        "parametersJsonSchema",
        "partMetadata",
        "response",
        "responseJsonSchema",
    ]
)
MAPS = frozenset(["defs", "properties"])
LISTS = frozenset(["contents", "functionDeclarations", "parts", "tools"])
ENUMS: Mapping[str, tuple[str, ...]] = {
    "mode": ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE"),
    "type": (
        "TYPE_UNSPECIFIED",
        "STRING",
        "NUMBER",
        "INTEGER",
        "BOOLEAN",
        "ARRAY",
        "OBJECT",
    ),
}
_UNDERSCORE = re.compile(r"_([a-z0-9])")


def camel(name: str) -> str:
    """Return a field's name in camelCase."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)


def spelled(value: Any) -> Any:
    """Return a message in the one spelling that the other rules read."""
    if isinstance(value, list):
        return [spelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = ((camel(name), it) for name, it in value.items() if it is not None)
    return {name: _field(name, it) for name, it in fields}


def _field(name: str, value: Any) -> Any:
    if name in OPAQUE:
        return value
    if name in MAPS and isinstance(value, dict):
        return {key: spelled(it) for key, it in value.items()}
    if name in LISTS and isinstance(value, dict):
        value = [value]
    names = ENUMS.get(name, ())
    if isinstance(value, int) and not isinstance(value, bool) and names:
        return names[value] if 0 <= value < len(names) else value
    return spelled(value)
