"""Where LlamaIndex's tracers keep the spans of its calls.

Rule 1: nothing is loaded here; without a dispatcher there are no such spans.
"""

import sys
from typing import Any

__all__ = ["span_of_call"]

_LLM = "LLM"


def span_of_call(run_id: str | None) -> object | None:
    """Return the span that a tracer has open for the LLM call made here, if one has.

    OpenInference and LlamaIndex's own integration both keep theirs by the id that
    LlamaIndex gives a span. That of a stream is no longer current when it is read.
    """
    core = sys.modules.get("llama_index_instrumentation")
    if core is None:
        return None
    here = core.span.active_span_id.get()
    call = _current_call()
    handlers = core.get_dispatcher().span_handlers
    if call is not None:
        return _open_span(handlers, call.span_id or here)
    # Whatever is active around a call of somebody else may be no call at all.
    span = _open_span(handlers, run_id)
    return _open_span(handlers, here, kind=_LLM) if span is None else span


def _current_call() -> Any:
    ours = sys.modules.get("llamaindex_promptcache.instrumentation")
    return None if ours is None else ours.current_call()


def _open_span(
    handlers: list[Any], span_id: str | None, *, kind: str | None = None
) -> object | None:
    if span_id is None:
        return None
    for handler in handlers:
        held = _openinference_span(handler, span_id)
        if held is not None and kind in {None, held._span_kind}:  # noqa: SLF001 - as below
            span: object = held._otel_span  # noqa: SLF001 - it has no public name
            return span
        own = getattr(handler, "all_spans", {}).get(span_id)
        if own is not None and kind is None:
            return own  # type: ignore[no-any-return]
    return None


def _openinference_span(handler: Any, span_id: str) -> Any:
    """Return a span of OpenInference's handler, that of an unread stream included."""
    waiting = getattr(handler, "_export_queue", None)
    if waiting is None:
        return None
    return handler.open_spans.get(span_id) or waiting.find(span_id)
