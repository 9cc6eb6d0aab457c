"""Receipts in OpenTelemetry: on the span of the model call, and as metrics.

Rule 1: a call that has a span gets no second one.
Rule 2: what a span says already is completed, and never made less.
Rule 3: metrics have providers, models and causes, of which there are few; no names.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from typing import Any, cast, final

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    raise ImportError(
        "`OpenTelemetryListener` needs the `otel` extra: "
        "pip install 'promptcache[otel]'"
    ) from error

from promptcache.call import current_run_id
from promptcache.receipts import attributes
from promptcache.receipts.events import CacheCreated, CacheEnded, Event, Settled
from promptcache.receipts.receipt import Receipt
from promptcache.state.forks import ForkSafeLock
from promptcache.tracing import find_span

__all__ = ["OpenTelemetryListener"]

_SCOPE = "promptcache"
_OPEN_SPANS = 1_000

# The conventions' own:
# https://github.com/open-telemetry/semantic-conventions-genai, gen-ai-metrics.md
_TOKEN_BUCKETS = [4**power for power in range(14)]
_SECOND_BUCKETS = [2**power / 100 for power in range(14)]


@final
class OpenTelemetryListener:
    """Puts what receipts say on the spans of model calls, and counts it in metrics.

    A call that nobody traces gets a span of its own. Without a tracer provider there
    are no spans, and without a meter provider no metrics.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        with_identity: bool = False,
    ) -> None:
        """Listen; nothing is exported that the application does not export.

        Args:
            tracer_provider: What makes the spans of calls that have none; else that of
                the process, also if it is set later.
            meter_provider: What counts; else that of the process, likewise.
            with_identity: Put tenant and conversation on spans.
        """
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._meters = _Meters(metrics.get_meter(_SCOPE, meter_provider=meter_provider))
        self._with_identity = with_identity
        self._lock = ForkSafeLock()
        self._sums: OrderedDict[tuple[int, int], Receipt] = OrderedDict()

    def __call__(self, event: Event) -> None:
        """Take note of an answer, or of what storage cost; the rest is left alone."""
        if isinstance(event, Settled):
            _within(event.context, lambda: self._settle(event.receipt))
        elif isinstance(event, CacheCreated | CacheEnded):
            self._meters.add_storage(event)

    def _settle(self, receipt: Receipt) -> None:
        self._meters.add(receipt)
        found = cast("trace.Span | None", find_span(current_run_id()))
        current = trace.get_current_span()
        if found is not None and found.is_recording():
            self._complete(found, receipt)
        elif found is None and current.is_recording() and _is_llm(current):
            self._complete(current, receipt)
        else:
            self._add_span(receipt, under=current if found is None else found)

    def _complete(self, span: trace.Span, receipt: Receipt) -> None:
        """Write on a span what it does not say, or says too low."""
        total = self._sum(span, receipt)
        said = _attributes(span)
        better = {
            key: count
            for key, count in attributes.counts(total).items()
            if not _is_number(said.get(key)) or said[key] < count
        }
        own = attributes.findings(total)
        first = receipt.first_token_s
        if first is not None and _FIRST_TOKEN not in said:
            own[_FIRST_TOKEN] = first
        span.set_attributes({**better, **own, **self._identity(total)})

    def _add_span(self, receipt: Receipt, *, under: trace.Span) -> None:
        """Make the span of a call that nobody else has made one for."""
        asked = attributes.request(receipt.provider, receipt.model)
        span = self._tracer.start_span(
            f"{asked['gen_ai.operation.name']} {receipt.model}",
            context=trace.set_span_in_context(under),
            kind=trace.SpanKind.CLIENT,
            start_time=_nanoseconds(receipt.at),
        )
        if not span.is_recording():
            return
        known = {
            "gen_ai.system": asked["gen_ai.provider.name"],
            "openinference.span.kind": "LLM",
            "llm.model_name": receipt.model,
        }
        if receipt.id is not None:
            known["gen_ai.response.id"] = receipt.id
        span.set_attributes({**asked, **known})
        self._complete(span, receipt)
        span.end(_nanoseconds(receipt.at + (receipt.total_s or 0.0)))

    def _sum(self, span: trace.Span, receipt: Receipt) -> Receipt:
        """Return the sum of a span's receipts: a call may make several requests."""
        context = span.get_span_context()
        key = (context.trace_id, context.span_id)
        with self._lock:
            before = self._sums.pop(key, None)
            total = receipt if before is None else before + receipt
            self._sums[key] = total
            if len(self._sums) > _OPEN_SPANS:
                self._sums.popitem(last=False)
        return total

    def _identity(self, receipt: Receipt) -> dict[str, str]:
        return attributes.identity(receipt) if self._with_identity else {}


class _Meters:
    """The instruments, and what each is told."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of a request; those read and written are of the input.",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self._first_token = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time until the answer of a stream began.",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        )
        self._cost = meter.create_counter(
            "promptcache.cost",
            unit="{USD}",
            description="US dollars billed, for requests and for cached contents.",
        )
        # No counter: writing what nobody reads costs more than it saves.
        self._saved = meter.create_up_down_counter(
            "promptcache.saved",
            unit="{USD}",
            description="US dollars that requests cost less than without caching.",
        )
        self._misses = meter.create_counter(
            "promptcache.misses",
            unit="{request}",
            description="Requests that read less than they could have, by cause.",
        )

    def add(self, receipt: Receipt) -> None:
        asked = attributes.request(receipt.provider, receipt.model)
        usage = receipt.usage
        tokens = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_read": usage.read_tokens,
            "cache_write": usage.written_tokens,
        }
        for kind, count in tokens.items():
            if count is not None:
                self._tokens.record(count, {**asked, "gen_ai.token.type": kind})
        if receipt.first_token_s is not None:
            self._first_token.record(receipt.first_token_s, asked)
        if receipt.cost_usd is not None:
            self._cost.add(receipt.cost_usd, {**asked, _COST: "request"})
        if receipt.saved_usd is not None:
            self._saved.add(receipt.saved_usd, asked)
        for miss in receipt.misses:
            self._misses.add(1, {**asked, "promptcache.miss.cause": miss.cause})

    def add_storage(self, event: CacheCreated | CacheEnded) -> None:
        if event.cost_usd is None:
            return
        kind = "create" if isinstance(event, CacheCreated) else "storage"
        asked = attributes.request(event.provider, event.model)
        # Nothing was asked of the model.
        del asked["gen_ai.operation.name"]
        self._cost.add(event.cost_usd, {**asked, _COST: kind})


_FIRST_TOKEN = "gen_ai.response.time_to_first_chunk"  # noqa: S105 - a token of text
_COST = "promptcache.cost.kind"


def _within(context: Context | None, act: Callable[[], None]) -> None:
    if context is None:
        act()
    else:
        context.run(act)


def _is_llm(span: trace.Span) -> bool:
    return attributes.is_llm(_attributes(span))


def _attributes(span: trace.Span) -> dict[str, Any]:
    """Return what a span says so far; nothing if its maker lets nobody read it."""
    said = getattr(span, "attributes", None) or {}
    # OpenInference holds the kind of a span back until it ends.
    held = getattr(span, "_self_important_attributes", None) or {}
    return {**said, **held}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 10**9)
