"""When recorded requests are sent: one session after the other, on one clock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from promptcache.analysis.replay.traces import Asked, Session

__all__ = ["APART", "Pace", "Slice", "laid"]

APART = 7200.0
"""Seconds from the end of one session to the next, so that nothing is alive."""

LONG, CUT = 240.0, 60.0
"""Gaps over so many seconds are cut to so many where a machine sets the pace."""

Pace = Literal["recorded", "machine"]
Slice = Literal["all", "even", "odd"]


@dataclass(frozen=True, slots=True)
class _Laying:
    """How one session is laid on the clock."""

    pace: Pace
    tenant: str | None = None


def laid(
    sessions: Iterable[Session],
    *,
    pace: Pace = "recorded",
    mixed: bool = False,
    by_tenant: bool = False,
    part: Slice = "all",
) -> Iterator[Session]:
    """Yield sessions whose requests have times on one clock, which begins at 0.

    Args:
        sessions: In the order of the trace.
        pace: Whether gaps are as recorded, or as a machine would make them.
        mixed: Every second session is at a machine's pace.
        by_tenant: The two paces of a mix are two tenants.
        part: Which sessions to take: the first, third, ... are even.
    """
    start = 0.0
    begin, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[part]
    for number, session in enumerate(islice(sessions, begin, None, step)):
        own: Pace = "machine" if mixed and number % 2 else pace
        tenant = own if mixed and by_tenant else None
        requests = list(_paced(session.requests, _Laying(own, tenant), start))
        if requests:
            yield replace(session, requests=requests)
            start = requests[-1].at + APART


def _paced(requests: Iterable[Asked], laying: _Laying, start: float) -> Iterator[Asked]:
    before: float | None = None
    saved = 0.0
    for asked in requests:
        if laying.pace == "machine" and before is not None:
            gap = asked.at - before
            saved += gap - CUT if gap > LONG else 0.0
        before = asked.at
        yield replace(
            asked,
            at=start + asked.at - saved,
            tenant=asked.tenant if laying.tenant is None else laying.tenant,
        )
