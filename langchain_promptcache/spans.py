"""Where the tracers of others keep the spans of LangChain's runs.

Rule 1: nothing is loaded here; a tracer that traces every run is in every manager of
callbacks, also in a new one.
"""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager

__all__ = ["span_of_run"]


def span_of_run(run_id: str | None) -> object | None:
    """Return the span that OpenInference or OpenLLMetry has opened for a run, if any.

    Neither makes it current where the request is sent, so the run is the way to it.
    """
    try:
        run = None if run_id is None else UUID(run_id)
    except ValueError:  # the id is another framework's
        run = None
    if run is None:
        return None
    found = (_span(it, run) for it in BaseCallbackManager(handlers=[]).handlers)
    return next((span for span in found if span is not None), None)


def _span(handler: Any, run: UUID) -> object | None:
    if hasattr(handler, "get_span"):
        span: object | None = handler.get_span(run)
        return span
    # OpenLLMetry holds a span with what belongs to it, and has no method for it.
    held = getattr(handler, "spans", None)
    return getattr(held.get(run), "span", None) if isinstance(held, dict) else None
