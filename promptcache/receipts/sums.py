"""Sums of what receipts say, in which unknown is no zero.

Rule 1: a sum leaves out what was not reported, and counts how often that was.
Rule 2: memory is bounded, whatever arrives.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from promptcache.receipts.entry import NUMBERS, Entry, Section, Whose, section_of
from promptcache.receipts.miss import Cause, Form

__all__ = ["STORED", "Kind", "Row", "Samples", "Tally", "quantile"]

STORED = ("token_hours", "storage_usd")
_CREDITED = ("read_tokens", "saved_usd")
_LOST = ("tokens", "cost_usd")
_SAMPLES = 512
_PROMPT, _READ = NUMBERS.index("input_tokens"), NUMBERS.index("read_tokens")
_SAVED = NUMBERS.index("saved_usd")


class Kind(NamedTuple):
    """What misses have in common that one remedy mends."""

    cause: Cause
    section: Section | None = None
    form: Form | None = None


class Tally:
    """How often something was, and sums of numbers that each may be unknown."""

    __slots__ = ("count", "sums", "unknown")

    def __init__(self, numbers: int) -> None:
        self.count = 0
        self.sums: list[float] = [0] * numbers
        self.unknown = [0] * numbers
        """How many of `count` did not say a number."""

    def add(self, numbers: Sequence[float | None], *, count: int = 1) -> None:
        """Count something."""
        self.count += count
        for index, number in enumerate(numbers):
            if number is None:
                self.unknown[index] += count
            else:
                self.sums[index] += number

    def merge(self, other: "Tally") -> None:
        """Count all that another one has counted."""
        self.count += other.count
        for index, number in enumerate(other.sums):
            self.sums[index] += number
            self.unknown[index] += other.unknown[index]

    def value(self, index: int) -> float | None:
        """Return a sum; None if nothing that was counted is part of it."""
        return self.sums[index] if self.count > self.unknown[index] else None

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the sums by name; `unknown` tells how much each leaves out."""
        return {
            **{name: self.value(index) for index, name in enumerate(names)},
            "unknown": {
                name: count
                for name, count in zip(names, self.unknown, strict=True)
                if count
            },
        }


class Samples:
    """Evenly picked values: every one at first, then every second, fourth, ..."""

    __slots__ = ("_kept", "_seen", "_stride")

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._seen = 0
        self._stride = 1

    def add(self, value: float) -> None:
        """Take a value, or not."""
        if self._seen % self._stride == 0:
            self._kept.append(value)
            if len(self._kept) > _SAMPLES:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._seen += 1

    def weighted(self) -> list[tuple[float, int]]:
        """Return each value that was kept, and how many it stands for."""
        return [(value, self._stride) for value in self._kept]


def quantile(weighted: Sequence[tuple[float, int]], share: float) -> float | None:
    """Return the value that a share of them does not exceed; None if there is none."""
    wanted = math.ceil(share * sum(weight for _, weight in weighted))
    passed = 0
    for value, weight in sorted(weighted):
        passed += weight
        if passed >= wanted:
            return value
    return None


class Row:
    """The sums of one model, or of whatever else rows are told apart by."""

    __slots__ = (
        "cached",
        "credits",
        "misses",
        "numbers",
        "samples",
        "stored",
        "waits",
    )

    def __init__(self) -> None:
        self.numbers = Tally(len(NUMBERS))
        self.stored = Tally(len(STORED))
        self.cached: tuple[float, float] = (0, 0)
        self.samples = Samples()
        self.waits: list[tuple[float, int]] = []
        self.credits: dict[Whose, Tally] = {}
        self.misses: dict[Kind, Tally] = {}

    def add(self, entry: Entry) -> None:
        """Count what a receipt says."""
        _, _, _, requests, numbers, first_token_s, _, whose, misses = entry
        prompt, read = numbers[_PROMPT], numbers[_READ]
        self.numbers.add(numbers, count=requests)
        if read is not None and prompt is not None:
            self.cached = (self.cached[0] + read, self.cached[1] + prompt)
        if first_token_s is not None:
            self.samples.add(first_token_s)
        credit = self.credits.get(whose)
        if credit is None:
            credit = self.credits[whose] = Tally(len(_CREDITED))
        credit.add((read, numbers[_SAVED]), count=requests)
        for miss in misses:
            kind = Kind(miss.cause, section_of(miss.place), miss.form)
            lost = self.misses.get(kind)
            if lost is None:
                lost = self.misses[kind] = Tally(len(_LOST))
            lost.add((miss.tokens, miss.cost_usd))

    def merge(self, other: "Row") -> None:
        """Count all that another row has counted."""
        self.numbers.merge(other.numbers)
        self.stored.merge(other.stored)
        read, prompt = other.cached
        self.cached = (self.cached[0] + read, self.cached[1] + prompt)
        self.waits += other.wait_samples()
        for whose, credit in other.credits.items():
            self.credits.setdefault(whose, Tally(len(_CREDITED))).merge(credit)
        for kind, lost in other.misses.items():
            self.misses.setdefault(kind, Tally(len(_LOST))).merge(lost)

    def add_storage(self, token_hours: float | None, cost_usd: float | None) -> None:
        """Count what a remote cache cost."""
        self.stored.add((token_hours, cost_usd))

    def to_dict(self, *, stored: bool) -> dict[str, Any]:
        """Return the sums by name.

        Args:
            stored: Whether there are remote caches, here or in other rows.
        """
        read, prompt = self.cached
        sums = self.numbers.to_dict(NUMBERS)
        unknown = sums.pop("unknown")
        waits = self.wait_samples()
        storage: dict[str, Any] = {}
        if stored:
            storage = self.stored.to_dict(STORED)
            unknown |= storage.pop("unknown")
            if not self.stored.count:
                # Of a model that stored nothing, nothing is what is known.
                storage = dict.fromkeys(STORED, 0.0)
        return {
            "requests": self.numbers.count,
            **sums,
            "read_share": read / prompt if prompt else None,
            "first_token_p50_s": quantile(waits, 0.50),
            "first_token_p95_s": quantile(waits, 0.95),
            **storage,
            **self._net(unknown),
            "credits": self._split(),
            "misses": self._lost(),
            "unknown": unknown,
        }

    def wait_samples(self) -> list[tuple[float, int]]:
        """Return first tokens in seconds, and how many each stands for."""
        return self.samples.weighted() + self.waits

    def _net(self, unknown: dict[str, int]) -> dict[str, float | None]:
        """Return what is left of savings after storage, and tell what is unknown."""
        placed = self.credits.get("placed", Tally(len(_CREDITED)))
        unsaid = sum(
            tally.count
            for whose, tally in self.credits.items()
            if whose in {"mixed", "unknown"}
        )
        doubts = {
            "net_saved_usd": self.numbers.unknown[_SAVED],
            "ours_usd": placed.unknown[1] + unsaid,
        }
        doubts = {name: n + self.stored.unknown[1] for name, n in doubts.items()}
        unknown |= {name: n for name, n in doubts.items() if n}
        # Where nothing was placed, that saved nothing, unless receipts do not tell.
        none = 0.0 if self.numbers.count or self.stored.count else None
        saved = self.numbers.value(_SAVED) if self.numbers.count else none
        ours = placed.value(1) if placed.count or unsaid else none
        cost = self.stored.value(1) if self.stored.count else 0.0
        return {
            "net_saved_usd": None if saved is None or cost is None else saved - cost,
            "ours_usd": None if ours is None or cost is None else ours - cost,
        }

    def _split(self) -> dict[str, dict[str, Any]]:
        return {
            whose: {"requests": tally.count, **tally.to_dict(_CREDITED)}
            for whose, tally in self.credits.items()
        }

    def _lost(self) -> list[dict[str, Any]]:
        costliest = sorted(
            self.misses.items(),
            key=lambda it: (it[1].sums[1], it[1].sums[0], it[1].count),
            reverse=True,
        )
        return [
            {**kind._asdict(), "misses": tally.count, **tally.to_dict(_LOST)}
            for kind, tally in costliest
        ]
