"""OpenInference's spans of LlamaIndex's LLMs say what was read and written."""

import gc

import pytest

pytest.importorskip("openinference.instrumentation.llama_index")

from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage
from llama_index_instrumentation.span_handlers.simple import SimpleSpanHandler
from llamaindex_google import in_thread
from llamaindex_kit import IGNORED
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry import context, trace
from otel_tracing import Traced, tokens_of, told_by
from pydantic import Field, PrivateAttr

from llamaindex_promptcache import (
    PromptCachedAnthropic,
    PromptCachedGoogleGenAI,
    PromptCachedOpenAI,
    PromptCachedOpenAIResponses,
)
from llamaindex_promptcache.spans import span_of_call
from promptcache import OpenTelemetryListener, PromptCache

# OpenInference asks pydantic for JSON as it was asked in the past.
pytestmark = IGNORED

# Gemini's minimum, 4,096 tokens, is the highest.
SYSTEM = "You are a careful clerk of a railway museum. " * 560
PROMPT = [ChatMessage(SYSTEM, role="system"), ChatMessage("What is a tender?")]
CLAUDE, GPT, GEMINI = "claude-sonnet-4-6", "gpt-6.1-sol", "gemini-3.8-flash"
SCOPE = "openinference.instrumentation.llama_index"


async def chat(llm):
    llm.chat(PROMPT)


async def achat(llm):
    await llm.achat(PROMPT)


async def stream_chat(llm):
    assert list(llm.stream_chat(PROMPT))


async def astream_chat(llm):
    assert [part async for part in await llm.astream_chat(PROMPT)]


WAYS = [chat, achat, stream_chat, astream_chat]


@pytest.fixture
def traced():
    return Traced()


@pytest.fixture
def instrumented(traced):
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=traced.provider)
    yield
    instrumentor.uninstrument()


@pytest.fixture
def cache(emulator, traced):
    listeners = [OpenTelemetryListener(traced.provider)]
    made = PromptCache(store="memory:", clock=emulator.clock, listeners=listeners)
    yield made
    made.close()


@pytest.fixture(params=["anthropic", "openai", "responses", "gemini"])
async def llm(request, emulator, cache):
    common = {"api_key": "k", "prompt_cache": cache, "max_retries": 0}
    if request.param == "gemini":
        made = PromptCachedGoogleGenAI(
            model=GEMINI,
            context_window=100_000,
            http_options={"base_url": emulator.url},
            **common,
        )
        yield made
        await made._client.aio.aclose()
        made._client.close()
        return
    if request.param == "anthropic":
        made = PromptCachedAnthropic(model=CLAUDE, base_url=emulator.url, **common)
    else:
        kinds = {"openai": PromptCachedOpenAI, "responses": PromptCachedOpenAIResponses}
        made = kinds[request.param](model=GPT, api_base=f"{emulator.url}/v1", **common)
    yield made
    for client in (made._client, made._aclient):
        if client is not None:
            closed = client.close()
            if closed is not None:
                await closed


@pytest.mark.parametrize("way", WAYS)
async def test_span_of_a_call(way, llm, instrumented, traced, emulator):
    """The one span of a call has the tokens of the ledger, by both conventions."""
    sync = way in {chat, stream_chat} and isinstance(llm, PromptCachedGoogleGenAI)
    for _ in range(2):
        await (in_thread(way) if sync else way)(llm)
    rows = [row for row in emulator.ledger if row.total_input_tokens]

    assert [tokens_of(span) for span in traced.spans] == [*map(told_by, rows)]
    assert rows[1].cache_read_input_tokens > 0
    assert {span.attributes["promptcache.requests"] for span in traced.spans} == {1}
    assert traced.calls == traced.spans
    assert {span.instrumentation_scope.name for span in traced.spans} == {SCOPE}


@pytest.mark.parametrize("llm", ["anthropic", "openai"], indirect=True)
async def test_stream_that_is_read_elsewhere(llm, instrumented, traced):
    """A stream that is read under another span has its receipt on its own."""
    parts = llm.stream_chat(PROMPT)
    with traced.tracer.start_as_current_span("reading") as reading:
        assert list(parts)
    (call,) = traced.calls

    assert call.attributes["promptcache.requests"] == 1
    assert "promptcache.requests" not in reading.attributes
    assert len(traced.spans) == 2


@pytest.mark.parametrize("llm", ["anthropic"], indirect=True)
async def test_stream_that_is_dropped(llm, instrumented, traced):
    """A stream that nobody reads to its end has its receipt on one span alike."""
    parts = llm.stream_chat(PROMPT)
    next(parts)
    del parts
    gc.collect()
    (span,) = [it for it in traced.spans if "promptcache.requests" in it.attributes]

    assert span.attributes["promptcache.requests"] == 1


@pytest.mark.parametrize("llm", ["anthropic"], indirect=True)
async def test_without_a_tracer(llm, traced):
    """Where nobody traces LlamaIndex, each request has a span of ours."""
    await chat(llm)
    await stream_chat(llm)

    assert [span.name for span in traced.spans] == [f"chat {CLAUDE}"] * 2


class Own(SimpleSpanHandler):
    """Keeps spans as LlamaIndex's own integration does: unmarked, and by their ids."""

    all_spans: dict = Field(default_factory=dict)
    _tracer: trace.Tracer = PrivateAttr()
    _tokens: dict = PrivateAttr(default_factory=dict)

    def __init__(self, tracer):
        super().__init__()
        self._tracer = tracer

    def new_span(self, id_, *args, **kwargs):
        span = self._tracer.start_span(id_.partition("-")[0])
        self.all_spans[id_] = span
        self._tokens[id_] = context.attach(trace.set_span_in_context(span))
        return super().new_span(id_, *args, **kwargs)

    def prepare_to_exit_span(self, id_, *args, **kwargs):
        context.detach(self._tokens.pop(id_))
        self.all_spans.pop(id_).end()
        return super().prepare_to_exit_span(id_, *args, **kwargs)


@pytest.mark.parametrize("llm", ["anthropic", "openai"], indirect=True)
async def test_integration_of_llamaindex(llm, traced):
    """Its spans are completed while they last; a stream's ends before its answer."""
    root = get_dispatcher()
    root.add_span_handler(own := Own(traced.tracer))
    try:
        await chat(llm)
        await stream_chat(llm)
    finally:
        root.span_handlers.remove(own)
    first, *others = traced.spans

    assert first.name.endswith(".chat")
    assert first.attributes["promptcache.requests"] == 1
    assert [it.attributes.get("promptcache.requests") for it in others] == [None, 1]


def test_no_call():
    """Where no call is made there is no span."""
    assert span_of_call(None) is None
    assert span_of_call("Anthropic.chat-0") is None
