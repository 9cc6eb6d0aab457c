"""Streams of `google-genai` that are read, left, dropped, or break."""

import asyncio
import gc
import json
from types import SimpleNamespace

import pytest
from gemini_asking import MODEL, asked, config, is_like

from promptcache import options
from promptcache.emulator import Fault, GeminiSettings
from promptcache.interrupts import undisturbed
from promptcache.options import CallOptions
from promptcache.prepared import Prepared
from promptcache.providers import Request
from promptcache.providers.gemini import GEMINI
from promptcache.providers.gemini.streams import GenerateWatch, LateEvents, resumed
from promptcache.receipts.events import Settled, UsageMissing

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture(autouse=True)
def implicit():
    """Leave cached contents out: these tests are about what comes back."""
    with options(gemini_caches=False):
        yield


def opened(client):
    return client.models.generate_content_stream(
        model=MODEL, contents="hello", config=config()
    )


async def opened_later(client):
    return await client.aio.models.generate_content_stream(
        model=MODEL, contents="hello", config=config()
    )


def receipts_of(events):
    return [event.receipt for event in events if isinstance(event, Settled)]


def finishes(chunk):
    return chunk.candidates[0].finish_reason is not None


def test_the_receipt_is_there_with_the_last_chunk(connect, cache, host):
    """Settled is before the chunk with the final usage is handed on, and once."""
    client = cache.attach(connect(host))
    with cache.collect() as collected:
        seen = [(finishes(chunk), len(collected)) for chunk in opened(client)]

    assert seen[-1] == (True, 1)
    assert set(seen[:-1]) == {(False, 0)}
    assert len(collected) == 1


async def test_the_receipt_is_there_with_the_last_asynchronous_chunk(connect, cache):
    """The same holds for the asynchronous client."""
    client = cache.attach(connect())
    with cache.collect() as collected:
        async for chunk in await opened_later(client):
            assert len(collected) == finishes(chunk)


@pytest.mark.parametrize("early", ["cumulative", "cached"])
def test_usage_of_chunks(connect, cache, emulator, events, monkeypatch, early):
    """Whatever early chunks say of usage, the receipt is the ledger's."""
    monkeypatch.setattr(GeminiSettings, "early_usage_on", lambda settings, host: early)
    client = cache.attach(connect())
    for _ in range(2):
        list(opened(client))

    assert all(map(is_like, receipts_of(events), asked(emulator)))
    assert receipts_of(events)[1].usage.read_tokens > 4000


def test_the_first_token(connect, cache, emulator, events):
    """The time to the first token ends where the answer begins."""
    client = cache.attach(connect())
    for number, _ in enumerate(opened(client)):
        emulator.clock.advance(10 ** (number + 1))
    (receipt,) = receipts_of(events)

    assert 0 <= receipt.first_token_s < 10
    assert receipt.total_s >= 10


def test_nothing_is_sent_before_the_first_chunk_is_asked_for(
    connect, cache, emulator, events
):
    """A stream that nobody reads was never sent, as with the SDK alone."""
    chunks = opened(cache.attach(connect()))
    chunks.close()
    del chunks
    gc.collect()

    assert asked(emulator) == []
    assert events == []


def test_the_sdks_own_call_is_as_late(connect, cache, emulator, events):
    """What the SDK's client returns for a stream sends nothing when it is made."""
    client = cache.attach(connect())
    body = {"contents": [{"parts": [{"text": "hello"}]}]}
    path = f"models/{MODEL}:streamGenerateContent?alt=sse"
    chunks = client._api_client.request_streamed("post", path, body)

    assert asked(emulator) == []
    assert list(chunks)
    assert len(asked(emulator)) == len(receipts_of(events)) == 1


def leave_closed(chunks):
    next(chunks)
    chunks.close()


def leave_loop(chunks):
    for _ in chunks:
        break
    del chunks
    gc.collect()


@pytest.mark.parametrize("leave", [leave_closed, leave_loop])
def test_a_stream_that_is_left(connect, cache, events, leave):
    """What is known by then settles it, once: the prompt, and the answer so far."""
    client = cache.attach(connect())
    leave(opened(client))
    (receipt,) = receipts_of(events)

    assert receipt.usage.input_tokens > 4000
    assert receipt.usage.output_tokens >= 0
    assert receipt.first_token_s is not None


async def test_an_asynchronous_stream_that_is_left(connect, cache, events):
    """The same for the asynchronous client."""
    client = cache.attach(connect())
    chunks = await opened_later(client)
    async for _ in chunks:
        break
    await chunks.aclose()
    del chunks
    gc.collect()
    for _ in range(9):
        # The SDK's generators are in one another; each is ended by a turn of the loop.
        await asyncio.sleep(0)

    assert len(receipts_of(events)) == 1


def test_a_stream_that_is_collected_while_locks_are_held(connect, cache, events):
    """It settles as soon as its thread is free."""
    client = cache.attach(connect())
    chunks = opened(client)
    next(chunks)
    with undisturbed():
        del chunks
        gc.collect()

        assert receipts_of(events) == []
    assert len(receipts_of(events)) == 1


def test_a_stream_that_breaks(connect, cache, emulator, events):
    """The error reaches the caller, and what is known settles the request."""
    emulator.faults.push(Fault(status=503, after_events=1, match="enerateContent"))
    chunks = opened(cache.attach(connect()))
    next(chunks)
    with pytest.raises(Exception, match=r"503|fail"):
        list(chunks)

    assert len(receipts_of(events)) == 1
    assert list(chunks) == []


# A watch alone, on chunks that the emulator does not send.


class Settling:
    """A cache that only takes note of what is settled."""

    def __init__(self):
        self.clock = SimpleNamespace(now=lambda: 7.0)
        self.told = []

    def settle(self, prepared, usage, **fields):
        prepared.settled = True
        self.told.append((usage, fields))


def chunk(*candidates, **fields):
    body = {"candidates": list(candidates), **fields}
    return SimpleNamespace(body=json.dumps(body))


def part(index=0, **fields):
    return {"index": index, "content": {"parts": [{"text": "x"}]}, **fields}


def watched(*chunks, **settings):
    """Return what is settled by chunks, and how many of them it takes."""
    cache = Settling()
    body = {"contents": [], "generationConfig": settings}
    prepared = Prepared(
        Request(GEMINI, body, "developer"), body, CallOptions(), "auto", 0.0
    )
    watch = GenerateWatch(cache, prepared)
    for number, event in enumerate(chunks, 1):
        watch.see(event)
        if cache.told:
            return number, *cache.told[0]
    return None


FULL = {"promptTokenCount": 9, "candidatesTokenCount": 2}


def test_usage_after_the_finish():
    """A last chunk may bring usage alone."""
    last = SimpleNamespace(body=json.dumps({"usageMetadata": FULL}))

    assert watched(chunk(part(finishReason="STOP")), last)[:2] == (2, FULL)


def test_usage_that_is_not_whole():
    """Cached tokens alone are no last word; they stay, if nothing else is said."""
    early = chunk(part(), usageMetadata={"cachedContentTokenCount": 5})
    last = chunk(part(finishReason="STOP"), usageMetadata=FULL)

    assert watched(early, last)[:2] == (2, {"cachedContentTokenCount": 5, **FULL})


def test_several_candidates():
    """The last word comes when as many have finished as were asked for."""
    first = chunk(part(finishReason="STOP"), usageMetadata=FULL)
    second = chunk(part(1, finishReason="STOP"), usageMetadata=FULL)

    assert watched(first, first, second, candidateCount=2)[0] == 3


def test_a_prompt_that_is_blocked():
    """It has no candidates, and its first chunk is its last."""
    event = chunk(
        promptFeedback={"blockReason": "SAFETY"},
        usageMetadata={"promptTokenCount": 9, "totalTokenCount": 9},
    )

    assert watched(event)[0] == 1


def test_what_an_answer_says_of_itself():
    """Model, id and service tier are the provider's own words."""
    event = chunk(
        part(finishReason="STOP"),
        usageMetadata={**FULL, "serviceTier": "FLEX"},
        modelVersion="gemini-3.8-flash-001",
        responseId="r1",
    )
    _, _, said = watched(event)

    assert said == {
        "model": "gemini-3.8-flash-001",
        "message_id": "r1",
        "tier": "flex",
        "diagnosis": None,
    }


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '{"candidates": [7]}', None])
def test_chunks_that_say_nothing(body):
    """Whatever comes, it is no error of ours, and the stream goes on."""
    last = chunk(part(finishReason="STOP"), usageMetadata=FULL)

    assert watched(SimpleNamespace(body=body), last)[0] == 2


def test_an_answer_without_usage(cache, connect, monkeypatch, events):
    """It has a receipt all the same, and an event says what is missing."""
    client = cache.attach(connect())
    said = GenerateWatch._note
    monkeypatch.setattr(
        GenerateWatch,
        "_note",
        lambda watch, it: said(watch, {**it, "usageMetadata": 0}),
    )
    list(opened(client))

    assert [type(event) for event in events] == [UsageMissing, Settled]


def test_late_events():
    """They are sent for once, and after an error there are no more."""
    sent = []

    def fail():
        sent.append(1)
        raise ValueError("once")

    late = LateEvents(fail)
    with pytest.raises(ValueError, match="once"):
        next(late)

    assert list(late) == []
    assert sent == [1]
    assert iter(late) is late


def test_late_events_that_are_closed_unread():
    """They are never sent for."""
    late = LateEvents(lambda: pytest.fail("it was sent"))
    late.close()

    assert list(late) == []


def test_resumed_chunks_close_what_they_come_from():
    """Closing reaches the SDK's own generator, which lets go of its connection."""
    ended = []

    def chunks():
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    source = chunks()
    again = resumed(next(source), source)

    assert (next(again), next(again)) == (1, 2)
    again.close()
    assert ended == [True]
