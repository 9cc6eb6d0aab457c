"""Traces and metrics that stay in memory, and what the ledger says of them."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["Measured", "Traced", "tokens_of", "told_by"]


class Traced:
    """A tracer provider, and the spans that have ended."""

    def __init__(self, **options):
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def tracer(self):
        return self.provider.get_tracer("test")

    @property
    def spans(self):
        """Spans in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    @property
    def calls(self):
        """Spans of models, as OpenInference marks them."""
        return [
            span
            for span in self.spans
            if span.attributes.get("openinference.span.kind") == "LLM"
        ]


class Measured:
    """A meter provider, and what was counted."""

    def __init__(self):
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def points(self, name):
        """Return the points of a metric: attributes without the usual ones, and sum."""
        return {
            tuple(_unusual(point.attributes)): getattr(point, "value", None)
            if hasattr(point, "value")
            else point.sum
            for metric in self.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    @property
    def metrics(self):
        found = self._reader.get_metrics_data()
        if found is None:
            return []
        return [
            metric
            for resource in found.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]


def tokens_of(span):
    """Return what a span says of its tokens, by the names of both conventions."""
    said = span.attributes
    prompt, details = "llm.token_count.prompt", "llm.token_count.prompt_details"
    usage = "gen_ai.usage"
    return {
        "prompt": {said[prompt], said[f"{usage}.input_tokens"]},
        "read": {
            said[f"{details}.cache_read"],
            said[f"{usage}.cache_read.input_tokens"],
        },
        "written": {
            said[f"{details}.cache_write"],
            said[f"{usage}.cache_write.input_tokens"],
            said[f"{usage}.cache_creation.input_tokens"],
        },
        "output": {
            said["llm.token_count.completion"],
            said[f"{usage}.output_tokens"],
        },
    }


def told_by(row):
    """Return what a span must say of the request that a row of the ledger is."""
    return {
        "prompt": {row.total_input_tokens},
        "read": {row.cache_read_input_tokens},
        "written": {row.cache_creation_input_tokens},
        "output": {row.output_tokens},
    }


def _unusual(attributes):
    usual = {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.response.model"}
    return [value for key, value in sorted(attributes.items()) if key not in usual]
