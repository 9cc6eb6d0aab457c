"""A server that speaks Chat Completions as they once were."""

import pytest

from promptcache.emulator.rules.openai import accepted
from promptcache.emulator.rules.openai_settings import OpenAISettings

MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
SETTINGS = OpenAISettings(plain_chat=True)


def chat(*messages, **fields):
    said = messages or [{"role": "user", "content": "hello"}]
    return {"model": "llama-4", "messages": list(said), **fields}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param(chat(prompt_cache_key="k"), "prompt_cache_key", id="key"),
        pytest.param(
            chat(prompt_cache_retention="24h"), "prompt_cache_retention", id="retention"
        ),
        pytest.param(
            chat(prompt_cache_options={"mode": "explicit"}),
            "prompt_cache_options",
            id="options",
        ),
        pytest.param(
            chat(stream=True, stream_options={"include_usage": True}),
            "stream_options",
            id="usage-of-a-stream",
        ),
        pytest.param(chat(service_tier="flex"), "service_tier", id="tier"),
        pytest.param(chat(store=False), "store", id="store"),
        pytest.param(chat(metadata={}), "metadata", id="metadata"),
        pytest.param(
            chat({"role": "user", "content": [{"type": "text", "text": "t", **MARK}]}),
            "messages[0].content[0].prompt_cache_breakpoint",
            id="breakpoint",
        ),
        pytest.param(
            chat({"role": "user", "content": "t", "id": "m1"}),
            "messages[0].id",
            id="message",
        ),
        pytest.param(
            chat(tools=[{**FUNCTION, "defer_loading": True}]),
            "tools[0].defer_loading",
            id="tool",
        ),
    ],
)
def test_what_is_newer_is_refused(refusal, body, param):
    """The refusal names the field, whatever it holds."""
    assert refusal(body, plain_chat=True) == (
        400,
        "invalid_request_error",
        param,
        "unknown_parameter",
        f"Unknown parameter: '{param}'.",
    )


def test_there_is_no_responses_api(refusal):
    """Its path is not found."""
    body = {"model": "gpt-5.2", "input": "hello"}

    assert refusal(body, "responses", plain_chat=True)[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chat(max_completion_tokens=5, temperature=0), id="plain"),
        pytest.param(
            chat(
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "r"},
                tools=[FUNCTION],
                parallel_tool_calls=False,
            ),
            id="tools",
        ),
        pytest.param(
            chat(
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "t"},
                        {"type": "image_url", "image_url": {"url": "u"}},
                    ],
                }
            ),
            id="parts",
        ),
    ],
)
def test_what_is_older_is_not(body):
    """What clients have always sent is accepted, for a model of any name."""
    assert accepted("chat", body, SETTINGS).prompt.total_tokens > 0


def test_no_model_has_breakpoints(world, said):
    """Prefixes are matched without them, and nothing is said of writes."""
    body = {"model": "gpt-6.1-sol", "messages": [said("user", 2000)]}
    judge = world(plain_chat=True)
    judge.judge(body)

    assert judge.figures(body) == (1920, 0, 0, 80)
