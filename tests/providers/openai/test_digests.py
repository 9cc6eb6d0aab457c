"""Our digests against the emulator's rule for what is the same prefix."""

import pytest

from promptcache.emulator.rules.openai import accepted
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.providers.openai import CHAT, RESPONSES

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
NESTED = {"type": "function", "function": FUNCTION}
FLAT = {"type": "function", **FUNCTION}
MARK = {"mode": "explicit"}
IMAGE = {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "found"}
SAID = {"role": "assistant", "content": "hm"}


def user(content="hi", **fields):
    return {"role": "user", "content": content, **fields}


def chat(*messages, **fields):
    return CHAT, {"model": "gpt-6.1-sol", "messages": [*messages, user()], **fields}


def response(*items, **fields):
    return RESPONSES, {"model": "gpt-6.1-sol", "input": [*items, user()], **fields}


def judged(request_):
    """Return what the emulator matches the whole prompt by."""
    api, body = request_
    return accepted(api.api, body, OpenAISettings()).prompt.positions[-1].key


def digest(request_):
    api, body = request_
    outline = api.outline(body, host="openai", tenant=None)
    return outline.blocks.digests[-1]


PAIRS = [
    pytest.param(chat(), chat(user("x")), id="more"),
    pytest.param(
        chat(user("x")),
        chat(user([{"type": "text", "text": "x"}])),
        id="string-or-part",
    ),
    pytest.param(
        chat(user("x")),
        chat(user([{"type": "text", "text": "x", "prompt_cache_breakpoint": MARK}])),
        id="marked",
    ),
    pytest.param(chat(user("x")), chat(user("x", name="ann")), id="name"),
    pytest.param(
        chat(user("x")), chat({"role": "developer", "content": "x"}), id="role"
    ),
    pytest.param(chat(), chat(metadata={"a": "b"}), id="metadata"),
    pytest.param(chat(), chat(temperature=1, store=True, user="u"), id="sampling"),
    pytest.param(chat(), chat(reasoning_effort="high"), id="chat-effort"),
    pytest.param(chat(), chat(verbosity="low"), id="chat-verbosity"),
    pytest.param(chat(), chat(service_tier="auto"), id="tier-auto"),
    pytest.param(chat(), chat(service_tier="flex"), id="tier-flex"),
    pytest.param(chat(), chat(parallel_tool_calls=True), id="parallel"),
    pytest.param(chat(), chat(parallel_tool_calls=False), id="not-parallel"),
    pytest.param(
        chat(), chat(response_format={"type": "json_object"}), id="chat-format"
    ),
    pytest.param(
        chat(tools=[NESTED]), chat(tools=[NESTED], tool_choice="none"), id="tool-choice"
    ),
    pytest.param(
        chat(tools=[NESTED]),
        chat(tools=[{**NESTED, "function": dict(reversed(FUNCTION.items()))}]),
        id="order-in-a-tool",
    ),
    pytest.param(
        chat(tools=[NESTED, {"type": "custom", "custom": {"name": "g"}}]),
        chat(tools=[{"type": "custom", "custom": {"name": "g"}}, NESTED]),
        id="order-of-tools",
    ),
    pytest.param(
        chat(user("ab")),
        chat(user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])),
        id="split",
    ),
    pytest.param(
        response(), response(prompt_cache_options={"mode": "explicit"}), id="options"
    ),
    pytest.param(response(), response(instructions="i"), id="instructions"),
    pytest.param(
        response(tools=[FLAT]),
        response(tools=[FLAT, {**FLAT, "name": "g", "defer_loading": True}]),
        id="deferred-tool",
    ),
    pytest.param(
        response(), response(text={"format": {"type": "text"}}), id="plain-format"
    ),
    pytest.param(
        response(), response(text={"format": {"type": "json_object"}}), id="format"
    ),
    pytest.param(response(), response(reasoning={"effort": "low"}), id="effort"),
    pytest.param(response(), response(reasoning={"summary": "auto"}), id="summary"),
    pytest.param(
        response(),
        response(context_management=[{"type": "compaction"}]),
        id="compaction",
    ),
    pytest.param(
        response(user([IMAGE])),
        response(user([{**IMAGE, "detail": "high"}])),
        id="detail",
    ),
    pytest.param(
        response(CALL, OUTPUT),
        response({**CALL, "id": "i", "status": "completed"}, {**OUTPUT, "id": "o"}),
        id="ids",
    ),
    pytest.param(
        response(CALL, OUTPUT),
        response({**CALL, "call_id": "d"}, {**OUTPUT, "call_id": "d"}),
        id="call-ids",
    ),
    pytest.param(
        response(CALL, OUTPUT),
        response(CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "found"}]}),
        id="output",
    ),
    pytest.param(
        response(SAID),
        response(
            {
                "type": "message",
                "id": "m",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "hm", "annotations": []}],
            }
        ),
        id="answer-sent-back",
    ),
    pytest.param(response(SAID), response({**SAID, "content": "hn"}), id="answer"),
    pytest.param(
        (RESPONSES, {"model": "gpt-6.1-sol", "input": "hi"}), response(), id="string"
    ),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_same_to_both(one, other):
    """Two requests have one digest just where the provider has one prefix."""
    assert (digest(one) == digest(other)) is (judged(one) == judged(other))


def test_the_pairs_are_of_both_kinds():
    """Some are the same to the judge, some are not."""
    same = [judged(pair.values[0]) == judged(pair.values[1]) for pair in PAIRS]

    assert 10 < sum(same) < len(same) - 10
