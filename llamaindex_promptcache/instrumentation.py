"""What LlamaIndex's own instrumentation is told.

Rule 1: an event is dispatched on the span that is open, as handlers may drop others.
Rule 2: only calls of our own LLMs are told of, and of LLMs that a handler watches,
whoever else uses the same cache.
Rule 3: a receipt is told of once, however many handlers watch its call.
"""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from threading import Lock, local
from types import TracebackType
from typing import Any
from weakref import WeakSet

try:
    from llama_index_instrumentation import get_dispatcher
    from llama_index_instrumentation.base import BaseEvent
    from llama_index_instrumentation.span import active_span_id
except ImportError as error:
    msg = (
        "`llamaindex_promptcache` needs LlamaIndex: pip install "
        "'promptcache[llamaindex-anthropic]', 'promptcache[llamaindex-openai]' or "
        "'promptcache[llamaindex-google]'"
    )
    raise ImportError(msg) from error

from pydantic import PrivateAttr
from typing_extensions import Self

from promptcache import Call, CallOptions, PromptCache, Receipt

__all__ = ["LlmCall", "PromptCacheEvent", "current_call", "listen_to", "tell_of"]

_DISPATCHER = get_dispatcher(__name__)


class PromptCacheEvent(BaseEvent):
    """A request of an LLM was answered; this is what its prompt cost and saved."""

    receipt: dict[str, Any]
    """The fields of a `promptcache.Receipt`, flat."""
    llm_span_id: str | None = None
    """The span of the LLM call. That of a stream is closed when its receipt comes,
    so `span_id` is then the one that was open around the consumer."""
    _receipt: Receipt | None = PrivateAttr(default=None)

    @property
    def own_receipt(self) -> Receipt | None:
        """The receipt itself, if the LLM is one of ours."""
        return self._receipt

    @classmethod
    def class_name(cls) -> str:
        """Return the event's name."""
        return "PromptCacheEvent"


class LlmCall:
    """One call of an LLM: carries its options in, its receipts and events out.

    It is entered around each step of a stream, never across a `yield`.
    """

    system: list[dict[str, Any]] | None = None
    """The system prompt as blocks, where the caller marked one."""
    complete_usage: Callable[[Any, Receipt], None] | None = None
    """Adds to a response's usage what LlamaIndex leaves out of it."""

    def __init__(self, call: Call) -> None:
        """Make a call.

        Args:
            call: What carries the options.
        """
        self.span_id: str | None = None
        self._call = call
        self._outer: LlmCall | None = None
        self._receipt: Receipt | None = None

    def __enter__(self) -> Self:
        self._call.__enter__()
        self._outer = _current.get()
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A coroutine may be closed in another context, which never had the call.
        with suppress(ValueError):
            _current.reset(self._token)
        self._call.__exit__(kind, error, traceback)

    @property
    def options(self) -> CallOptions:
        """What holds for the requests that are made inside it."""
        return self._call.options

    def note_span(self) -> None:
        """Take the open span for that of the LLM: the request is about to be sent."""
        self.span_id = active_span_id.get()

    def settle(self) -> None:
        """Dispatch an event for what has come in since the last time."""
        receipt = self._collect()
        if receipt is None:
            return
        here = active_span_id.get()
        # Whoever runs while the garbage collector does has no part in this call.
        span_id = self.span_id if _left.pop(id(self), None) else here
        event = PromptCacheEvent(
            receipt=receipt.as_dict(), span_id=span_id, llm_span_id=self.span_id or here
        )
        event._receipt = receipt  # noqa: SLF001 - ours
        _DISPATCHER.event(event)
        # A call that this one is made by has the same receipt, which is told of now.
        outer = self._outer
        while outer is not None:
            outer._collect()  # noqa: SLF001 - another of this class
            outer = outer._outer  # noqa: SLF001

    def leave(self) -> None:
        """Wait for the receipt of a stream that is not read to its end.

        LlamaIndex drops such a stream without closing it, so it is the garbage
        collector that ends and settles it, at any time and anywhere.
        """
        if len(_left) < _MAX_LEFT:
            _left[id(self)] = self

    def take_receipt(self) -> Receipt | None:
        """Return the sum of the receipts since the last taking; None if none came."""
        self.settle()
        receipt, self._receipt = self._receipt, None
        return receipt

    def _collect(self) -> Receipt | None:
        """Add what has come in to the sum, and return it."""
        fresh = self._call.take_receipt()
        if fresh is not None:
            known = self._receipt
            self._receipt = fresh if known is None else known + fresh
        return fresh


def tell_of(receipt: Receipt, *, llm_span_id: str, is_left: bool) -> None:
    """Dispatch an event for a receipt of somebody else's LLM, unless one was.

    Args:
        receipt: What to tell of.
        llm_span_id: The span of the LLM call.
        is_left: Whether its stream was dropped: whoever runs while the garbage
            collector does has no part in it.
    """
    last = vars(_told).setdefault("last", deque(maxlen=_MAX_TOLD))
    # All handlers are told of a receipt in a row, by the thread that settles it.
    if any(it is receipt for it in last):
        return
    last.append(receipt)
    span_id = llm_span_id if is_left else active_span_id.get()
    event = PromptCacheEvent(
        receipt=receipt.as_dict(), span_id=span_id, llm_span_id=llm_span_id
    )
    _DISPATCHER.event(event)


_told = local()
_MAX_TOLD = 8

_current: ContextVar[LlmCall | None] = ContextVar(
    "llamaindex_promptcache_call", default=None
)

# No lock: the garbage collector may come while its own thread holds it.
_left: dict[int, LlmCall] = {}
_MAX_LEFT = 256

_listened: "WeakSet[PromptCache]" = WeakSet()
_LOCK = Lock()


def current_call() -> LlmCall | None:
    """Return the innermost call that is being made here and now."""
    return _current.get()


def listen_to(cache: PromptCache) -> None:
    """Dispatch events for a cache's receipts, as soon as they are written.

    Only then is the span of a call that is no stream still open.
    """
    with _LOCK:
        if cache in _listened:
            return
        _listened.add(cache)
    cache.listen(_settle_current)


def _reopen() -> None:
    """Have a lock in the child of a fork that none of its parent's threads holds."""
    global _LOCK  # noqa: PLW0603 - there is one for this process
    _LOCK = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reopen)


def _settle_current(event: object) -> None:
    if not hasattr(event, "receipt"):
        return
    call = _current.get()
    for one in (*([] if call is None else [call]), *_left.copy().values()):
        one.settle()
