"""What the provider reads again unasked, so that nothing is paid for it twice.

Rule 1: what was not sent in full still counts as if it had been: the question is what
would be read without a cached content.
Rule 2: luck is measured, by size and by the time since the prefix was sent; where
nothing was measured there is none.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Expected", "Implicit"]

_MAX_PREFIXES = 50_000
_LONGEST = 86_400.0
"""Seconds after which no prefix is expected to be there. No source gives a time."""

_AGES = (300.0, 1800.0, 3600.0)
_FADING = 0.98
_ANY = -1
"""Stands for all sizes."""

_ENOUGH = 8
"""Requests that could have read something, after which luck counts as known."""

_ENOUGH_WHOLE = 64
"""Requests in full, after which it counts as known that none of them could."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request in full would read; each number is zero where nothing is known."""

    prefixes: tuple[tuple[bytes, int], ...] = ()
    """Digests and tokens of what it begins with, shortest first."""
    tokens: float = 0.0
    """Read on average if every request before had been sent in full."""
    there: float = 0.0
    """Read on average as things are: some were not sent in full."""
    shared: int = 0
    """Tokens of its longest prefix that really was sent before."""
    age: float = 0.0
    """Seconds since then."""


class Implicit:
    """The prefixes that were sent of late, and how many of such were read."""

    def __init__(self, max_prefixes: int = _MAX_PREFIXES) -> None:
        """Start with none.

        Args:
            max_prefixes: Prefixes to remember.
        """
        self._asked = _Times(max_prefixes)
        self._sent = _Times(max_prefixes)
        self._luck: dict[tuple[int, int], tuple[float, float]] = {}
        self._measured = 0
        self._whole = 0

    @property
    def is_known(self) -> bool:
        """Whether enough was sent in full to tell what is read without a name."""
        return self._measured >= _ENOUGH or self._whole >= _ENOUGH_WHOLE

    def expect(
        self, prefixes: Sequence[tuple[bytes, int]], *, minimum: int, now: float
    ) -> Expected:
        """Take note of a request, and return what it would read in full.

        Args:
            prefixes: Digests and tokens of what it begins with, shortest first.
            minimum: Tokens below which nothing is read.
            now: When it is sent.
        """
        found = tuple(prefixes)
        asked = self._asked.longest(found, minimum=minimum, now=now)
        sent = self._sent.longest(found, minimum=minimum, now=now)
        self._asked.note(found, now)
        return Expected(found, self._share(*asked), self._share(*sent), *sent)

    def measure(self, expected: Expected, read: int, *, now: float) -> None:
        """Count what was read of a request that was sent in full.

        Args:
            expected: What `expect` returned for it.
            read: Tokens that it read.
            now: When it was sent.
        """
        self._sent.note(expected.prefixes, now)
        self._whole += 1
        if not expected.shared:
            return
        self._measured += 1
        share = min(read / expected.shared, 1.0)
        size, since = _class(expected.shared, expected.age)
        for kind in ((size, since), (_ANY, since)):
            could, did = self._luck.get(kind, (0.0, 0.0))
            self._luck[kind] = (could * _FADING + 1.0, did * _FADING + share)

    def _share(self, shared: int, age: float) -> float:
        """Return how many of the tokens are read on average.

        Where few of that size were measured, those of any size stand in; where few
        were measured at all, none are read.
        """
        size, since = _class(shared, age)
        could, did = self._luck.get((_ANY, since), (0.0, 0.0))
        usual = did / (could + 1.0)
        could, did = self._luck.get((size, since), (0.0, 0.0))
        return shared * (did + usual) / (could + 1.0)


class _Times:
    """When prefixes came last; those that came longest ago are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[bytes, float] = OrderedDict()

    def longest(
        self, prefixes: Sequence[tuple[bytes, int]], *, minimum: int, now: float
    ) -> tuple[int, float]:
        """Return the tokens of the longest one that came, and the seconds since."""
        for digest, tokens in reversed(prefixes):
            at = self._times.get(digest)
            if at is not None and tokens >= minimum and now - at <= _LONGEST:
                return tokens, max(now - at, 0.0)
        return 0, 0.0

    def note(self, prefixes: Sequence[tuple[bytes, int]], now: float) -> None:
        for digest, _ in prefixes:
            self._times[digest] = now
            self._times.move_to_end(digest)
        while len(self._times) > self._most:
            self._times.popitem(last=False)


def _class(tokens: int, age: float) -> tuple[int, int]:
    return tokens.bit_length(), sum(age > limit for limit in _AGES)
