"""Conversations that are refused, and in which words."""

import pytest

CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
MISSING_RESULT = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: "
    "toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in "
    "the next message."
)
MISSING_CALL = (
    "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each "
    "`tool_result` block must have a corresponding `tool_use` block in the previous "
    "message."
)


def text(value="hello", **fields):
    return {"type": "text", "text": value, **fields}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or "hello"}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks) or "hello"}


REFUSED = [
    pytest.param(
        {"messages": []}, "messages: at least one message is required", id="none"
    ),
    pytest.param(
        {"messages": [assistant()]},
        'messages: first message must use the "user" role',
        id="assistant-first",
    ),
    pytest.param(
        {"messages": [user(), assistant(CALL)]},
        f"messages.1: {MISSING_RESULT}",
        id="call-at-the-end",
    ),
    pytest.param(
        {"messages": [user(), assistant(CALL), user(), assistant()]},
        f"messages.1: {MISSING_RESULT}",
        id="call-without-result",
    ),
    pytest.param(
        {"messages": [user(), assistant(), user(RESULT)]},
        f"messages.2.content.0: {MISSING_CALL}",
        id="result-without-call",
    ),
    pytest.param(
        {"messages": [user(RESULT)]},
        f"messages.0.content.0: {MISSING_CALL}",
        id="result-first",
    ),
    pytest.param(
        {"messages": [user(), assistant(CALL), user(RESULT, RESULT)]},
        "messages.2.content.1: each tool_use must have a single result. Found "
        "multiple `tool_result` blocks with id: toolu_1",
        id="two-results",
    ),
    pytest.param(
        {"messages": [user(), assistant(CALL, CALL), user(RESULT)]},
        "messages.1: `tool_use` ids must be unique",
        id="same-id-twice",
    ),
    pytest.param(
        {"messages": [user(text(""))]},
        "messages: text content blocks must be non-empty",
        id="empty-text",
    ),
    pytest.param(
        {"messages": [user(text(" \n"))]},
        "messages: text content blocks must contain non-whitespace text",
        id="blank-text",
    ),
    pytest.param(
        {"system": [text("")]},
        "system: text content blocks must be non-empty",
        id="empty-system-text",
    ),
    pytest.param(
        {"messages": [user(), {"role": "assistant", "content": ""}, user()]},
        "messages.1: all messages must have non-empty content except for the optional "
        "final assistant message",
        id="empty-message",
    ),
    pytest.param(
        {"messages": [user(), assistant(text("So "))]},
        "messages: final assistant content cannot end with trailing whitespace",
        id="prefill-with-space",
    ),
    pytest.param(
        {
            "model": "claude-sonnet-5",
            "messages": [user(), {"role": "system", "content": "now"}],
        },
        "role 'system' is not supported on this model",
        id="system-turn-on-another-model",
    ),
    pytest.param(
        {"messages": [{"role": "system", "content": "now"}, user()]},
        "messages.0: role 'system' must follow a user turn or a server tool result, "
        "and be the last message or be followed by an assistant turn",
        id="system-turn-first",
    ),
    pytest.param(
        {"messages": [user(), {"role": "system", "content": "now"}, user()]},
        "messages.1: role 'system' must follow a user turn or a server tool result, "
        "and be the last message or be followed by an assistant turn",
        id="system-turn-before-user",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant(CALL),
                {"role": "system", "content": "now"},
                user(RESULT),
            ]
        },
        "messages.2: role 'system' must follow a user turn or a server tool result, "
        "and be the last message or be followed by an assistant turn",
        id="system-turn-between-call-and-result",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_refusals(refusal, fields, message):
    """The request is refused as invalid, in these words."""
    assert refusal(fields) == (400, "invalid_request_error", message)
