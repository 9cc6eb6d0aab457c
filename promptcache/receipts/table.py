"""Reports as people read them: plain text, a notebook's HTML, and `rich`.

Rule 1: unknown is shown as `?`, and a number that leaves unknowns out ends with one.
Rule 2: whatever names hold, they stay on their line and inject nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any

from promptcache.receipts.advice import Advice
from promptcache.receipts.entry import LONGER, MONEY
from promptcache.receipts.sums import STORED
from promptcache.receipts.visible import plain

__all__ = [
    "WHOSE",
    "cause_lines",
    "dollars",
    "html",
    "rich_view",
    "short",
    "split_line",
    "text",
]

_WIDTH = 100
_UNKNOWN = "?"
_SECONDS = ("first_token_p50_s", "first_token_p95_s")
_NOTE = "? unknown; a number with ? leaves out requests that did not report it"
_COLUMNS = {
    "requests": "reqs",
    "input_tokens": "input",
    "read_tokens": "read",
    "read_share": "read%",
    "written_tokens": "write",
    LONGER: "1h+",
    "output_tokens": "output",
    "cost_usd": "cost",
    "without_caching_usd": "plain",
    "saved_usd": "saved",
    "first_token_p50_s": "p50 s",
    "first_token_p95_s": "p95 s",
}
_STORED = {"token_hours": "tok*h", "storage_usd": "stored"}
"""Columns of remote caches, shown where there are any."""

_LEFT_OUT = (LONGER, "without_caching_usd")
"""What makes room for them."""

WHOSE: Mapping[str, str] = {
    "placed": "placed here",
    "fixed": "marked by the caller",
    "implicit": "by the provider itself",
    "mixed": "several at once",
    "unknown": "not told whose",
}
"""Whose doing savings are, in words."""

Table = Mapping[str, Any]
"""What `Report.to_dict` returns."""


def text(table: Table, advice: Sequence[Advice]) -> str:
    """Return lines of at most 100 columns.

    With remote caches they leave out what was written for long and the costs without
    caching, for want of room.
    """
    rows = _cells(table, narrow=True)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = min(widths[0], _WIDTH - sum(widths[1:]) - len(widths) + 1)
    lines = [_line(cells, [first, *widths[1:]]) for cells in rows]
    lines.append(_NOTE)
    for paragraph, indent in _paragraphs(table, advice):
        lines += wrap(paragraph, _WIDTH, subsequent_indent=indent)
    return "\n".join(lines)


def html(table: Table, advice: Sequence[Advice]) -> str:
    """Return a table and what is to be said below it, for a notebook."""
    head, *rows = _cells(table)
    body = "".join(f"<tr>{_tagged(cells, 'td')}</tr>" for cells in rows)
    below = "".join(f"<p>{escape(it)}</p>" for it, _ in _paragraphs(table, advice))
    return (
        f"<table><caption>{_NOTE}</caption><thead><tr>{_tagged(head, 'th')}</tr>"
        f"</thead><tbody>{body}</tbody></table>{below}"
    )


def rich_view(table: Table, advice: Sequence[Advice]) -> object:
    """Return what `rich` renders.

    Raises:
        ImportError: It is not installed.
    """
    from rich.console import Group  # noqa: PLC0415 - it need not be there
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    head, *rows = _cells(table)
    view = RichTable(
        caption=_NOTE, caption_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for number, name in enumerate(head):
        # A heading that is a string would be read as markup.
        view.add_column(Text(name), justify="right" if number else "left")
    for cells in rows:
        view.add_row(*map(Text, cells))
    below = [Text(paragraph) for paragraph, _ in _paragraphs(table, advice)]
    return Group(view, *below) if below else view


def split_line(total: Mapping[str, Any]) -> str | None:
    """Return whose doing the savings are, in a sentence; None if nothing is known."""
    credits_ = total["credits"]
    known = [whose for whose in WHOSE if whose in credits_]
    if not known or total["saved_usd"] is None:
        return None
    parts = [
        f"{_money(credits_[whose], 'saved_usd')} {WHOSE[whose]}" for whose in known
    ]
    line = f"saved {_money(total, 'saved_usd')}: {', '.join(parts)}"
    if "storage_usd" in total:
        line += (
            f"; storage took {_money(total, 'storage_usd')}, which leaves "
            f"{_money(total, 'net_saved_usd')}, {_money(total, 'ours_usd')} of it ours"
        )
    return line


def cause_lines(misses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each cause, the costliest first."""
    for cause in _by_cause(misses):
        tokens = _figure(cause, "tokens", short)
        cost = _figure(cause, "cost_usd", dollars)
        yield f"{cause['cause']} {cause['misses']:,} ({tokens} tokens, {cost})"


def short(number: float) -> str:
    """Return at most five characters for a count."""
    if abs(number) < 10_000:  # noqa: PLR2004 - four digits need no unit
        return f"{number:.0f}"
    for unit in "kMGT":
        number /= 1000
        if abs(number) < 999.5:  # noqa: PLR2004 - what rounds to 1000 takes the next
            digits = 3 - len(str(int(abs(number) + 0.05)))
            return f"{number:.{max(digits, 0)}f}{unit}"
    return f"{number:.0e}T"


def dollars(usd: float) -> str:
    """Return US dollars, with enough digits to differ from nothing."""
    sign, size = "-" if usd < 0 else "", abs(usd)
    if size == 0:
        return "$0"
    if size < 0.001:  # noqa: PLR2004 - four decimals would round it to nothing
        return f"{sign}${size:.0e}"
    if size < 1000:  # noqa: PLR2004 - above, cents do not matter
        return f"{sign}${size:.{4 if size < 1 else 2}f}"
    return f"{sign}${short(size)}"


def _paragraphs(table: Table, advice: Sequence[Advice]) -> Iterator[tuple[str, str]]:
    """Yield what is said below the table, and how its further lines are indented."""
    total = table["total"]
    line = split_line(total)
    if line is not None:
        yield line, "  "
    if total["misses"]:
        yield f"misses: {', '.join(cause_lines(total['misses']))}", "  "
    for number, it in enumerate(advice, 1):
        where = "" if it.place_section is None else f", mostly in {it.place_section}"
        yield f"{number}. {it.cause}{where}: {it.remedy}", "   "


def _by_cause(misses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return misses summed over places and forms."""
    causes: dict[str, dict[str, Any]] = {}
    for it in misses:
        so_far = causes.setdefault(
            it["cause"],
            {
                "cause": it["cause"],
                "misses": 0,
                "tokens": None,
                "cost_usd": None,
                "unknown": {},
            },
        )
        so_far["misses"] += it["misses"]
        for name in ("tokens", "cost_usd"):
            if it[name] is not None:
                so_far[name] = (so_far[name] or 0) + it[name]
        for name, count in it["unknown"].items():
            so_far["unknown"][name] = so_far["unknown"].get(name, 0) + count
    return sorted(
        causes.values(),
        key=lambda it: (it["cost_usd"] or 0, it["tokens"] or 0, it["misses"]),
        reverse=True,
    )


def _cells(table: Table, *, narrow: bool = False) -> list[list[str]]:
    by, total = table["by"], table["total"]
    columns = _COLUMNS
    if "storage_usd" in total:
        columns = {
            key: name
            for key, name in (_COLUMNS | _STORED).items()
            if not narrow or key not in _LEFT_OUT
        }
    rows = [(_name(row[by]), row) for row in table["rows"]]
    return [
        [plain(by), *columns.values()],
        *([name, *(_cell(row, key) for key in columns)] for name, row in rows),
        ["total", *(_cell(total, key) for key in columns)],
    ]


def _name(name: str | None) -> str:
    return _UNKNOWN if name is None else plain(name)


def _cell(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if value is None:
        return _UNKNOWN
    if key in MONEY or key in STORED[1:]:
        return _money(row, key)
    if key == "read_share":
        return f"{value * 100:.1f}"
    return f"{value:.2f}" if key in _SECONDS else _figure(row, key, short)


def _money(row: Mapping[str, Any], key: str) -> str:
    return _figure(row, key, dollars)


def _figure(row: Mapping[str, Any], key: str, form: Any) -> str:
    value = row[key]
    mark = _UNKNOWN if key in row["unknown"] else ""
    return _UNKNOWN if value is None else f"{form(value)}{mark}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name = cells[0]
    name = name if len(name) <= widths[0] else f"{name[: widths[0] - 1]}…"
    numbers = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
    return " ".join([name.ljust(widths[0]), *numbers])


def _tagged(cells: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
