"""Answers of any shape reach the caller."""

import json

import pytest
from anthropic_sdk import MODEL, START, USAGE, WHOLE, agent, answer, lines, standing_in

from promptcache.receipts.events import BodyUnreadable, Settled, UsageMissing


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(WHOLE, id="no-usage"),
        pytest.param({**WHOLE, "usage": None}, id="usage-null"),
        pytest.param({**WHOLE, "usage": "5"}, id="usage-a-string"),
        pytest.param({**WHOLE, "usage": {}}, id="usage-empty"),
        pytest.param({**WHOLE, "usage": {"input_tokens": None}}, id="tokens-null"),
        pytest.param({**WHOLE, "model": 5, "id": ["m"]}, id="model-a-number"),
        pytest.param([WHOLE], id="a-list"),
        pytest.param(None, id="null"),
        pytest.param({}, id="nothing"),
    ],
)
def test_odd_answers(cache, events, body):
    """An answer of another shape reaches the caller; its receipt knows no tokens."""
    client = standing_in(cache, lambda _: answer(body))
    with cache.collect() as collected:
        response = client.messages.with_raw_response.create(**agent())
    (receipt,) = collected

    assert json.loads(response.http_response.content) == body
    assert receipt.usage.input_tokens is None
    assert receipt.model == MODEL
    assert [type(event) for event in events] == [UsageMissing, Settled]


def test_an_answer_that_is_no_json(cache, plain):
    """Invalid JSON fails as it does without us."""
    client = standing_in(cache, lambda _: answer(b"{"))

    with cache.collect() as collected, pytest.raises(json.JSONDecodeError):
        client.messages.create(**agent())
    assert len(collected) == 1


STOP = {"stop_reason": "end_turn", "stop_sequence": None}


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        pytest.param(
            [
                START,
                {"type": "message_delta", "delta": STOP, "usage": {"output_tokens": 9}},
            ],
            (23, 9),
            id="later-report",
        ),
        pytest.param(
            [
                START,
                {
                    "type": "message_delta",
                    "delta": STOP,
                    "usage": {
                        "output_tokens": 9,
                        "input_tokens": None,
                        "cache_read_input_tokens": 100,
                    },
                },
            ],
            (116, 9),
            id="cumulative-and-null",
        ),
        pytest.param([START], (23, 1), id="no-end"),
        pytest.param(
            [START, {"type": "message_delta", "delta": STOP, "usage": None}],
            (23, 1),
            id="usage-null",
        ),
        pytest.param(
            [START, {"type": "message_delta", "delta": {"stop_reason": None}}],
            (23, 1),
            id="no-usage",
        ),
        pytest.param(
            [{"type": "ping"}, {"type": "new_event"}], (None, None), id="other"
        ),
        pytest.param([], (None, None), id="nothing"),
        pytest.param(
            [{"type": "message_start", "message": {"id": 5}}], (None, None), id="odd"
        ),
    ],
)
def test_odd_streams(cache, events, sent, tokens):
    """A stream of any events is handed on and settled with what they say."""
    client = standing_in(cache, lambda _: lines(*sent))
    with cache.collect() as collected:
        list(client.messages.create(**agent(), stream=True))
    (receipt,) = collected

    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == tokens
    assert [type(event) for event in events if type(event) is Settled] == [Settled]


def test_a_large_body_is_sent_unchanged(cache, events):
    """A body of 50 MB is not held up: it goes out as it is, with one event."""
    sent = []

    def note(request):
        sent.append(request.content)
        return answer({**WHOLE, "usage": USAGE})

    turns = [{"role": "user", "content": "x" * 10_000_000} for _ in range(5)]
    with cache.collect() as collected:
        standing_in(cache, note).messages.create(**agent(*turns))

    assert json.loads(sent[0]) == agent(*turns)
    assert [type(event) for event in events] == [BodyUnreadable, Settled]
    assert collected[0].usage.input_tokens == 23
