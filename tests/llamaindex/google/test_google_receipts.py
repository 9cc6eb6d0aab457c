"""What a call leaves behind: a receipt on its answer, an event in its trace."""

import json
from collections import defaultdict

import httpx
import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_google import (
    IGNORED_HERE,
    METHODS,
    STREAMS,
    WAYS,
    in_thread,
    is_stream,
)
from llamaindex_kit import ENGINE, ENGINE_CALL, Engine, listed
from llamaindex_ways import (
    astream_cancelled,
    astream_closed,
    astream_left,
    collected_by_python,
    stream_closed,
    stream_left,
)

from promptcache import Receipt, Usage, options
from promptcache.emulator import Fault, Json
from promptcache.receipts.prices import GenaiPrices

pytestmark = IGNORED_HERE

OPTION = "prompt_cache"
T9 = Engine(**ENGINE)

LEAVING = [
    pytest.param(in_thread(stream_closed), id="stream_chat.close"),
    pytest.param(in_thread(stream_left), id="stream_chat.break"),
    pytest.param(astream_closed, id="astream_chat.aclose"),
    pytest.param(astream_left, id="astream_chat.break"),
    pytest.param(astream_cancelled, id="astream_chat.cancel"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("host", ["developer", "vertex"])
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
    assert told[-1].usage.read_tokens > 4096
    assert {it.provider for it in told} == {"google"}


@pytest.mark.parametrize("way", WAYS)
async def test_cost_of_an_answer(way, cached, collecting, prompt, rows_of):
    """What a receipt says of money is what the ledger's tokens cost."""
    with collecting() as receipts:
        for _ in range(2):
            await way(cached, prompt())
    prices, row = GenaiPrices(), rows_of("cached")[-1]
    usage = Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        output_tokens=row.output_tokens,
    )

    assert receipts[-1].cost_usd == prices.cost("google", row.model, usage).usd
    assert receipts[-1].cost_usd < 0.5 * receipts[0].cost_usd


@pytest.mark.parametrize("way", WAYS)
async def test_message_has_no_receipt(way, cached, prompt):
    """A receipt stays on the response: the message may become part of a prompt."""
    answer = await way(cached, prompt())
    message = getattr(answer, "message", None)

    assert OPTION in answer.additional_kwargs
    assert message is None or OPTION not in message.additional_kwargs


@pytest.mark.parametrize("way", STREAMS)
async def test_only_the_last_chunk_has_a_receipt(way, cached, prompt, told):
    """A receipt stands on one response of a stream, and in the event that ends it."""
    await way(cached, prompt())
    marked = defaultdict(list)
    for event in told:
        if hasattr(event, "response"):
            has_receipt = OPTION in event.response.additional_kwargs
            marked[type(event).__name__].append(has_receipt)

    # LlamaIndex makes one stream of another, so there may be two of them.
    for of_one_kind in marked.values():
        assert of_one_kind == [False] * (len(of_one_kind) - 1) + [True]
    assert {len(of_one_kind) == 1 for of_one_kind in marked.values()} == {True, False}


@pytest.mark.parametrize("way", WAYS)
async def test_event(way, cached, collecting, prompt, kept, opened):
    """An event tells of each receipt, flat, with the span of the LLM."""
    with collecting() as receipts:
        await way(cached, prompt())
    (event,) = kept

    assert event.receipt == receipts[0].as_dict()
    assert event.llm_span_id in opened.names
    # LlamaIndex makes a chat of this one, which has a span of its own.
    names = {METHODS[way], METHODS[way].replace("astream_complete", "astream_chat")}
    method = event.llm_span_id.partition("-")[0].partition(".")[2]
    assert method in names
    assert event.span_id == (None if is_stream(way) else event.llm_span_id)


async def test_event_of_a_stream_inside_a_span(cached, prompt, kept):
    """A stream's event is that of the span its consumer runs in.

    It is sent when that reads it first, and still knows the span of its own call.
    """
    dispatcher = get_dispatcher("tests")

    @dispatcher.span
    async def aconsume():
        return await listed(cached.astream_chat(prompt()))

    await aconsume()
    (event,) = kept

    assert "aconsume-" in event.span_id
    assert ".astream_chat-" in event.llm_span_id


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("calls", [False, True], ids=["parsed", "function"])
def test_structured_predict_is_told_of(
    calls, streaming, make_cached, collecting, head, kept, emulator
):
    """Structured output has no response; the event and the cache have its receipt."""
    emulator.answers.push(ENGINE_CALL if calls else Json(ENGINE))
    llm = make_cached(**({"pydantic_program_mode": "function"} if calls else {}))
    predict = llm.stream_structured_predict if streaming else llm.structured_predict
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    with collecting() as receipts:
        found = predict(Engine, template, what="it")
        *_, last = found if streaming else [found]
    (event,) = kept

    assert streaming or last == T9
    assert event.receipt == receipts[0].as_dict()
    assert event.llm_span_id.startswith(type(llm).__name__)


def test_structured_output_of_the_older_way(cached, collecting, head, kept, emulator):
    """So has what `GoogleGenAI` alone has for it."""
    emulator.answers.push(Json(ENGINE))
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    said = {OPTION: {"tenant": "acme"}}
    with collecting() as receipts:
        found = cached.structured_predict_without_function_calling(
            Engine, template, said, what="it"
        )
    (event,) = kept

    assert found == T9
    assert said == {OPTION: {"tenant": "acme"}}
    assert event.receipt == receipts[0].as_dict()
    assert [receipt.tenant for receipt in receipts] == ["acme"]
    assert "structured_predict_without" in event.llm_span_id


def test_nobody_else_is_told_of(cached, make_plain, cache, prompt, kept):
    """A client of the same cache outside of LlamaIndex makes no event here."""
    plain = make_plain()
    plain.chat(prompt())
    client = cache.attach(plain._client)
    with options(gemini_caches=False):
        client.models.generate_content(model=cached.model, contents="What is it?")

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
    """A stream that is not read to its end has a receipt of what is known by then."""
    with collecting() as receipts:
        await leave(cached, prompt())
        await collected_by_python(receipts)
    (receipt,) = receipts
    (event,) = kept
    (row,) = rows_of("cached")

    # Each chunk tells the usage so far.
    assert receipt.usage.input_tokens == row.total_input_tokens
    assert event.receipt == receipt.as_dict()
    assert "stream_chat-" in event.llm_span_id


@pytest.mark.parametrize("way", WAYS)
async def test_what_llamaindex_says_stays(way, cached, prompt, rows_of):
    """The counts that LlamaIndex hands on are there as ever, and the raw usage."""
    for _ in range(2):
        answer = await way(cached, prompt())
    row, said = rows_of("cached")[-1], answer.additional_kwargs
    raw = answer.raw["usage_metadata"]

    assert said["prompt_tokens"] == row.total_input_tokens
    assert said["completion_tokens"] == row.output_tokens
    assert raw["cached_content_token_count"] == row.cache_read_input_tokens > 0


@pytest.mark.parametrize("way", WAYS)
async def test_dropped_usage(way, cached, prompt, emulator):
    """Where the cache's figures are missing they are as on a miss: not said at all."""
    await way(cached, prompt())
    emulator.faults.push(Fault(drop_usage=True))
    answer = await way(cached, prompt())

    assert answer.additional_kwargs[OPTION]["input_tokens"] > 0
    assert not answer.additional_kwargs[OPTION]["read_tokens"]


class EndingWithoutParts:
    """A server whose streams end with a chunk of usage alone."""

    def __init__(self, *, tells_finish):
        text = {"parts": [{"text": "A wagon."}], "role": "model"}
        finish = {"finishReason": "STOP"}
        usage = {
            "promptTokenCount": 9,
            "candidatesTokenCount": 2,
            "totalTokenCount": 11,
        }
        early = {"promptTokenCount": 9, "totalTokenCount": 9}
        first = {"content": text, "index": 0, **(finish if tells_finish else {})}
        self.chunks = [
            {"candidates": [first], "usageMetadata": usage if tells_finish else early},
            {"candidates": [{"index": 0, **finish}], "usageMetadata": usage},
        ]

    def __call__(self, request):
        text = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in self.chunks)
        assert b"prompt_cache" not in request.content
        return httpx.Response(
            200, text=text, headers={"content-type": "text/event-stream"}
        )

    async def answer(self, request):
        return self(request)

    @property
    def options(self):
        return {
            "client_args": {"transport": httpx.MockTransport(self)},
            "async_client_args": {"transport": httpx.MockTransport(self.answer)},
        }


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "tells_finish", [True, False], ids=["told_before", "told_at_the_end"]
)
async def test_stream_that_ends_without_parts(
    way, tells_finish, make_cached, make_plain, collecting, prompt, kept
):
    """LlamaIndex skips the last chunk then, and yields nothing that could carry it.

    The receipt stands on the last response if all is known by then; else it is in the
    event and with the cache, with the usage that LlamaIndex loses.
    """
    server = EndingWithoutParts(tells_finish=tells_finish)
    stock = await way(make_plain(http_options=server.options), prompt())
    with collecting() as receipts:
        answer = await way(make_cached(http_options=server.options), prompt())
    (receipt,) = receipts
    (event,) = kept

    assert answer.raw == stock.raw
    assert (OPTION in answer.additional_kwargs) is tells_finish
    assert event.receipt == receipt.as_dict()
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == (9, 2)
