"""Receipts summed in rows, one per model or per whatever else they are told apart by.

Rule 1: memory is bounded, whatever arrives.
"""

from typing import Any, Final, TypeAlias

from promptcache.receipts.advice import Advice, advised
from promptcache.receipts.entry import Entry
from promptcache.receipts.sums import Row

__all__ = ["MODEL", "Rows"]

MODEL: Final = "model"
"""What rows are unless something else is said."""

_MOST = 200
_NAME = 200
"""Characters of a name that are kept."""

_OTHER = "other"

_Key: TypeAlias = tuple[str | None, str | None]
"""The provider, in rows by model, and the name of a row."""


class Rows:
    """The sums of at most 200 rows, and of all; what comes later is `other`."""

    def __init__(self, by: str = MODEL) -> None:
        """Start with nothing.

        Args:
            by: What the rows are.
        """
        self.by = by
        self._rows: dict[_Key, Row] = {}
        self._is_stored = False
        # Not the sum of the rows where a receipt may be in several of them.
        self._all = Row()

    def add(self, entry: Entry, row: str | tuple[str, ...] | None = None) -> None:
        """Count what a receipt says, under a name or several."""
        if self.by == MODEL:
            self._row((entry.provider, entry.model[:_NAME])).add(entry)
            return
        self._all.add(entry)
        for name in dict.fromkeys(row) if isinstance(row, tuple) else (row,):
            self._row((None, None if name is None else name[:_NAME])).add(entry)

    def add_storage(
        self,
        provider: str,
        model: str,
        token_hours: float | None,
        cost_usd: float | None,
    ) -> None:
        """Count what a remote cache cost."""
        by_model = self.by == MODEL
        row = self._row((provider, model[:_NAME])) if by_model else self._all
        row.add_storage(token_hours, cost_usd)
        self._is_stored = True

    def advice(self) -> tuple[Advice, ...]:
        """Return what to do about the three causes of misses that cost most."""
        return advised(self._total().misses.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the sums of each row and of all."""
        stored = self._is_stored
        rows = [
            {**self._named(key), **row.to_dict(stored=stored)}
            for key, row in self._rows.items()
        ]
        total = self._total().to_dict(stored=stored)
        return {"by": self.by, "rows": rows, "total": total}

    def _total(self) -> Row:
        if self.by != MODEL:
            return self._all
        total = Row()
        for row in self._rows.values():
            total.merge(row)
        return total

    def _row(self, key: _Key) -> Row:
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= _MOST:
                key = (_OTHER if self.by == MODEL else None, _OTHER)
            row = self._rows.setdefault(key, Row())
        return row

    def _named(self, key: _Key) -> dict[str, str | None]:
        provider, name = key
        if self.by == MODEL:
            return {"provider": provider, MODEL: name}
        return {self.by: name}
