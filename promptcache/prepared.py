"""One request on its way, from the moment it is planned until it is settled."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from promptcache.options import CallOptions
from promptcache.outline import Outline
from promptcache.planning.plan import Plan
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged
from promptcache.providers import Request
from promptcache.receipts.collect import Collector
from promptcache.receipts.miss import Miss
from promptcache.receipts.prices import Cost
from promptcache.receipts.receipt import Credit, Receipt
from promptcache.receipts.usage import Usage
from promptcache.state.sent import Sent

__all__ = [
    "Answer",
    "Placement",
    "Prepared",
    "Turn",
    "described",
    "next_number",
    "receipt_for",
]

_numbers = count()


def next_number() -> int:
    """Return the number of what happens now, among all sendings and settlings."""
    return next(_numbers)


class Placement(Protocol):
    """The use of a cached content by one request."""

    @property
    def entry(self) -> tuple[int, float] | None:
        """The last block that it holds, and the seconds that it lives on, if known."""
        ...

    def settled(self, receipt: Receipt) -> None:
        """Take note of what the request read, quickly and without I/O."""
        ...


class Turn(Protocol):
    """The place of one request before others that are to read what it writes."""

    def begin(self) -> None:
        """Let them go on: what is written can be read."""
        ...

    def fail(self) -> None:
        """Let one of them be the first, unless this one has begun."""
        ...


@dataclass(slots=True)
class Prepared:
    """A request on its way: what was decided, and what its receipt will need."""

    request: Request
    body: Mapping[str, Any]
    """What to send; the very body of the request where nothing was changed."""
    options: CallOptions
    policy: str
    started: float
    arranged: Arranged | None = None
    """The body before it was planned; None if that is the framework's own."""
    plan: Plan = field(default_factory=Plan)
    breakpoints: tuple[str, ...] = ()
    facts_known: bool = True
    attempts: int = 0
    first_token: float | None = None
    collectors: tuple[Collector, ...] = ()
    context: Context = field(default_factory=copy_context, repr=False)
    """Where the request was made; a stream may be settled in another place."""
    settled: bool = False
    receipt: Receipt | None = None
    number: int = field(default_factory=next_number)
    """Its number among all sendings and settlings."""
    outline: Outline | None = None
    """What the request was read into; None if it could not be read."""
    rules: Rules | None = None
    """What its provider caches, and how."""
    placement: Placement | None = None
    """The cached content that the body names, if we put its name there."""
    noted: tuple[str, ...] = ()
    """What was done to its texts before it came here."""
    notes: list[str] = field(default_factory=list)
    """What was decided against after planning, and why."""
    sent: Sent | None = None
    """What history remembers of it until its answer is there."""
    turn: Turn | None = None
    """Set if others wait for what this request writes."""
    waited: float = 0.0
    """Seconds that it waited for another one itself, before it was planned."""

    @property
    def is_planned(self) -> bool:
        """Whether what is sent has something in it that a plan put there."""
        return self.body is not self.whole and self.body is not self.read

    @property
    def is_changed(self) -> bool:
        """Whether what is sent differs from what the framework built."""
        return self.body is not self.request.body

    @property
    def read(self) -> Mapping[str, Any]:
        """What the outline was read from."""
        return self.request.body if self.arranged is None else self.arranged.body

    @property
    def whole(self) -> Mapping[str, Any]:
        """What the framework built, changed as its caller asked for by name."""
        return self.request.body if self.arranged is None else self.arranged.whole

    @property
    def changes(self) -> tuple[str, ...]:
        """What was changed in what is sent, caching aside."""
        made = self.arranged
        if made is None or not self.is_changed:
            return ()
        return (*made.moves, *(() if self.body is self.whole else made.splits))

    def begin(self, now: float) -> None:
        """Note when the answer itself begins, unless it did before."""
        if self.first_token is None:
            self.first_token = now
        if self.turn is not None:
            self.turn.begin()

    def fail(self) -> None:
        """Note that no answer has come of it."""
        if self.turn is not None:
            self.turn.fail()

    @contextmanager
    def on_its_way(self) -> Iterator[None]:
        """Take an error for a failure, a cancellation as well."""
        try:
            yield
        except BaseException:
            self.fail()
            raise

    def leave(self) -> None:
        """Send no plan of ours, after all; what was asked for by name stays."""
        self.body = self.whole
        self.breakpoints = ()
        self.placement = None

    def leave_all(self) -> None:
        """Send what the framework built, and nothing that was asked for by name."""
        self.arranged = None
        self.leave()


def described(outline: Outline, decided: Plan) -> tuple[str, ...]:
    """Return each breakpoint in words: where it stands, how long it lives, and why."""
    points = [
        f"{outline.place(point.position)} {point.ttl} {point.reason}"
        for point in decided.breakpoints
    ]
    if decided.automatic is not None:
        points.append(f"automatic {decided.automatic} {decided.automatic_reason}")
    return tuple(points)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says of itself; None where it does not."""

    usage: Usage
    model: str | None = None
    """The model that answered."""
    id: str | None = None
    """The provider's id of the answer."""
    tier: str | None = None
    """The service tier that it was answered in."""
    missed: str | None = None
    """The provider's reason for a miss, if it gave one."""


def receipt_for(
    prepared: Prepared,
    answer: Answer,
    cost: Cost | None,
    *,
    now: float,
    miss: Miss | None = None,
    whose: tuple[Credit, ...] = (),
) -> Receipt:
    """Return the receipt of a request that was answered.

    Args:
        prepared: The request.
        answer: What was answered.
        cost: What that costs, if it is known.
        now: When the answer was complete, in UTC seconds.
        miss: Why it read less than it could have.
        whose: Whose doing it is that it read.
    """
    decided, started, first = prepared.plan, prepared.started, prepared.first_token
    # Whoever asked has waited as well.
    asked = started - prepared.waited
    missed = [] if answer.missed is None else [f"missed: {answer.missed}"]
    return Receipt(
        provider=prepared.request.provider.name,
        model=answer.model or prepared.request.model,
        at=started,
        policy=prepared.policy,
        facts="known" if prepared.facts_known else "assumed",
        usage=answer.usage,
        cost_usd=None if cost is None else cost.usd,
        without_caching_usd=None if cost is None else cost.without_caching_usd,
        # A clock that was set back must not make times negative.
        first_token_s=None if first is None else max(first - asked, 0.0),
        total_s=max(now - asked, 0.0),
        breakpoints=prepared.breakpoints,
        attempts=max(prepared.attempts, 1),
        tenant=prepared.options.tenant,
        conversation=prepared.options.conversation,
        notes=(
            *missed,
            *(f"dropped {path}" for path in decided.dropped),
            *(f"shortened {path}" for path in decided.shortened),
            *prepared.noted,
            *prepared.changes,
            *decided.notes,
            *prepared.notes,
        ),
        id=answer.id,
        credits=whose,
        misses=() if miss is None else (miss,),
    )
