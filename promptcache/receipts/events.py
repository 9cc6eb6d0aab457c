"""What listeners are told.

Rule 1: an event holds names, counts, digests and times, never prompt text.
Rule 2: an event says what happened; what to do about it is the listener's.
"""

from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Protocol, TypeAlias, runtime_checkable

from promptcache.errors import PromptCacheError
from promptcache.receipts.receipt import Receipt

__all__ = [
    "BodyUnreadable",
    "Event",
    "Listener",
    "MarkersChanged",
    "ModelAssumed",
    "PlanningFailed",
    "RetriedUnplanned",
    "Settled",
    "SteppedAside",
    "UsageMissing",
]

_MESSAGE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Settled:
    """A request was answered."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class BodyUnreadable:
    """A request went out as it was, since its body has an unknown shape."""

    provider: str
    model: str | None
    why: str


@dataclass(frozen=True, slots=True)
class PlanningFailed:
    """A request went out as it was, since planning it failed."""

    provider: str
    model: str | None
    error: str
    """The type of the error."""
    message: str
    """What our own error says, or the place in the code for any other."""

    @classmethod
    def of(
        cls, provider: str, model: str | None, error: BaseException
    ) -> "PlanningFailed":
        """Return the event for `error`, without text that may quote the prompt."""
        ours = isinstance(error, PromptCacheError)
        message = str(error) if ours else _place(error.__traceback__)
        return cls(provider, model, type(error).__name__, _short(message))


@dataclass(frozen=True, slots=True)
class MarkersChanged:
    """Markers of the caller that the provider would have refused were changed."""

    provider: str
    model: str | None
    dropped: tuple[str, ...] = ()
    """Positions whose marker was left out."""
    shortened: tuple[str, ...] = ()
    """Positions whose marker got a shorter lifetime."""


@dataclass(frozen=True, slots=True)
class RetriedUnplanned:
    """The provider refused our fields; the request was sent again without them."""

    provider: str
    model: str | None
    status: int | None
    """The HTTP status of the refusal."""
    message: str
    """The beginning of the provider's message."""

    def __post_init__(self) -> None:
        """Shorten the message."""
        object.__setattr__(self, "message", _short(self.message))


@dataclass(frozen=True, slots=True)
class ModelAssumed:
    """No rules are known for a model; the most cautious ones stand in."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class UsageMissing:
    """An answer ended without saying what it used."""

    provider: str
    model: str | None
    why: str


@dataclass(frozen=True, slots=True)
class SteppedAside:
    """A client is used as if promptcache were not there."""

    provider: str
    why: str


Event: TypeAlias = (
    Settled
    | BodyUnreadable
    | PlanningFailed
    | MarkersChanged
    | RetriedUnplanned
    | ModelAssumed
    | UsageMissing
    | SteppedAside
)


@runtime_checkable
class Listener(Protocol):
    """Anything that wants to be told of events."""

    def __call__(self, event: Event) -> None:
        """Take note of an event, quickly: a model call is waiting."""
        ...


def _place(traceback: TracebackType | None) -> str:
    if traceback is None:
        return "at an unknown place"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    path = PurePath(traceback.tb_frame.f_code.co_filename)
    return f"at {path.parent.name}/{path.name}:{traceback.tb_lineno}"


def _short(message: str) -> str:
    line = " ".join(message.split())
    cut = len(line) > _MESSAGE_LENGTH
    return f"{line[: _MESSAGE_LENGTH - 1]}…" if cut else line
