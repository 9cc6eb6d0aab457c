"""Tools that are added to a conversation, or taken from it, between its turns."""

import pytest

from promptcache.emulator.rules.rejection import RejectedError

CHANGES = "mid-conversation-tool-changes-2026-07-01"
INLINE = "inline-tools-2026-09-15"
MARK = {"type": "ephemeral"}
MODEL = "claude-opus-5-5"


def tool(name, **fields):
    schema = {"type": "object"}
    return {"name": name, "description": "d" * 3000, "input_schema": schema, **fields}


ADDED = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "g"}}
REMOVED = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "f"}}
DEFINED = {
    "type": "tool_addition",
    "tool": {"type": "tool_definition", "definition": tool("h")},
}


def body(*changes, tools=(), role="system"):
    said = {"type": "text", "text": "s" * 3000, "cache_control": MARK}
    messages = [{"role": "user", "content": [said]}]
    if changes:
        messages.append({"role": role, "content": list(changes)})
    return {
        "model": MODEL,
        "max_tokens": 64,
        "tools": [tool("f"), *tools],
        "messages": messages,
    }


DEFERRED = tool("g", defer_loading=True)


@pytest.fixture
def asking(world):
    return world()


@pytest.mark.parametrize(
    ("asked", "betas"),
    [
        pytest.param(body(ADDED, tools=[DEFERRED]), [CHANGES], id="added"),
        pytest.param(body(ADDED, tools=[DEFERRED]), [INLINE], id="by-the-other"),
        pytest.param(body(REMOVED), [CHANGES], id="removed"),
        pytest.param(body(DEFINED), [INLINE], id="defined"),
    ],
)
def test_the_prefix_is_read(asking, asked, betas):
    """A change between turns leaves what stands before it as it was."""
    assert asking.hit(body(), betas) is None
    assert asking.hit(asked, betas) == "messages.0.content.0"


def test_a_change_of_tools_is_a_miss(asking):
    """One more tool in `tools` has nothing read."""
    assert asking.hit(body(), [CHANGES]) is None
    assert asking.hit(body(tools=[tool("g")]), [CHANGES]) is None


@pytest.mark.parametrize(
    ("asked", "betas", "message"),
    [
        pytest.param(
            body(ADDED, tools=[DEFERRED]),
            [],
            f"messages.1.content.0: `tool_addition` needs the beta {CHANGES}",
            id="no-beta",
        ),
        pytest.param(
            body(DEFINED),
            [CHANGES],
            f"messages.1.content.0: `tool_addition` needs the beta {INLINE}",
            id="no-beta-for-definitions",
        ),
        pytest.param(
            body(ADDED),
            [CHANGES],
            "messages.1.content.0.tool_addition.tool: 'g' is not in `tools`",
            id="unknown",
        ),
        pytest.param(
            body(REMOVED, role="user"),
            [CHANGES],
            "messages.1.content.0: `tool_removal` blocks may only be in messages of "
            "role 'system'",
            id="of-a-user",
        ),
        pytest.param(
            body({"type": "tool_addition"}),
            [CHANGES],
            "messages.1.content.0.tool_addition.tool: Field required",
            id="nothing-named",
        ),
        pytest.param(
            body({"type": "tool_addition", "tool": {"type": "tool_definition"}}),
            [INLINE],
            "messages.1.content.0.tool_addition.tool.definition.name: Field required",
            id="nothing-defined",
        ),
    ],
)
def test_refused(asking, asked, betas, message):
    """What the provider would not take is refused, and the reason given."""
    with pytest.raises(RejectedError) as raised:
        asking.judge(asked, betas)

    assert raised.value.message == message


def test_a_server_is_not_looked_up(asking):
    """What an MCP server has is known to the provider only."""
    named = {"type": "mcp_toolset_reference", "mcp_server_name": "wiki"}
    asking.judge(body({"type": "tool_addition", "tool": named}), [CHANGES])


def test_what_was_defined_can_be_removed(asking):
    """A tool that a message defined may be named later."""
    asked = body(DEFINED)
    named = {"type": "tool_reference", "name": "h"}
    asked["messages"] += [
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And now?"},
        {"role": "system", "content": [{"type": "tool_removal", "tool": named}]},
    ]
    asking.judge(asked, [INLINE])
