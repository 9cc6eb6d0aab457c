"""Calls of a framework that a handler has been told of, and the requests they send.

Rule 1: a run has the first request that is sent where it is open; what the same
context sends after that is somebody else's.
Rule 2: a context variable outlives its run in asynchronous code, so a run knows
whether it is still open.
Rule 3: a run that knows the clients of its model has all of their requests, and no
other's.
Rule 4: handlers that are told of the same call have its receipts alike.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from threading import Lock
from typing import Any

from promptcache.options import CallOptions, current_options, entered
from promptcache.receipts.collect import Collector, active_collectors
from promptcache.receipts.receipt import Receipt

__all__ = ["Run", "current_run_id", "identified", "observing_collectors", "waiting_run"]

_MAX_DETACHED = 1_000


class Run:
    """One call of a framework, from when it begins until its answer is complete."""

    def __init__(
        self,
        cache: Any,
        *,
        options: CallOptions,
        told: Callable[[Receipt], object],
        run_id: str | None = None,
        clients: tuple[object, ...] | None = None,
    ) -> None:
        """Make a run that is not open yet.

        Args:
            cache: The `PromptCache` that plans its requests, or only watches them if
                the options say so.
            options: What holds for its requests where nothing else is said;
                `enabled=False` holds whatever else is said.
            told: Called with each of its receipts, in any thread; it must not raise.
            run_id: The framework's own id of the call.
            clients: The SDK clients of its model, if these are known.
        """
        self.cache = cache
        self.options = options
        self.run_id = run_id
        self.collector = Collector(told=told)
        self._clients = None if clients is None else {id(it): it for it in clients}
        self._is_open = False
        self._is_detached = False
        self._is_claimed = False

    @property
    def is_open(self) -> bool:
        """Whether its answer is still to come."""
        return self._is_open

    @property
    def is_claimed(self) -> bool:
        """Whether it has had a request."""
        return self._is_claimed

    @property
    def receipt(self) -> Receipt | None:
        """The sum of its receipts so far; None if there are none."""
        receipts = self.collector.receipts
        return Receipt.sum(receipts) if receipts else None

    def open(self) -> None:
        """Have the next request of this context, or of its clients."""
        self._is_open = True
        _runs.set((*(it for it in _runs.get() if it.is_open), self))

    def detach(self) -> None:
        """Wait for a request that is sent when the stream is read, wherever that is.

        Only a run that knows its clients is found in other contexts.
        """
        self._is_detached = True
        if not self._is_claimed:
            with _LOCK:
                _detached[id(self)] = self
                while len(_detached) > _MAX_DETACHED:
                    _detached.popitem(last=False)

    def close(self) -> None:
        """Have no further request."""
        self._is_open = False
        with _LOCK:
            _detached.pop(id(self), None)

    def release(self) -> None:
        """Have another request, as the first one failed."""
        self._is_claimed = False

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Send a request, or make a step of it, as one of this run."""
        self._is_claimed = True
        tokens: list[Token[Any]] = [_claimed.set(self), entered(self._said())]
        if self.run_id is not None:
            tokens.append(_run_id.set(self.run_id))
        try:
            yield
        finally:
            for token in reversed(tokens):
                # A coroutine may be closed in another context.
                with suppress(ValueError):
                    token.var.reset(token)

    def claim(self) -> None:
        """Note that a request of this run is being sent."""
        self._is_claimed = True

    def waits_for(self, client: object) -> bool:
        """Tell whether a request that a client sends now is this run's."""
        if not self._is_open or (self._is_detached and self._is_claimed):
            return False
        if self._clients is None or client is None:
            return not self._is_claimed
        return id(client) in self._clients

    @property
    def is_detached(self) -> bool:
        """Whether its call has returned a stream that is still to be read."""
        return self._is_detached

    def _said(self) -> CallOptions:
        if self.options.enabled is False:
            return self.options
        return current_options().over(self.options)


_runs: ContextVar[tuple[Run, ...]] = ContextVar("promptcache_runs", default=())
"""The runs that were opened in this context, innermost last; some may be closed."""

_claimed: ContextVar[Run | None] = ContextVar("promptcache_claimed", default=None)
_run_id: ContextVar[str | None] = ContextVar("promptcache_run_id", default=None)

_detached: "OrderedDict[int, Run]" = OrderedDict()
_LOCK = Lock()


def waiting_run(client: object = None) -> Run | None:
    """Return the run that a request belongs to which is sent here and now.

    Args:
        client: The SDK client that sends it; None if that is not known.
    """
    here = [run for run in _runs.get() if run.waits_for(client)]
    for run in reversed(here):
        if not run.is_detached:
            return _foremost(run)
    if client is not None and _detached:
        with _LOCK:
            here.extend(run for run in _detached.values() if run.waits_for(client))
    # The stream that was asked for first is most likely read first.
    return _foremost(here[0]) if here else None


def observing_collectors() -> tuple[Collector, ...]:
    """Return who wants the receipt of the request that is being planned.

    The run that it belongs to has had its request then.
    """
    run = _claimed.get() or waiting_run()
    if run is None:
        return active_collectors()
    alike = _alike(run)
    for one in alike:
        one.claim()
    return (*active_collectors(), *(one.collector for one in alike))


def _alike(run: Run) -> list[Run]:
    """Return the runs of all handlers that were told of the same call."""
    if run.run_id is None:
        return [run]
    others = (it for it in _runs.get() if it is not run and it.is_open)
    return [run, *(it for it in others if it.run_id == run.run_id)]


def _foremost(run: Run) -> Run:
    """Return the run of the same call that plans, if one of them does."""
    plans = (it for it in _alike(run) if it.options.enabled is not False)
    return next(plans, run)


@contextmanager
def identified(run_id: str | None) -> Iterator[None]:
    """Let the framework's own id of a call be known inside."""
    token = _run_id.set(run_id or _run_id.get())
    try:
        yield
    finally:
        with suppress(ValueError):
            _run_id.reset(token)


def current_run_id() -> str | None:
    """Return the framework's own id of the call that is being made, if it has one."""
    return _run_id.get()
