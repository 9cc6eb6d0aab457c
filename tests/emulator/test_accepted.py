"""Unusual requests that are legal."""

import pytest

MARK = {"type": "ephemeral"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
BY_CODE = {**CALL, "caller": {"type": "code_execution_20250825", "tool_id": "srv"}}


def text(value="hello", **fields):
    return {"type": "text", "text": value, **fields}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or "hello"}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks) or "hello"}


def marked(count):
    return user(*(text(cache_control=MARK) for _ in range(count)))


BUDGET = {"type": "enabled", "budget_tokens": 1024}
ACCEPTED = [
    pytest.param({"messages": [marked(4)]}, id="four-markers"),
    pytest.param({"messages": [user(), assistant(CALL), user(RESULT)]}, id="tool-loop"),
    pytest.param(
        {"messages": [user(), assistant(CALL), user(RESULT), user()]}, id="two-users"
    ),
    pytest.param(
        {"messages": [user(), {"role": "system", "content": "now"}]}, id="system-turn"
    ),
    pytest.param({"messages": [user(), assistant(text("So"))]}, id="prefill"),
    pytest.param({"system": ""}, id="empty-system-string"),
    pytest.param({"thinking": {"type": "adaptive"}}, id="adaptive-thinking"),
    pytest.param(
        {"thinking": BUDGET, "max_tokens": 2000, "temperature": 1}, id="thinking"
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}}, id="forced"
    ),
    pytest.param(
        {"tools": [{"type": "mcp_toolset", "configs": {"g": {}}}]}, id="toolset"
    ),
    pytest.param({"tools": [TOOL], "tool_choice": {"type": "none"}}, id="no-tool"),
    pytest.param({"messages": [user(text(cache_control=None))]}, id="null-marker"),
    pytest.param(
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, id="server"
    ),
    pytest.param({"system": [text("", cache_control=None)][:0]}, id="no-system-blocks"),
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_accepted(world, make, fields):
    """Unusual requests that are legal get a verdict."""
    assert world().judge({**make(1), **fields}).usage.total > 0


def test_a_document_of_blocks(world, make):
    """The last block inside of a document lifts its marker, which is not in the key."""

    def body(*inside):
        source = {"type": "content", "content": list(inside)}
        built = make(10)
        built["messages"][0]["content"].append({"type": "document", "source": source})
        return built

    here = world()
    here.call(body(text(), text(cache_control=MARK)))

    again = {**body(text(), text()), "cache_control": MARK}
    assert here.hit(again) == "messages.0.content.10"


def test_calls_by_code_cost_nothing(world, make):
    """A call that code execution made is not in the model's context."""
    body = make(10)
    plain = world().judge({**body, "messages": [*body["messages"], assistant()]})
    body["messages"] += [assistant(text(), BY_CODE), user(RESULT)]

    found = world(closing_frame=False).judge(body).usage.total

    # The result's message still opens, with nothing in it.
    assert found == plain.usage.total - 2 + 1


def test_a_marker_on_the_last_sub_block_counts_for_its_parent(world, make):
    """The last block inside of a tool result lifts its marker to the result."""
    body = make(10)
    inside = [text(), text(cache_control=MARK)]
    body["messages"] += [assistant(CALL), user({**RESULT, "content": inside})]

    assert world().judge(body).breakpoints == ("messages.2.content.0",)
