"""Values that satisfy a JSON schema, drawn from a text where they can be.

The n-th integer asked for is the n-th integer of the text, and strings are quoted or
capitalized words of it, so that "what is magic_function of 3" calls it with 3.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["named_object", "schema_value"]

Schema: TypeAlias = Mapping[str, Any]

MAX_DEPTH = 12
FORMATS: Mapping[str, str] = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"|`([^`\n]+)`")
IDENTIFIER = re.compile(r"(?<=[`'\"])\w+(?=[`'\"])")
NAMED = re.compile(
    r"((?:[`'\"]\w+[`'\"](?:, and |, or | and | or |, | ))+)"
    r"(?:keys?|fields?|propert(?:y|ies))\b"
)
CAPITALIZED = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z]\w+(?: [A-Z]\w+)*")


def schema_value(schema: Schema, text: str = "") -> Any:
    """Return a value that satisfies the schema.

    Args:
        schema: A JSON schema; `$ref` may point into its own `$defs`.
        text: Where numbers and words are taken from.
    """
    return _Values(schema, text).of(schema, 0)


def named_object(text: str) -> Schema:
    """Return the schema of an object with the keys that a text asks for.

    They stand in quotes before the word for them: "with 'setup' and 'punchline' keys".
    """
    lists = NAMED.findall(text)
    names = [name for listed in lists for name in IDENTIFIER.findall(listed)]
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
    }


class _Values:
    def __init__(self, root: Schema, text: str) -> None:
        self.root = root
        self.numbers = [float(number) for number in NUMBER.findall(text)]
        quoted = ["".join(groups) for groups in QUOTED.findall(text)]
        self.words = [*quoted, *CAPITALIZED.findall(text), *text.split()[-1:]]
        self.used_numbers = 0
        self.used_words = 0

    def of(self, schema: Any, depth: int) -> Any:  # noqa: PLR0911  # one per keyword
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return None
        if "$ref" in schema:
            return self.of(self._target(str(schema["$ref"])), depth + 1)
        for fixed in ("const", "default"):
            if fixed in schema:
                return schema[fixed]
        if schema.get("enum"):
            return schema["enum"][0]
        if schema.get("allOf"):
            return self._all_of(schema, depth)
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return self.of(_preferred(schema[union]), depth + 1)
        return self._typed(schema, depth)

    def _all_of(self, schema: Schema, depth: int) -> Any:
        values = [self.of(part, depth + 1) for part in schema["allOf"]]
        objects = [value for value in values if isinstance(value, dict)]
        if len(objects) == len(values):
            return {key: value[key] for value in objects for key in value}
        return values[0]

    def _target(self, ref: str) -> Any:
        target: Any = self.root
        for step in ref.removeprefix("#").strip("/").split("/"):
            target = target.get(step, {}) if isinstance(target, Mapping) else {}
        return target

    def _typed(self, schema: Schema, depth: int) -> Any:  # noqa: PLR0911  # one each
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return int(self._number(schema))
            case "number":
                return self._number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        # Optional values that lead deeper could recurse without end.
        return {
            name: self.of(inner, depth + 1)
            for name, inner in properties.items()
            if name in required
        }

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        prefix = [self.of(inner, depth + 1) for inner in schema.get("prefixItems", ())]
        wanted = schema.get("minItems", 0 if prefix or depth > MAX_DEPTH // 2 else 1)
        missing = max(0, wanted - len(prefix))
        return [
            *prefix,
            *(self.of(schema.get("items", {}), depth + 1) for _ in range(missing)),
        ]

    def _number(self, schema: Schema) -> float:
        value: float = 1.0
        if self.numbers:
            value = self.numbers[min(self.used_numbers, len(self.numbers) - 1)]
            self.used_numbers += 1
        step = schema.get("multipleOf", 1)
        if "exclusiveMinimum" in schema:
            value = max(value, schema["exclusiveMinimum"] + step)
        if "exclusiveMaximum" in schema:
            value = min(value, schema["exclusiveMaximum"] - step)
        value = max(value, schema.get("minimum", value))
        value = min(value, schema.get("maximum", value))
        if "multipleOf" in schema:
            value = -(-value // step) * step
        return float(value)

    def _string(self, schema: Schema) -> str:
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        word = "example"
        if self.words:
            word = self.words[min(self.used_words, len(self.words) - 1)]
            self.used_words += 1
        word = word.ljust(schema.get("minLength", 0), "x")
        return word[: schema.get("maxLength", len(word))]


def _preferred(options: Sequence[Any]) -> Any:
    """Return the first option that is not null."""
    for option in options:
        if not isinstance(option, Mapping) or option.get("type") != "null":
            return option
    return options[0]


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(item) for item in kind if item != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    if kind is None and "items" in schema:
        return "array"
    return str(kind)
