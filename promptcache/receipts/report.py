"""What caching did so far, per model.

Rule 1: memory is bounded, whatever arrives.
Rule 2: unknown is shown as `?`, and a number that leaves unknowns out ends with one.
"""

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import fields
from html import escape
from typing import Any

from promptcache.interrupts import undisturbed
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

__all__ = ["Report"]

_MODELS = 200
_SAMPLES = 512
_WIDTH = 100
_OTHER = ("other", "other")
_TOKENS = tuple(field.name for field in fields(Usage))
_LONGER = "written_longer_tokens"
_MONEY = ("cost_usd", "without_caching_usd", "saved_usd")
_SECONDS = ("first_token_p50_s", "first_token_p95_s")
_NOTE = "? unknown; a number with ? leaves out requests that did not report it"
_COLUMNS = {
    "model": "model",
    "requests": "reqs",
    "input_tokens": "input",
    "read_tokens": "read",
    "read_share": "read%",
    "written_tokens": "write",
    _LONGER: "1h+",
    "output_tokens": "output",
    "cost_usd": "cost",
    "without_caching_usd": "plain",
    "saved_usd": "saved",
    "first_token_p50_s": "p50 s",
    "first_token_p95_s": "p95 s",
}
_STORED = {"token_hours": "tok*h", "storage_usd": "stored"}
"""Columns of remote caches, shown where there are any."""

_LEFT_OUT = (_LONGER, "without_caching_usd")
"""What makes room for them."""


class Report:
    """A running sum of receipts per provider and model; safe to use from threads.

    At most 200 models are told apart; those that come later are summed as `other`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], _Row] = {}
        self._total = _Row()
        self._is_stored = False

    def add(self, receipt: Receipt) -> None:
        """Count one receipt."""
        with undisturbed(), self._lock:
            self._row((receipt.provider, receipt.model)).add(receipt)
            self._total.add(receipt)

    def add_storage(
        self,
        provider: str,
        model: str,
        token_hours: float | None,
        cost_usd: float | None,
    ) -> None:
        """Count what a remote cache cost beside the requests that read it.

        Args:
            provider: Who keeps it.
            model: The model that it is for.
            token_hours: Tokens stored, times the hours of that; 0 for its creation.
            cost_usd: What that cost; None if it is not known.
        """
        with undisturbed(), self._lock:
            for row in (self._row((provider, model)), self._total):
                row.add_storage(token_hours, cost_usd)
            self._is_stored = True

    def as_dict(self) -> dict[str, Any]:
        """Return the sums per model and in all.

        A sum leaves out requests that did not report it, `unknown` tells how many
        these are, and a sum that no request reported is `None`. What was written for
        an hour or longer is `written_longer_tokens`, whichever of these lifetimes a
        provider has. The p50 and p95 of the first token are in seconds, of evenly
        picked requests.

        Where remote caches were counted, `token_hours` and `storage_usd` are what
        these cost beside the requests, creations included; `unknown` tells how many
        of them did not say. What was saved leaves that out.
        """
        with undisturbed(), self._lock:
            stored = self._is_stored
            models = [
                {"provider": provider, "model": model, **row.as_dict(stored=stored)}
                for (provider, model), row in self._rows.items()
            ]
            return {"models": models, "total": self._total.as_dict(stored=stored)}

    def __str__(self) -> str:
        """Return a table of at most 100 columns.

        With remote caches it leaves out what was written for long and the costs
        without caching, for want of room.
        """
        rows = self._cells(narrow=True)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        first = min(widths[0], _WIDTH - sum(widths[1:]) - len(widths) + 1)
        lines = [_line(cells, [first, *widths[1:]]) for cells in rows]
        return "\n".join([*lines, _NOTE])

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        body = "".join(f"<tr>{_html(cells, 'td')}</tr>" for cells in rows)
        return (
            f"<table><caption>{_NOTE}</caption><thead><tr>{_html(head, 'th')}</tr>"
            f"</thead><tbody>{body}</tbody></table>"
        )

    def __rich__(self) -> object:
        """Return a table of `rich`, or plain text if it is not installed."""
        try:
            from rich.table import Table  # noqa: PLC0415
            from rich.text import Text  # noqa: PLC0415
        except ImportError:
            return str(self)
        head, *rows = self._cells()
        table = Table(caption=_NOTE)
        for name in head:
            table.add_column(name, justify="left" if name == "model" else "right")
        for cells in rows:
            table.add_row(*map(Text, cells))
        return table

    def _row(self, key: tuple[str, str]) -> "_Row":
        if key not in self._rows and len(self._rows) >= _MODELS:
            key = _OTHER
        return self._rows.setdefault(key, _Row())

    def _cells(self, *, narrow: bool = False) -> list[list[str]]:
        report = self.as_dict()
        rows = [*report["models"], {"model": "total", **report["total"]}]
        columns = _COLUMNS
        if "storage_usd" in report["total"]:
            columns = {
                key: name
                for key, name in (_COLUMNS | _STORED).items()
                if not narrow or key not in _LEFT_OUT
            }
        cells = ([_cell(row, key) for key in columns] for row in rows)
        return [list(columns.values()), *cells]


class _Row:
    """The sums of one model."""

    __slots__ = ("_cached", "_requests", "_samples", "_stored", "_sums", "_unknown")

    def __init__(self) -> None:
        self._requests = 0
        self._sums: dict[str, float] = {}
        self._unknown: dict[str, int] = {}
        self._cached = (0, 0)
        self._stored = 0
        self._samples = _Samples()

    def add(self, receipt: Receipt) -> None:
        self._requests += receipt.requests
        for name, value in _values(receipt):
            self._sum(name, value, receipt.requests)
        read, prompt = receipt.usage.read_tokens, receipt.usage.input_tokens
        if read is not None and prompt is not None:
            self._cached = (self._cached[0] + read, self._cached[1] + prompt)
        if receipt.first_token_s is not None and receipt.requests == 1:
            self._samples.add(receipt.first_token_s)

    def add_storage(self, token_hours: float | None, cost_usd: float | None) -> None:
        self._stored += 1
        self._sum("token_hours", token_hours, 1)
        self._sum("storage_usd", cost_usd, 1)

    def as_dict(self, *, stored: bool) -> dict[str, Any]:
        read, prompt = self._cached
        # Of a model that stored nothing, nothing is what is known.
        none = None if self._stored else 0.0
        storage = {name: self._sums.get(name, none) for name in _STORED}
        return {
            "requests": self._requests,
            **{name: self._sums.get(name) for name in (*_TOKENS, _LONGER, *_MONEY)},
            "read_share": read / prompt if prompt else None,
            "first_token_p50_s": self._samples.quantile(0.50),
            "first_token_p95_s": self._samples.quantile(0.95),
            **(storage if stored else {}),
            "unknown": dict(self._unknown),
        }

    def _sum(self, name: str, value: float | None, count: int) -> None:
        if value is None:
            self._unknown[name] = self._unknown.get(name, 0) + count
        else:
            self._sums[name] = self._sums.get(name, 0) + value


class _Samples:
    """Evenly picked values: every one at first, then every second, fourth, ..."""

    __slots__ = ("_kept", "_seen", "_stride")

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._seen = 0
        self._stride = 1

    def add(self, value: float) -> None:
        if self._seen % self._stride == 0:
            self._kept.append(value)
        self._seen += 1
        if len(self._kept) > _SAMPLES:
            self._kept = self._kept[::2]
            self._stride *= 2

    def quantile(self, share: float) -> float | None:
        if not self._kept:
            return None
        return sorted(self._kept)[math.ceil(share * len(self._kept)) - 1]


def _values(receipt: Receipt) -> Iterator[tuple[str, float | None]]:
    for name in _TOKENS:
        yield name, getattr(receipt.usage, name)
    yield _LONGER, _longer(receipt.usage)
    for name in _MONEY:
        yield name, getattr(receipt, name)


def _longer(usage: Usage) -> int | None:
    """Return what was written for an hour or more, unless some of it may be unsaid."""
    short = (usage.written_5m_tokens, usage.written_30m_tokens)
    long = (usage.written_1h_tokens, usage.written_12h_tokens)
    if long == (None, None):
        return None
    known = sum(filter(None, long))
    if usage.written_tokens not in (None, known + sum(filter(None, short))):
        return None
    return known


def _cell(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if value is None:
        return "?"
    if key == "model":
        return str(value)
    mark = "?" if key in row["unknown"] else ""
    if key in _MONEY or key == "storage_usd":
        return f"{_dollars(value)}{mark}"
    if key == "read_share":
        return f"{value * 100:.1f}"
    return f"{value:.2f}" if key in _SECONDS else f"{_short(value)}{mark}"


def _short(number: float) -> str:
    """Return at most five characters for a count."""
    if abs(number) < 10_000:  # noqa: PLR2004 - four digits need no unit
        return f"{number:.0f}"
    for unit in "kMGT":
        number /= 1000
        if abs(number) < 999.5:  # noqa: PLR2004 - what rounds to 1000 takes the next
            digits = 3 - len(str(int(abs(number) + 0.05)))
            return f"{number:.{max(digits, 0)}f}{unit}"
    return f"{number:.0e}T"


def _dollars(usd: float) -> str:
    sign, size = "-" if usd < 0 else "", abs(usd)
    if size == 0:
        return "$0"
    if size < 0.001:  # noqa: PLR2004 - four decimals would round it to nothing
        return f"{sign}${size:.0e}"
    if size < 1000:  # noqa: PLR2004 - above, cents do not matter
        return f"{sign}${size:.{4 if size < 1 else 2}f}"
    return f"{sign}${_short(size)}"


def _line(cells: list[str], widths: list[int]) -> str:
    name = cells[0]
    name = name if len(name) <= widths[0] else f"{name[: widths[0] - 1]}…"
    numbers = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
    return " ".join([name.ljust(widths[0]), *numbers])


def _html(cells: list[str], tag: str) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
