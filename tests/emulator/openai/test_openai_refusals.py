"""What is refused, with which body, and what is not."""

import pytest

from promptcache.errors import OptionError

MARK = {"mode": "explicit"}
HELLO = [{"role": "user", "content": "hello"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TEXT = {"type": "text", "text": "t", "prompt_cache_breakpoint": MARK}
INPUT = {"type": "input_text", "text": "t", "prompt_cache_breakpoint": MARK}
SPOKEN = {"type": "output_text", "text": "t", "prompt_cache_breakpoint": MARK}
BARE = {"type": "function", "name": "f"}
INVALID = "invalid_request_error"


def chat(**fields):
    return {"model": "gpt-6.1-sol", "messages": HELLO, **fields}


def said(role, *parts, **fields):
    return chat(messages=[{"role": role, "content": list(parts), **fields}])


def respond(*items, **fields):
    return {"model": "gpt-6.1-sol", "input": list(items) or "hello", **fields}


def allowed(**fields):
    return {"type": "allowed_tools", "allowed_tools": fields}


def marked(**fields):
    return {**TEXT, "prompt_cache_breakpoint": fields}


@pytest.mark.parametrize(
    ("body", "param", "code", "message"),
    [
        pytest.param(
            chat(prompt_cache_key="k" * 72),
            "prompt_cache_key",
            "string_above_max_length",
            "Invalid 'prompt_cache_key': string too long. Expected a string with "
            "maximum length 64, but got a string with length 72 instead.",
            id="long-key",
        ),
        pytest.param(
            chat(model="gpt-5.5", prompt_cache_options={"mode": "explicit"}),
            "prompt_cache_options",
            "invalid_parameter",
            "prompt_cache_options is not supported on this model",
            id="options-on-an-earlier-model",
        ),
        pytest.param(
            said("user", TEXT) | {"model": "gpt-5.5"},
            "prompt_cache_breakpoint",
            "invalid_parameter",
            "prompt_cache_breakpoint is not supported on this model",
            id="breakpoint-on-an-earlier-model",
        ),
        pytest.param(
            said("user", TEXT) | {"model": "gpt-9"},
            "prompt_cache_breakpoint",
            "invalid_parameter",
            "prompt_cache_breakpoint is not supported on this model",
            id="breakpoint-on-an-unknown-model",
        ),
        pytest.param(
            chat(prompt_cache_options={"ttl": "5m"}),
            "prompt_cache_options.ttl",
            "invalid_value",
            "Invalid value: '5m'. Supported values are: '30m'.",
            id="ttl",
        ),
        pytest.param(
            chat(prompt_cache_options={"ttl": "12h"}),
            "prompt_cache_options.ttl",
            "invalid_value",
            "Invalid value: '12h'. Supported values are: '30m'.",
            id="request-of-12h",
        ),
        pytest.param(
            chat(prompt_cache_options={"mode": "auto"}),
            "prompt_cache_options.mode",
            "invalid_value",
            "Invalid value: 'auto'. Supported values are: 'implicit' and 'explicit'.",
            id="mode",
        ),
        pytest.param(
            chat(prompt_cache_options={"prewarm": True}),
            "prompt_cache_options.prewarm",
            "unknown_parameter",
            "Unknown parameter: 'prompt_cache_options.prewarm'.",
            id="prewarm",
        ),
        pytest.param(
            chat(model="gpt-5.5", prompt_cache_retention="in_memory"),
            "prompt_cache_retention",
            "invalid_value",
            "Invalid value: 'in_memory'. Supported values are: '24h'.",
            id="retention-of-5.5",
        ),
        pytest.param(
            chat(model="gpt-4o", prompt_cache_retention="24h"),
            "prompt_cache_retention",
            "invalid_parameter",
            "prompt_cache_retention is not supported on this model",
            id="retention-of-4o",
        ),
        pytest.param(
            said("user", marked(mode="explicit", ttl="1h")),
            "messages[0].content[0].prompt_cache_breakpoint.ttl",
            "invalid_value",
            "Invalid value: '1h'. Supported values are: '30m' and '12h'.",
            id="ttl-of-a-part",
        ),
        pytest.param(
            said("user", marked(ttl="30m")),
            "messages[0].content[0].prompt_cache_breakpoint.mode",
            "missing_required_parameter",
            "Missing required parameter: "
            "'messages[0].content[0].prompt_cache_breakpoint.mode'.",
            id="part-without-mode",
        ),
        pytest.param(
            said("user", marked(mode="implicit")),
            "messages[0].content[0].prompt_cache_breakpoint.mode",
            "invalid_value",
            "Invalid value: 'implicit'. Supported values are: 'explicit'.",
            id="implicit-part",
        ),
        pytest.param(
            said("user", marked(mode="explicit", type="ephemeral")),
            "messages[0].content[0].prompt_cache_breakpoint.type",
            "unknown_parameter",
            "Unknown parameter: 'messages[0].content[0].prompt_cache_breakpoint.type'.",
            id="another-key-of-a-part",
        ),
        pytest.param(
            said("assistant", TEXT),
            "messages[0].content[0].prompt_cache_breakpoint",
            "unknown_parameter",
            "Unknown parameter: 'messages[0].content[0].prompt_cache_breakpoint'.",
            id="assistant",
        ),
        pytest.param(
            chat(tools=[{"type": "function", "prompt_cache_breakpoint": MARK}]),
            "tools[0].prompt_cache_breakpoint",
            "unknown_parameter",
            "Unknown parameter: 'tools[0].prompt_cache_breakpoint'.",
            id="tool",
        ),
        pytest.param(
            said("system", {"type": "image_url", "image_url": {"url": "u"}}),
            "messages[0].content[0].type",
            "invalid_value",
            "Invalid value: 'image_url'. Supported values are: 'text'.",
            id="image-of-the-system",
        ),
        pytest.param(
            chat(service_tier="batch"),
            "service_tier",
            "invalid_value",
            "Invalid value: 'batch'. Supported values are: 'auto', 'default', 'flex', "
            "'scale', 'priority', and 'fast'.",
            id="tier",
        ),
        pytest.param(
            chat(n=0),
            "n",
            "integer_below_min_value",
            "Invalid 'n': integer below minimum value. Expected a value >= 1.",
            id="no-choices",
        ),
        pytest.param(
            chat(cache_control={}),
            "cache_control",
            "unknown_parameter",
            "Unknown parameter: 'cache_control'.",
            id="unknown-field",
        ),
        pytest.param(
            chat(messages=None),
            "messages",
            "missing_required_parameter",
            "Missing required parameter: 'messages'.",
            id="no-messages",
        ),
        pytest.param(
            chat(messages=[{"role": "assistant", "tool_calls": [CALL]}]),
            "messages[1]",
            None,
            "An assistant message with 'tool_calls' must be followed by tool messages "
            "responding to each 'tool_call_id'. The following tool_call_ids did not "
            "have response messages: c1",
            id="call-without-result",
        ),
        pytest.param(
            chat(messages=[{"role": "tool", "tool_call_id": "c1", "content": "r"}]),
            "messages[0].role",
            None,
            "Invalid parameter: messages with role 'tool' must be a response to a "
            "preceeding message with 'tool_calls'.",
            id="result-without-call",
        ),
    ],
)
def test_chat(refusal, body, param, code, message):
    """The refusal names the field and has the provider's code."""
    assert refusal(body) == (400, INVALID, param, code, message)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        pytest.param(
            respond({"role": "user", "content": [TEXT]}),
            "input[0].content[0]",
            "invalid_value",
            id="vocabulary-of-chat",
        ),
        pytest.param(
            respond({"role": "assistant", "content": [SPOKEN]}),
            "input[0].content[0].prompt_cache_breakpoint",
            "unknown_parameter",
            id="assistant",
        ),
        pytest.param(
            respond(
                {"type": "additional_tools", "tools": []}
                | {"prompt_cache_breakpoint": MARK}
            ),
            "input[0].prompt_cache_breakpoint",
            "unknown_parameter",
            id="additional-tools",
        ),
        pytest.param(
            respond(prompt_cache_options={"ttl": "1h"}),
            "prompt_cache_options.ttl",
            "invalid_value",
            id="ttl",
        ),
        pytest.param(
            respond(prompt_cache_options={"prewarm": "yes"}),
            "prompt_cache_options.prewarm",
            "invalid_type",
            id="prewarm",
        ),
        pytest.param(
            respond({"type": "configuration_update"}, model="gpt-5.6-sol"),
            "configuration_update",
            "invalid_parameter",
            id="effort-update",
        ),
        pytest.param(
            respond({"type": "function_call_output", "call_id": "c", "output": "o"}),
            "input",
            None,
            id="output-without-call",
        ),
        pytest.param(respond(messages=[]), "messages", "unknown_parameter", id="chat"),
        pytest.param(
            {"model": "gpt-6-sol"}, "input", "missing_required_parameter", id="no-input"
        ),
    ],
)
def test_responses(refusal, body, param, code):
    """The Responses API has its own places and words."""
    assert refusal(body, "responses")[:4] == (400, INVALID, param, code)


def test_an_unknown_model(refusal):
    """What is no model of this provider is not found."""
    assert refusal(chat(model="claude-opus-5-5"))[::3] == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "settings", "code"),
    [
        pytest.param(
            chat(prompt_cache_retention="24h"),
            {"retention_with_breakpoints": False},
            "invalid_parameter",
            id="retention-with-breakpoints",
        ),
        pytest.param(
            said("user", marked(mode="explicit", ttl="12h")),
            {"chat_parts_12h": False},
            "invalid_value",
            id="part-of-12h",
        ),
        pytest.param(
            said("user", TEXT),
            {"breakpoints": False},
            "invalid_parameter",
            id="breakpoint-on-a-provisioned-deployment",
        ),
        pytest.param(
            chat(prompt_cache_options={"mode": "explicit"}),
            {"breakpoints": False},
            "invalid_parameter",
            id="options-on-a-provisioned-deployment",
        ),
    ],
)
def test_settings_refuse(refusal, world, body, settings, code):
    """What is accepted by default is refused where a setting says so."""
    world().judge(body)

    assert refusal(body, **settings)[3] == code


def test_settings_accept(world):
    """A breakpoint of the assistant is accepted where a setting says so."""
    body = said("assistant", TEXT)

    assert world(assistant_breakpoints=True).judge(body).hit is None


@pytest.mark.parametrize(
    ("api", "body"),
    [
        pytest.param("chat", said("user", *[TEXT] * 9), id="surplus"),
        pytest.param(
            "chat",
            said(
                "user",
                *(
                    {"type": kind, kind: {}, "prompt_cache_breakpoint": MARK}
                    for kind in ("image_url", "input_audio", "file")
                ),
            ),
            id="parts-of-users",
        ),
        pytest.param("chat", chat(prompt_cache_key="k" * 64), id="key"),
        pytest.param("chat", said("developer", TEXT), id="developer"),
        pytest.param(
            "responses",
            respond({"role": "developer", "content": [INPUT]}),
            id="responses-developer",
        ),
        pytest.param(
            "responses",
            respond(
                {
                    "type": "function_call",
                    "call_id": "c",
                    "name": "f",
                    "arguments": "{}",
                },
                {"type": "function_call_output", "call_id": "c", "output": [INPUT]},
            ),
            id="output-of-a-call",
        ),
        pytest.param(
            "responses",
            respond(prompt_cache_options={"ttl": "12h"}),
            id="request-of-12h",
        ),
        pytest.param(
            "responses",
            respond({"type": "configuration_update"}, model="gpt-6-sol"),
            id="effort-update",
        ),
    ],
)
def test_what_is_accepted(world, api, body):
    """What the documents allow is not refused."""
    assert world().judge(body, api).usage.total > 0


@pytest.mark.parametrize(
    ("body", "api", "param"),
    [
        pytest.param({"messages": HELLO}, "chat", None, id="no-model"),
        pytest.param(chat(messages=[]), "chat", "messages", id="empty-messages"),
        pytest.param(chat(messages="hi"), "chat", "messages", id="text-as-messages"),
        pytest.param(
            chat(messages=[{"content": "x"}]), "chat", "messages[0].role", id="no-role"
        ),
        pytest.param(said("bot"), "chat", "messages[0].role", id="role"),
        pytest.param(
            chat(messages=[{"role": "user"}]),
            "chat",
            "messages[0].content",
            id="no-content",
        ),
        pytest.param(said("user", "x"), "chat", "messages[0].content[0]", id="part"),
        pytest.param(
            chat(messages=[{"role": "user", "content": 1}]),
            "chat",
            "messages[0].content",
            id="number-as-content",
        ),
        pytest.param(
            said("user", {**TEXT, "prompt_cache_breakpoint": "explicit"}),
            "chat",
            "messages[0].content[0].prompt_cache_breakpoint",
            id="text-as-breakpoint",
        ),
        pytest.param(chat(tools=[{}]), "chat", "tools[0].type", id="no-type"),
        pytest.param(
            chat(tools=[{"type": "function"}]),
            "chat",
            "tools[0].function",
            id="no-function",
        ),
        pytest.param(
            respond(tools=[{"type": "function"}]),
            "responses",
            "tools[0].name",
            id="no-name",
        ),
        pytest.param(
            chat(tools=[{"type": "function", "function": {"name": "f"}}])
            | {"tool_choice": "f"},
            "chat",
            "tool_choice",
            id="choice",
        ),
        pytest.param(
            chat(
                tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [BARE]}
            ),
            "chat",
            "tool_choice.allowed_tools",
            id="choice-of-responses",
        ),
        pytest.param(
            chat(tool_choice=allowed(mode="none", tools=[BARE])),
            "chat",
            "tool_choice.allowed_tools.mode",
            id="choice-in-no-mode",
        ),
        pytest.param(
            chat(tool_choice=allowed(mode="auto", tools=[])),
            "chat",
            "tool_choice.allowed_tools.tools",
            id="choice-of-no-tools",
        ),
        pytest.param(
            chat(tool_choice=allowed(mode="auto", tools=[BARE])),
            "chat",
            "tool_choice.allowed_tools.tools[0].function.name",
            id="choice-by-another-name",
        ),
        pytest.param(
            respond(tool_choice=allowed(mode="auto", tools=[BARE])),
            "responses",
            "tool_choice.mode",
            id="choice-of-chat",
        ),
        pytest.param(
            chat(tool_choice="auto"), "chat", "tool_choice", id="choice-of-none"
        ),
        pytest.param(respond(input=5), "responses", "input", id="number-as-input"),
        pytest.param(respond("x"), "responses", "input[0]", id="text-as-item"),
        pytest.param(
            respond({"role": "tool", "content": "x"}),
            "responses",
            "input[0].role",
            id="role-of-item",
        ),
        pytest.param(
            respond({"role": "user"}), "responses", "input[0].content", id="empty-item"
        ),
        pytest.param(
            respond({"type": "function_call", "call_id": "c"}),
            "responses",
            "input",
            id="call-without-output",
        ),
    ],
)
def test_forms(refusal, body, api, param):
    """What has not the form of a request is refused, naming the field."""
    assert refusal(body, api)[:3] == (400, INVALID, param)


@pytest.mark.parametrize(
    "fields",
    [{"overflow": "some"}, {"requests_per_minute": 0}, {"interval": 0}],
    ids=lambda fields: next(iter(fields)),
)
def test_settings_out_of_range(world, fields):
    """A setting that means nothing is refused."""
    with pytest.raises(OptionError):
        world(**fields)
