"""What a handler meets at a plain GPT: several answers, and usage of streams."""

import pytest

from langchain_promptcache import PromptCacheCallbackHandler

OPTION = "prompt_cache"


@pytest.fixture(params=["chat"])
def kind(request):
    return request.param


@pytest.fixture
def planning(cache):
    return PromptCacheCallbackHandler(cache, insert=True)


def requests(handler):
    return handler.report().to_dict()["total"]["requests"]


@pytest.mark.filterwarnings("ignore:Unexpected type for token usage")
def test_several_answers(make_theirs, prompt, planning, emulator):
    """Several answers to one prompt are one request, and one receipt."""
    model = make_theirs("plain", n=3, callbacks=[planning])
    result = model.generate([prompt()])
    (row,), (call,) = emulator.ledger, planning.calls

    assert row.body["n"] == 3
    assert requests(planning) == 1
    assert call.receipt.usage.input_tokens == row.total_input_tokens
    assert [OPTION in it.message.response_metadata for it in result.generations[0]] == [
        True
    ] + [False] * (len(result.generations[0]) - 1)


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        pytest.param({}, True, id="unsaid"),
        pytest.param({"stream_usage": True}, True, id="yes"),
        pytest.param({"stream_usage": False}, False, id="no"),
    ],
)
def test_usage_of_streams(said, asks, make_theirs, prompt, planning, emulator):
    """A planned stream is asked for its usage, unless that was declined."""
    model = make_theirs("plain", callbacks=[planning], **said)
    chunks = list(model.stream(prompt()))
    (row,), (call,) = emulator.ledger, planning.calls

    assert ("stream_options" in row.body) is asks
    assert (call.receipt.usage.input_tokens == row.total_input_tokens) is asks
    assert sum(OPTION in it.response_metadata for it in chunks) == 1


def test_watching_asks_for_nothing(make_theirs, prompt, cache, emulator):
    """A stream that is only watched is not asked for its usage, which is unknown."""
    watching = PromptCacheCallbackHandler(cache)
    list(make_theirs("plain", callbacks=[watching]).stream(prompt()))
    (row,), (call,) = emulator.ledger, watching.calls

    assert "stream_options" not in row.body
    assert call.receipt.usage.input_tokens is None
    assert requests(watching) == 1
