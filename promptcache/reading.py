"""How a request is read before it is planned: its outline, and what may be done to it.

Rule 1: what a provider has refused lately is left out for a while.
Rule 2: reading changes nothing that is learnt, but for what a model was taken for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from promptcache.errors import OptionError
from promptcache.outline import Outline, Trail
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged
from promptcache.prepared import Prepared
from promptcache.prompts.arrangement import Asked, arranged, moved_block
from promptcache.providers import Facts, Provider, Request
from promptcache.receipts.events import Event, ModelAssumed
from promptcache.state.forks import ForkSafeLock
from promptcache.state.history import History
from promptcache.state.refusals import Refusals
from promptcache.state.trails import Trails
from promptcache.ttl import Ttl

__all__ = ["Reader", "Reading", "Refused", "Where", "key_of"]

Where = tuple[str, str, str]
"""The provider, the model and the host."""

Refused = Literal["turn", "choice", "plan"]
"""What of ours was refused: a system turn, a narrowed choice of tools, or the plan."""

_MAX_ASSUMED = 1_000
_SEVERAL = 2
_STATUSES: Final = (400, 422)


@dataclass(frozen=True, slots=True)
class Reading:
    """A request as it is planned."""

    outline: Outline
    rules: Rules
    arranged: Arranged
    is_refused: bool
    """Its provider refused our fields lately."""
    built: Outline | None = None
    """What it was before a block of its head was moved for having changed."""


class Reader:
    """Reads requests, and knows what was refused; safe from many threads."""

    def __init__(
        self, policy: Policy, *, facts: Facts, tell: Callable[[Event], None]
    ) -> None:
        """Know of no refusal yet.

        Args:
            policy: Its lifetimes must be those of the provider.
            facts: Provider rules that are laid over those that ship.
            tell: Told of models that no rules name.
        """
        self._policy = policy
        self._facts = facts
        self._tell = tell
        self._trails = Trails()
        self._refusals = Refusals()
        self._lock = ForkSafeLock()
        self._assumed: set[str] = set()

    def check_ttl(self, ttl: Ttl | None, provider: Provider) -> None:
        """Refuse a lifetime that a provider does not have.

        Raises:
            OptionError: It is the given one, or one that the policy names.
        """
        for asked in (ttl, *self._policy.ttls):
            if asked is not None and asked not in provider.ttls:
                raise OptionError("ttl", asked, ", ".join(provider.ttls))

    def read(self, prepared: Prepared, history: History) -> Reading:
        """Return a request's outline, and what its provider accepts.

        Args:
            prepared: The request.
            history: What earlier ones have shown, for what of its head changes.

        Raises:
            UnreadableBodyError: Its body has an unknown shape.
            OptionError: A lifetime is asked for that its provider does not have.
        """
        request, options = prepared.request, prepared.options
        provider = request.provider
        rules, known = provider.rules(request.model, request.host, self._facts)
        prepared.facts_known = known
        if not known:
            self._note_assumed(request)
        self.check_ttl(options.ttl, provider)
        now = prepared.started
        is_refused = self._refusals.holds(key_of(request), now=now)
        if prepared.policy == "off":
            made = Arranged(request.body, request.body)
            return Reading(self._outline(prepared, made), rules, made, is_refused)
        asked = Asked(
            tools=options.stable_tools is True,
            withheld=(
                ()
                if self._refusals.holds(_choice_key(request), now=now)
                else options.withheld_tools or ()
            ),
            splits=not is_refused and rules.matching != "prefix",
            later_system=not self._refusals.holds(_turns_key(request), now=now),
            tenant=options.tenant,
            facts=self._facts,
        )
        if not options.move_volatile:
            made = arranged(request, asked)
            return Reading(self._outline(prepared, made), rules, made, is_refused)
        made = arranged(request, replace(asked, splits=False))
        built = self._outline(prepared, made)
        changing = history.past(built, now=now).volatile
        made = moved_block(request, made, _movable(built, changing), asked)
        outline = self._outline(prepared, made)
        return Reading(outline, rules, made, is_refused, built)

    def refused(
        self, prepared: Prepared, status: int, message: str, *, now: float
    ) -> Refused | None:
        """Return what of ours a provider has refused, to be left out for a while.

        Args:
            prepared: What was refused.
            status: The HTTP status.
            message: The text of the refusal.
            now: In UTC seconds.
        """
        request, made = prepared.request, prepared.arranged
        provider = request.provider
        adds_turn = prepared.is_changed and made is not None and made.adds_turn
        if adds_turn and provider.refuses_turn(status, message):
            self._refusals.note(_turns_key(request), now=now)
            return "turn"
        narrows = prepared.is_changed and made is not None and made.narrows
        if narrows and status in _STATUSES and _names_choice(message):
            self._refusals.note(_choice_key(request), now=now)
            return "choice"
        if prepared.is_planned and provider.is_our_fault(
            status, message, built=prepared.whole, sent=prepared.body
        ):
            self._refusals.note(key_of(request), now=now)
            return "plan"
        return None

    def note_answer(self, tenant: str | None, answer: str, trail: Trail) -> None:
        """Remember what goes before a request that follows an answer.

        Args:
            tenant: Whose it is.
            answer: The provider's id of it.
            trail: What the provider keeps of it.
        """
        self._trails.note(tenant, answer, trail)

    def _outline(self, prepared: Prepared, made: Arranged) -> Outline:
        request, tenant = prepared.request, prepared.options.tenant
        trail = None
        if request.follows is not None:
            trail = self._trails.before(tenant, request.follows)
        return request.provider.outline(
            made.body,
            model=request.model,
            host=request.host,
            tenant=tenant,
            trail=trail,
        )

    def _note_assumed(self, request: Request) -> None:
        with self._lock:
            if request.model in self._assumed or len(self._assumed) >= _MAX_ASSUMED:
                return
            self._assumed.add(request.model)
        self._tell(ModelAssumed(request.provider.name, request.model))


def key_of(request: Request) -> Where:
    """Return what the requests are counted under that one provider serves alike."""
    return (request.provider.name, request.model, request.host)


def _names_choice(message: str) -> bool:
    return any(it in message for it in ("tool_choice", "allowed_tools", "tool choice"))


def _choice_key(request: Request) -> Where:
    return (f"{request.provider.name} tool choice", request.model, request.host)


def _turns_key(request: Request) -> Where:
    return (f"{request.provider.name} turns", request.model, request.host)


def _movable(outline: Outline, changing: int | None) -> int:
    """Return which block of the system prompt may be moved for changing; -1 if none.

    The only one is the instructions as a whole: they stay.
    """
    if changing is None or outline.system_end - outline.tools_end < _SEVERAL:
        return -1
    return max(changing - outline.tools_end, -1)
