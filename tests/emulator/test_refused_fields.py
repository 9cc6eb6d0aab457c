"""Fields that are refused, and in which words."""

import pytest

TOOL = {"name": "f", "input_schema": {"type": "object"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
EXTRA = "Extra inputs are not permitted"


def text(value="hello", **fields):
    return {"type": "text", "text": value, **fields}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or "hello"}


BUDGET = {"type": "enabled", "budget_tokens": 1024}
FORMAT = {"format": {"type": "json_schema", "schema": {}}}
REFUSED = [
    pytest.param({"model": None}, "model: Field required", id="model"),
    pytest.param({"max_tokens": None}, "max_tokens: Field required", id="max-tokens"),
    pytest.param({"messages": None}, "messages: Field required", id="messages"),
    pytest.param({"prompt_cache": {}}, f"prompt_cache: {EXTRA}", id="unknown-field"),
    pytest.param({"betas": []}, f"betas: {EXTRA}", id="betas"),
    pytest.param(
        {"messages": [{"role": "user"}]}, "messages.0.content: Field required", id="c"
    ),
    pytest.param(
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        id="role",
    ),
    pytest.param(
        {"messages": [user(text(note="x"))]},
        f"messages.0.content.0.text.note: {EXTRA}",
        id="unknown-field-of-a-block",
    ),
    pytest.param(
        {"tools": [TOOL, TOOL]}, "tools: Tool names must be unique.", id="tool-twice"
    ),
    pytest.param(
        {"tools": [{**TOOL, "defer_loading": True}]},
        "At least one tool must have defer_loading=false.",
        id="all-deferred",
    ),
    pytest.param(
        {"tool_choice": {"type": "any"}},
        "tool_choice may only be specified while providing tools.",
        id="choice-without-tools",
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        "Tool 'g' not found in provided tools",
        id="choice-of-no-tool",
    ),
    pytest.param(
        {
            "tools": [TOOL],
            "tool_choice": {"type": "any"},
            "thinking": BUDGET,
            "max_tokens": 2000,
        },
        "Thinking may not be enabled when tool_choice forces tool use.",
        id="thinking-and-forced-tool",
    ),
    pytest.param(
        {"thinking": BUDGET, "max_tokens": 1024},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
        id="budget-too-large",
    ),
    pytest.param(
        {"max_tokens": -1},
        "max_tokens: Input should be greater than or equal to 0",
        id="negative",
    ),
    pytest.param(
        {"max_tokens": "9"},
        "max_tokens: Input should be a valid integer",
        id="no-integer",
    ),
    pytest.param({"model": 5}, "model: Input should be a valid string", id="no-model"),
    pytest.param({"messages": {}}, "messages: Input should be a valid list", id="m"),
    pytest.param(
        {"system": 5}, "system: Input should be a valid string or list", id="system"
    ),
    pytest.param({"tools": {"a": 1}}, "tools: Input should be a valid list", id="t"),
    pytest.param(
        {"stop_sequences": [1]},
        "stop_sequences: Input should be a list of strings",
        id="stop",
    ),
    pytest.param({"metadata": "x"}, "metadata: Input should be an object", id="meta"),
    pytest.param({"tools": ["f"]}, "tools.0: Input should be an object", id="tool"),
    pytest.param(
        {"tools": [{"name": "f"}]},
        "tools.0.custom.input_schema: Field required",
        id="no-schema",
    ),
    pytest.param(
        {"tools": [{**TOOL, "name": 5}]},
        "tools.0.custom.name: Input should be a valid string",
        id="tool-name",
    ),
    pytest.param(
        {"tools": [{**TOOL, "input_schema": 5}]},
        "tools.0.custom.input_schema: Input should be an object",
        id="tool-schema",
    ),
    pytest.param({"messages": ["x"]}, "messages.0: Input should be an object", id="x"),
    pytest.param(
        {"messages": [{"role": "user", "content": 5}]},
        "messages.0.content: Input should be a valid string or list",
        id="content",
    ),
    pytest.param(
        {"messages": [user("x")]},
        "messages.0.content.0: Input should be an object",
        id="block",
    ),
    pytest.param(
        {"messages": [user({**RESULT, "content": ["x"]})]},
        "messages.0.content.0.tool_result.content.0: Input should be an object",
        id="sub-block",
    ),
    pytest.param(
        {"messages": [user({"text": "x"})]},
        "messages.0.content.0.type: Field required",
        id="no-type",
    ),
    pytest.param(
        {"messages": [user(text(5))]},
        "messages.0.content.0.text.text: Input should be a valid string",
        id="text",
    ),
    pytest.param(
        {"messages": [user({"type": "image"})]},
        "messages.0.content.0.image.source: Field required",
        id="image",
    ),
    pytest.param(
        {"system": [text(cache_control="x")]},
        "system.0.cache_control: Input should be an object",
        id="marker",
    ),
    pytest.param(
        {"system": [text(cache_control={"ttl": "1h"})]},
        "system.0.cache_control.type: Field required",
        id="marker-type",
    ),
    pytest.param(
        {"tools": [TOOL], "tool_choice": {"type": "all"}},
        "tool_choice: Input tag found using 'type' does not match any of the expected "
        "tags: 'auto', 'any', 'tool', 'none'",
        id="choice",
    ),
    pytest.param(
        {"thinking": {"type": "enabled"}},
        "thinking.enabled.budget_tokens: Field required",
        id="no-budget",
    ),
    pytest.param(
        {"thinking": {"type": "enabled", "budget_tokens": 1}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        id="small-budget",
    ),
]
DIAGNOSTICS = [
    pytest.param(
        {"diagnostics": "yes"}, "diagnostics: Input should be an object", id="no-object"
    ),
    pytest.param(
        {"diagnostics": {"previous_message_id": 5}},
        "diagnostics.previous_message_id: Input should be a valid string",
        id="no-id",
    ),
    pytest.param(
        {"diagnostics": {"previous": None}},
        f"diagnostics.previous: {EXTRA}",
        id="unknown-field",
    ),
]
CONTEXT = [
    pytest.param(
        {"context_management": "x"},
        "context_management: Input should be an object",
        id="no-object",
    ),
    pytest.param(
        {"compaction": {"type": "summarize"}, "context_management": {"edits": []}},
        "compaction: cannot be combined with context_management",
        id="compaction-and-editing",
    ),
]
PREWARMING = [
    pytest.param(
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        'tool_choice: type "tool" or "any" cannot be used when max_tokens is 0',
        id="forced-tool",
    ),
    pytest.param(
        {"stream": True}, "stream: cannot be true when max_tokens is 0", id="stream"
    ),
    pytest.param(
        {"thinking": BUDGET},
        'thinking: type "enabled" cannot be used when max_tokens is 0',
        id="thinking",
    ),
    pytest.param(
        {"output_config": FORMAT},
        "output_config.format: cannot be used when max_tokens is 0",
        id="format",
    ),
]


@pytest.mark.parametrize(("fields", "message"), [*REFUSED, *DIAGNOSTICS, *CONTEXT])
def test_refusals(refusal, fields, message):
    """The request is refused as invalid, in these words."""
    assert refusal(fields) == (400, "invalid_request_error", message)


@pytest.mark.parametrize(("fields", "message"), PREWARMING)
def test_prewarming_refusals(refusal, fields, message):
    """`max_tokens: 0` does not go with what needs an answer."""
    found = refusal({**fields, "max_tokens": 0})

    assert found == (400, "invalid_request_error", message)


def test_an_unknown_model_is_not_found(refusal):
    """Names that are none of Claude's are answered with 404."""
    found = refusal({"model": "gpt-5"})

    assert found == (404, "not_found_error", "model: gpt-5")
