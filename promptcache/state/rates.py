"""How often requests with one head come, and so how many keys they need.

Rule 1: more keys are taken at once, fewer only after a long quiet: each change sends
half of the conversations to a place that has not seen them.
Rule 2: never more keys than conversations: one of them stays under one key.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from promptcache.state.forks import ForkSafeLock

__all__ = ["Rates"]

_MINUTE = 60.0
_STEP = 5.0
_QUIET_SECONDS = 600.0
_FILL = 0.8
"""How full each of several keys may be, as conversations fall unevenly on them."""

_MAX_HEADS = 10_000
_MAX_SHARDS = 1024


@dataclass(slots=True)
class _Rate:
    steps: deque[tuple[int, int]] = field(default_factory=deque)
    """Numbers of steps of time, and the requests in each."""
    seen: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """Conversations, and when each had its latest request; the oldest first."""
    shards: int = 1
    needed_at: float = 0.0
    """When so many shards were last needed."""


class Rates:
    """Requests a minute by head; safe from many threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = ForkSafeLock()
        self._rates: OrderedDict[bytes, _Rate] = OrderedDict()

    def shards(
        self, head: bytes, conversation: bytes, *, per_minute: int, now: float
    ) -> int:
        """Count a request, and return how many keys its head is split over.

        Args:
            head: What the requests have in common.
            conversation: What those of one conversation have in common.
            per_minute: Requests that one key may have.
            now: When the request starts, in UTC seconds.
        """
        with self._lock:
            rate = self._rates.setdefault(head, _Rate(needed_at=now))
            self._rates.move_to_end(head)
            if len(self._rates) > _MAX_HEADS:
                self._rates.popitem(last=False)
            requests = _counted(rate, now)
            conversations = _conversations(rate, conversation, now)
            needed = 1
            if requests > per_minute:
                keys = requests / (per_minute * _FILL)
                needed = _power_of_two(min(keys, conversations))
            if needed >= rate.shards:
                rate.shards, rate.needed_at = needed, now
            elif now - rate.needed_at > _QUIET_SECONDS:
                rate.shards, rate.needed_at = rate.shards // 2, now
            return rate.shards


def _counted(rate: _Rate, now: float) -> int:
    """Count a request, and return how many there were in the last minute."""
    step, steps = int(now // _STEP), rate.steps
    if steps and steps[-1][0] >= step:
        steps[-1] = (steps[-1][0], steps[-1][1] + 1)
    else:
        steps.append((step, 1))
    while steps[0][0] <= step - _MINUTE / _STEP:
        steps.popleft()
    return sum(count for _, count in steps)


def _conversations(rate: _Rate, conversation: bytes, now: float) -> int:
    """Note a conversation, and return how many there were in the last minute."""
    seen = rate.seen
    seen[conversation] = now
    seen.move_to_end(conversation)
    while len(seen) > _MAX_SHARDS or next(iter(seen.values())) <= now - _MINUTE:
        seen.popitem(last=False)
    return len(seen)


def _power_of_two(needed: float) -> int:
    shards = 1
    while shards < needed and shards < _MAX_SHARDS:
        shards *= 2
    return shards
