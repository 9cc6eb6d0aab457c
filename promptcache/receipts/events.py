"""What listeners are told.

Rule 1: an event holds names, counts, digests and times, never prompt text.
Rule 2: an event says what happened; what to do about it is the listener's.
"""

from contextvars import Context
from dataclasses import dataclass, field
from pathlib import PurePath
from types import TracebackType
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from promptcache.errors import PromptCacheError
from promptcache.receipts.receipt import Receipt

__all__ = [
    "BodyUnreadable",
    "CacheCreated",
    "CacheEnded",
    "CacheExtended",
    "CacheLost",
    "CreateRefused",
    "Event",
    "LimitReached",
    "Listener",
    "MarkersChanged",
    "ModelAssumed",
    "PlanningFailed",
    "RetriedUnplanned",
    "Settled",
    "SteppedAside",
    "StoreFailed",
    "UsageMissing",
]

_MESSAGE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Settled:
    """A request was answered."""

    receipt: Receipt
    context: Context | None = field(default=None, repr=False, compare=False)
    """That in which the request was made; the answer of a stream may be read to its
    end, or dropped, in another."""


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


@dataclass(frozen=True, slots=True)
class CacheCreated:
    """A cached content was created, and is billed for as long as it lives."""

    provider: str
    model: str
    name: str
    """The provider's name of it."""
    tokens: int | None
    """What it holds; None if that is not known."""
    seconds: float
    """How long it lives unless it is extended."""
    cost_usd: float | None
    """What creating it cost, storage left out; None if the price is not known."""


@dataclass(frozen=True, slots=True)
class CacheExtended:
    """A cached content got a later end."""

    provider: str
    model: str
    name: str
    seconds: float
    """How long it lives from now."""


@dataclass(frozen=True, slots=True)
class CacheEnded:
    """A cached content that this process made is no more."""

    provider: str
    model: str
    name: str
    why: Literal["expired", "deleted", "gone"]
    """Its time was over, this process deleted it, or the provider or another worker was
    found to have it no more: then its storage is reckoned until that was seen."""
    token_hours: float | None
    """Tokens stored, times the hours from its creation to its end; None if its size is
    not known. Sources disagree on what is billed after an early delete, the time it
    lived or the time it was ordered for; here it is the time it lived."""
    cost_usd: float | None
    """What its storage cost; None if that is not known."""


@dataclass(frozen=True, slots=True)
class CreateRefused:
    """The provider did not create, or not extend, a cached content."""

    provider: str
    model: str
    kind: str
    """What it means, such as `too_small`; it decides when that is tried again."""
    message: str
    """The beginning of the provider's message."""

    def __post_init__(self) -> None:
        """Shorten the message."""
        object.__setattr__(self, "message", _short(self.message))


@dataclass(frozen=True, slots=True)
class CacheLost:
    """A request named a cached content that is gone, and was sent again in full."""

    provider: str
    model: str
    name: str
    status: int | None
    """The HTTP status that the provider answered with."""


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Nothing was created, or no ping sent, since a limit would be exceeded."""

    provider: str
    model: str
    limit: Literal["usd_per_hour", "live_caches", "token_hours", "ping_usd_per_hour"]
    would_usd_per_hour: float | None
    """What all of them would have cost in an hour; None if a price is not known, or if
    the limit is nothing at all."""


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """A store could not be used; requests go on as if it knew nothing."""

    what: str
    """What was wanted of it, and what went wrong."""

    def __post_init__(self) -> None:
        """Shorten the text."""
        object.__setattr__(self, "what", _short(self.what))


Event: TypeAlias = (
    Settled
    | BodyUnreadable
    | PlanningFailed
    | MarkersChanged
    | RetriedUnplanned
    | ModelAssumed
    | UsageMissing
    | SteppedAside
    | CacheCreated
    | CacheExtended
    | CacheEnded
    | CreateRefused
    | CacheLost
    | LimitReached
    | StoreFailed
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
