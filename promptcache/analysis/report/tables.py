"""The tables of the page.

Rule 1: on a narrow screen a row becomes a card, so each cell knows its heading.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from promptcache.analysis.report import charts, figures
from promptcache.analysis.report.course import BINS, DearMiss, Span
from promptcache.analysis.report.figures import count, figure, money, percent
from promptcache.analysis.report.markup import Html, element, joined
from promptcache.receipts.entry import Section
from promptcache.receipts.miss import Cause
from promptcache.receipts.table import WHOSE

__all__ = [
    "CAUSES",
    "credits",
    "dearest",
    "ends",
    "misses",
    "models",
    "spans",
    "waits",
    "with_code",
]

CAUSES: Mapping[Cause, str] = {
    "first_seen": "Sent for the first time",
    "expired": "Came after the prefix had ended",
    "prefix_changed": "The beginning had changed",
    "below_minimum": "Shorter than the model caches",
    "model_or_settings_changed": "Another model or other settings",
    "not_marked": "Not cached by the request before",
    "evicted_or_unknown": "Gone at the provider, or unexplained",
}
"""Causes of misses in words."""


_NUMBER = "n"
_LOSS = "n loss"
_NAME = "name"
"""The class of cells that are cut where they are too long."""


class _Cell(NamedTuple):
    """What stands under a heading."""

    content: str
    kind: str | None = _NUMBER
    """The class of the cell."""


def models(rows: Sequence[Mapping[str, Any]]) -> Html:
    """Return how much each model read, spent and saved."""
    heads = ("Model", "Requests", "", "Read", "Spent", "Saved")
    by_cost = sorted(rows, key=lambda it: it["cost_usd"] or 0, reverse=True)
    return _table(
        heads,
        (
            (
                _Cell(row["model"], _NAME),
                _Cell(count(row["requests"])),
                _Cell(charts.bar(row["read_share"]), "graph"),
                _Cell(percent(row["read_share"])),
                _Cell(figure(row, "cost_usd")),
                _Cell(figure(row, "saved_usd"), _tone(row["saved_usd"])),
            )
            for row in by_cost
        ),
    )


def credits(total: Mapping[str, Any]) -> Html:  # noqa: A001 - the receipt's own word
    """Return whose doing savings are."""
    rows = total["credits"]
    return _table(
        ("Cached", "Requests", "Tokens read", "Saved"),
        (
            (
                _Cell(WHOSE[whose], None),
                _Cell(count(rows[whose]["requests"])),
                _Cell(figure(rows[whose], "read_tokens")),
                _Cell(
                    figure(rows[whose], "saved_usd"), _tone(rows[whose]["saved_usd"])
                ),
            )
            for whose in WHOSE
            if whose in rows
        ),
    )


def ends(rows: Iterable[tuple[Section | None, int, float | None]]) -> Html:
    """Return where prefixes ended, and how much was read."""
    return _table(
        ("In", "Requests", "", "Read"),
        (
            (
                _Cell(section or "elsewhere", None),
                _Cell(count(requests)),
                _Cell(charts.bar(share), "graph"),
                _Cell(percent(share)),
            )
            for section, requests, share in rows
        ),
    )


def misses(rows: Sequence[Mapping[str, Any]]) -> Html:
    """Return what each kind of miss lost."""
    most = max((it["cost_usd"] or 0 for it in rows), default=0)
    return _table(
        ("Reason", "Where", "Requests", "Tokens", "", "Cost"),
        (
            (
                _Cell(CAUSES[it["cause"]], None),
                _Cell(_where(it["section"], it["form"]), None),
                _Cell(count(it["misses"])),
                _Cell(figure(it, "tokens")),
                _Cell(_lost(it["cost_usd"], most), "graph"),
                _Cell(figure(it, "cost_usd")),
            )
            for it in rows
        ),
    )


def dearest(rows: Iterable[DearMiss]) -> Html:
    """Return single misses."""
    return _table(
        ("When", "Model", "Reason", "Where", "Tokens", "Cost"),
        (
            (
                _Cell(figures.moment(it.at), "when"),
                _Cell(it.model, _NAME),
                _Cell(CAUSES[it.miss.cause], None),
                _Cell(_where(it.miss.place, it.miss.form), None),
                _Cell(figures.tokens(it.miss.tokens)),
                _Cell(money(it.miss.cost_usd)),
            )
            for it in rows
        ),
    )


def spans(rows: Iterable[Span]) -> Html:
    """Return costs over time."""
    return _table(
        ("From (UTC)", "Requests", "Spent", "Without caching"),
        (
            (
                _Cell(figures.moment(it.start, width=it.seconds), None),
                _Cell(count(it.requests)),
                _Cell(_partial(it, it.cost_usd)),
                _Cell(_partial(it, it.without_caching_usd)),
            )
            for it in rows
            if it.requests
        ),
    )


def waits(hits: Sequence[int], missed: Sequence[int]) -> Html:
    """Return how many waits each bar has."""
    names = [*(f"up to {end:g} s" for end in BINS), "longer"]
    return _table(
        ("First token", "Hits", "Misses"),
        (
            (_Cell(name, None), _Cell(count(hit)), _Cell(count(miss)))
            for name, hit, miss in zip(names, hits, missed, strict=True)
        ),
    )


def with_code(text: str) -> Html:
    """Return a text whose parts in backticks are code."""
    parts = re.split(r"`([^`]*)`", text)
    return joined(*(element("code", it) if n % 2 else it for n, it in enumerate(parts)))


def _table(heads: Sequence[str], rows: Iterable[tuple[_Cell, ...]]) -> Html:
    """Return a table; a column without a heading is a drawing of the next one."""
    body = [list(row) for row in rows]
    kinds = [cell.kind for cell in body[0]] if body else [None] * len(heads)
    return element(
        "table",
        element("thead", element("tr", *_heads(heads, kinds))),
        element("tbody", *(element("tr", *_cells(heads, row)) for row in body)),
        class_="cards",
    )


def _heads(heads: Sequence[str], kinds: Sequence[str | None]) -> Iterator[Html]:
    for head, kind in zip(heads, kinds, strict=True):
        if head:
            of = "n" if kind in {_NUMBER, _LOSS} else None
            yield element("th", head, scope="col", class_=of)
        else:
            yield element("td", aria_hidden="true")


def _cells(heads: Sequence[str], row: Sequence[_Cell]) -> Iterator[Html]:
    for number, (head, (content, kind)) in enumerate(zip(heads, row, strict=True)):
        full = content if kind == _NAME else None
        if not number:
            yield element("th", content, scope="row", class_=kind, title=full)
        else:
            yield element(
                "td",
                content,
                class_=kind,
                title=full,
                data_label=head or None,
                aria_hidden=None if head else "true",
            )


def _where(place: str | None, form: str | None) -> str:
    parts = [place or "", f"only {form}" if form else ""]
    return ", ".join(filter(None, parts)) or "\N{EN DASH}"


def _lost(cost_usd: float | None, most: float) -> Html:
    return charts.bar(cost_usd / most if cost_usd and most else None, kind="lost")


def _partial(span: Span, usd: float | None) -> str:
    return f"{money(usd)}?" if usd is not None and span.is_partial else money(usd)


def _tone(saved_usd: float | None) -> str:
    return _LOSS if saved_usd is not None and saved_usd < 0 else _NUMBER
