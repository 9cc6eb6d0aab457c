"""Responses through the SDK."""

import pytest

pytest.importorskip("openai")

import openai
from pydantic import BaseModel

from promptcache.emulator import Fault, ToolCall

MARK = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
HEAD = {
    "role": "developer",
    "content": [{"type": "input_text", "text": "s" * 8000, **MARK}],
}
BODY = {"model": "gpt-6.1-sol", "input": [HEAD, {"role": "user", "content": "Hello"}]}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"days": {"type": "integer"}},
        "required": ["days"],
    },
}


class Joke(BaseModel):
    setup: str
    rating: int


def options(**fields):
    # Older SDKs do not know all fields, but pass them on.
    return {"extra_body": {"prompt_cache_options": fields}}


def figures(usage):
    details = usage.model_dump()["input_tokens_details"]
    split = details.get("cache_write_tokens_details") or {}
    return (
        usage.input_tokens,
        details["cached_tokens"],
        split.get("ttl_30m_tokens"),
        split.get("ttl_12h_tokens"),
    )


def diagnosed(client, **fields):
    found = client.responses.create(**fields)
    return found.model_dump().get("prompt_cache_diagnostics")


def test_usage_is_the_ledger(client, emulator):
    """Writes are split by lifetime, in usage and in the ledger."""
    first = client.responses.create(**BODY)
    second = client.responses.create(**BODY)

    assert figures(first.usage) == (2006, 0, 4, 2002)
    assert figures(second.usage) == (2006, 2006, 0, 0)
    row = emulator.ledger[0]
    assert row.cache_creation_12h_input_tokens == 2002
    assert row.total_input_tokens == 2006


def test_earlier_models_have_no_split(client):
    """Both counts are there, and zero is written."""
    body = {"model": "gpt-5.2", "input": "x" * 8000}
    client.responses.create(**body)
    found = client.responses.create(**body)

    assert figures(found.usage) == (2002, 1920, None, None)
    assert "prompt_cache_options" not in found.model_fields_set


async def test_async_streams(async_client, emulator):
    """Usage is on the event that ends the stream."""
    emulator.answers.push("An answer of more than one piece.")
    stream = await async_client.responses.create(**BODY, stream=True)
    events = [event async for event in stream]
    said = [it.delta for it in events if it.type == "response.output_text.delta"]
    final = events[-1]

    assert [events[0].type, final.type] == ["response.created", "response.completed"]
    assert "".join(said) == final.response.output_text
    assert figures(final.response.usage) == (2006, 0, 4, 2002)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].response.usage is None


def test_a_streamed_call(client):
    """Arguments come in pieces and as a whole."""
    with client.responses.stream(
        model="gpt-5.2", input="the weather of 3 days", tools=[WEATHER]
    ) as stream:
        final = stream.get_final_response()

    assert final.output[0].arguments == '{"days":3}'


def test_a_tool_loop(client, emulator):
    """The output goes back by `previous_response_id`, and the model speaks."""
    emulator.answers.push(ToolCall("get_weather", {"days": 3}))
    first = client.responses.create(**BODY, tools=[WEATHER])
    output = {
        "type": "function_call_output",
        "call_id": first.output[0].call_id,
        "output": "sunny",
    }
    second = client.responses.create(
        model=BODY["model"],
        input=[output],
        tools=[WEATHER],
        previous_response_id=first.id,
    )

    assert second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens
    assert figures(second.usage)[1] == first.usage.input_tokens


def test_structured_output(client):
    """The answer satisfies the schema."""
    found = client.responses.parse(
        model="gpt-5.2", input="A joke rated 7", text_format=Joke
    )

    assert found.output_parsed.rating == 7


@pytest.mark.parametrize(("instructions", "read"), [("i" * 40, 2013), ("other", 0)])
def test_instructions_are_not_carried_over(client, instructions, read):
    """They have to be sent again, or the prefix changes."""
    first = client.responses.create(
        model="gpt-6-sol", input="x" * 8000, instructions="i" * 40
    )
    second = client.responses.create(
        model="gpt-6-sol",
        input="more",
        instructions=instructions,
        previous_response_id=first.id,
    )

    assert figures(first.usage)[2] == first.usage.input_tokens
    assert figures(second.usage)[1] == (first.usage.input_tokens if read else 0)


@pytest.mark.parametrize("store", [True, False])
def test_an_unknown_previous_response(client, store):
    """What is unknown or was not stored cannot be gone on from."""
    first = client.responses.create(**BODY, store=False)
    name = "resp_unknown" if store else first.id
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(**BODY, previous_response_id=name)

    assert raised.value.code == "previous_response_not_found"


def test_token_count(client):
    """The counter says what usage says, and caches nothing."""
    counted = client.post(
        "/responses/input_tokens", body=BODY, cast_to=dict[str, object]
    )

    assert counted == {"object": "response.input_tokens", "input_tokens": 2006}
    assert figures(client.responses.create(**BODY).usage)[1] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_prewarming(client, emulator, stream):
    """It writes, says nothing, and uses up no answer."""
    emulator.answers.push("later")
    found = client.responses.create(**BODY, **options(prewarm=True), stream=stream)
    if stream:
        found = list(found)[-1].response

    assert (found.output, found.usage.output_tokens) == ([], 0)
    assert figures(found.usage) == (2006, 0, 4, 2002)
    real = client.responses.create(**BODY)
    assert (real.output_text, figures(real.usage)[1]) == ("later", 2006)


def test_options_are_echoed(client):
    """A response says which options were applied."""
    usual = client.responses.create(**BODY).model_dump()["prompt_cache_options"]
    asked = options(mode="explicit", ttl="12h", comparison_response_id="resp_x")
    found = client.responses.create(**BODY, **asked).model_dump()

    assert (usual["mode"], usual["ttl"]) == ("implicit", "30m")
    echoed = found["prompt_cache_options"]
    assert (echoed["mode"], echoed["ttl"]) == ("explicit", "12h")
    assert found["prompt_cache_diagnostics"] == {
        "type": "comparison_response_not_found"
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"model": "gpt-6-sol"}, "model_changed", id="model"),
        pytest.param({"prompt_cache_key": "b"}, "prompt_cache_key_changed", id="key"),
        pytest.param({"tools": [WEATHER]}, "tools_changed", id="tools"),
        pytest.param(
            {"text": {"format": {"type": "json_object"}}},
            "text_format_changed",
            id="format",
        ),
        pytest.param(
            {"reasoning": {"effort": "high"}}, "reasoning_effort_changed", id="effort"
        ),
        pytest.param({"text": {"verbosity": "low"}}, "verbosity_changed", id="words"),
        pytest.param(
            {"context_management": [{"type": "compaction"}]},
            "context_compacted",
            id="compaction",
        ),
        pytest.param({"input": "y" * 8000}, "input_changed", id="input"),
        pytest.param({"service_tier": "flex"}, "service_tier_changed", id="tier"),
        pytest.param(
            {"model": "gpt-6-sol", "tools": [WEATHER]},
            "model_changed",
            id="first-cause",
        ),
    ],
)
def test_diagnosis_of_a_miss(client, change, reason):
    """The first cause is named, with how much it costs."""
    first = client.responses.create(**BODY)
    asked = options(comparison_response_id=first.id)
    found = diagnosed(client, **{**BODY, **change}, **asked)

    assert (found["type"], found["reason"]) == ("cache_miss", reason)
    assert found["cache_missed_tokens"] > 1024


def test_diagnosis_of_input(client):
    """What both requests share is counted."""
    first = client.responses.create(**BODY)
    changed = [HEAD, {"role": "user", "content": "x" * 400}]
    found = diagnosed(
        client,
        model=BODY["model"],
        input=changed,
        **options(comparison_response_id=first.id),
    )

    assert found["comparison_reusable_tokens"] == 2003
    assert found["cache_missed_tokens"] == 101


def test_other_diagnoses(client, emulator):
    """A hit, a record that expired, and a prompt too small to tell."""
    first = client.responses.create(**BODY)
    asked = options(comparison_response_id=first.id)
    small = client.responses.create(model=BODY["model"], input="hi")
    named = options(comparison_response_id=small.id)

    assert diagnosed(client, **BODY, **asked) == {"type": "cache_hit"}
    assert diagnosed(client, model=BODY["model"], input="hi", **named) == {
        "type": "unavailable"
    }
    emulator.clock.advance(3601)
    assert diagnosed(client, **BODY, **asked) == {
        "type": "comparison_response_not_found"
    }


def test_what_ends_a_response(client):
    """The token limit leaves it incomplete, also in a stream."""
    fields = {"model": "gpt-5.2", "input": "hello", "max_output_tokens": 2}
    found = client.responses.create(**fields)
    last = list(client.responses.create(**fields, stream=True))[-1]

    assert (found.status, found.output_text) == ("incomplete", "Understo")
    assert found.incomplete_details.reason == "max_output_tokens"
    assert last.type == "response.incomplete"


def test_a_broken_stream(client, emulator):
    """An error event ends it."""
    emulator.faults.push(Fault(status=500, after_events=3, message="broken"))
    events = list(client.responses.create(**BODY, stream=True))

    assert [len(events), events[-1].type, events[-1].message] == [4, "error", "broken"]


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        pytest.param({"type": "refusal", "refusal": "No."}, "message", id="part"),
        pytest.param(
            {"type": "reasoning", "id": "rs_1", "summary": []}, "reasoning", id="item"
        ),
    ],
)
def test_what_has_the_form_of_the_provider(client, emulator, part, kind):
    """Parts and items are passed on as they were ordered, also in a stream."""
    emulator.answers.push(part)
    emulator.answers.push(part)
    found = client.responses.create(**BODY)
    streamed = list(client.responses.create(**BODY, stream=True))[-1].response

    assert [found.output[0].type, streamed.output[0].type] == [kind, kind]
