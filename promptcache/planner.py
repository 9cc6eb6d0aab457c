"""What one process learns of requests, and the plan that it makes of each with that.

Rule 1: planning waits for nothing; it reads and writes the memory of this process.
Rule 2: whatever fails before a plan is complete leaves the request as it was built.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

from promptcache.arrangement import (
    Asked,
    arranged,
    moved_block,
    noted_in,
    with_known,
)
from promptcache.errors import OptionError
from promptcache.options import CallOptions
from promptcache.outline import Outline, Trail
from promptcache.planlog import PlanLog
from promptcache.planning.candidates import Past
from promptcache.planning.keys import conversation_digest
from promptcache.planning.plan import Plan, plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import Arranged
from promptcache.prepared import Prepared, described
from promptcache.providers import Facts, Provider, Request
from promptcache.receipts.events import Event, MarkersChanged, ModelAssumed
from promptcache.state.answers import Answers
from promptcache.state.history import History
from promptcache.state.rates import Rates
from promptcache.state.refusals import Refusals
from promptcache.state.trails import Trails
from promptcache.ttl import Ttl

__all__ = ["Planner"]

_MAX_ASSUMED = 1_000
_SEVERAL = 2
_REFUSED = (400, 422)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A request as it is planned."""

    outline: Outline
    rules: Rules
    arranged: Arranged
    is_refused: bool
    """Its provider refused our fields lately."""
    built: Outline | None = None
    """What it was before a block of its head was moved for having changed."""


class Planner:
    """Plans requests by what those before them have shown; safe from many threads."""

    def __init__(
        self,
        policy: Policy,
        *,
        facts: Facts,
        diagnose: bool,
        tell: Callable[[Event], None],
        log: PlanLog | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            policy: What decides.
            facts: Provider rules that are laid over those that ship.
            diagnose: Ask the provider why a prefix was missed, where it can tell.
            tell: Told of what a plan changed or took for granted.
            log: Told of every plan.
        """
        self.history = History()
        self._policy = policy
        self._facts = facts
        self._diagnose = diagnose
        self._tell = tell
        self._log = PlanLog() if log is None else log
        self._answers = Answers()
        self._trails = Trails()
        self._rates = Rates()
        self._refusals = Refusals()
        self._lock = Lock()
        self._assumed: set[str] = set()

    def check_ttl(self, ttl: Ttl | None, provider: Provider) -> None:
        """Refuse a lifetime that a provider does not have.

        Raises:
            OptionError: It is the given one, or one that the policy names.
        """
        for asked in (ttl, *self._policy.ttls):
            if asked is not None and asked not in provider.ttls:
                raise OptionError("ttl", asked, ", ".join(provider.ttls))

    def plan(self, prepared: Prepared) -> None:
        """Decide on a request: its plan, and the body to send.

        Raises:
            UnreadableBodyError: Its body has an unknown shape.
            OptionError: A lifetime is asked for that its provider does not have.
        """
        request, options = prepared.request, prepared.options
        provider = request.provider
        prepared.noted = noted_in(request.body, tenant=options.tenant)
        read, now = self._read(prepared), prepared.started
        outline, rules = read.outline, read.rules
        past = self.history.past(outline, now=now)
        past = with_known(past, outline, read.arranged)
        decided, body = Plan(), read.arranged.body
        if prepared.policy != "off" and not read.is_refused:
            past = self._with_shards(past, outline, rules, prepared)
            decided = plan(
                outline, rules=rules, policy=self._policy, past=past, options=options
            )
            body = provider.apply(body, outline, decided)
            if options.stream_usage:
                body = provider.metered(body)
            if self._diagnose:
                previous = self._answers.before(outline, _conversation(options))
                body = provider.asked(
                    body, previous, host=request.host, overrides=self._facts
                )
        self.history.record(outline, decided, past, now=now, built=read.built)
        prepared.breakpoints = described(outline, decided)
        # Last, and together: whatever fails before leaves the request unplanned.
        prepared.plan, prepared.body, prepared.arranged = decided, body, read.arranged
        prepared.outline, prepared.rules = outline, rules
        if decided.dropped or decided.shortened:
            changed = (decided.dropped, decided.shortened)
            self._tell(MarkersChanged(provider.name, request.model, *changed))
        self._log.planned(prepared, rules, is_refused=read.is_refused)

    def rehearse(self, prepared: Prepared) -> int:
        """Put a plan on a request that is not sent yet, and remember nothing of it.

        Returns:
            The last block of the longest prefix that is taken to be alive; -1 if none.

        Raises:
            UnreadableBodyError: Its body has an unknown shape.
            OptionError: A lifetime is asked for that its provider does not have.
        """
        if self._policy.name == "off":
            return -1
        read = self._read(prepared)
        outline, rules = read.outline, read.rules
        past = self.history.past(outline, now=prepared.started)
        past = with_known(past, outline, read.arranged)
        prepared.outline, prepared.rules = outline, rules
        if not read.is_refused:
            prepared.plan = plan(
                outline,
                rules=rules,
                policy=self._policy,
                past=past,
                options=prepared.options,
            )
        return past.entry

    def _read(self, prepared: Prepared) -> _Reading:
        """Return a request's outline, and what its provider accepts."""
        request, options = prepared.request, prepared.options
        provider = request.provider
        rules, known = provider.rules(request.model, request.host, self._facts)
        prepared.facts_known = known
        if not known:
            self._note_assumed(request)
        self.check_ttl(options.ttl, provider)
        now, key = prepared.started, _key(request)
        is_refused = self._refusals.holds(key, now=now)
        if prepared.policy == "off":
            made = Arranged(request.body, request.body)
            return _Reading(self._outline(prepared, made), rules, made, is_refused)
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
            return _Reading(self._outline(prepared, made), rules, made, is_refused)
        made = arranged(request, replace(asked, splits=False))
        built = self._outline(prepared, made)
        changing = self.history.past(built, now=now).volatile
        made = moved_block(request, made, _movable(built, changing), asked)
        outline = self._outline(prepared, made)
        return _Reading(outline, rules, made, is_refused, built)

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

    def left(
        self, prepared: Prepared, status: int, message: str, *, now: float
    ) -> bool:
        """Take what was refused out of a request, and leave it out for a while.

        Args:
            prepared: What was refused.
            status: The HTTP status.
            message: The text of the refusal.
            now: In UTC seconds.

        Returns:
            Whether the refusal was about something of ours.
        """
        request, made = prepared.request, prepared.arranged
        provider = request.provider
        adds_turn = prepared.is_changed and made is not None and made.adds_turn
        if adds_turn and provider.refuses_turn(status, message):
            self._refusals.note(_turns_key(request), now=now)
            prepared.leave_all()
            return True
        narrows = prepared.is_changed and made is not None and made.narrows
        if narrows and status in _REFUSED and _names_choice(message):
            self._refusals.note(_choice_key(request), now=now)
            prepared.leave_all()
            return True
        if prepared.is_planned and provider.is_our_fault(
            status, message, built=prepared.whole, sent=prepared.body
        ):
            self._refusals.note(_key(request), now=now)
            prepared.leave()
            return True
        return False

    def note_answer(self, prepared: Prepared, answer: str) -> None:
        """Remember by what prompt an answer can be found again.

        Args:
            prepared: The request.
            answer: The provider's id of its answer.
        """
        outline = prepared.outline
        if outline is None:
            return
        tenant = prepared.options.tenant
        if self._diagnose:
            conversation = _conversation(prepared.options)
            self._answers.note(outline, conversation, answer)
        if prepared.request.provider.keeps_trails:
            digest = outline.digest_before(outline.length)
            trail = Trail(digest, outline.total_tokens, prepared.plan.key)
            self._trails.note(tenant, answer, trail)

    def _with_shards(
        self, past: Past, outline: Outline, rules: Rules, prepared: Prepared
    ) -> Past:
        """Return the past with how many keys the requests of one head need."""
        if rules.requests_per_minute is None or not outline.head_key:
            return past
        shards = self._rates.shards(
            outline.head_key,
            conversation_digest(outline, prepared.options),
            per_minute=rules.requests_per_minute,
            now=prepared.started,
        )
        return replace(past, shards=shards)

    def _note_assumed(self, request: Request) -> None:
        with self._lock:
            if request.model in self._assumed or len(self._assumed) >= _MAX_ASSUMED:
                return
            self._assumed.add(request.model)
        self._tell(ModelAssumed(request.provider.name, request.model))


def _key(request: Request) -> tuple[str, str, str]:
    return (request.provider.name, request.model, request.host)


def _names_choice(message: str) -> bool:
    return any(it in message for it in ("tool_choice", "allowed_tools", "tool choice"))


def _choice_key(request: Request) -> tuple[str, str, str]:
    return (f"{request.provider.name} tool choice", request.model, request.host)


def _turns_key(request: Request) -> tuple[str, str, str]:
    return (f"{request.provider.name} turns", request.model, request.host)


def _movable(outline: Outline, changing: int | None) -> int:
    """Return which block of the system prompt may be moved for changing; -1 if none.

    The only one is the instructions as a whole: they stay.
    """
    if changing is None or outline.system_end - outline.tools_end < _SEVERAL:
        return -1
    return max(changing - outline.tools_end, -1)


def _conversation(options: CallOptions) -> tuple[str | None, str] | None:
    if options.conversation is None:
        return None
    return (options.tenant, options.conversation)
