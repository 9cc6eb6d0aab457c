"""Tools in a stable order: the same bytes for the same tools, and nothing else lost."""

import json
from copy import deepcopy
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.prompts.tools import stable_tools

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def tool(name, **fields):
    return {"name": name, "description": f"Does {name}.", **fields}


def schema(*names, required=()):
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": properties, "required": list(required)}


def names(body):
    return [it.get("name") for it in body["tools"]]


def marks(body):
    return {
        number: it["cache_control"]
        for number, it in enumerate(body["tools"])
        if "cache_control" in it
    }


def arranged(*tools):
    body, _ = stable_tools({"tools": list(tools)})
    return body


def test_any_order():
    """However the tools come, the same bytes are sent, and the receipt can say so."""
    body, notes = stable_tools({"tools": [tool("b"), tool("c"), tool("a")]})

    assert names(body) == ["a", "b", "c"]
    assert notes == ("sorted tools",)
    assert stable_tools(body) == (body, ())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": None},
        {"tools": []},
        {"tools": "none"},
        {"tools": [tool("a"), print]},
        {"tools": [tool("a"), tool("b")], "messages": []},
    ],
    ids=["none", "null", "empty", "text", "objects", "in order"],
)
def test_untouched(body):
    """What is in order, or is no list of tools, is the very same body."""
    found, notes = stable_tools(body)

    assert found is body
    assert notes == ()


def test_schemas():
    """Keys come in one order: properties as they are required, then by name."""
    one = tool("a", input_schema=schema("when", "city", "unit", required=["when"]))
    keys = {"required": ["when"], "properties": None, "type": "object"}
    other_properties = dict(reversed(one["input_schema"]["properties"].items()))
    other = tool("a", input_schema={**keys, "properties": other_properties})

    first, second = arranged(one), arranged(other)

    assert json.dumps(first) == json.dumps(second)
    assert list(first["tools"][0]["input_schema"]["properties"]) == [
        "when",
        "city",
        "unit",
    ]
    assert first == {"tools": [one]}


def test_schema_note():
    """A schema whose keys were sorted is counted."""
    out_of_order = tool("a", input_schema={"type": "object", "properties": {}})

    _, notes = stable_tools({"tools": [out_of_order, tool("b")]})

    assert notes == ("sorted the schema keys of 1 tools",)


def test_property_names_are_no_keywords():
    """A property that is called like a word of JSON Schema is a property."""
    inner = {"properties": {"type": "object"}, "required": {"type": "boolean"}}
    given = {"properties": inner, "required": ["required"], "type": "object"}

    (found,) = arranged(tool("a", input_schema=given))["tools"]

    assert list(found["input_schema"]["properties"]) == ["required", "properties"]
    assert found["input_schema"] == given


def test_a_tool_that_was_in_order_before():
    """What is known of a tool is known of what it said then, not of the object."""
    given = tool("a", input_schema=schema("p", "q", required=["p"]))
    (given,) = arranged(given)["tools"]
    assert stable_tools({"tools": [given]})[1] == ()

    given["input_schema"]["properties"] = {"q": {}, "p": {}}
    body, notes = stable_tools({"tools": [given]})

    assert [*body["tools"][0]["input_schema"]["properties"]] == ["p", "q"]
    assert notes == ("sorted the schema keys of 1 tools",)


def test_a_tool_that_is_no_json():
    """What cannot be written is put in order still; who sends it will say so."""
    given = {"type": "object", "default": date(2026, 11, 23)}
    body, notes = stable_tools({"tools": [tool("a", input_schema=given)]})

    assert [*body["tools"][0]["input_schema"].items()] == sorted(given.items())
    assert notes == ("sorted the schema keys of 1 tools",)
    assert stable_tools(body) == (body, ())


def test_tools_of_one_name():
    """What else they say decides, so any order is the same one."""
    one, other = (tool("a", input_schema=schema(name)) for name in "pq")

    assert json.dumps(arranged(one, other)) == json.dumps(arranged(other, one))


def test_breakpoint_covers_the_same():
    """A breakpoint stays at its place, over the tools that it covered."""
    body = arranged(
        tool("c"),
        tool("b", cache_control=HOUR),
        tool("z"),
        tool("a", cache_control=MARK),
        tool("y"),
        tool("x"),
    )

    assert names(body) == ["b", "c", "a", "z", "x", "y"]
    assert marks(body) == {1: HOUR, 3: MARK}


def test_breakpoint_at_the_end():
    """Who marks the last tool, whichever it is, has the same bytes for any order."""
    one = arranged(tool("b"), tool("a"), tool("c", cache_control=MARK))
    other = arranged(tool("c"), tool("b"), tool("a", cache_control=MARK))

    assert one == other
    assert marks(one) == {2: MARK}


def test_deferred_tools_take_no_breakpoint():
    """A deferred tool comes first, since a breakpoint on it would be refused."""
    body = arranged(
        tool("y", defer_loading=True), tool("a"), tool("x", cache_control=MARK)
    )

    assert names(body) == ["y", "a", "x"]
    assert marks(body) == {2: MARK}
    assert marks(arranged(*reversed(body["tools"]))) == {0: MARK}


def test_server_tools_and_toolsets():
    """Tools of the provider's and toolsets have a place as well."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    toolset = {
        "type": "mcp_toolset",
        "mcp_server_name": "docs",
        "cache_control": MARK,
    }

    body = arranged(search, tool("a"), toolset)

    assert [it.get("name") for it in body["tools"]] == ["a", None, "web_search"]
    assert marks(body) == {2: MARK}


def test_chat_completions():
    """Functions of the Chat Completions are sorted by the name that they hold."""
    tools = [
        {"type": "function", "function": tool("b", parameters=schema("x"))},
        {"type": "function", "function": tool("a")},
    ]
    choice = {"type": "function", "function": {"name": "b"}}

    body, _ = stable_tools({"tools": tools, "tool_choice": choice})

    assert [it["function"]["name"] for it in body["tools"]] == ["a", "b"]
    assert body["tool_choice"] is choice


def test_responses():
    """So are hosted tools and namespaces of the Responses API."""
    space = {"type": "namespace", "name": "files", "tools": [tool("z"), tool("y")]}
    server = {"type": "mcp", "server_label": "docs"}

    body = arranged(tool("x"), server, {"type": "web_search"}, space)

    kinds = [it.get("type", it.get("name")) for it in body["tools"]]
    assert kinds == ["mcp", "namespace", "web_search", "x"]
    assert [it["name"] for it in body["tools"][1]["tools"]] == ["y", "z"]


def test_gemini():
    """Functions that Gemini's tools declare are sorted inside them."""
    functions = {"functionDeclarations": [tool("b"), tool("a")]}

    body = arranged(functions, {"googleSearch": {}})

    assert body["tools"] == [
        {"googleSearch": {}},
        {"functionDeclarations": [tool("a"), tool("b")]},
    ]


TOOLS = st.lists(
    st.builds(
        lambda name, defer, fields: tool(
            name, **({"defer_loading": True} if defer else {}), input_schema=fields
        ),
        st.sampled_from("abcdef"),
        st.booleans(),
        st.dictionaries(
            st.sampled_from(["type", "properties", "title"]), st.integers()
        ),
    ),
    max_size=6,
)


@given(TOOLS, st.data())
def test_property(tools, data):
    """Any order gives the same bytes, no tool is lost, and nothing is written to."""
    body = {"tools": tools}
    before = deepcopy(body)
    shuffled = {"tools": data.draw(st.permutations(tools))}

    found, _ = stable_tools(body)

    assert json.dumps(found) == json.dumps(stable_tools(shuffled)[0])
    assert body == before
    assert sorted(map(repr, map(_sorted, found["tools"]))) == sorted(
        map(repr, map(_sorted, tools))
    )
    assert stable_tools(found)[0] is found


def _sorted(value):
    return json.dumps(value, sort_keys=True)
