"""How cached contents stand: what the provider has against what a store has.

Rule 1: nothing here asks or changes anything.
Rule 2: what does not bear our fleet's display name is nobody's to decide here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias

from promptcache.providers.gemini.facts import model_facts
from promptcache.providers.gemini.handles.naming import DisplayName, is_pending
from promptcache.providers.gemini.remote import Held
from promptcache.state.stores import Handle

__all__ = ["LEASE_SECONDS", "Deed", "Row", "State", "compared", "decided"]

State: TypeAlias = Literal["known", "orphan", "foreign", "other", "pending", "missing"]
"""How one cached content stands.

`known`: the store has it. `orphan`: it bears our fleet's display name, and the store
has it not. `foreign`: it bears that of another fleet. `other`: it is none of ours.
`pending`: its creation has begun, and the store knows no more. `missing`: the store has
it, and the provider no more.
"""

What: TypeAlias = Literal["adopted", "deleted", "dropped", "left", "failed"]

LEASE_SECONDS = 60.0
"""How long a creator has the lease of its key; older creations have ended."""

_WORTH_SECONDS = 60.0
"""An orphan that lives no longer than this is left to its end."""

_DUPLICATE = "a duplicate"
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One cached content, or what stands for one in the store."""

    state: State
    held: Held | None
    """What the provider says; None if it has it not, or was not asked."""
    handle: Handle | None
    """What the store says."""
    label: DisplayName | None
    """What its display name says, if it is one of ours."""
    is_ours: bool = True
    """Whether this fleet made it, as far as is known."""

    @property
    def name(self) -> str:
        """The provider's name, or that of a creation which has begun."""
        return self._said.name

    @property
    def model(self) -> str:
        """The model without its path."""
        return self._said.model

    @property
    def tokens(self) -> int | None:
        """What it holds; of a creation which has begun, an estimate."""
        told = None if self.held is None else self.held.tokens
        return self.handle.tokens if told is None and self.handle else told

    @property
    def created_at(self) -> float:
        """In UTC seconds."""
        return self._said.created_at

    @property
    def expires_at(self) -> float:
        """In UTC seconds."""
        return self._said.expires_at

    @property
    def owner(self) -> str | None:
        """Id of the worker that made it, or that found it; None if it is unknown."""
        if self.handle is not None:
            return self.handle.owner
        return None if self.label is None else self.label.owner

    @property
    def uses(self) -> int | None:
        """Requests that named it; None if nobody has counted them."""
        return None if self.handle is None else self.handle.uses

    @property
    def saved_usd(self) -> float | None:
        """What they saved; None if that is not known."""
        return None if self.handle is None else self.handle.saved_usd

    @property
    def key(self) -> bytes | None:
        """Of its handle; None if it has none."""
        if self.handle is not None:
            return self.handle.key
        return None if self.label is None else self.label.key

    def usd_per_hour(
        self, *, at: float, facts: Mapping[str, Mapping[str, Any]] | None = None
    ) -> float | None:
        """Return what its storage costs in an hour; None if that is not known.

        Args:
            at: The time, in UTC seconds, since prices change.
            facts: Rules that are laid over those that ship.
        """
        if self.state == "missing":
            return 0.0
        day = datetime.fromtimestamp(at, tz=timezone.utc).date()
        price = model_facts(self.model, facts).storage_price_on(day)
        begun = self.state == "pending" and self.held is None
        if price is None or self.tokens is None or begun:
            return None
        return self.tokens * price / _MILLION

    @property
    def _said(self) -> Held | Handle:
        said = self.handle if self.held is None else self.held
        if said is None:
            raise TypeError
        return said


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done about one cached content, or would be."""

    what: What
    name: str
    why: str


def compared(
    listed: Iterable[Held] | None,
    stored: Iterable[Handle],
    *,
    fleet: str,
    scope: str | None,
) -> list[Row]:
    """Return how everything stands, what ends first coming first.

    Args:
        listed: What the provider has; None if it was not asked.
        stored: What the store has, as it was before.
        fleet: Whose display names are ours.
        scope: Whose cached contents were listed, and where.
    """
    handles, there = list(stored), list(listed or ())
    named = _by_name(handles)
    begun = {it.key: it for it in handles if is_pending(it.name)}
    rows = [
        _row(it, named.get(it.name, ()), begun, fleet=fleet, scope=scope)
        for it in there
    ]
    shown = {row.handle.key for row in rows if row.handle is not None}
    names = {it.name for it in there}
    for handle in handles:
        was_asked = listed is not None and handle.scope == scope
        # Whoever adopted one by its name may have it under another key, too.
        is_shown = was_asked and handle.name in names
        if handle.key not in shown and not is_shown:
            rows.append(Row(_unlisted(handle, was_asked=was_asked), None, handle, None))
    return sorted(rows, key=lambda row: (row.expires_at, row.name))


def decided(
    stored: Handle | None,
    held: Iterable[Held],
    *,
    is_there: bool | None,
    now: float,
    looked_at: float,
) -> list[Deed]:
    """Return what to do about one key, so that at most one of it lives.

    Args:
        stored: What the store has of it.
        held: What the provider has of it.
        is_there: Whether the provider has what the store has; None if it cannot tell.
        now: The time.
        looked_at: When the provider was asked what it has.
    """
    known = None if stored is None or is_there is False else stored.name
    found = [it for it in held if it.name != known and it.expires_at > now]
    found.sort(key=lambda it: (-it.expires_at, it.name))
    if stored is None:
        return _taken_in(found, now)
    if is_pending(stored.name):
        return _taken_in(found, now) or [_given_up(stored, looked_at)]
    if is_there is False:
        dropped = Deed("dropped", stored.name, "the provider has it no more")
        return [dropped, *_taken_in(found, now)]
    if is_there is None:
        why = "the store has it under another key or server"
        return [Deed("left", it.name, why) for it in found]
    return [Deed("deleted", it.name, _DUPLICATE) for it in found]


def _taken_in(found: Sequence[Held], now: float) -> list[Deed]:
    """Return what to do about orphans of one key, of which the first lives longest."""
    if not found:
        return []
    if found[0].expires_at - now <= _WORTH_SECONDS:
        return [Deed("left", it.name, "it ends within a minute") for it in found]
    adopted = Deed("adopted", found[0].name, "its maker did not store it")
    return [adopted, *(Deed("deleted", it.name, _DUPLICATE) for it in found[1:])]


def _given_up(begun: Handle, looked_at: float) -> Deed:
    if begun.created_at + LEASE_SECONDS > looked_at:
        # What was asked for last may have arrived after the provider was asked.
        return Deed("left", begun.name, "its creation may go on")
    return Deed("dropped", begun.name, "its creation came to nothing")


def _row(
    held: Held,
    handles: Iterable[Handle],
    begun: Mapping[bytes, Handle],
    *,
    fleet: str,
    scope: str | None,
) -> Row:
    label = DisplayName.read(held.display_name)
    key = None if label is None else label.key
    # Another server may use the same name; another key may see the same.
    same = [it for it in handles if it.scope == scope or it.key == key]
    handle = max(same, key=lambda it: (it.key == key, it.uses), default=None)
    is_ours = label is not None and label.fleet == fleet
    state: State
    if handle is not None:
        state = "known"
    elif label is None:
        state = "other"
    elif not is_ours:
        state = "foreign"
    else:
        handle = begun.get(label.key)
        state = "orphan" if handle is None else "pending"
    return Row(state, held, handle, label, is_ours)


def _by_name(handles: Iterable[Handle]) -> Mapping[str, list[Handle]]:
    named: dict[str, list[Handle]] = {}
    for handle in handles:
        named.setdefault(handle.name, []).append(handle)
    return named


def _unlisted(handle: Handle, *, was_asked: bool) -> State:
    if is_pending(handle.name):
        return "pending"
    return "missing" if was_asked else "known"
