"""A trace played through under a policy, and what that comes to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from promptcache.analysis.replay.billing import Billed
from promptcache.analysis.replay.choices import HINDSIGHT, OPTIMUM, Choice
from promptcache.analysis.replay.optimum import Optimum
from promptcache.analysis.replay.stepping import Quieted, Steps
from promptcache.analysis.replay.traces import Asked, Session
from promptcache.planning.terms import Terms
from promptcache.state.idle import Idle, Quiet

__all__ = ["Row", "Run", "best", "optimal"]

_TINY = 1e-9
_KEPT = 0.9
"""Part of a prefix that a ping has to read to have kept it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one policy comes to; bills are relative to not caching."""

    policy: str
    sessions: int
    requests: int
    bill: float | None
    optimum: float | None
    read_share: float | None
    """Part of the input tokens that was read."""
    worse_share: float | None
    """Part of the sessions that cost more than without caching; where the requests of
    a service were recorded, part of those."""

    def as_dict(self) -> dict[str, str | int | float | None]:
        """Return it as figures are printed for machines."""
        known = self.bill is not None and self.optimum is not None
        return {
            "policy": self.policy,
            "sessions": self.sessions,
            "requests": self.requests,
            "bill": _short(self.bill),
            "optimum": _short(self.optimum),
            "regret": _short(self.bill - self.optimum if known else None),  # type: ignore[operator]
            "read_share": _short(self.read_share),
            "worse_share": _short(self.worse_share),
        }


@dataclass(slots=True)
class Sums:
    """What sessions came to, in input tokens."""

    requests: int = 0
    plain: float = 0.0
    cost: float = 0.0
    read: float = 0.0
    units: int = 0
    """What is judged by itself, sessions or requests."""
    worse: int = 0

    def row(self, name: str, sessions: int, optimum: float | None) -> Row:
        """Return them as a row."""
        return Row(
            name,
            sessions,
            self.requests,
            self.cost / self.plain if self.plain else None,
            optimum,
            self.read / self.plain if self.plain else None,
            self.worse / self.units if self.units else None,
        )


@dataclass(slots=True)
class Run:
    """One policy, played through session by session."""

    choice: Choice
    steps: Steps
    terms: Terms
    warmup: float = 0.0
    """Seconds whose requests are learned from and not billed."""
    each: list[Sums] = field(default_factory=list)
    """What each session came to."""
    _idle: Idle = field(default_factory=Idle)

    def take(self, session: Session) -> None:
        """Send the requests of a session."""
        sums = Sums()
        for asked in session.requests:
            self._ping(asked.at, sums)
            step = self.steps.step(asked, asked.at)
            if self.choice.pings and step.quiet is not None:
                self._watch(asked, step.quiet, step.billed)
            if asked.at < self.warmup:
                continue
            total, cost = step.billed.total, step.billed.cost(self.terms)
            sums.requests += 1
            sums.plain += total
            sums.cost += cost
            sums.read += step.billed.read
            if session.is_service:
                sums.units += 1
                sums.worse += cost > total + _TINY
        self._ping(inf, sums)
        if not session.is_service and sums.requests:
            sums.units = 1
            sums.worse = int(sums.cost > sums.plain * (1 + _TINY))
        self.each.append(sums)

    def row(self, optimum: float | None) -> Row:
        """Return what all of it came to."""
        return total(self.each).row(self.choice.name, _sessions(self.each), optimum)

    def _ping(self, until: float, sums: Sums) -> None:
        """Send the pings that are due before some time."""
        if not self.choice.pings:
            return
        for ping in self._idle.due(until):
            billed = ping.quiet.with_(ping.at)
            written = sum(billed.written.values())
            kept = billed.read >= _KEPT * ping.quiet.kept and not written
            self._idle.answered(ping, kept=kept)
            if ping.at >= self.warmup:
                sums.cost += billed.cost(self.terms)

    def _watch(self, asked: Asked, sent: Quieted, billed: Billed) -> None:
        """Begin to wait for what goes on from a request."""
        name = None
        if asked.conversation is not None:
            name = (asked.tenant, asked.conversation)
        kept = billed.read + sum(billed.written.values())
        after = self._idle.seen(sent.outline, now=asked.at, conversation=name)
        quiet = Quiet(
            sent.outline,
            sent.entries,
            asked.at,
            self.terms,
            stop=asked.stop,
            whose=asked.tenant,
            conversation=name,
            kept=kept,
            rest=billed.total - kept,
            may_ping=sent.may_ping,
            with_=sent.again,
        )
        self._idle.begin(quiet, after)


def best(runs: Sequence[Run], optimum: float | None) -> Row:
    """Return what the policy comes to that is cheapest for each session."""
    each = [
        min(alike, key=lambda it: it.cost)
        for alike in zip(*(run.each for run in runs), strict=True)
    ]
    return total(each).row(HINDSIGHT, _sessions(each), optimum)


def optimal(like: Sequence[Sums], reckoned: Optimum) -> Row:
    """Return what the offline optimum comes to, for the requests of a run."""
    sums = total(like)
    cost, read = reckoned.bill()
    return Row(
        OPTIMUM,
        _sessions(like),
        sums.requests,
        cost / sums.plain if sums.plain else None,
        cost / sums.plain if sums.plain else None,
        read / sums.plain if sums.plain else None,
        0.0 if sums.units else None,
    )


def total(each: Iterable[Sums]) -> Sums:
    """Return the sum of sessions."""
    all_ = Sums()
    for sums in each:
        all_.requests += sums.requests
        all_.plain += sums.plain
        all_.cost += sums.cost
        all_.read += sums.read
        all_.units += sums.units
        all_.worse += sums.worse
    return all_


def _sessions(each: Sequence[Sums]) -> int:
    return sum(1 for sums in each if sums.requests)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
