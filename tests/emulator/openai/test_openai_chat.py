"""Chat Completions through the SDK."""

import json
import urllib.error
import urllib.request

import pytest

pytest.importorskip("openai")

import openai
from pydantic import BaseModel

from promptcache.emulator import Fault, Json, ToolCall

MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
BODY = {
    "model": "gpt-6.1-sol",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s" * 8000, **MARK}]},
        {"role": "user", "content": "Hello"},
    ],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"days": {"type": "integer"}},
            "required": ["days"],
        },
    },
}


class Joke(BaseModel):
    setup: str
    rating: int


def asked(text, **fields):
    return {
        "model": "gpt-5.2",
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


def figures(usage):
    details = usage.prompt_tokens_details
    written = (details.model_dump()).get("cache_write_tokens")
    return usage.prompt_tokens, details.cached_tokens, written


def test_usage_is_the_ledger(client, emulator):
    """What is written and read stands in usage and in the ledger."""
    first = client.chat.completions.create(**BODY)
    second = client.chat.completions.create(**BODY)
    rows = emulator.ledger

    assert figures(first.usage) == (2006, 0, 2006)
    assert figures(second.usage) == (2006, 2006, 0)
    assert [row.cache_creation_30m_input_tokens for row in rows] == [2006, 0]
    assert [row.cache_read_input_tokens for row in rows] == [0, 2006]
    assert rows[0].breakpoints == ("messages[0].content[0]", "messages[1]")
    assert rows[1].hit == "messages[1]"
    assert rows[0].first_token_seconds > rows[1].first_token_seconds


def test_earlier_models_report_no_writes(client):
    """Nothing is said of what is not billed."""
    body = {**BODY, "model": "gpt-5.2"}
    body["messages"] = [{"role": "user", "content": "x" * 8000}]
    client.chat.completions.create(**body)

    assert figures(client.chat.completions.create(**body).usage) == (2002, 1920, None)


async def test_async(async_client, emulator):
    """The asynchronous client gets the same."""
    emulator.answers.push("one")
    found = await async_client.chat.completions.create(**BODY)

    assert found.choices[0].message.content == "one"
    assert figures(found.usage) == (2006, 0, 2006)


@pytest.mark.parametrize("wanted", [True, False])
def test_streams(client, emulator, wanted):
    """Usage comes in a chunk of its own at the end, only if it was asked for."""
    emulator.answers.push("An answer of more than one chunk.")
    fields = {"stream_options": {"include_usage": True}} if wanted else {}
    chunks = list(client.chat.completions.create(**BODY, stream=True, **fields))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    assert said == "An answer of more than one chunk."
    assert [chunk.usage is not None for chunk in chunks[:-1]] == [False] * len(
        chunks[:-1]
    )
    assert (chunks[-1].choices == []) is wanted
    if wanted:
        assert figures(chunks[-1].usage) == (2006, 0, 2006)


async def test_async_streamed_tool_calls(async_client, emulator):
    """Streamed arguments add up to the call."""
    emulator.answers.push(["Let me see.", ToolCall("get_weather", {"days": 3})])
    stream = await async_client.chat.completions.create(
        **asked("go", tools=[WEATHER]), stream=True
    )
    deltas = [chunk.choices[0] async for chunk in stream]
    calls = [call for it in deltas for call in it.delta.tool_calls or ()]

    assert calls[0].function.name == "get_weather"
    assert "".join(call.function.arguments for call in calls) == '{"days":3}'
    assert deltas[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        pytest.param("the weather of 3 days", "auto", '{"days":3}', id="by-name"),
        pytest.param("of 3 days", "required", '{"days":3}', id="forced"),
        pytest.param(
            "of 3 days",
            {"type": "function", "function": {"name": "get_weather"}},
            '{"days":3}',
            id="named",
        ),
        pytest.param("the weather of 3 days", "none", None, id="forbidden"),
        pytest.param("hello", "auto", None, id="not-needed"),
    ],
)
def test_tools(client, text, choice, called):
    """A tool is called if it is asked for or forced."""
    found = client.chat.completions.create(
        **asked(text, tools=[WEATHER], tool_choice=choice)
    )
    calls = found.choices[0].message.tool_calls or [None]

    assert (calls[0] and calls[0].function.arguments) == called


def test_a_tool_loop_ends(client):
    """After a result the model speaks."""
    body = asked("the weather of 3 days", tools=[WEATHER])
    call = client.chat.completions.create(**body).choices[0].message
    result = {
        "role": "tool",
        "tool_call_id": call.tool_calls[0].id,
        "content": "sunny",
    }
    body["messages"] += [call.model_dump(exclude_none=True), result]

    assert client.chat.completions.create(**body).choices[0].finish_reason == "stop"


def test_structured_output(client, emulator):
    """The answer satisfies the schema, or is what was ordered."""
    body = asked("A joke rated 7", response_format=Joke)
    spontaneous = client.chat.completions.parse(**body).choices[0].message.parsed
    emulator.answers.push(Json({"setup": "s", "rating": 1}))
    ordered = client.chat.completions.parse(**body).choices[0].message.parsed

    assert spontaneous.rating == 7
    assert ordered == Joke(setup="s", rating=1)


def test_what_ends_an_answer(client):
    """The token limit and stop sequences cut it."""
    create = client.chat.completions.create
    cut = create(**asked("hello", max_completion_tokens=2)).choices[0]
    stopped = create(**asked("hello", stop=".")).choices[0]

    assert (cut.finish_reason, cut.message.content) == ("length", "Understo")
    assert (stopped.finish_reason, stopped.message.content) == ("stop", "Understood")


def test_base_urls_without_version(emulator):
    """The endpoint is the same without `/v1`."""
    with openai.OpenAI(base_url=emulator.url, api_key="any") as client:
        assert client.chat.completions.create(**asked("hello")).choices


def test_workspaces_share_nothing(client, emulator):
    """A key `ws-NAME-...` has a cache of its own."""
    client.chat.completions.create(**BODY)
    other = client.with_options(api_key="ws-other-1")

    assert figures(other.chat.completions.create(**BODY).usage)[1] == 0
    assert emulator.ledger[1].workspace == "other"


def test_a_refusal(client, emulator):
    """The SDK reads the body of a refusal."""
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**BODY, prompt_cache_key="k" * 65)

    error = raised.value
    assert (error.code, error.param) == ("string_above_max_length", "prompt_cache_key")
    assert error.type == "invalid_request_error"
    assert (emulator.ledger[0].status, emulator.ledger[0].total_input_tokens) == (
        400,
        0,
    )


def test_reset_forgets(client, emulator):
    """After a reset nothing is read."""
    client.chat.completions.create(**BODY)
    emulator.reset()

    assert figures(client.chat.completions.create(**BODY).usage)[1] == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault(status=429), "RateLimitError", id="rate-limit"),
        pytest.param(Fault(status=500), "InternalServerError", id="server"),
        pytest.param(Fault(status=401), "AuthenticationError", id="key"),
        pytest.param(Fault(close=True), "APIConnectionError", id="dropped"),
    ],
)
def test_faults(client, emulator, fault, error):
    """What is ordered to fail does."""
    emulator.faults.push(fault)
    with pytest.raises(getattr(openai, error)):
        client.chat.completions.create(**BODY)

    assert client.chat.completions.create(**BODY).choices


@pytest.mark.parametrize("status", [500, None], ids=["error", "dropped"])
def test_a_broken_stream(client, emulator, status):
    """A stream breaks after so many chunks."""
    emulator.faults.push(Fault(status=status, after_events=2))
    seen = []
    with pytest.raises((openai.APIError, Exception)) as raised:  # noqa: PT012
        for chunk in client.chat.completions.create(**BODY, stream=True):
            seen.append(chunk)  # noqa: PERF402  # what came before it broke

    assert len(seen) == 2
    assert status is None or isinstance(raised.value, openai.APIError)


def test_usage_without_details(client, emulator):
    """Cache fields can be left out."""
    emulator.faults.push(Fault(drop_usage=True))

    found = client.chat.completions.create(**BODY)
    assert found.usage.prompt_tokens_details is None


def test_a_failing_answer(client, emulator):
    """An answer's function that fails is an error of the server."""
    emulator.answers.push(lambda body: body["nothing"])
    with pytest.raises(openai.InternalServerError, match="KeyError"):
        client.chat.completions.create(**BODY)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"{", {"authorization": "Bearer k"}, 400, id="no-json"),
        pytest.param(b"[]", {"authorization": "Bearer k"}, 400, id="no-object"),
        pytest.param(b"{}", {"authorization": "Bearer "}, 401, id="no-key"),
        pytest.param(b"{}", {"api-key": "k"}, 400, id="azure-key"),
    ],
)
def test_what_is_no_request(emulator, content, headers, status):
    """A body that cannot be read, or no key."""
    url = f"{emulator.url}/v1/chat/completions"
    asked = urllib.request.Request(url, content, headers)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(asked)

    with raised.value as error:
        assert error.status == status
        assert json.load(error)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("allowed", "called"), [("get_weather", "get_weather"), ("other", None)]
)
def test_allowed_tools(client, allowed, called):
    """Only what is allowed is called, and the prefix is the same."""
    choice = {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": allowed}}],
        },
    }
    body = asked("the weather of 3 days", tools=[WEATHER], tool_choice=choice)
    (message,) = [it.message for it in client.chat.completions.create(**body).choices]
    names = [call.function.name for call in message.tool_calls or ()]

    assert names == ([called] if called else [])


def test_a_part_in_the_form_of_the_provider(client, emulator):
    """A refusal is passed on as it was ordered."""
    emulator.answers.push({"type": "refusal", "refusal": "No."})

    found = client.chat.completions.create(**BODY)
    assert found.choices[0].message.refusal == "No."
