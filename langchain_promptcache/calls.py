"""Calls of models that a handler was told of, from their start until their receipt.

Rule 1: a receipt is counted when it comes, also if the call's end never does.
Rule 2: what was counted once is not counted from what else says it.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_promptcache.locks import ForkSafeLock
from promptcache import Receipt, Run

__all__ = ["Batch", "Calls", "ModelCall", "OpenCall"]

_MAX_OPEN = 10_000
_MAX_ENDED = 1_000
_MAX_BATCHES = 100


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model, as a handler has seen it."""

    run_id: str
    """LangChain's id of it."""
    parent_run_id: str | None
    """That of the run that it was made in."""
    name: str
    """What LangChain calls it, which is the model's class if nobody named it."""
    tags: tuple[str, ...]
    agent: str | None
    """The agent that made it, if one did that has a name."""
    chain: str | None
    """The outermost chain or agent that it was made in."""
    conversation: str | None
    """The conversation that it continues, if that was said."""
    receipt: Receipt | None = None
    """What it used; None if nobody was asked, or no answer came."""


class OpenCall:
    """A call whose receipt may still come."""

    __slots__ = (
        "at",
        "batch",
        "first_token",
        "fresh",
        "has_inner",
        "is_read_off",
        "model",
        "provider",
        "receipts",
        "run",
        "said",
    )

    def __init__(
        self, said: ModelCall, *, provider: str, model: str, at: float
    ) -> None:
        """Begin a call.

        Args:
            said: What is known of it at its start.
            provider: Who is called, as receipts name them.
            model: The model that is asked for.
            at: When it begins, in UTC seconds.
        """
        self.said = said
        self.provider = provider
        self.model = model
        self.at = at
        self.run: Run | None = None
        self.first_token: float | None = None
        """When its answer began, in UTC seconds."""
        self.batch: Batch | None = None
        self.has_inner = False
        """Whether another model is called inside, whose receipts these are then."""
        self.is_read_off = False
        """Whether it was counted from its answer, for want of a receipt."""
        self.receipts: list[Receipt] = []
        self.fresh: list[Receipt] = []
        """Those of them that no message has yet."""

    def take(self) -> Receipt | None:
        """Return the sum of the receipts that no message has yet."""
        fresh, self.fresh = self.fresh, []
        return Receipt.sum(fresh) if fresh else None

    def to_record(self) -> ModelCall:
        """Return what is known of it now."""
        receipt = Receipt.sum(self.receipts) if self.receipts else None
        return replace(self.said, receipt=receipt)

    def add(self, receipt: Receipt) -> bool:
        """Take a receipt; tell whether it is to be counted."""
        if self.is_read_off:
            return False
        self.receipts.append(receipt)
        self.fresh.append(receipt)
        return True


@dataclass(slots=True)
class Batch:
    """Calls that LangChain begins together, before it sends the first of them."""

    size: int
    calls: list[OpenCall] = field(default_factory=list)

    def open(self) -> None:
        """Open the runs, so that the first of them has the first request."""
        for call in reversed(self.calls):
            if call.run is not None:
                call.run.open()

    def close(self) -> None:
        """Close all runs: none of them will send anything any more."""
        for call in self.calls:
            if call.run is not None:
                call.run.close()

    def settle(self, call: OpenCall, message_id: str | None) -> None:
        """Give a call the receipt of its own answer, if another one has got it.

        Requests of tasks need not be sent in the order in which their calls began.
        """
        if message_id is None or any(it.id == message_id for it in call.receipts):
            return
        for other in self.calls:
            if any(it.id == message_id for it in other.receipts):
                call.receipts, other.receipts = other.receipts, call.receipts
                call.fresh, other.fresh = other.fresh, call.fresh
                return


class Calls:
    """The calls of a handler: those that are open, and the last that have ended."""

    def __init__(self) -> None:
        self._open: OrderedDict[object, OpenCall] = OrderedDict()
        self._ended: deque[OpenCall] = deque(maxlen=_MAX_ENDED)
        self._batches: OrderedDict[object, Batch] = OrderedDict()
        self._lock = ForkSafeLock()

    def begin(self, run_id: object, call: OpenCall, *, batch: Any, size: int) -> None:
        """Take note of a call, and open its run.

        Args:
            run_id: LangChain's id of it.
            call: The call.
            batch: What tells the calls of one batch from others.
            size: How many these are.
        """
        with self._lock:
            self._open[run_id] = call
            while len(self._open) > _MAX_OPEN:
                self._end(self._open.popitem(last=False)[1])
            ready = self._batched(call, batch, size)
        ready.open()

    def get(self, run_id: object) -> OpenCall | None:
        """Return a call that has not ended, if it is known."""
        return self._open.get(run_id)

    def end(self, run_id: object) -> OpenCall | None:
        """Close the run of a call that has ended, and return it if it is known."""
        with self._lock:
            call = self._open.pop(run_id, None)
            if call is not None:
                self._end(call)
        return call

    def records(self) -> list[ModelCall]:
        """Return the last calls that have ended or have a receipt, oldest first."""
        with self._lock:
            told = [it for it in self._open.values() if it.receipts]
            return [it.to_record() for it in (*self._ended, *told)]

    def _end(self, call: OpenCall) -> None:
        if call.run is not None:
            call.run.close()
        self._ended.append(call)

    def _batched(self, call: OpenCall, key: object, size: int) -> Batch:
        """Return the batch that can be opened now; it may be empty."""
        if size <= 1:
            return Batch(1, [call])
        batch = self._batches.setdefault(key, Batch(size))
        batch.calls.append(call)
        call.batch = batch
        while len(self._batches) > _MAX_BATCHES:
            self._batches.popitem(last=False)
        if len(batch.calls) < size:
            return Batch(0)
        self._batches.pop(key, None)
        return batch
