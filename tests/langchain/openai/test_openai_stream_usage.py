"""Who decides whether a stream of Chat Completions tells its usage."""

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_promptcache import prompt_cached
from promptcache.emulator import Fault

OPTION = "prompt_cache"
NO_USAGE = {"stream_options": {"include_usage": False}}


def asked(row):
    """Return whether the body asks for usage; None if it says nothing of it."""
    return (row.body.get("stream_options") or {}).get("include_usage")


def read(model, prompt, **said):
    first, *rest = model.stream(prompt, **said)
    return sum(rest, first)


@pytest.mark.parametrize("kind", ["chat", "azure"])
async def test_usage_is_asked_for(cached, plain, prompt, last_row):
    """Streams tell their usage, though LangChain asks no such server for it."""
    read(plain, prompt())
    assert asked(last_row()) is None
    answer = read(cached, prompt())
    assert asked(last_row()) is True

    chunks = [chunk async for chunk in cached.astream(prompt())]
    assert asked(last_row()) is True
    assert answer.usage_metadata["input_tokens"] == last_row().total_input_tokens
    assert OPTION in sum(chunks, AIMessageChunk("")).response_metadata
    assert cached.stream_usage is None


@pytest.mark.parametrize("kind", ["chat", "azure"])
@pytest.mark.parametrize(
    ("model", "call"),
    [
        pytest.param({"stream_usage": False}, {}, id="field"),
        pytest.param({}, {"stream_usage": False}, id="call"),
        pytest.param({}, NO_USAGE, id="stream_options"),
        pytest.param({"model_kwargs": NO_USAGE}, {}, id="model_kwargs"),
        pytest.param({"extra_body": NO_USAGE}, {}, id="extra_body"),
        pytest.param({"prompt_cache": {"stream_usage": False}}, {}, id="option"),
        pytest.param({}, {"prompt_cache": {"stream_usage": False}}, id="call_option"),
        pytest.param(
            {"stream_usage": False, "prompt_cache": {"stream_usage": True}},
            {},
            id="field_over_option",
        ),
        pytest.param({"stream_usage": True}, {"stream_usage": False}, id="call_wins"),
    ],
)
def test_usage_is_declined(model, call, make_cached, cache, prompt, last_row):
    """Whoever says that a stream is not to tell its usage is heard."""
    cached = make_cached(**model)
    with cached._cache.collect() as collected:
        answer = read(cached, prompt(), **call)

    assert asked(last_row()) in (None, False)
    assert answer.usage_metadata is None
    assert answer.text
    assert [receipt.usage.input_tokens for receipt in collected] == [None]


@pytest.mark.parametrize("kind", ["chat"])
@pytest.mark.parametrize(
    ("model", "call"),
    [
        pytest.param({"stream_usage": False}, {"stream_usage": True}, id="call"),
        pytest.param(
            {"stream_usage": False},
            {"stream_options": {"include_usage": True}},
            id="stream_options",
        ),
        pytest.param({"stream_usage": True}, {}, id="field"),
        pytest.param(
            {"model_kwargs": {"stream_options": {"include_obfuscation": False}}},
            {},
            id="other_option",
        ),
    ],
)
def test_usage_is_wanted(model, call, make_cached, prompt, last_row):
    """What a caller asks of LangChain itself holds as ever."""
    answer = read(make_cached(**model), prompt(), **call)

    assert asked(last_row()) is True
    assert answer.usage_metadata["input_tokens"] == last_row().total_input_tokens
    assert OPTION in answer.response_metadata


@pytest.mark.parametrize("kind", ["chat"])
def test_other_options_of_a_stream_stay(make_cached, prompt, last_row):
    """What else a caller says of a stream is sent."""
    told = {"stream_options": {"include_obfuscation": False}}
    read(make_cached(model_kwargs=told), prompt())

    assert last_row().body["stream_options"]["include_obfuscation"] is False


@pytest.mark.parametrize("kind", ["chat"])
def test_declined_for_one_binding(cached, prompt, last_row):
    """An option that was bound holds for the binding, and for it alone."""
    read(cached.bind(prompt_cache={"stream_usage": False}), prompt())
    assert asked(last_row()) is None

    read(cached, prompt())
    assert asked(last_row()) is True


@pytest.mark.parametrize("kind", ["chat", "azure"])
def test_twins_ask_as_well(plain, make_plain, cache, prompt, last_row):
    """The twin of a model asks, unless the model was told not to."""
    read(prompt_cached(plain, cache), prompt())
    assert asked(last_row()) is True

    read(prompt_cached(make_plain(stream_usage=False), cache), prompt())
    assert asked(last_row()) is None


@pytest.mark.parametrize("kind", ["chat"])
def test_off_asks_for_nothing(make_cached, prompt, last_row):
    """A model that is switched off sends what LangChain built, and no more."""
    answer = read(make_cached(prompt_cache="off"), prompt())

    assert "stream_options" not in last_row().body
    assert answer.text


@pytest.mark.parametrize("kind", ["responses"])
@pytest.mark.parametrize("said", [{}, {"stream_usage": False}], ids=["field", "none"])
def test_responses_tell_unasked(said, make_cached, prompt, last_row):
    """Responses tell their usage anyhow, so nothing is asked and receipts are whole."""
    answer = read(make_cached(**said), prompt())

    assert "stream_options" not in last_row().body
    assert answer.response_metadata[OPTION]["input_tokens"] > 0


@pytest.mark.parametrize("kind", ["chat"])
def test_refused_usage(cached, prompt, emulator, events, last_row):
    """A server that knows no such option is asked again without, and remembered."""
    message = "Unrecognized request argument supplied: stream_options"
    emulator.faults.push(Fault(status=400, message=message))
    assert read(cached, prompt()).text
    assert read(cached, prompt()).text

    assert [asked(row) for row in emulator.ledger] == [True, None, None]
    names = [type(event).__name__ for event in events]
    assert names.count("RetriedUnplanned") == 1
