"""What caching did so far, per model, or per whatever else calls are told apart by.

Rule 1: memory is bounded, whatever arrives.
Rule 2: counting a receipt takes microseconds, as a model call waits for it.
"""

from typing import Any

from promptcache.interrupts import undisturbed
from promptcache.receipts import table
from promptcache.receipts.advice import Advice
from promptcache.receipts.entry import Entry
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.rows import MODEL, Rows
from promptcache.state.forks import ForkSafeLock

__all__ = ["Report"]


class Report:
    """A running sum of receipts in rows; safe to use from threads.

    At most 200 rows are told apart; those that come later are summed as `other`.
    """

    def __init__(self, by: str = MODEL) -> None:
        """Start with nothing.

        Args:
            by: What the rows are, such as `agent`; it is the heading of their names.
        """
        self._lock = ForkSafeLock()
        self._rows = Rows(by)

    @property
    def by(self) -> str:
        """What the rows are."""
        return self._rows.by

    def add(self, receipt: Receipt, row: str | tuple[str, ...] | None = None) -> None:
        """Count one receipt.

        Args:
            receipt: What to count.
            row: The name of its row, or of all rows that it belongs to, such as its
                tags; the total has it once. None is a row whose name is not known. A
                report by model needs none: the receipt has it.
        """
        entry = Entry.of(receipt)
        with undisturbed(), self._lock:
            self._rows.add(entry, row)

    def add_storage(
        self,
        provider: str,
        model: str,
        token_hours: float | None,
        cost_usd: float | None,
    ) -> None:
        """Count what a remote cache cost beside the requests that read it.

        In a report that is not by model it is in the total alone: requests of many
        rows may read one cache.

        Args:
            provider: Who keeps it.
            model: The model that it is for.
            token_hours: Tokens stored, times the hours of that; 0 for its creation.
            cost_usd: What that cost; None if it is not known.
        """
        with undisturbed(), self._lock:
            self._rows.add_storage(provider, model, token_hours, cost_usd)

    @property
    def advice(self) -> tuple[Advice, ...]:
        """The three causes of misses that cost most, each with what to do about it.

        Where no costs are known, tokens decide. What was sent for the first time comes
        last, as nothing could have been read.
        """
        with undisturbed(), self._lock:
            return self._rows.advice()

    def to_dict(self) -> dict[str, Any]:
        """Return the sums per row and in all.

        `by` tells what the rows are; each has its name under that key, in a report by
        model with the `provider` beside it.

        A sum leaves out requests that did not report it, `unknown` tells how many
        these are, and a sum that no request reported is `None`. What was written for
        an hour or longer is `written_longer_tokens`, whichever of these lifetimes a
        provider has. The p50 and p95 of the first token are in seconds, of evenly
        picked requests.

        `credits` splits what was saved, write premiums taken off, by whose doing it
        is: `placed` here, `fixed` by the caller, `implicit` by the provider; `mixed`
        are sums of several requests, and `unknown` receipts that do not say. `misses`
        has their number, tokens and cost by cause, section and form.

        Where remote caches were counted, `token_hours` and `storage_usd` are what
        these cost beside the requests, creations included; `unknown` tells how many
        of them did not say. What was saved leaves that out: `net_saved_usd` takes it
        off, and `ours_usd` takes it off what was placed here.
        """
        with undisturbed(), self._lock:
            return self._rows.to_dict()

    def __str__(self) -> str:
        """Return a table of at most 100 columns, and below it misses and advice."""
        return table.text(self.to_dict(), self.advice)

    def _repr_html_(self) -> str:
        return table.html(self.to_dict(), self.advice)

    def __rich__(self) -> object:
        """Return what `rich` renders, or plain text if it is not installed."""
        try:
            return table.rich_view(self.to_dict(), self.advice)
        except ImportError:
            return str(self)
