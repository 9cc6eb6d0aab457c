"""Receipts on spans, with or without one of somebody else's, and as metrics."""

import sys
from contextvars import copy_context
from dataclasses import replace
from importlib import import_module

import pytest

pytest.importorskip("opentelemetry.sdk")

from openinference.instrumentation import OITracer, TraceConfig
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from otel_tracing import Measured, Traced, tokens_of, told_by

from promptcache import OpenTelemetryListener, PromptCache, tracing
from promptcache.receipts.attributes import counts, findings, is_llm
from promptcache.receipts.events import (
    CacheCreated,
    CacheEnded,
    LimitReached,
    Settled,
)
from promptcache.receipts.listeners import Listeners
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

RECEIPT = Receipt(
    provider="anthropic",
    model="claude-a",
    at=1_000.0,
    policy="auto",
    usage=Usage(100, 60, 30, 20, 10, 5),
    cost_usd=0.5,
    without_caching_usd=0.75,
    first_token_s=0.25,
    total_s=2.0,
    breakpoints=("system[0] 5m shared",),
    tenant="acme",
    conversation="42",
    id="msg_1",
    credits=("placed",),
    misses=(Miss("expired", "clock", "system[0]", tokens=40, cost_usd=0.1),),
)
LLM = {"gen_ai.operation.name": "chat"}


@pytest.fixture
def traced():
    return Traced()


@pytest.fixture
def measured():
    return Measured()


@pytest.fixture
def listener(traced, measured):
    return OpenTelemetryListener(traced.provider, measured.provider)


def test_span_of_our_own(traced, listener):
    """A call that nobody traces gets a span that lasts as long as the request did."""
    listener(Settled(RECEIPT))
    (span,) = traced.spans

    assert (span.name, span.kind) == ("chat claude-a", trace.SpanKind.CLIENT)
    assert (span.start_time, span.end_time) == (1_000 * 10**9, 1_002 * 10**9)
    assert span.parent is None
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.system": "anthropic",
        "gen_ai.response.model": "claude-a",
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_write.input_tokens": 30,
        "gen_ai.usage.cache_creation.input_tokens": 30,
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 20,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 10,
        "openinference.span.kind": "LLM",
        "llm.model_name": "claude-a",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 105,
        "llm.token_count.prompt_details.cache_read": 60,
        "llm.token_count.prompt_details.cache_write": 30,
        "promptcache.policy": "auto",
        "promptcache.facts": "known",
        "promptcache.requests": 1,
        "promptcache.attempts": 1,
        "promptcache.written_5m_tokens": 20,
        "promptcache.written_1h_tokens": 10,
        "promptcache.cost_usd": 0.5,
        "promptcache.without_caching_usd": 0.75,
        "promptcache.saved_usd": 0.25,
        "promptcache.first_token_s": 0.25,
        "promptcache.breakpoints": ("system[0] 5m shared",),
        "promptcache.credits": ("placed",),
        "promptcache.miss.causes": ("expired",),
        "promptcache.miss.places": ("system[0]",),
        "promptcache.miss.tokens": 40,
        "promptcache.miss.cost_usd": 0.1,
    }


def test_gemini_by_its_names(traced, listener):
    """Gemini has its own operation, and a provider that may be either of its hosts."""
    listener(Settled(replace(RECEIPT, provider="gemini", model="gemini-b")))
    (span,) = traced.spans

    assert span.name == "generate_content gemini-b"
    assert span.attributes["gen_ai.provider.name"] == "gcp.gen_ai"
    assert not any(key.startswith("anthropic.") for key in span.attributes)


def test_identity_only_if_asked_for(traced, measured):
    """Tenant and conversation are on spans that are to have them; on no metric."""
    listener = OpenTelemetryListener(
        traced.provider, measured.provider, with_identity=True
    )
    listener(Settled(RECEIPT))
    said = traced.spans[0].attributes
    values = [
        value
        for metric in measured.metrics
        for point in metric.data.data_points
        for value in point.attributes.values()
    ]

    assert said["promptcache.tenant"] == "acme"
    assert said["gen_ai.conversation.id"] == said["promptcache.conversation"] == "42"
    assert values
    assert not {"acme", "42"} & set(values)


def test_unknown_is_left_out():
    """What a receipt does not know is no attribute, and no zero."""
    bare = Receipt(provider="openai", model="m", at=0.0, policy="auto")

    assert counts(bare) == {}
    assert findings(bare) == {
        "promptcache.policy": "auto",
        "promptcache.facts": "known",
        "promptcache.requests": 1,
        "promptcache.attempts": 1,
    }
    assert counts(replace(bare, usage=Usage(10, 0)))["gen_ai.usage.input_tokens"] == 10
    assert (
        counts(replace(bare, usage=Usage(10, 0)))[
            "gen_ai.usage.cache_read.input_tokens"
        ]
        == 0
    )


def test_cost_of_misses_is_unknown_if_one_is(traced, listener):
    """A sum of misses knows a number only if every one of them does."""
    both = (*RECEIPT.misses, Miss("first_seen", "outline"))

    listener(Settled(replace(RECEIPT, misses=both)))
    said = traced.spans[0].attributes

    assert said["promptcache.miss.causes"] == ("expired", "first_seen")
    assert said["promptcache.miss.places"] == ("system[0]", "")
    assert "promptcache.miss.tokens" not in said
    assert "promptcache.miss.cost_usd" not in said


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        pytest.param({"openinference.span.kind": "LLM"}, True, id="openinference"),
        pytest.param({"openinference.span.kind": "CHAIN"}, False, id="chain"),
        pytest.param({"gen_ai.operation.name": "chat"}, True, id="chat"),
        pytest.param({"gen_ai.operation.name": "invoke_agent"}, False, id="agent"),
        pytest.param(
            {"gen_ai.system": "a", "gen_ai.operation.name": "execute_tool"},
            False,
            id="tool",
        ),
        pytest.param({"llm.request.type": "chat"}, True, id="openllmetry"),
        pytest.param({"llm.request.type": "embedding"}, False, id="embedding"),
        pytest.param(
            {"gen_ai.system": "a", "gen_ai.request.model": "b"}, True, id="older"
        ),
        pytest.param({"gen_ai.system": "a"}, False, id="system_alone"),
        pytest.param({"http.method": "POST"}, False, id="http"),
    ],
)
def test_what_is_the_span_of_a_model(marks, expected, traced, listener):
    """The current span is completed if it is a model's, and has a child otherwise."""
    with traced.tracer.start_as_current_span("theirs", attributes=marks) as theirs:
        listener(Settled(RECEIPT))
    others = [span for span in traced.spans if span.name != "theirs"]

    assert is_llm(marks) is expected
    assert ("promptcache.cost_usd" in theirs.attributes) is expected
    assert [span.parent.span_id for span in others] == (
        [] if expected else [theirs.get_span_context().span_id]
    )


def test_span_whose_kind_is_held_back(traced, listener):
    """OpenInference marks a span when it ends; it is known for what it is before."""
    tracer = OITracer(traced.tracer, config=TraceConfig())
    kind = {"openinference.span.kind": "LLM"}
    with tracer.start_as_current_span("theirs", attributes=kind):
        listener(Settled(RECEIPT))
    (span,) = traced.spans

    assert span.attributes["promptcache.cost_usd"] == 0.5


def test_nothing_is_made_less(traced, listener):
    """What a span says is kept if it is as much, and corrected if it is less."""
    said = {
        **LLM,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.response.time_to_first_chunk": 0.1,
        "llm.token_count.prompt": "unknown",
    }
    with traced.tracer.start_as_current_span("theirs", attributes=said):
        listener(Settled(RECEIPT))
    (span,) = traced.spans

    assert span.attributes["gen_ai.usage.input_tokens"] == 100
    assert span.attributes["gen_ai.usage.output_tokens"] == 7
    assert span.attributes["gen_ai.response.time_to_first_chunk"] == 0.1
    assert span.attributes["llm.token_count.prompt"] == 100


def test_requests_of_one_call_are_added_up(traced, listener):
    """A call that makes two requests has their sum on its one span."""
    with traced.tracer.start_as_current_span("theirs", attributes=LLM):
        listener(Settled(RECEIPT))
        listener(Settled(RECEIPT))
    (span,) = traced.spans

    assert span.attributes["promptcache.requests"] == 2
    assert span.attributes["promptcache.cost_usd"] == 1.0
    assert span.attributes["gen_ai.usage.cache_read.input_tokens"] == 120
    assert span.attributes["promptcache.miss.causes"] == ("expired", "expired")


def test_answer_that_is_read_elsewhere(traced, listener):
    """What counts is where the request was made, not where its stream ends."""
    with traced.tracer.start_as_current_span("theirs", attributes=LLM) as theirs:
        made = copy_context()
        with trace.use_span(trace.INVALID_SPAN):
            listener(Settled(RECEIPT, made))

    assert theirs.attributes["promptcache.cost_usd"] == 0.5
    assert len(traced.spans) == 1


def test_span_that_has_ended(traced, listener):
    """A stream that outlives its span has its own, under that one."""
    with traced.tracer.start_as_current_span("theirs", attributes=LLM) as theirs:
        made = copy_context()
    listener(Settled(RECEIPT, made))
    _, ours = traced.spans

    assert "promptcache.cost_usd" not in theirs.attributes
    assert ours.parent.span_id == theirs.get_span_context().span_id


def test_span_that_a_finder_knows(traced, listener, monkeypatch):
    """A framework's finder is asked first, by the id of the call."""
    with traced.tracer.start_as_current_span("theirs", attributes=LLM) as theirs:
        found = traced.tracer.start_span("found")
        monkeypatch.setattr(tracing, "_finders", (lambda run_id: found,))
        listener(Settled(RECEIPT))
        found.end()

    assert found.attributes["promptcache.cost_usd"] == 0.5
    assert "promptcache.cost_usd" not in theirs.attributes


def test_finders_are_asked_in_turn(monkeypatch):
    """The first finder that finds something is believed; each is asked once."""
    asked = []

    def knows(answer):
        def finder(run_id):
            asked.append((answer, run_id))
            return answer

        return finder

    monkeypatch.setattr(tracing, "_finders", ())
    nothing, first, second = knows(None), knows("first"), knows("second")
    for finder in (nothing, first, second, nothing):
        tracing.add_span_finder(finder)

    assert tracing.find_span("7") == "first"
    assert asked == [(None, "7"), ("first", "7")]


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(trace.NoOpTracerProvider(), id="none"),
        pytest.param(Traced(sampler=ALWAYS_OFF).provider, id="not_sampled"),
    ],
)
def test_nothing_is_made_without_tracing(provider, monkeypatch):
    """Where nothing is recorded, a span has no attributes reckoned, and no end."""
    monkeypatch.setattr(
        "promptcache.receipts.attributes.counts", lambda receipt: pytest.fail("made")
    )

    OpenTelemetryListener(provider)(Settled(RECEIPT))


def test_providers_of_the_process():
    """Without providers of its own it uses those of the process, and sets none."""
    OpenTelemetryListener()(Settled(RECEIPT))

    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_errors_do_not_reach_a_call(traced, caplog):
    """A span that fails costs one line in the log."""

    class Failing(trace.NonRecordingSpan):
        attributes = LLM

        def is_recording(self):
            return True

        def set_attributes(self, attributes):
            raise RuntimeError("broken")

    listeners = Listeners((OpenTelemetryListener(traced.provider),))
    with trace.use_span(Failing(trace.INVALID_SPAN_CONTEXT)):
        listeners(Settled(RECEIPT))
        listeners(Settled(RECEIPT))

    assert [record.exc_info[0] for record in caplog.records] == [RuntimeError]


def test_spans_that_are_remembered_are_bounded(traced, measured, monkeypatch):
    """Sums of long ago are forgotten."""
    monkeypatch.setattr("promptcache.receipts.otel._OPEN_SPANS", 2)
    listener = OpenTelemetryListener(traced.provider, measured.provider)
    for _ in range(5):
        with traced.tracer.start_as_current_span("theirs", attributes=LLM):
            listener(Settled(RECEIPT))

    assert len(listener._sums) == 2


def test_metrics(listener, measured):
    """Tokens, money, the first token and misses are counted by few attributes."""
    listener(Settled(RECEIPT))
    listener(Settled(replace(RECEIPT, without_caching_usd=0.25, misses=())))

    assert measured.points("gen_ai.client.token.usage") == {
        ("input",): 200,
        ("output",): 10,
        ("cache_read",): 120,
        ("cache_write",): 60,
    }
    assert measured.points("promptcache.cost") == {("request",): 1.0}
    assert measured.points("promptcache.saved") == {(): 0.0}
    assert measured.points("promptcache.misses") == {("expired",): 1}
    assert measured.points("gen_ai.client.operation.time_to_first_chunk") == {(): 0.5}


def test_metrics_of_the_unknown(listener, measured):
    """What is not known is not counted as zero."""
    listener(Settled(Receipt(provider="openai", model="m", at=0.0, policy="auto")))

    assert measured.metrics == []


def test_cost_of_cached_contents(listener, measured, traced):
    """What Gemini's cached contents cost is counted beside requests, with no span."""
    listener(CacheCreated("gemini", "m", "n", 10, 60.0, 0.25))
    listener(CacheEnded("gemini", "m", "n", "expired", 1.0, 0.5))
    listener(CacheEnded("gemini", "m", "n", "expired", None, None))
    listener(LimitReached("gemini", "m", "live_caches", None))

    assert measured.points("promptcache.cost") == {("create",): 0.25, ("storage",): 0.5}
    assert traced.spans == []


def test_buckets_of_the_conventions(listener, measured):
    """Histograms have the conventions' bounds, in which tokens and seconds differ."""
    listener(Settled(RECEIPT))
    bounds = {
        metric.name: metric.data.data_points[0].explicit_bounds
        for metric in measured.metrics
        if hasattr(metric.data.data_points[0], "explicit_bounds")
    }

    assert bounds["gen_ai.client.token.usage"][:3] == (1, 4, 16)
    assert bounds["gen_ai.client.token.usage"][-1] == 67_108_864
    assert bounds["gen_ai.client.operation.time_to_first_chunk"][0] == 0.01
    assert bounds["gen_ai.client.operation.time_to_first_chunk"][-1] == 81.92


def test_without_the_extra(monkeypatch):
    """Without OpenTelemetry, the name says which extra brings it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "promptcache.receipts.otel")

    with pytest.raises(ImportError, match=r"promptcache\[otel\]"):
        getattr(import_module("promptcache"), "OpenTelemetryListener")  # noqa: B009


def test_sdk_alone(emulator, traced):
    """A client of the SDK, with no framework, has a span for each of its requests."""
    anthropic = pytest.importorskip("anthropic")
    cache = PromptCache(
        clock=emulator.clock, listeners=[OpenTelemetryListener(traced.provider)]
    )
    plain = anthropic.Anthropic(api_key="k", base_url=emulator.url, max_retries=0)
    with plain, traced.tracer.start_as_current_span("request") as request:
        client = cache.attach(plain)
        for _ in range(2):
            client.messages.create(
                model="claude-sonnet-4-6",
                max_tokens=64,
                system="You are a careful clerk of a railway museum. " * 180,
                messages=[{"role": "user", "content": "What is a tender?"}],
            )
    spans = traced.calls

    assert [tokens_of(span) for span in spans] == [*map(told_by, emulator.ledger)]
    assert emulator.ledger[1].cache_read_input_tokens > 0
    assert {span.parent.span_id for span in spans} == {
        request.get_span_context().span_id
    }
