"""What one process learns of requests, and the plan that it makes of each with that.

Rule 1: planning waits for nothing; it reads and writes the memory of this process.
Rule 2: whatever fails before a plan is complete leaves the request as it was built.
"""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from promptcache.errors import OptionError
from promptcache.options import CallOptions
from promptcache.outline import Outline, Trail
from promptcache.planlog import PlanLog
from promptcache.planning.candidates import Past
from promptcache.planning.keys import conversation_digest
from promptcache.planning.plan import Plan, plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
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
        rules, known = provider.rules(request.model, request.host, self._facts)
        prepared.facts_known = known
        if not known:
            self._note_assumed(request)
        self.check_ttl(options.ttl, provider)
        trail = None
        if request.follows is not None:
            trail = self._trails.before(options.tenant, request.follows)
        outline = provider.outline(
            request.body,
            model=request.model,
            host=request.host,
            tenant=options.tenant,
            trail=trail,
        )
        now = prepared.started
        past = self.history.past(outline, now=now)
        decided, body = Plan(), request.body
        is_refused = self._refusals.holds(_key(request), now=now)
        if prepared.policy != "off" and not is_refused:
            past = self._with_shards(past, outline, rules, prepared)
            decided = plan(
                outline, rules=rules, policy=self._policy, past=past, options=options
            )
            body = provider.apply(request.body, outline, decided)
            if options.stream_usage:
                body = provider.metered(body)
            if self._diagnose:
                previous = self._answers.before(outline, _conversation(options))
                body = provider.asked(
                    body, previous, host=request.host, overrides=self._facts
                )
        self.history.record(outline, decided, past, now=now)
        prepared.breakpoints = described(outline, decided)
        # Last, and together: whatever fails before leaves the request unplanned.
        prepared.plan, prepared.body = decided, body
        prepared.outline, prepared.rules = outline, rules
        if decided.dropped or decided.shortened:
            changed = (decided.dropped, decided.shortened)
            self._tell(MarkersChanged(provider.name, request.model, *changed))
        self._log.planned(prepared, rules, is_refused=is_refused)

    def note_refusal(self, request: Request, *, now: float) -> None:
        """Remember that requests like this one must go out unplanned for a while."""
        self._refusals.note(_key(request), now=now)

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


def _conversation(options: CallOptions) -> tuple[str | None, str] | None:
    if options.conversation is None:
        return None
    return (options.tenant, options.conversation)
