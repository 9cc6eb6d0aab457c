"""What a handler does with the calls that it is told of.

Rule 1: nothing here raises: a call must not fail for being watched.
Rule 2: what LlamaIndex hands to a handler is read, never written.
Rule 3: no lock: the garbage collector, which ends streams, may come at any time.
Rule 4: of calls inside of calls, the innermost that sends has the receipt.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any

from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMCompletionEndEvent,
)
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index_instrumentation.base import BaseEvent

from llamaindex_promptcache.calls import LlmCallRecord, OpenCall
from llamaindex_promptcache.instrumentation import (
    PromptCacheEvent,
    current_call,
    tell_of,
)
from llamaindex_promptcache.llms.base import PromptCachedLLM
from llamaindex_promptcache.model_clients import clients_of, model_of, provider_of
from llamaindex_promptcache.places import RUN, Place, named
from llamaindex_promptcache.shown_usage import model_in, usage_in
from promptcache import (
    CallOptions,
    OptionError,
    Receipt,
    Report,
    Run,
    instrument,
    is_switched_off,
    observe,
    read_choice,
)

__all__ = ["Watch", "is_llm"]

_LOGGER = logging.getLogger("promptcache")

_BY = ("model", "agent", "workflow", "conversation", "tag")
_MAX_OPEN = 10_000
_MAX_ENDED = 1_000
_MAX_SHOWN = 256
_OWN_TAGS = "llamaindex."


class Watch:
    """The calls of LLMs that a handler is told of, and their receipts."""

    def __init__(
        self, prompt_cache: Any, *, insert: bool, knows_all: bool = True
    ) -> None:
        """Watch nothing yet.

        Args:
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None.
            insert: Whether plain LLMs are planned for.
            knows_all: Whether it is told of every call, and so has the receipts of
                calls that began before it was.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        self.cache, said = read_choice(prompt_cache)
        base = CallOptions(stream_usage=True if insert else None)
        self._options = said.over(base)
        if not insert:
            self._options = replace(self._options, enabled=False)
        self._knows_all = knows_all
        self._open: dict[str, OpenCall] = {}
        self._left: dict[str, OpenCall] = {}
        self._ended: deque[OpenCall] = deque(maxlen=_MAX_ENDED)
        self._reports = {by: Report(by) for by in _BY}
        instrument()

    @property
    def calls(self) -> tuple[LlmCallRecord, ...]:
        """The last calls that have a receipt, oldest first."""
        return tuple(call.to_record() for call in self._ended.copy())

    def report(self, by: str) -> Report:
        """Return what was counted so far.

        Raises:
            OptionError: Nothing is told apart by that.
        """
        if by not in self._reports:
            raise OptionError("by", by, ", ".join(_BY))
        return self._reports[by]

    def begin(
        self,
        span_id: str,
        llm: object,
        *,
        parent_id: str | None,
        place: Place,
        tags: Mapping[str, Any] | None,
    ) -> None:
        """Take note of a call that an LLM is about to make.

        Args:
            span_id: LlamaIndex's id of it.
            llm: The LLM; None if it is not known.
            parent_id: The span that it is made in.
            place: What that is part of.
            tags: The tags that are active.
        """
        owner, _, method = named(span_id)
        # What only prepares a call sends nothing, and a structured LLM asks another.
        if is_switched_off() or method.startswith("_"):
            return
        if isinstance(llm, StructuredLLM):
            return
        said = LlmCallRecord(
            span_id=span_id,
            parent_span_id=parent_id,
            llm=owner or "unknown",
            method=method,
            agent=place.agent,
            step=place.step,
            workflow=place.workflow,
            tags=_texts(tags),
        )
        call = OpenCall(said, at=self.cache.clock.now())
        if not isinstance(llm, PromptCachedLLM):
            self._open_run(call, llm, tags)
        self._open[span_id] = call
        if len(self._open) > _MAX_OPEN:
            self._close(next(iter(self._open.copy())))

    def is_watching(self, span_id: str | None) -> bool:
        """Tell whether a call is known that has not ended."""
        return span_id in self._open

    def end(self, span_id: str, result: object) -> None:
        """Take note of what a call has returned; None if it failed."""
        call = self._open.get(span_id)
        if call is None:
            return
        if isinstance(result, (Iterator, AsyncIterator)):
            call.follow(result, lambda: self._close(span_id))
        else:
            self._finish(call, result)

    def hear(self, event: BaseEvent) -> None:
        """Take note of the end of a stream, or of a receipt."""
        if isinstance(event, (LLMChatEndEvent, LLMCompletionEndEvent)):
            self._end_stream(event.span_id, event.response)
        elif isinstance(event, ExceptionEvent):
            self._leave_stream(event.span_id, event.exception)
        elif isinstance(event, PromptCacheEvent):
            self._take(event)

    def stop(self) -> None:
        """Have nothing more of the calls that are going on."""
        for span_id, call in self._open.copy().items():
            call.is_over = True
            self._close(span_id)
        self._left.clear()

    def _end_stream(self, span_id: str | None, response: object) -> None:
        call = None if span_id is None else self._open.get(span_id)
        if call is not None and call.is_stream:
            self._finish(call, response)

    def _leave_stream(self, span_id: str | None, error: BaseException) -> None:
        call = None if span_id is None else self._open.get(span_id)
        if call is not None:
            call.is_left = isinstance(error, GeneratorExit)
            self._close(call.said.span_id)

    def _take(self, event: PromptCacheEvent) -> None:
        """Count the receipt of one of our own LLMs, which tells of it itself."""
        receipt, span_id = event.own_receipt, event.llm_span_id or ""
        if receipt is None:
            return
        call = self._open.get(span_id) or self._left.pop(span_id, None)
        if call is None:
            if not self._knows_all:
                return
            owner, _, method = named(span_id)
            said = LlmCallRecord(span_id, None, owner, method, None, None, None, ())
            call = OpenCall(said, at=receipt.at)
        if call.run is None:
            self._count(call, receipt)

    def _open_run(
        self, call: OpenCall, llm: object, tags: Mapping[str, Any] | None
    ) -> None:
        # An SDK may have been loaded since the last time.
        instrument()
        run_id = tags.get(RUN) if tags else None
        call.conversation = str(run_id) if run_id else None
        call.provider, call.model = provider_of(llm), model_of(llm)
        call.run = Run(
            self.cache,
            options=self._options.over(CallOptions(conversation=call.conversation)),
            told=lambda receipt: self._told(call, receipt),
            run_id=call.said.span_id,
            clients=None if llm is None else clients_of(llm),
        )
        call.run.open(takes_over=True)

    def _told(self, call: OpenCall, receipt: Receipt) -> None:
        # One of our own LLMs, inside of this call, tells of it itself.
        if call.is_over or current_call() is not None:
            return
        try:
            self._count(call, receipt)
            is_left = call.is_dropped
            tell_of(receipt, llm_span_id=call.said.span_id, is_left=is_left)
        except Exception as error:  # noqa: BLE001 - the answer survives us
            _LOGGER.debug("A receipt was not told of: %r", error)

    def _count(self, call: OpenCall, receipt: Receipt) -> None:
        said = call.said
        call.receipts.append(receipt)
        if len(call.receipts) == 1:
            self._ended.append(call)
        reports = self._reports
        reports["model"].add(receipt)
        reports["agent"].add(receipt, said.agent or said.step)
        reports["workflow"].add(receipt, said.workflow)
        reports["conversation"].add(receipt, receipt.conversation)
        reports["tag"].add(receipt, said.tags or None)

    def _finish(self, call: OpenCall, response: object) -> None:
        try:
            if response is not None:
                self._read(call, response)
        except Exception as error:  # noqa: BLE001 - any class may return anything
            _LOGGER.debug("What an LLM shows of its usage was not read: %r", error)
        self._close(call.said.span_id)

    def _read(self, call: OpenCall, response: object) -> None:
        """Count what an answer shows, where no request of its call was seen."""
        run = call.run
        if run is None or run.is_claimed or call.receipts:
            return
        span_id = call.said.span_id
        receipt = _seen.get(span_id)
        if receipt is None:
            model = model_in(response) or call.model
            usage = usage_in(response, model=model)
            if usage is None:
                return
            receipt = observe(
                self.cache,
                usage,
                provider=call.provider or "unknown",
                model=model or "unknown",
                at=call.at,
                options=run.options,
                run_id=span_id,
            )
            _seen[span_id] = receipt
            if len(_seen) > _MAX_SHOWN:
                _seen.pop(next(iter(_seen.copy())), None)
        self._told(call, receipt)

    def _close(self, span_id: str) -> None:
        call = self._open.pop(span_id, None)
        if call is None:
            return
        if call.run is not None:
            call.run.close()
        elif not call.receipts:
            # Its stream may be settled when it is collected, after its last event.
            self._left[span_id] = call
            if len(self._left) > _MAX_SHOWN:
                self._left.pop(next(iter(self._left.copy())), None)


_seen: dict[str, Receipt] = {}
"""Receipts that were made of what an answer shows, for all handlers of its call."""


def is_llm(instance: object) -> bool:
    """Tell whether a span is of a method of an LLM."""
    return isinstance(instance, LLM)


def _texts(tags: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the caller's own tags; LlamaIndex's may hold what was asked."""
    if not tags:
        return ()
    return tuple(
        f"{name}={value}" if isinstance(value, (str, int, float)) else str(name)
        for name, value in tags.items()
        if not str(name).startswith(_OWN_TAGS)
    )
