"""Values made from JSON schemas."""

import pytest

from promptcache.emulator.schema_values import named_object, schema_value

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"type": "integer"}, 3, id="first-integer"),
        pytest.param({"type": "integer", "minimum": 5}, 5, id="minimum"),
        pytest.param({"type": "integer", "maximum": 2}, 2, id="maximum"),
        pytest.param({"type": "integer", "exclusiveMinimum": 4}, 5, id="above"),
        pytest.param({"type": "integer", "exclusiveMaximum": 3}, 2, id="below"),
        pytest.param({"type": "array", "items": {"type": "integer"}}, [3], id="array"),
        pytest.param({"items": {"type": "integer"}}, [3], id="array-by-its-items"),
        pytest.param({"anyOf": [{"type": "null"}]}, None, id="only-null"),
        pytest.param({"allOf": [{"type": "integer"}]}, 3, id="all-of-a-number"),
        pytest.param(True, None, id="no-schema"),
        pytest.param({"type": "integer", "multipleOf": 5}, 5, id="multiple"),
        pytest.param({"type": "number"}, 3.0, id="number"),
        pytest.param({"type": "string"}, "big cat", id="quoted"),
        pytest.param({"type": "string", "maxLength": 3}, "big", id="max-length"),
        pytest.param({"type": "string", "minLength": 9}, "big catxx", id="min-length"),
        pytest.param({"type": "string", "format": "date"}, "2026-01-02", id="format"),
        pytest.param({"type": "boolean"}, True, id="boolean"),
        pytest.param({"type": "null"}, None, id="null"),
        pytest.param({"enum": ["a", "b"]}, "a", id="enum"),
        pytest.param({"const": 7}, 7, id="const"),
        pytest.param({"type": "string", "default": "d"}, "d", id="default"),
        pytest.param(
            {"anyOf": [{"type": "null"}, {"type": "integer"}]}, 3, id="any-of"
        ),
        pytest.param({"type": ["null", "integer"]}, 3, id="type-list"),
        pytest.param(
            {"type": "array", "items": {"type": "integer"}, "minItems": 2},
            [3, 4],
            id="min-items",
        ),
        pytest.param(
            {"prefixItems": [{"type": "integer"}], "type": "array"}, [3], id="prefix"
        ),
        pytest.param(TREE, {"name": "big cat"}, id="recursive"),
        pytest.param(
            {"allOf": [TREE["$defs"]["node"], {"type": "object"}]},
            {"name": "big cat"},
            id="all-of",
        ),
        pytest.param(
            {"properties": {"a": {}, "b": {"type": "integer"}}, "required": ["b"]},
            {"b": 3},
            id="only-required",
        ),
    ],
)
def test_values(schema, value):
    """The value satisfies the schema and looks at the text where it can."""
    assert schema_value(schema, "Give the 'big cat' 3 or 4 fish") == value


def test_an_empty_text_gives_a_word():
    """Without a text a string is still not empty."""
    assert schema_value({"type": "string"}) == "example"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(
            "with 'setup' and 'punchline' keys.", ["setup", "punchline"], id="two"
        ),
        pytest.param(
            'the fields: "a", "b", and "c" fields', ["a", "b", "c"], id="list"
        ),
        pytest.param("An object with the `year` property", ["year"], id="one"),
        pytest.param("Say 'yes' and 'no' to the keys", [], id="quoted-otherwise"),
        pytest.param("Any object will do", [], id="none"),
    ],
)
def test_named_object(text, names):
    """An object without a schema has the keys that the text asks for, and no others."""
    schema = named_object(text)

    assert schema["required"] == list(schema["properties"]) == names
    assert list(schema_value(schema, text)) == names
