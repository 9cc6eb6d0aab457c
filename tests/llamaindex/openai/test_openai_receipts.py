"""What a call leaves behind: a receipt on its answer, an event in its trace."""

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.types import PydanticProgramMode
from llamaindex_kit import ENGINE_CALL, IGNORED, Engine
from llamaindex_ways import (
    CHATS,
    COMPLETIONS,
    LEAVING,
    METHODS,
    STREAMS,
    WAYS,
    collected_by_python,
    is_stream,
)

from llamaindex_promptcache import PromptCacheEvent
from promptcache import Receipt
from promptcache.emulator import Json

pytestmark = IGNORED

OPTION = "prompt_cache"
T9 = {"name": "T 9", "year": 1911}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.2"])
async def test_receipt_of_an_answer(
    way, cached, collecting, prompt, rows_of, assert_settled
):
    """An answer carries the receipt of its request; together they are the ledger."""
    with collecting() as receipts:
        answers = [await way(cached, prompt()) for _ in range(3)]
    told = [Receipt.from_metadata(it.additional_kwargs[OPTION]) for it in answers]

    assert [it.id for it in told] == [it.id for it in receipts]
    assert [it.usage for it in told] == [it.usage for it in receipts]
    assert_settled(told, rows_of("cached"))
    assert told[-1].usage.read_tokens > 0


@pytest.mark.parametrize("way", STREAMS)
async def test_only_the_last_chunk_has_a_receipt(way, cached, prompt, told):
    """A receipt stands on one response of a stream, and in the event that ends it."""
    await way(cached, prompt())
    *parts, end = [event.response for event in told if hasattr(event, "response")]
    marked = [OPTION in part.additional_kwargs for part in parts]

    assert OPTION in end.additional_kwargs
    assert marked == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize("way", WAYS)
async def test_event(way, cached, collecting, prompt, kept, opened):
    """An event tells of each receipt, flat, with the span of the LLM."""
    with collecting() as receipts:
        await way(cached, prompt())
    (event,) = kept

    assert event.receipt == receipts[0].as_dict()
    assert event.llm_span_id in opened.names
    assert event.llm_span_id.startswith(f"{type(cached).__name__}.{METHODS[way]}-")
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


async def test_event_of_a_stream_inside_a_span(cached, prompt, kept):
    """A stream's event is that of the span its consumer runs in.

    It is sent when that reads it first, and still knows the span of its own call.
    """
    dispatcher = get_dispatcher("tests")

    @dispatcher.span
    def consume():
        return [list(cached.stream_chat(prompt())), list(cached.stream_complete("A"))]

    @dispatcher.span
    async def aconsume():
        return [chunk async for chunk in await cached.astream_chat(prompt())]

    consume()
    await aconsume()
    first, second, third = kept

    assert "consume-" in first.span_id
    assert "consume-" in second.span_id
    assert "aconsume-" in third.span_id
    assert ".stream_chat-" in first.llm_span_id
    assert ".stream_complete-" in second.llm_span_id
    assert ".astream_chat-" in third.llm_span_id


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("calls", [False, True], ids=["parsed", "function"])
def test_structured_predict_is_told_of(
    api, calls, streaming, make_cached, collecting, head, kept, emulator
):
    """Structured output has no response; the event and the cache have its receipt."""
    is_called = streaming if api == "responses" else calls
    emulator.answers.push(ENGINE_CALL if is_called else Json(T9))
    mode = {"pydantic_program_mode": PydanticProgramMode.FUNCTION} if calls else {}
    llm = make_cached(**mode)
    predict = llm.stream_structured_predict if streaming else llm.structured_predict
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    with collecting() as receipts:
        found = predict(Engine, template, what="it")
        *_, last = found if streaming else [found]
    (event,) = kept

    # LlamaIndex's own partial output is not what is tested here.
    assert streaming or last == Engine(**T9)
    assert event.receipt == receipts[0].as_dict()
    assert event.llm_span_id.startswith(type(llm).__name__)


def test_nobody_else_is_told_of(cached, make_plain, cache, prompt, kept):
    """A client of the same cache outside of LlamaIndex makes no event here."""
    plain = make_plain()
    plain.chat(prompt())
    client = cache.attach(plain._client)
    question = [{"role": "user", "content": "What is a tender?"}]
    client.chat.completions.create(model=cached.model, messages=question)

    assert kept == []


def test_event_comes_once_however_many_llms(make_cached, prompt, kept):
    """LLMs that share a cache, and copies of them, make one event a request."""
    llms = [make_cached(), make_cached(), make_cached().model_copy()]
    for llm in llms:
        llm.chat(prompt())
        llm.complete("What is a tender?")

    assert len(kept) == 6


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, cached, collecting, prompt, rows_of, kept):
    """A stream that is not read to its end has a receipt, and an event with its span.

    Usage comes at a stream's end, so what it used is not known, and so not zero.
    """
    with collecting() as receipts:
        await leave(cached, prompt())
        await collected_by_python(receipts)
    (receipt,) = receipts
    (event,) = kept

    assert len(rows_of("cached")) == 1
    assert receipt.usage.input_tokens is None
    assert receipt.usage.read_tokens is None
    assert receipt.breakpoints
    assert event.receipt == receipt.as_dict()
    assert "stream_chat-" in event.llm_span_id


@pytest.mark.parametrize("way", [*CHATS, *COMPLETIONS])
async def test_what_llamaindex_says_stays(way, api, cached, prompt, rows_of):
    """The counts that LlamaIndex hands on are there as ever, those of streams, too."""
    said = (await way(cached, prompt())).additional_kwargs
    (row,) = rows_of("cached")

    if api == "chat":
        assert said["prompt_tokens"] == row.total_input_tokens
        assert said["completion_tokens"] == row.output_tokens
    else:
        assert said["usage"].input_tokens == row.total_input_tokens
        assert said["usage"].output_tokens == row.output_tokens
