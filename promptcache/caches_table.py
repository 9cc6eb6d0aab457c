"""Gemini's cached contents as a person and as a program reads them.

Rule 1: unknown is shown as `?`, and a sum that leaves unknowns out ends with one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from rich.table import Table
from rich.text import Text

from promptcache.providers.gemini.standing import Row
from promptcache.receipts.visible import plain, plain_lines

__all__ = ["Shown", "moment", "money", "short"]

_DAY = 86_400.0
_UNKNOWN = "?"


class Shown:
    """Rows at one time, with their prices."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        at: float,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Show rows.

        Args:
            rows: What there is.
            at: The time, in UTC seconds.
            facts: Rules that are laid over those that ship.
        """
        self._rows = [(row, row.usd_per_hour(at=at, facts=facts)) for row in rows]
        self._at = at

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each row; times are in UTC seconds."""
        return [_as_dict(row, usd) for row, usd in self._rows]

    def table(self) -> Table:
        """Return a table with a line for the sum."""
        table = Table(box=None, pad_edge=False)
        for head in ("cached content", "tokens", "lives", "an hour", "used"):
            is_text = head in ("cached content", "lives")
            table.add_column(
                head, justify="left" if is_text else "right", overflow="fold"
            )
        for row, usd in self._rows:
            cells = map(plain_lines, self._cells(row, usd))
            table.add_row(*map(Text, cells), end_section=True)
        table.add_row(*map(Text, self._total()))
        return table

    def _cells(self, row: Row, usd: float | None) -> Iterator[str]:
        yield f"{plain(short(row.name))}\n{row.state}, {plain(row.model)}"
        yield _count(row.tokens)
        left = f" ({_length(row.expires_at - self._at)})"
        since = f"since {moment(row.created_at, at=self._at)}"
        until = f"until {moment(row.expires_at, at=self._at)}"
        yield f"{since}\n{until}{'' if row.state == 'missing' else left}"
        yield money(usd)
        yield f"{_count(row.uses)} x\nsaved {money(row.saved_usd)}"

    def _total(self) -> Iterator[str]:
        alive = [(row, usd) for row, usd in self._rows if row.state != "missing"]
        yield f"{len(alive)} in all"
        yield _count(*_sum(row.tokens for row, _ in alive))
        yield ""
        yield money(*_sum(usd for _, usd in alive))
        uses = _count(*_sum(row.uses for row, _ in alive))
        yield f"{uses} x\nsaved {money(*_sum(row.saved_usd for row, _ in alive))}"


def short(name: str) -> str:
    """Return a name without what all of them begin with."""
    return name.rpartition("cachedContents/")[2]


def money(value: float | None, mark: str = "") -> str:
    """Return US dollars as a person reads them."""
    return _UNKNOWN if value is None else f"${value:.4f}{mark}"


def moment(time: float, *, at: float) -> str:
    """Return a time as the clocks here show it, with its day if that is far.

    Args:
        time: In UTC seconds.
        at: The time now.
    """
    far = abs(time - at) >= _DAY
    local = datetime.fromtimestamp(time, tz=timezone.utc).astimezone()
    return local.strftime("%Y-%m-%d %H:%M" if far else "%H:%M")


def _as_dict(row: Row, usd_per_hour: float | None) -> dict[str, Any]:
    return {
        "name": row.name,
        "model": row.model,
        "state": row.state,
        "tokens": row.tokens,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "usd_per_hour": usd_per_hour,
        "uses": row.uses,
        "saved_usd": row.saved_usd,
        "owner": row.owner,
    }


def _sum(values: Iterable[float | None]) -> tuple[float | None, str]:
    """Return the sum of what is known, and a mark if that is not all."""
    values = list(values)
    known = [value for value in values if value is not None]
    mark = "" if len(known) == len(values) else _UNKNOWN
    return (sum(known) if known else None), mark if known else ""


def _count(value: float | None, mark: str = "") -> str:
    return _UNKNOWN if value is None else f"{value:,.0f}{mark}"


def _length(seconds: float) -> str:
    hours, minutes = divmod(max(round(seconds / 60), 0), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
