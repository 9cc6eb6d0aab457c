"""What a handler makes of plain LLMs whose streams are sent when they are read."""

import asyncio
import threading

import pytest
from llama_index.core.llms import ChatMessage
from llamaindex_ways import LEAVING, STREAMS, WAYS, collected_by_python, is_stream

from llamaindex_promptcache import PromptCacheHandler
from promptcache import options
from promptcache.emulator import Fault


@pytest.fixture
def handler(cache):
    """Return a handler that plans, installed for this test."""
    with PromptCacheHandler(cache, insert=True) as made:
        yield made


@pytest.fixture
def asked(head):
    """Return a function that makes prompts of different lengths."""
    return lambda name: [head, ChatMessage("Well. " * ord(name) + name)]


@pytest.fixture
def spans_of(emulator, handler):
    """Return a function that tells by which span each question was asked."""

    def found():
        rows = emulator.ledger
        names = {row.total_input_tokens: _name_in(row.body) for row in rows}
        assert len(names) == len(rows)
        return {
            call.span_id: names[call.receipt.usage.input_tokens]
            for call in handler.calls
        }

    return found


def _name_in(body):
    turn = (body.get("messages") or body.get("input"))[-1]
    content = turn["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    return text.removeprefix("Well. " * text.count("Well. "))


@pytest.mark.parametrize("way", WAYS)
async def test_event(way, make_in, prompt, kept, opened, handler):
    """An event tells of each receipt, with the span of the LLM."""
    await way(make_in("plain"), prompt())
    (event,) = kept
    (call,) = handler.calls

    assert event.receipt == call.receipt.as_dict()
    assert event.llm_span_id == call.span_id
    assert call.span_id in opened.names
    assert event.span_id == (None if is_stream(way) else call.span_id)
    assert handler._watch._open == {}


@pytest.mark.parametrize("is_reused", [True, False])
def test_streams_read_in_turn(
    is_reused, api, make_in, asked, handler, spans_of, opened
):
    """Each of two streams has its own request, in whatever order they are read."""
    given = {"reuse_client": is_reused} if api == "chat" else {}
    llm = make_in("plain", **given)
    streams = {name: llm.stream_chat(asked(name)) for name in ("a", "b", "c")}
    first, second, third = opened.names
    next(streams["c"])
    llm.chat(asked("d"))
    next(streams["b"])
    for name in ("a", "c", "b"):
        list(streams[name])
    *_, plain = opened.names

    assert spans_of() == {first: "a", second: "b", third: "c", plain: "d"}
    assert handler._watch._open == {}


def test_streams_read_in_threads(make_in, asked, handler, spans_of, opened):
    """A stream has its request wherever it is read."""
    llm = make_in("plain")
    streams = {name: llm.stream_chat(asked(name)) for name in "abcdefgh"}
    spans = dict(zip(opened.names, streams, strict=True))
    threads = [
        threading.Thread(target=list, args=(stream,))
        for stream in reversed(streams.values())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert spans_of() == spans


async def test_streams_read_in_tasks(make_in, asked, handler, spans_of, opened):
    """A stream has its request, in whatever task it is read."""
    llm = make_in("plain")
    streams = {name: await llm.astream_chat(asked(name)) for name in "abcdef"}
    spans = dict(zip(opened.names, streams, strict=True))

    async def read(stream):
        return [chunk async for chunk in stream]

    await asyncio.gather(*map(read, reversed(streams.values())))

    assert spans_of() == spans


def test_somebody_else_between(make_in, asked, handler, emulator, spans_of):
    """What is sent outside of LlamaIndex, before a stream is read, is not its own."""
    llm = make_in("plain")
    stream = llm.stream_chat(asked("a"))
    client = llm._get_client() if hasattr(llm, "_get_client") else llm._client
    client.chat.completions.create(
        model=llm.model, messages=[{"role": "user", "content": "Hm"}]
    )
    list(stream)

    assert list(spans_of().values()) == ["a"]
    assert "prompt_cache_key" not in emulator.ledger[0].body
    assert "prompt_cache_key" in emulator.ledger[1].body


@pytest.mark.parametrize("way", STREAMS)
async def test_options_of_a_stream(way, make_in, head, handler, emulator):
    """What is said where a stream is asked for holds where it is read."""
    llm = make_in("plain")
    with options(enabled=False):
        stream = llm.stream_chat([head, ChatMessage("What?")])
    list(stream)
    await way(llm, [head, ChatMessage("What?")])

    assert [call.receipt.policy for call in handler.calls] == ["off", "auto"]
    assert "prompt_cache_key" not in emulator.ledger[0].body


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, make_in, prompt, kept, handler):
    """A stream that is not read to its end is settled, and its run closed."""
    await leave(make_in("plain"), prompt())
    await collected_by_python(kept)
    (call,) = handler.calls

    assert kept[0].llm_span_id == call.span_id
    assert handler._watch._open == {}


def test_unread_stream(make_in, prompt, handler, emulator):
    """A stream that nobody reads sends nothing, and leaves nothing behind."""
    stream = make_in("plain").stream_chat(prompt())
    assert len(handler._watch._open) == 1
    del stream

    assert handler._watch._open == {}
    assert emulator.ledger == []


def test_usage_of_a_stream(api, make_in, prompt, cache, emulator):
    """A stream is asked for its usage only where requests are planned."""
    llm = make_in("plain")
    with PromptCacheHandler(cache) as watching:
        list(llm.stream_chat(prompt()))
    with PromptCacheHandler(cache, insert=True) as planning:
        list(llm.stream_chat(prompt()))
    first, second = emulator.ledger
    (watched,), (planned,) = watching.calls, planning.calls

    assert "stream_options" not in first.body
    assert ("stream_options" in second.body) is (api == "chat")
    assert (watched.receipt.usage.input_tokens is None) is (api == "chat")
    assert planned.receipt.usage.input_tokens == second.total_input_tokens


def test_tried_again(make_in, prompt, handler, emulator):
    """A call that LlamaIndex makes again, after an error, has one receipt."""
    emulator.faults.push(Fault(status=503, retry_after=0.001))
    make_in("plain", max_retries=2).chat(prompt())
    (call,) = handler.calls

    assert (call.receipt.requests, call.receipt.attempts) == (1, 2)


def test_two_handlers(make_in, prompt, cache, kept, emulator):
    """Two handlers have the receipt of a stream alike, wherever it is read."""
    llm = make_in("plain")
    with (
        PromptCacheHandler(cache) as first,
        PromptCacheHandler(cache, insert=True) as second,
    ):
        stream = llm.stream_chat(prompt())
        thread = threading.Thread(target=list, args=(stream,))
        thread.start()
        thread.join()

    assert first.calls == second.calls
    assert [call.receipt.policy for call in first.calls] == ["auto"]
    assert len(kept) == 1
