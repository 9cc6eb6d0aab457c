"""What a call leaves behind: a receipt on its answer, an event in its trace."""

import gc

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_ways import CHATS, LEAVING, WAYS, collected_by_python, is_stream
from pydantic import BaseModel

from llamaindex_promptcache import PromptCacheEvent, prompt_cached
from promptcache import PromptCache, Receipt
from promptcache.emulator import Json

OPTION = "prompt_cache"


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


@pytest.mark.parametrize("way", WAYS)
async def test_receipt_of_an_answer(way, cached, collecting, prompt, rows_of):
    """An answer carries the receipt of its request."""
    with collecting() as receipts:
        answer = await way(cached, prompt())
    receipt = Receipt.from_metadata(answer.additional_kwargs[OPTION])
    (row,) = rows_of("cached")

    assert receipt.usage == receipts[0].usage
    assert receipt.usage.input_tokens == row.total_input_tokens
    assert receipt.usage.written_tokens == row.cache_creation_input_tokens
    assert receipt.id == receipts[0].id


@pytest.mark.parametrize("way", WAYS)
async def test_only_the_last_chunk_has_a_receipt(way, cached, prompt, told):
    """A receipt stands on one response of a call, and in the event that ends it."""
    await way(cached, prompt())
    (end,) = [event for event in told if isinstance(event, LLMChatEndEvent)]
    parts = [event for event in told if isinstance(event, LLMChatInProgressEvent)]
    marked = [OPTION in event.response.additional_kwargs for event in parts]

    assert OPTION in end.response.additional_kwargs
    assert marked == [False] * (len(parts) - 1) + [True] * bool(parts)


@pytest.mark.parametrize("way", WAYS)
async def test_event(way, cached, collecting, prompt, kept, opened):
    """An event tells of each receipt, flat, with the span of the LLM."""
    with collecting() as receipts:
        await way(cached, prompt())
    (event,) = kept

    assert event.receipt == receipts[0].as_dict()
    assert event.class_name() == "PromptCacheEvent"
    assert event.model_dump()["class_name"] == "PromptCacheEvent"
    assert event.llm_span_id in opened.names
    assert event.span_id == (None if is_stream(way) else event.llm_span_id)


@pytest.mark.parametrize("way", WAYS)
async def test_event_comes_while_its_span_is_open(way, cached, prompt, opened):
    """Handlers drop events of closed spans, so an event has an open one or none."""
    open_then = []

    class Asking(BaseEventHandler):
        def handle(self, event, **kwargs):
            if isinstance(event, PromptCacheEvent):
                open_then.append(event.span_id is None or event.span_id in opened.open)

    root = get_dispatcher()
    root.add_event_handler(asking := Asking())
    try:
        await way(cached, prompt())
    finally:
        root.event_handlers.remove(asking)

    assert open_then == [True]


async def test_event_of_a_stream_inside_a_span(cached, prompt, kept, opened):
    """A stream's event is that of the span its consumer runs in."""
    dispatcher = get_dispatcher("tests")

    @dispatcher.span
    def consume():
        return list(cached.stream_chat(prompt()))

    @dispatcher.span
    async def aconsume():
        return [chunk async for chunk in await cached.astream_chat(prompt())]

    consume()
    await aconsume()
    first, second = kept

    assert "consume-" in first.span_id
    assert "aconsume-" in second.span_id
    assert ".stream_chat-" in first.llm_span_id
    assert ".astream_chat-" in second.llm_span_id


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated")
def test_structured_predict_is_told_of(cached, collecting, head, kept, emulator):
    """Structured output has no response; the event and the cache have its receipt."""
    emulator.answers.push(Json({"name": "T 9"}))
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    with collecting() as receipts:
        engine = cached.structured_predict(Engine, template, what="it")
    (event,) = kept

    assert engine == Engine(name="T 9")
    assert event.receipt == receipts[0].as_dict()
    assert ".structured_predict-" in event.llm_span_id
    assert event.span_id == event.llm_span_id


def test_nobody_else_is_told_of(cached, plain, cache, prompt, kept):
    """A client of the same cache outside of LlamaIndex makes no event here."""
    client = cache.attach(plain._client)
    question = [{"role": "user", "content": "What is a tender?"}]
    client.messages.create(model=cached.model, max_tokens=9, messages=question)
    plain.chat(prompt())

    assert kept == []


def test_event_comes_once_however_many_llms(make_cached, cache, prompt, kept):
    """LLMs that share a cache, and copies of them, make one event a request."""
    llms = [make_cached(), make_cached(), make_cached().model_copy()]
    for llm in llms:
        llm.chat(prompt())

    assert len(kept) == 3


def test_failed_handler_fails_no_call(cached, prompt):
    """A handler that raises costs the caller nothing."""

    class Failing(BaseEventHandler):
        def handle(self, event, **kwargs):
            raise ZeroDivisionError

    root = get_dispatcher()
    root.add_event_handler(failing := Failing())
    try:
        assert OPTION in cached.chat(prompt()).additional_kwargs
    finally:
        root.event_handlers.remove(failing)


@pytest.mark.parametrize("way", CHATS[2:])
async def test_stream_shows_cache_tokens(way, cached, plain, prompt, last_row):
    """A stream's usage has the cache's tokens, which LlamaIndex leaves out."""
    await way(cached, prompt())
    shown = (await way(cached, prompt("And a boiler?"))).message.additional_kwargs
    row = last_row()
    stock = (await way(plain, prompt())).message.additional_kwargs

    assert shown["usage"] == {
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cache_read_input_tokens": row.cache_read_input_tokens,
        "cache_creation_input_tokens": row.cache_creation_input_tokens,
    }
    assert row.cache_read_input_tokens > 0
    assert stock["usage"].keys() == {"input_tokens", "output_tokens"}


@pytest.mark.parametrize("way", CHATS[2:])
async def test_stream_whose_end_has_no_cache_tokens(
    way, make_plain, cache, prompt, shortened
):
    """What only the first event of a stream says is shown at its end as well."""
    stock, ours = make_plain(), make_plain()
    for llm in (stock, ours):
        shortened(llm)
    twin = prompt_cached(ours, cache)
    expected = await way(stock, prompt())
    answer = await way(twin, prompt())
    usage = Receipt.from_metadata(answer.additional_kwargs[OPTION]).usage

    assert expected.raw["usage"].cache_read_input_tokens is None
    assert answer.raw["usage"].cache_creation_input_tokens == usage.written_tokens > 0
    assert answer.raw["usage"].cache_read_input_tokens == usage.read_tokens == 0
    assert answer.raw["usage"].output_tokens == expected.raw["usage"].output_tokens


class Shortening:
    """The events of a stream that ends without cache tokens."""

    def __init__(self, events):
        self.events = events

    def __iter__(self):
        return self

    __aiter__ = __iter__

    def __next__(self):
        return self.cut(next(self.events))

    async def __anext__(self):
        return self.cut(await anext(self.events))

    def cut(self, event):
        if event.type == "message_delta":
            event.usage.cache_read_input_tokens = None
            event.usage.cache_creation_input_tokens = None
        return event


@pytest.fixture
def shortened():
    """Return a function that lets an LLM's streams end without cache tokens."""

    def cut(request, call_next):
        response = call_next(request)
        stream = response.parse()
        stream._iterator = Shortening(stream._iterator)
        return response

    async def acut(request, call_next):
        response = await call_next(request)
        stream = await response.parse()
        stream._iterator = Shortening(stream._iterator)
        return response

    def shorten(llm):
        llm._client = llm._client.with_middleware(cut)
        llm._aclient = llm._aclient.with_middleware(acut)

    return shorten


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, cached, collecting, prompt, rows_of, kept):
    """A stream that is not read to its end is settled, with what is known by then."""
    with collecting() as receipts:
        await leave(cached, prompt())
    await collected_by_python(receipts)
    (receipt,) = receipts
    (row,) = rows_of("cached")
    (event,) = kept

    assert receipt.usage.input_tokens == row.total_input_tokens
    assert receipt.usage.written_tokens == row.cache_creation_input_tokens > 0
    assert event.receipt == receipt.as_dict()
    assert "stream_chat-" in event.llm_span_id


def test_event_of_another_stream(cached, prompt, kept):
    """What the garbage collector ends is told of as itself, whoever runs meanwhile."""
    gc.disable()
    try:
        stream = cached.stream_chat(prompt())
        next(stream)
        del stream
        assert kept == []
        other = cached.stream_chat(prompt("And a boiler?"))
        next(other)
        gc.collect()
        (left,) = kept
        list(other)
    finally:
        gc.enable()

    assert len(kept) == 2
    assert left.span_id == left.llm_span_id != kept[1].llm_span_id
    assert left.receipt["id"] != kept[1].receipt["id"]


def test_report(make_cached, emulator, prompt):
    """The cache sums up what its LLMs used."""
    cache = PromptCache(clock=emulator.clock)
    make_cached(prompt_cache=cache).chat(prompt())

    assert "claude-sonnet-4-6" in str(cache.report())
