"""The question, asked: what is sent when, and what the answers show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from promptcache.analysis.probe.sequence import WAIT_SECONDS, Sequence
from promptcache.clock import Clock
from promptcache.receipts.usage import Usage

__all__ = ["Finding", "Step", "found"]

Send = Callable[[Mapping[str, Any]], Usage]
Reading = Literal["ent", "seg"]
Verdict = tuple[Reading | None, str]

_MOST = 0.8
"""From this part of a prefix on it was read, or written."""


@dataclass(frozen=True, slots=True)
class Step:
    """A request that was answered."""

    name: str
    usage: Usage

    @property
    def read(self) -> int:
        """Tokens that it read."""
        return self.usage.read_tokens or 0

    @property
    def written(self) -> int:
        """Tokens that it wrote, for whatever lifetime."""
        return self.usage.written_tokens or 0


Sent = Callable[[str, Mapping[str, Any]], Step]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the answers show."""

    answer: Reading | None
    """`ent`: a breakpoint for an hour keeps all that is before it. `seg`: it keeps only
    what it wrote. None if nothing is shown."""
    why: str
    steps: tuple[Step, ...]

    @property
    def keeps(self) -> bool | None:
        """Whether a promoted prefix is kept; None if that is not shown."""
        return None if self.answer is None else self.answer == "ent"


def found(sequence: Sequence, send: Send, clock: Clock) -> Finding:
    """Ask, and return what the answers show; it takes six minutes of the clock.

    Args:
        sequence: The requests.
        send: Sends a body, and returns the usage that was reported.
        clock: What waits.
    """
    steps: list[Step] = []

    def sent(name: str, body: Mapping[str, Any]) -> Step:
        steps.append(Step(name, send(body)))
        return steps[-1]

    first = sent("write for 5m", sequence.first())
    verdict = _before(first, sequence, sent)
    if verdict is None:
        clock.wait(WAIT_SECONDS)
        verdict = _after(first, sequence, sent)
    return Finding(*verdict, tuple(steps))


def _before(first: Step, sequence: Sequence, sent: Sent) -> Verdict | None:
    """Return what is shown already; None if time has to pass."""
    if not first.written:
        return None, "the first request wrote nothing"
    promoted = sent("add a message, 1h", sequence.promoting())
    if promoted.written >= _MOST * first.written:
        return "seg", "the 1h breakpoint wrote all of the prefix anew"
    if promoted.read < _MOST * first.written:
        return None, "the second request did not read what the first one wrote"
    if not sent("write another for 5m", sequence.beside()).written:
        return None, "the prefix to compare with was not written"
    return None


def _after(first: Step, sequence: Sequence, sent: Sent) -> Verdict:
    """Return what is shown once five minutes are over."""
    again = sent("read after the wait", sequence.again())
    if again.read < _MOST * first.written:
        return "seg", "after six minutes, what was written for five was gone"
    if sent("read the other one", sequence.beside()).read:
        return None, "five minutes had not passed for what nothing promoted, either"
    return "ent", "after six minutes, all before the 1h breakpoint was read"
