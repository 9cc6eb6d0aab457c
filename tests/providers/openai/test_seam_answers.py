"""Answers of any shape reach the caller."""

import json

import openai
import pytest
from openai_sdk import (
    COMPLETION,
    MODEL,
    USAGE,
    WITH_USAGE,
    answer,
    chat,
    create,
    lines,
    response,
    standing_in,
)

from promptcache.receipts.events import BodyUnreadable, Settled, UsageMissing


def raw(client):
    return client.chat.completions.with_raw_response.create(**chat()).http_response


def as_object(client):
    return client.post("/chat/completions", body=chat(), cast_to=object)


def as_text(client):
    return client.post("/chat/completions", body=chat(), cast_to=str)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(COMPLETION, id="no-usage"),
        pytest.param({**COMPLETION, "usage": None}, id="usage-null"),
        pytest.param({**COMPLETION, "usage": "5"}, id="usage-a-string"),
        pytest.param({**COMPLETION, "usage": {}}, id="usage-empty"),
        pytest.param({**COMPLETION, "usage": {"prompt_tokens": None}}, id="null"),
        pytest.param({**COMPLETION, "model": 5, "id": ["m"]}, id="model-a-number"),
        pytest.param([COMPLETION], id="a-list"),
        pytest.param(None, id="nothing"),
        pytest.param({}, id="empty"),
    ],
)
@pytest.mark.parametrize("ask", [create, raw, as_object, as_text])
def test_odd_answers(cache, events, ask, body):
    """An answer of another shape reaches the caller; its receipt knows no tokens."""
    client = standing_in(cache, lambda _: answer(body))
    with cache.collect() as collected:
        given = ask(client)
    (receipt,) = collected

    if ask is raw:
        assert json.loads(given.content) == body
    if ask is as_object:
        assert given == body
    assert receipt.usage.input_tokens is None
    assert receipt.model == MODEL
    assert [type(event) for event in events] == [UsageMissing, Settled]


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        pytest.param(b"{", "application/json", json.JSONDecodeError, id="cut"),
        pytest.param(b"<p>", "text/html", None, id="a-page"),
    ],
)
def test_an_answer_that_is_no_json(cache, body, kind, error):
    """What is no JSON is what it is without us, and has its receipt."""
    client = standing_in(cache, lambda _: answer(body, **{"content-type": kind}))
    with cache.collect() as collected:
        if error is None:
            assert create(client) == "<p>"
        else:
            with pytest.raises(error):
                create(client)

    assert [receipt.usage.input_tokens for receipt in collected] == [None]


def test_an_answer_that_is_not_valid(cache):
    """A strict client's error is its own, and the answer was billed all the same."""
    whole = {**COMPLETION, "choices": 5, "usage": USAGE}
    client = standing_in(
        cache, lambda _: answer(whole), _strict_response_validation=True
    )

    with (
        cache.collect() as collected,
        pytest.raises(openai.APIResponseValidationError),
    ):
        create(client)
    assert [receipt.usage.input_tokens for receipt in collected] == [23]


def test_what_the_sdk_makes_of_an_answer_fails(cache, client):
    """An error of the caller's own parser comes through, after the receipt."""

    def parser(_):
        raise ZeroDivisionError

    with cache.collect() as collected, pytest.raises(ZeroDivisionError):
        client.post(
            "/chat/completions",
            body=chat(),
            cast_to=object,
            options={"post_parser": parser},
        )
    assert collected[0].usage.input_tokens > 0


def chunk(content=None, *, finish=None, usage=None, **fields):
    delta = {"role": "assistant", "content": content}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": usage,
        **fields,
    }


def used(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion}


LAST = chunk(usage=USAGE, choices=[])


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        pytest.param([chunk("a"), chunk(finish="stop"), LAST], (23, 5), id="usual"),
        pytest.param([chunk("a"), chunk(finish="stop")], (None, None), id="no-usage"),
        pytest.param(
            [chunk("a"), chunk(finish="stop", usage=USAGE)],
            (23, 5),
            id="with-the-finish",
        ),
        pytest.param(
            [
                chunk("a", usage=used(9, 1)),
                chunk("b", usage=used(9, 2)),
                chunk(finish="stop"),
            ],
            (9, 2),
            id="so-far",
        ),
        pytest.param(
            [chunk("a", usage=used(9, 1)), chunk(finish="stop"), LAST],
            (23, 5),
            id="so-far-and-last",
        ),
        pytest.param(
            [chunk(choices=[], prompt_filter_results=[]), chunk("a"), LAST],
            (23, 5),
            id="filtered",
        ),
        pytest.param([chunk("a", choices=None), LAST], (23, 5), id="choices-null"),
        pytest.param([{"new": 1}, 5, [LAST]], (None, None), id="odd"),
        pytest.param([chunk(usage="5"), chunk(usage=[])], (None, None), id="odd-usage"),
        pytest.param([], (None, None), id="nothing"),
    ],
)
@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("\n\ndata: [DONE]\n\n", id="done"),
        pytest.param("\n\n", id="not-said"),
        # The SDK may hand the event on when the response has closed itself.
        pytest.param("\n\r\n", id="mixed-lines"),
    ],
)
def test_odd_chat_streams(cache, events, sent, tokens, ending):
    """A stream of any chunks is handed on and settled with what they say."""
    client = standing_in(cache, lambda _: lines(*sent, ending=ending))
    with cache.collect() as collected:
        given = list(client.chat.completions.create(**chat(**WITH_USAGE)))
    (receipt,) = collected

    assert len(given) == len(sent)
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == tokens
    assert [type(event) for event in events if type(event) is Settled] == [Settled]


def test_usage_in_the_chunk_that_finishes(cache):
    """The receipt is there with the last chunk, though that has a choice as well."""
    sent = [chunk("a"), chunk(finish="stop", usage=USAGE)]
    client = standing_in(cache, lambda _: lines(*sent))
    with cache.collect() as collected:
        chunks = client.chat.completions.create(**chat(**WITH_USAGE))
        seen = [len(collected) for _ in chunks]

    assert seen == [0, 1]


def whole(**fields):
    return {
        "id": "r1",
        "object": "response",
        "model": MODEL,
        "output": [],
        "usage": None,
        **fields,
    }


REPORTED = {
    "input_tokens": 23,
    "output_tokens": 5,
    "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 11},
}
BEGUN = {"type": "response.created", "response": whole()}
DELTA = {"type": "response.output_text.delta", "delta": "a"}


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        *(
            pytest.param(
                [
                    BEGUN,
                    DELTA,
                    {"type": f"response.{end}", "response": whole(usage=REPORTED)},
                ],
                (23, 5),
                id=end,
            )
            for end in ("completed", "incomplete", "failed")
        ),
        pytest.param([BEGUN, DELTA], (None, None), id="no-end"),
        pytest.param(
            [BEGUN, {"type": "error", "code": "c", "message": "m", "param": None}],
            (None, None),
            id="error",
        ),
        pytest.param(
            [BEGUN, {"type": "response.completed", "response": whole()}],
            (None, None),
            id="no-usage",
        ),
        pytest.param(
            [{"type": "new"}, {"type": 5}, 5, {"response": 5}], (None, None), id="odd"
        ),
        pytest.param([], (None, None), id="nothing"),
    ],
)
def test_odd_response_streams(cache, sent, tokens):
    """A stream of any events is handed on and settled with what they say."""
    client = standing_in(cache, lambda _: lines(*sent))
    with cache.collect() as collected:
        given = list(client.responses.create(**response(), stream=True))
    (receipt,) = collected

    assert len(given) == len(sent)
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == tokens
    assert receipt.id == ("r1" if BEGUN in sent else None)


def test_an_error_event_settles_at_once(cache):
    """An error in a stream is its last word, whatever comes after it."""
    sent = [BEGUN, {"type": "error", "code": "c", "message": "m", "param": None}, DELTA]
    client = standing_in(cache, lambda _: lines(*sent))
    with cache.collect() as collected:
        events = client.responses.create(**response(), stream=True)
        seen = [len(collected) for _ in events]

    assert seen == [0, 1, 1]


def test_an_answer_of_a_stream_in_its_last_event(cache):
    """The receipt has the id, the model and the tier of the last event's response."""
    told = []
    settle = cache.settle
    cache.settle = lambda *args, **fields: (
        told.append(fields) or settle(*args, **fields)
    )
    last = whole(
        usage=REPORTED,
        service_tier="priority",
        model=f"{MODEL}-2026-11-01",
        prompt_cache_diagnostics={"type": "cache_hit"},
    )
    client = standing_in(
        cache, lambda _: lines(BEGUN, {"type": "response.completed", "response": last})
    )
    list(client.responses.create(**response(), stream=True))

    assert told[0] == {
        "model": f"{MODEL}-2026-11-01",
        "message_id": "r1",
        "tier": "priority",
        "diagnosis": {"type": "cache_hit"},
    }


def test_a_large_body_is_sent_unchanged(cache, events):
    """A body of 50 MB is not held up: it goes out as it is, with one event."""
    sent = []

    def note(request):
        sent.append(request.content)
        return answer({**COMPLETION, "usage": USAGE})

    turns = [{"role": "user", "content": "x" * 10_000_000} for _ in range(5)]
    with cache.collect() as collected:
        standing_in(cache, note).chat.completions.create(**chat(*turns))

    assert json.loads(sent[0]) == chat(*turns)
    assert [type(event) for event in events] == [BodyUnreadable, Settled]
    assert collected[0].usage.input_tokens == 23


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"body": [1]}, id="a-list"),
        pytest.param({"body": None}, id="nothing"),
        pytest.param({"content": b"{}"}, id="content"),
    ],
)
def test_a_body_that_is_no_object(cache, given):
    """What the SDK sends that is no object goes out as it is."""
    sent = []

    def note(request):
        sent.append(request.content)
        return answer({**COMPLETION, "usage": USAGE})

    client = standing_in(cache, note)
    with cache.collect() as collected:
        client.post("/responses", cast_to=object, **given)
        plain = openai.OpenAI(
            api_key="any", base_url="http://localhost", http_client=client._client
        )
        plain.post("/responses", cast_to=object, **given)

    assert sent[0] == sent[1]
    assert len(collected) == 1
