"""The table of a replay, for people."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from promptcache.analysis.replay.running import Row

__all__ = ["table"]

_UNKNOWN = "unknown"


def table(rows: Sequence[Row]) -> Table:
    """Return rows as a table; bills are relative to not caching."""
    made = Table()
    made.add_column("Policy", no_wrap=True)
    for name in ("Sessions", "Requests", "Bill", "Optimum", "Regret", "Read", "Worse"):
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        known = row.bill is not None and row.optimum is not None
        regret = row.bill - row.optimum if known else None  # type: ignore[operator]
        made.add_row(
            Text(row.policy),
            f"{row.sessions:,}",
            f"{row.requests:,}",
            _figure(row.bill),
            _figure(row.optimum),
            _figure(regret),
            _percent(row.read_share),
            _percent(row.worse_share),
        )
    return made


def _figure(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.1%}"
