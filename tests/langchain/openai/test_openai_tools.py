"""Tools of GPTs in one order, if that is asked for."""

import json

import pytest
from langchain_core.messages import HumanMessage

from promptcache import options


def tool(name, *fields):
    properties = {field: {"type": "string"} for field in fields}
    schema = {"type": "object", "required": [], "properties": properties}
    function = {"name": name, "description": "It does. " * 90, "parameters": schema}
    return {"type": "function", "function": function}


@pytest.mark.parametrize("kind", ["chat", "responses"], indirect=True)
def test_any_order_is_read(cached, head, emulator):
    """Tools in any order are sent as the same bytes, and read."""
    asked = [head, HumanMessage("What is a tender?")]
    with options(stable_tools=True):
        cached.bind_tools([tool("b", "x", "y"), tool("a"), tool("c")]).invoke(asked)
        answer = cached.bind_tools(
            [tool("c"), tool("b", "y", "x"), tool("a")], tool_choice="b"
        ).invoke(asked)

    first, second = emulator.ledger
    assert json.dumps(first.body["tools"]) == json.dumps(second.body["tools"])
    assert second.cache_read_input_tokens > 1_000
    notes = answer.response_metadata["prompt_cache"]["notes"]
    assert {"sorted tools", "sorted the schema keys of 3 tools"} <= set(notes)
