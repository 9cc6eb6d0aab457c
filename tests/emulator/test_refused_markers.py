"""Breakpoints that are refused, and in which words."""

import pytest

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
BAD = {"type": "ephemeral", "ttl": "2h"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
BY_CODE = {**CALL, "caller": {"type": "code_execution_20250825", "tool_id": "srv"}}
EXTRA = "Extra inputs are not permitted"
ORDER = (
    "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control "
    "block. Note that blocks are processed in the following order: `tools`, "
    "`system`, `messages`."
)


def text(value="hello", **fields):
    return {"type": "text", "text": value, **fields}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or "hello"}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks) or "hello"}


def marked(count):
    return user(*(text(cache_control=MARK) for _ in range(count)))


def scoped(*blocks):
    return {"role": "system", "clear_at": "next_user_message", "content": list(blocks)}


def thinking(**fields):
    return {"type": "thinking", "thinking": "hm", "signature": "s", **fields}


INSIDE = [text(cache_control=MARK), text()]
NESTED = (
    "messages.2.content.0.tool_result.content.0.cache_control: cache_control may not "
    "be specified within `tool_result.content`. Instead, place it directly on "
    "`tool_result` "
)
REFUSED = [
    pytest.param(
        {"messages": [marked(5)]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        id="five",
    ),
    pytest.param(
        {
            "tools": [{**TOOL, "cache_control": MARK}],
            "system": [text(cache_control=MARK)],
            "messages": [marked(27)],
        },
        "A maximum of 4 blocks with cache_control may be provided. Found 29.",
        id="29-in-all-sections",
    ),
    pytest.param(
        {"messages": [user(text(cache_control=MARK), text(cache_control=HOUR))]},
        f"messages.0.content.1.cache_control.ttl: {ORDER}",
        id="1h-after-5m",
    ),
    pytest.param(
        {
            "tools": [{**TOOL, "cache_control": MARK}],
            "system": [text(cache_control=HOUR)],
        },
        f"system.0.cache_control.ttl: {ORDER}",
        id="1h-after-5m-across-sections",
    ),
    pytest.param(
        {"messages": [user(), assistant(thinking(cache_control=MARK), text())]},
        f"messages.1.content.0.thinking.cache_control: {EXTRA}",
        id="thinking",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant(
                    {"type": "redacted_thinking", "data": "x", "cache_control": MARK}
                ),
            ]
        },
        f"messages.1.content.0.redacted_thinking.cache_control: {EXTRA}",
        id="redacted-thinking",
    ),
    pytest.param(
        {"messages": [user(text(), text("", cache_control=MARK))]},
        "messages.0.content.1.text: cache_control cannot be set for empty text blocks",
        id="empty-text",
    ),
    pytest.param(
        {
            "tools": [
                TOOL,
                {**TOOL, "name": "g", "defer_loading": True} | {"cache_control": MARK},
            ]
        },
        "Tool 'g' cannot have both defer_loading=true and cache_control set. Tools "
        "with defer_loading cannot use prompt caching.",
        id="deferred-tool",
    ),
    pytest.param(
        {"messages": [user(), assistant(CALL), user({**RESULT, "content": INSIDE})]},
        NESTED,
        id="inside-a-result",
    ),
    pytest.param(
        {"messages": [{**user(), "cache_control": MARK}]},
        f"messages.0.cache_control: {EXTRA}",
        id="on-the-message",
    ),
    pytest.param(
        {"messages": [user(text(cache_control=BAD))]},
        "messages.0.content.0.text.cache_control.ephemeral.ttl: Input should be '5m' "
        "or '1h'",
        id="unknown-ttl",
    ),
    pytest.param(
        {"system": [text(cache_control=BAD)]},
        "system.0.cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        id="unknown-ttl-in-system",
    ),
    pytest.param(
        {"system": [text(cache_control={"type": "persistent"})]},
        "system.0.cache_control: Input tag 'persistent' found using 'type' does not "
        "match any of the expected tags: 'ephemeral'",
        id="unknown-type",
    ),
    pytest.param(
        {"system": [text(cache_control={**MARK, "scope": "global"})]},
        f"system.0.cache_control.ephemeral.scope: {EXTRA}",
        id="unknown-field",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant({**BY_CODE, "cache_control": MARK}),
                user(RESULT),
            ]
        },
        "Tool use result for toolu_1 called by code execution cannot have "
        "cache_control. These blocks are not rendered in Claude's context.",
        id="called-by-code",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant(BY_CODE),
                user({**RESULT, "cache_control": MARK}),
            ]
        },
        "Tool use result for toolu_1 called by code execution cannot have "
        "cache_control. These blocks are not rendered in Claude's context.",
        id="result-of-a-call-by-code",
    ),
    pytest.param(
        {"messages": [user(), scoped(text(cache_control=MARK))]},
        "messages.1.content.0.cache_control: cannot be set on a system message with "
        "clear_at",
        id="scoped-system-turn",
    ),
    pytest.param(
        {
            "tools": [
                TOOL,
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "m",
                    "configs": {"g": {"cache_control": MARK}},
                },
            ]
        },
        f"tools.1.mcp_toolset.configs.g.cache_control: {EXTRA}",
        id="toolset-member",
    ),
    pytest.param(
        {"system": [text(), text("", cache_control=MARK)]},
        "system.1.text: cache_control cannot be set for empty text blocks",
        id="empty-system-text",
    ),
    pytest.param(
        {"messages": [user(), assistant({"type": "fallback", "cache_control": MARK})]},
        f"messages.1.content.0.fallback.cache_control: {EXTRA}",
        id="fallback",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant({"type": "mcp_tool_listing", "cache_control": MARK}),
            ]
        },
        f"messages.1.content.0.mcp_tool_listing.cache_control: {EXTRA}",
        id="mcp-tool-listing",
    ),
    pytest.param(
        {
            "messages": [
                user(
                    {
                        "type": "document",
                        "source": {"type": "content", "content": INSIDE},
                    }
                )
            ]
        },
        "messages.0.content.0.document.source.content.0.cache_control: cache_control "
        "may not be specified within `document.source.content`. Instead, place it "
        "directly on `document` ",
        id="inside-a-document",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant(text(citations=[{"type": "x", "cache_control": MARK}])),
            ]
        },
        f"messages.1.content.0.text.citations.0.cache_control: {EXTRA}",
        id="citation",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant(
                    {
                        "type": "web_search_tool_result",
                        "tool_use_id": "s",
                        "content": [
                            {"type": "web_search_result", "cache_control": MARK}
                        ],
                    }
                ),
            ]
        },
        f"messages.1.content.0.web_search_tool_result.content.0.cache_control: {EXTRA}",
        id="web-search-result",
    ),
    pytest.param(
        {
            "messages": [
                user(),
                assistant(
                    {
                        "type": "code_execution_tool_result",
                        "tool_use_id": "s",
                        "content": {
                            "type": "code_execution_result",
                            "cache_control": MARK,
                        },
                    }
                ),
            ]
        },
        "messages.1.content.0.code_execution_tool_result.content.0.cache_control: "
        f"{EXTRA}",
        id="code-execution-result",
    ),
    pytest.param(
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
        "cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        id="unknown-automatic-ttl",
    ),
    pytest.param(
        {"cache_control": {"type": "persistent"}},
        "cache_control: Input tag 'persistent' found using 'type' does not match any "
        "of the expected tags: 'ephemeral'",
        id="unknown-automatic-type",
    ),
    pytest.param(
        {"messages": [marked(4), assistant()], "cache_control": MARK},
        "A maximum of 4 blocks with cache_control may be provided. Found 4; no slots "
        "left for automatic caching.",
        id="automatic-after-four",
    ),
    pytest.param(
        {
            "messages": [user(text(cache_control=MARK), text())],
            "cache_control": HOUR,
        },
        f"cache_control.ttl: {ORDER}",
        id="automatic-1h-after-5m",
    ),
    pytest.param(
        {"messages": [user(text(cache_control=MARK))], "cache_control": HOUR},
        "cache_control.ttl: the last block already has cache_control with ttl='5m', "
        "which differs from the automatic ttl='1h'.",
        id="automatic-of-another-ttl",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_refusals(refusal, fields, message):
    """The request is refused as invalid, in these words."""
    assert refusal(fields) == (400, "invalid_request_error", message)
