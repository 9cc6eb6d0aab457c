"""Times between the requests of a trace that has none."""

import csv
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from promptcache.analysis.replay.traces import UnreadableTraceError

__all__ = ["DEFAULT_GAP", "SEED", "Gaps"]

DEFAULT_GAP = 10.0
"""Seconds between requests where nothing else is said."""

SEED = 20261122
"""The same draws in each replay."""

_COLUMNS = {"tool_use": "after_tool_use_s", "end_turn": "after_end_turn_s"}


class Gaps:
    """Seconds from one request to the next, by why the model had stopped."""

    def __init__(
        self,
        quantiles: Sequence[float] = (),
        values: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Begin to draw.

        Args:
            quantiles: From 0 to 1, rising.
            values: Gaps at these, by stop reason; without, all gaps are the same.
        """
        self._quantiles, self._values = quantiles, values
        # For what happens in a replay, not for a secret.
        self._random = Random(SEED)  # noqa: S311

    @classmethod
    def of(cls, path: Path | None) -> "Gaps":
        """Return gaps by a file of quantiles, the same ones for the same file.

        Args:
            path: CSV with the columns `quantile`, `after_tool_use_s` and
                `after_end_turn_s`; None draws nothing.

        Raises:
            UnreadableTraceError: It cannot be read, or holds something else.
        """
        if path is None:
            return cls()
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            quantiles = [float(row["quantile"]) for row in rows]
            values = {
                stop: [float(row[column]) for row in rows]
                for stop, column in _COLUMNS.items()
            }
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UnreadableTraceError(
                f"{path} is no file of gap quantiles: {error!r}"
            ) from error
        if not quantiles or quantiles != sorted(quantiles):
            raise UnreadableTraceError(f"{path} has no quantiles that rise.")
        return cls(quantiles, values)

    def after(self, stop: str) -> float:
        """Return the seconds to the next request.

        Args:
            stop: `tool_use` or `end_turn`.
        """
        if self._values is None:
            return DEFAULT_GAP
        values, drawn = self._values[stop], self._random.random()
        above = bisect_right(self._quantiles, drawn)
        if above in (0, len(values)):
            return values[min(above, len(values) - 1)]
        low, high = self._quantiles[above - 1], self._quantiles[above]
        part = (drawn - low) / (high - low)
        return values[above - 1] + part * (values[above] - values[above - 1])
