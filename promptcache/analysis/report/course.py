"""What the page shows beside the sums: the course of costs, waits, the dearest misses.

Rule 1: memory is bounded, whatever arrives.
Rule 2: unknown is not zero: what did not say a number is counted apart.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from promptcache.receipts.entry import NUMBERS, Entry, Section, section_of
from promptcache.receipts.miss import Miss
from promptcache.receipts.sums import Samples, Tally, quantile

__all__ = ["BINS", "Course", "DearMiss", "Span", "Waits"]

_HOUR, _DAY = 3600, 86_400
_WIDTHS = (
    *(60, 300, 900, _HOUR, 3 * _HOUR, 6 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 28 * _DAY, 91 * _DAY, 364 * _DAY),
)
_SPANS = 400
_DEAREST = 10
_NAME = 200
BINS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0)
"""Where the bars of waits end, in seconds; the last bar has no end."""

_COST, _WITHOUT = 0, 1
_INPUT, _FOUND = NUMBERS.index("input_tokens"), NUMBERS.index("read_tokens")
_SPENT, _PLAIN = NUMBERS.index("cost_usd"), NUMBERS.index("without_caching_usd")
_ORDER: tuple[Section | None, ...] = ("tools", "system", "messages", None)


@dataclass(frozen=True, slots=True)
class Span:
    """What was spent in a stretch of time."""

    start: float
    """In UTC seconds."""
    seconds: float
    requests: int
    cost_usd: float | None
    """None if no request of it is known to have cost anything, or there is none."""
    without_caching_usd: float | None
    is_partial: bool
    """Whether some of its requests did not say what they cost."""


class DearMiss(NamedTuple):
    """A miss, and where it happened."""

    at: float
    model: str
    miss: Miss


class Waits:
    """How long the first token took."""

    def __init__(self) -> None:
        self.requests = 0
        self.bins = [0] * (len(BINS) + 1)
        self._samples = Samples()

    def add(self, seconds: float) -> None:
        """Count one."""
        self.requests += 1
        self._samples.add(seconds)
        self.bins[bisect_right(BINS, seconds)] += 1

    def quantile(self, share: float) -> float | None:
        """Return the wait that a share of them does not exceed."""
        return quantile(self._samples.weighted(), share)


class Course:
    """What receipts say over time, and apart from their sums."""

    def __init__(self) -> None:
        self.hits, self.misses = Waits(), Waits()
        """Waits of requests that read something, and of those that read nothing."""
        self._level = 0
        self._width: float = _WIDTHS[0]
        self._spans: dict[int, Tally] = {}
        self._ends: dict[Section | None, Tally] = {}
        self._dearest: list[tuple[float, int, int, DearMiss]] = []
        self._number = count()
        self.first: float | None = None
        """When the first request was sent, in UTC seconds; None if there is none."""
        self.last: float | None = None
        """When the last one was."""

    def add(self, entry: Entry) -> None:
        """Count what a receipt says."""
        at, numbers = entry.at, entry.numbers
        if self.first is None or self.last is None:
            self.first = self.last = at
        elif at < self.first:
            self.first = at
        elif at > self.last:
            self.last = at
        spent = (numbers[_SPENT], numbers[_PLAIN])
        self._span(int(at // self._width)).add(spent, count=entry.requests)
        if len(self._spans) > _SPANS:
            self._widen()
        read = numbers[_FOUND]
        if entry.first_token_s is not None and read is not None:
            (self.hits if read else self.misses).add(entry.first_token_s)
        if entry.breakpoints:
            self._end(section_of(entry.breakpoints[-1])).add((numbers[_INPUT], read))
        for miss in entry.misses:
            self._miss(DearMiss(at, entry.model[:_NAME], miss))

    def spans(self, most: int) -> list[Span]:
        """Return stretches of one length from the first request to the last.

        Args:
            most: How many of them at most.
        """
        while self._spans and self._length() > most:
            self._widen()
        if not self._spans:
            return []
        first, last = min(self._spans), max(self._spans)
        return [self._shown(number) for number in range(first, last + 1)]

    def ends(self) -> Iterator[tuple[Section | None, int, float | None]]:
        """Yield where the longest prefixes ended: how many, and the share read of them.

        Requests without any breakpoint are left out.
        """
        for section in _ORDER:
            tally = self._ends.get(section)
            if tally is None:
                continue
            prompt, read = tally.sums
            known = prompt > 0 and not any(tally.unknown)
            yield section, tally.count, read / prompt if known else None

    def dearest(self) -> list[DearMiss]:
        """Return the misses that cost most; if that is not known, tokens decide."""
        return [it for *_, it in sorted(self._dearest, key=_rank, reverse=True)]

    def _span(self, number: int) -> Tally:
        span = self._spans.get(number)
        if span is None:
            span = self._spans[number] = Tally(2)
        return span

    def _end(self, section: Section | None) -> Tally:
        end = self._ends.get(section)
        if end is None:
            end = self._ends[section] = Tally(2)
        return end

    def _length(self) -> int:
        return max(self._spans) - min(self._spans) + 1

    def _widen(self) -> None:
        """Make stretches longer, without cutting any."""
        old, spans = self._width, self._spans
        self._level += 1
        wide = self._level < len(_WIDTHS)
        self._width = _WIDTHS[self._level] if wide else old * 2
        self._spans = {}
        for number, tally in spans.items():
            self._span(int(number * old // self._width)).merge(tally)

    def _shown(self, number: int) -> Span:
        tally = self._spans.get(number, Tally(2))
        return Span(
            start=number * self._width,
            seconds=self._width,
            requests=tally.count,
            cost_usd=tally.value(_COST),
            without_caching_usd=tally.value(_WITHOUT),
            is_partial=any(tally.unknown),
        )

    def _miss(self, found: DearMiss) -> None:
        miss = found.miss
        # The first of equals stays: numbers that grow count down.
        row = (miss.cost_usd or 0.0, miss.tokens or 0, -next(self._number), found)
        if len(self._dearest) < _DEAREST:
            heapq.heappush(self._dearest, row)
        elif row > self._dearest[0]:
            heapq.heapreplace(self._dearest, row)


def _rank(row: tuple[float, int, int, DearMiss]) -> tuple[float, int, int]:
    return row[:3]
