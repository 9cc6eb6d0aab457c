"""Calls of a framework that a handler has been told of, and the requests they send.

Rule 1: a run has the first request that is sent where it is open; what the same
context sends after that is somebody else's.
Rule 2: a context variable outlives its run in asynchronous code, so a run knows
whether it is still open.
Rule 3: a run that knows the clients of its model has all of their requests, and no
other's.
Rule 4: handlers that are told of the same call have its receipts alike.
Rule 5: a run that knows its stream has what is sent while that is read, wherever that
is, and nothing else.
Rule 6: no lock: the garbage collector, which ends runs, may come while its own thread
holds it.
"""

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import replace
from itertools import count
from operator import attrgetter
from typing import Any, TypeAlias

from promptcache.options import CallOptions, current_options, entered
from promptcache.receipts.collect import Collector, active_collectors
from promptcache.receipts.receipt import Receipt

__all__ = [
    "Clients",
    "Run",
    "current_run_id",
    "identified",
    "observing_collectors",
    "waiting_run",
]

Clients: TypeAlias = tuple[object, ...] | Callable[[], tuple[object, ...] | None] | None
"""The SDK clients of a model, or what finds them when a request is sent, as some are
made at their first use; None if they are not known."""

_MAX_DETACHED = 1_000
_numbers = count()


class Run:
    """One call of a framework, from when it begins until its answer is complete."""

    def __init__(
        self,
        cache: Any,
        *,
        options: CallOptions,
        told: Callable[[Receipt], object],
        run_id: str | None = None,
        clients: Clients = None,
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
        self._clients = clients
        self._around = CallOptions()
        self._stream: Callable[[], object] | None = None
        self._number = 0
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

    def open(self, *, takes_over: bool = False) -> None:
        """Have the next request of this context, or of its clients.

        Args:
            takes_over: Whether the call that it is made in sends nothing itself then.
        """
        if takes_over:
            outer = (it for it in _active() if it.run_id != self.run_id)
            around = max(outer, key=attrgetter("number"), default=None)
            if around is not None:
                for one in _alike(around):
                    one.claim()
        self._is_open = True
        self._number = next(_numbers)
        self._around = current_options()
        _runs.set((*(it for it in _runs.get() if it.is_open), self))

    def detach(self, stream: object = None) -> None:
        """Wait for a request that is sent when the stream is read, wherever that is.

        Args:
            stream: The generator that sends it, if that is known. Without it the
                request is taken for that of the stream that was asked for first, and
                only a run that knows its clients is found in other contexts.
        """
        self._is_detached = True
        if stream is not None and _frame(stream) is not None:
            # A stream that is dropped must be free to end.
            self._stream = weakref.ref(stream)
        if self._stream is not None or not self._is_claimed:
            _detached[id(self)] = self
            if len(_detached) > _MAX_DETACHED:
                _detached.pop(next(iter(_detached.copy())), None)

    def close(self) -> None:
        """Have no further request."""
        self._is_open = False
        _detached.pop(id(self), None)
        # The context keeps it until another run is opened there.
        self._clients = ()
        self._stream = None

    def release(self) -> None:
        """Have another request, as the first one failed."""
        for one in _alike(self):
            one._is_claimed = False  # noqa: SLF001 - another of this class

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
        """Tell whether a request that a client sends now may be this run's."""
        if not self._is_open:
            return False
        if self._is_detached and self._is_claimed and self._stream is None:
            return False
        known = self._clients() if callable(self._clients) else self._clients
        if known is None or client is None:
            return not self._is_claimed
        return any(it is client for it in known)

    @property
    def number(self) -> int:
        """Its place among all runs, by when they were opened."""
        return self._number

    @property
    def is_detached(self) -> bool:
        """Whether its call has returned a stream that is still to be read."""
        return self._is_detached

    @property
    def has_stream(self) -> bool:
        """Whether it is known what stream its call has returned."""
        return self._stream is not None

    def is_read_in(self, frames: set[int]) -> bool:
        """Tell whether a step of its stream is among what runs, given by `id`."""
        frame = None if self._stream is None else _frame(self._stream())
        return frame is not None and id(frame) in frames

    def _said(self) -> CallOptions:
        said = current_options().over(self._around).over(self.options)
        is_watched = self.options.enabled is False
        return replace(said, enabled=False) if is_watched else said


_runs: ContextVar[tuple[Run, ...]] = ContextVar("promptcache_runs", default=())
"""The runs that were opened in this context, innermost last; some may be closed."""

_claimed: ContextVar[Run | None] = ContextVar("promptcache_claimed", default=None)
_run_id: ContextVar[str | None] = ContextVar("promptcache_run_id", default=None)

_detached: dict[int, Run] = {}


def waiting_run(client: object = None) -> Run | None:
    """Return the run that a request belongs to which is sent here and now.

    Args:
        client: The SDK client that sends it; None if that is not known.
    """
    active = [run for run in _active() if run.waits_for(client)]
    if active:
        # Where one call is made inside of another, the inner one was opened later.
        return _foremost(max(active, key=attrgetter("number")))
    detached = [run for run in _runs.get() if run.is_detached]
    if client is not None:
        detached.extend(_detached.copy().values())
    # The stream that was asked for first is most likely read first.
    read = (it for it in detached if not it.has_stream and it.waits_for(client))
    found = next(read, None)
    return None if found is None else _foremost(found)


def _active() -> list[Run]:
    """Return the runs whose calls are being made here, or their streams read."""
    found = [run for run in _runs.get() if run.is_open and not run.is_detached]
    streams = [run for run in _detached.copy().values() if run.has_stream]
    if streams:
        frames: set[int] = set()
        frame: Any = sys._getframe()  # noqa: SLF001 - there is no other way up
        while frame is not None:
            frames.add(id(frame))
            frame = frame.f_back
        found.extend(run for run in streams if run.is_read_in(frames))
    return found


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
    others = dict.fromkeys((*_runs.get(), *_detached.copy().values()))
    return [
        run,
        *(
            it
            for it in others
            if it is not run and it.is_open and it.run_id == run.run_id
        ),
    ]


def _foremost(run: Run) -> Run:
    """Return the run of the same call that plans, if one of them does."""
    plans = (it for it in _alike(run) if it.options.enabled is not False)
    return next(plans, run)


def _frame(stream: object) -> object:
    """Return the frame of a generator; None if it is none, or has come to its end."""
    frame: object = getattr(stream, "gi_frame", None)
    return getattr(stream, "ag_frame", None) if frame is None else frame


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
