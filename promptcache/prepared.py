"""One request on its way, from the moment it is planned until it is settled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptcache.options import CallOptions
from promptcache.outline import Outline
from promptcache.planning.plan import Plan
from promptcache.providers import Request
from promptcache.receipts.collect import Collector
from promptcache.receipts.receipt import Receipt

__all__ = ["Prepared", "described"]


@dataclass(slots=True)
class Prepared:
    """A request on its way: what was decided, and what its receipt will need."""

    request: Request
    body: Mapping[str, Any]
    """What to send; the very body of the request where nothing was changed."""
    options: CallOptions
    policy: str
    started: float
    plan: Plan = field(default_factory=Plan)
    breakpoints: tuple[str, ...] = ()
    facts_known: bool = True
    attempts: int = 0
    first_token: float | None = None
    collectors: tuple[Collector, ...] = ()
    settled: bool = False
    receipt: Receipt | None = None
    outline: Outline | None = None
    """Kept where the answer must be found again by its prompt."""

    @property
    def is_planned(self) -> bool:
        """Whether what is sent differs from what the framework built."""
        return self.body is not self.request.body


def described(outline: Outline, decided: Plan) -> tuple[str, ...]:
    """Return each breakpoint in words: where it stands, how long it lives, and why."""
    points = [
        f"{outline.place(point.position)} {point.ttl} {point.reason}"
        for point in decided.breakpoints
    ]
    if decided.automatic is not None:
        points.append(f"automatic {decided.automatic} fixed")
    return tuple(points)
