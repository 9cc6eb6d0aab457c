"""The same for LlamaIndex's older callback manager.

Rule 1: nothing raises here, as that would end the caller's call.
Rule 2: a call that has a span is known by it, so that both handlers speak of one call.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import BoundArguments
from typing import Any
from weakref import WeakSet

from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.span import active_span_id
from pydantic import PrivateAttr

from llamaindex_promptcache.calls import LlmCallRecord
from llamaindex_promptcache.places import Place, Places
from llamaindex_promptcache.spans_and_events import SpansAndEvents
from llamaindex_promptcache.watching import Watch, is_llm
from promptcache import Report

__all__ = ["PromptCacheCallbackHandler"]

_LOGGER = logging.getLogger("promptcache")


@contextmanager
def _harmless() -> Iterator[None]:
    """Log the errors of a block instead of raising them."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the call survives us
        _LOGGER.debug("An event was not taken note of: %r", error)


class PromptCacheCallbackHandler(BaseCallbackHandler):
    """Does what `PromptCacheHandler` does, for LLMs that are given this manager.

        llm = Anthropic(..., callback_manager=CallbackManager([handler]))

    LlamaIndex tells the manager of chats and completions only, without the LLM, and
    of a stream nothing between its beginning and its end. So what a call of these LLMs
    really does is taken from its spans, which are listened to while a handler is
    alive; this has structured output, too. Calls without a span are known by the
    manager's own events.
    """

    def __init__(self, prompt_cache: Any = None, *, insert: bool = False) -> None:
        """Make a handler for a `CallbackManager`.

        Args:
            prompt_cache: What `PromptCacheHandler` takes.
            insert: Whether plain LLMs are planned for; what that means for Gemini,
                `PromptCacheHandler` says.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self._watch = Watch(prompt_cache, insert=insert, knows_all=False)
        _SPANS.serve(self)

    @property
    def watch(self) -> Watch:
        """What its calls are known by."""
        return self._watch

    @property
    def calls(self) -> tuple[LlmCallRecord, ...]:
        """The last 1,000 calls that have a receipt, oldest first."""
        return self._watch.calls

    def report(self, by: str = "model") -> Report:
        """Return what was read, written and saved by the calls so far.

        Args:
            by: What `PromptCacheHandler.report` takes.

        Raises:
            OptionError: It is not that.
        """
        return self._watch.report(by)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,  # noqa: ARG002 - LlamaIndex's signature
        event_id: str = "",
        parent_id: str = "",  # noqa: ARG002 - as above
        **_: Any,
    ) -> str:
        """Take note of a call of an LLM that has no span."""
        with _harmless():
            # Somebody may have replaced what the root dispatcher had.
            _SPANS.join()
            here = active_span_id.get()
            if event_type == CBEventType.LLM and not self._watch.is_watching(here):
                place = _SPANS.at(here)
                self._watch.begin(
                    event_id, None, parent_id=here, place=place, tags=None
                )
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,  # noqa: ARG002 - LlamaIndex's signature
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **_: Any,
    ) -> None:
        """Take note of the end of a call of an LLM that has no span."""
        with _harmless():
            said = payload or {}
            response = said.get(EventPayload.RESPONSE) or said.get(
                EventPayload.COMPLETION
            )
            self._watch.end(event_id, response)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing: each call is on its own."""

    def end_trace(
        self,
        trace_id: str | None = None,
        trace_map: dict[str, list[str]] | None = None,
    ) -> None:
        """Do nothing, as `start_trace` does."""


class _Spans(SpansAndEvents):
    """Tells callback handlers of the spans of their LLMs."""

    _handlers: "WeakSet[PromptCacheCallbackHandler]" = PrivateAttr()
    _places: Places = PrivateAttr()

    def __init__(self) -> None:
        """Tell nobody yet."""
        super().__init__()
        self._handlers = WeakSet()
        self._places = Places()

    def serve(self, handler: PromptCacheCallbackHandler) -> None:
        """Tell a handler of the calls of its LLMs, for as long as it lives."""
        self._handlers.add(handler)
        self.join()

    def at(self, span_id: str | None) -> Place:
        """Return what a span is part of."""
        return self._places.at(span_id)

    def opened(
        self,
        span_id: str,
        parent_id: str | None,
        *,
        instance: object,
        bound_args: BoundArguments,
        tags: dict[str, Any] | None,
    ) -> None:
        """Tell those handlers of a call that the LLM's manager has."""
        if not self._handlers:
            return
        if not is_llm(instance):
            self._places.enter(
                span_id,
                parent_id,
                instance=instance,
                bound_args=bound_args,
                tags=tags,
            )
            return
        place = self._places.stand_in(span_id, parent_id)
        manager = getattr(instance, "callback_manager", None)
        for handler in getattr(manager, "handlers", ()):
            if isinstance(handler, PromptCacheCallbackHandler):
                handler.watch.begin(
                    span_id, instance, parent_id=parent_id, place=place, tags=tags
                )

    def closed(self, span_id: str, result: object) -> None:
        """Tell all handlers; those that do not know the call do nothing."""
        self._places.leave(span_id)
        for handler in self._handlers.copy():
            handler.watch.end(span_id, result)

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Tell all handlers, as `closed` does."""
        for handler in self._handlers.copy():
            handler.watch.hear(event)


_SPANS = _Spans()
