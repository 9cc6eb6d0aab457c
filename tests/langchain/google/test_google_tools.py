"""Tools of Gemini in one order, if that is asked for."""

import json

from langchain_core.messages import HumanMessage

from promptcache import options


def tool(name):
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    return {"name": name, "description": "It does.", "parameters": schema}


def test_any_order(make_cached, head, emulator):
    """Tools in any order are sent as the same bytes; one that is chosen stays so."""
    cached, asked = make_cached(), [head, HumanMessage("What is a tender?")]
    with options(stable_tools=True):
        cached.bind_tools([tool("b"), tool("a")]).invoke(asked)
        cached.bind_tools([tool("a"), tool("b")], tool_choice="b").invoke(asked)

    first, second = (row.body for row in emulator.ledger)
    assert json.dumps(first["tools"]) == json.dumps(second["tools"])
    (declared,) = first["tools"]
    names = [it["name"] for it in declared["functionDeclarations"]]
    assert names == ["a", "b"]
    assert "b" in json.dumps(second["toolConfig"])
