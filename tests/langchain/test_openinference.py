"""OpenInference's spans of LangChain's runs say what was read and written."""

import gc
from types import SimpleNamespace
from uuid import UUID

import openai
import pytest

pytest.importorskip("openinference.instrumentation.langchain")

from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from openinference.instrumentation.langchain import LangChainInstrumentor
from otel_tracing import Traced, tokens_of, told_by

from langchain_promptcache import (
    PromptCacheCallbackHandler,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)
from langchain_promptcache.spans import span_of_run
from promptcache import OpenTelemetryListener, PromptCache

# Gemini's minimum, 4,096 tokens, is the highest.
SYSTEM = "You are a careful clerk of a railway museum. " * 560
PROMPT = [SystemMessage(SYSTEM), HumanMessage("What is a tender?")]
CLAUDE, GPT, GEMINI = "claude-sonnet-4-6", "gpt-6.1-sol", "gemini-3.8-flash"
RUN = "01a205bb-c423-7277-9c75-23b972bf81c0"
SCOPE = "openinference.instrumentation.langchain"


class Tokens(BaseCallbackHandler, _StreamingCallbackHandler):
    """Wants every token, as LangGraph does, so that `invoke` streams."""

    def tap_output_aiter(self, run_id, output):
        return output

    def tap_output_iter(self, run_id, output):
        return output


async def invoke(model):
    model.invoke(PROMPT)


async def ainvoke(model):
    await model.ainvoke(PROMPT)


async def stream(model):
    assert list(model.stream(PROMPT))


async def astream(model):
    assert [chunk async for chunk in model.astream(PROMPT)]


async def invoke_streaming(model):
    model.invoke(PROMPT, {"callbacks": [Tokens()]})


async def ainvoke_streaming(model):
    await model.ainvoke(PROMPT, {"callbacks": [Tokens()]})


WAYS = [invoke, ainvoke, stream, astream, invoke_streaming, ainvoke_streaming]


@pytest.fixture
def traced():
    return Traced()


@pytest.fixture
def instrumented(traced):
    instrumentor = LangChainInstrumentor()
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
async def model(request, emulator, cache):
    common = {"api_key": "k", "max_tokens": 256, "prompt_cache": cache}
    if request.param == "anthropic":
        yield PromptCachedChatAnthropic(
            model=CLAUDE, base_url=emulator.url, max_retries=0, **common
        )
        return
    if request.param == "gemini":
        made = PromptCachedChatGoogleGenerativeAI(
            model=GEMINI, base_url=emulator.url, max_retries=1, **common
        )
        yield made
        await made.client.aio.aclose()
        return
    with openai.DefaultHttpxClient() as pool:
        async with openai.DefaultAsyncHttpxClient() as async_pool:
            yield PromptCachedChatOpenAI(
                model=GPT,
                base_url=f"{emulator.url}/v1",
                max_retries=0,
                http_client=pool,
                http_async_client=async_pool,
                use_responses_api=request.param == "responses",
                **common,
            )


@pytest.mark.parametrize("way", WAYS)
async def test_span_of_a_run(way, model, instrumented, traced, emulator):
    """The one span of a run has the tokens of the ledger, by both conventions."""
    for _ in range(2):
        await way(model)
    rows = [row for row in emulator.ledger if row.total_input_tokens]

    assert [tokens_of(span) for span in traced.spans] == [*map(told_by, rows)]
    assert rows[1].cache_read_input_tokens > 0
    assert {span.attributes["promptcache.requests"] for span in traced.spans} == {1}
    assert traced.calls == traced.spans
    assert {span.instrumentation_scope.name for span in traced.spans} == {SCOPE}


@pytest.mark.parametrize("model", ["anthropic"], indirect=True)
async def test_span_of_a_run_inside_a_chain(model, instrumented, traced):
    """Of the spans of a chain, only that of the model is completed."""
    chain = RunnableLambda(lambda question: PROMPT) | model
    chain.invoke("?")
    assert list(chain.stream("?"))
    with_cost = [it for it in traced.spans if "promptcache.cost_usd" in it.attributes]

    assert len(traced.spans) > len(with_cost)
    assert with_cost == traced.calls
    assert len(with_cost) == 2


@pytest.mark.parametrize("model", ["anthropic"], indirect=True)
async def test_id_that_the_caller_gave(model, instrumented, traced):
    """A stream keeps the id that its caller chose for the run."""
    seen = []

    class Asking(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, *, run_id, **kwargs):
            seen.append(str(run_id))

    config = {"run_id": RUN, "callbacks": [Asking()]}
    assert list(model.stream(PROMPT, config))
    assert [chunk async for chunk in model.astream(PROMPT, config)]

    assert seen == [RUN, RUN]
    assert [span.attributes["promptcache.requests"] for span in traced.spans] == [1, 1]


@pytest.mark.parametrize("model", ["anthropic"], indirect=True)
async def test_stream_that_is_dropped(model, instrumented, traced):
    """A stream that nobody reads to its end has its receipt on one span alike."""
    with traced.tracer.start_as_current_span("request") as request:
        chunks = model.stream(PROMPT)
        next(chunks)
    del chunks
    gc.collect()
    (span,) = [it for it in traced.spans if "promptcache.policy" in it.attributes]

    assert span.attributes["promptcache.requests"] == 1
    assert span.parent.span_id == request.get_span_context().span_id


@pytest.mark.parametrize("model", ["anthropic"], indirect=True)
async def test_without_openinference(model, traced):
    """Where nobody traces LangChain, each request has a span of ours."""
    await invoke(model)
    assert list(model.stream(PROMPT))

    assert [span.name for span in traced.spans] == [f"chat {CLAUDE}"] * 2


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("run_id", [None, "no uuid", RUN])
def test_run_that_is_not_known(run_id):
    """A run of somebody else has no span."""
    assert span_of_run(run_id) is None


def test_span_that_is_held_by_a_handler(monkeypatch):
    """OpenLLMetry's handler, too, is in every manager of callbacks."""

    class Holding(BaseCallbackHandler):
        spans = {UUID(RUN): SimpleNamespace(span="span")}  # noqa: RUF012 - a constant

    made = BaseCallbackManager.__init__

    def make(manager, *args, **kwargs):
        made(manager, *args, **kwargs)
        manager.add_handler(Holding(), inherit=True)

    monkeypatch.setattr(BaseCallbackManager, "__init__", make)

    assert span_of_run(RUN) == "span"
    assert span_of_run("01a205bb-c52a-7195-b884-1d5aa996bb08") is None


@pytest.mark.parametrize("way", [invoke, ainvoke, stream, astream])
async def test_plain_model_with_a_handler(way, instrumented, traced, cache, emulator):
    """A plain model that a handler plans has its receipt on the span of its run."""
    handler = PromptCacheCallbackHandler(cache, insert=True)
    model = ChatAnthropic(
        model=CLAUDE,
        base_url=emulator.url,
        api_key="k",
        max_tokens=256,
        max_retries=0,
        callbacks=[handler],
    )
    for _ in range(2):
        await way(model)

    assert [tokens_of(it) for it in traced.spans] == [*map(told_by, emulator.ledger)]
    assert emulator.ledger[1].cache_read_input_tokens > 0
    assert {span.instrumentation_scope.name for span in traced.spans} == {SCOPE}
