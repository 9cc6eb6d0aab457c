"""What one process learns of requests, and the plan that it makes of each with that.

Rule 1: planning waits for nothing; it reads and writes the memory of this process.
Rule 2: whatever fails before a plan is complete leaves the request as it was built.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from promptcache.options import CallOptions
from promptcache.outline import Outline, Trail
from promptcache.planlog import PlanLog
from promptcache.planning.keys import conversation_digest
from promptcache.planning.lifetimes import terms_of
from promptcache.planning.past import Past
from promptcache.planning.plan import Plan, plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.prepared import Prepared, described
from promptcache.prompts.arrangement import noted_in, with_known
from promptcache.providers import Facts, Provider
from promptcache.reading import Reader, Reading, key_of
from promptcache.receipts.events import Event, MarkersChanged
from promptcache.receipts.usage import Usage
from promptcache.state.answers import Answers
from promptcache.state.history import History
from promptcache.state.pools import Pools
from promptcache.state.rates import Rates
from promptcache.ttl import Ttl

__all__ = ["Planner"]


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
        pings: bool = False,
        pools: Pools | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            policy: What decides.
            facts: Provider rules that are laid over those that ship.
            diagnose: Ask the provider why a prefix was missed, where it can tell.
            tell: Told of what a plan changed or took for granted.
            log: Told of every plan.
            pings: Prefixes may be kept alive by pings.
            pools: What is learned here and by others; None if nothing is shared.
        """
        self.history = History(allowance=policy.allowance, pings=pings, pools=pools)
        self._policy = policy
        self._facts = facts
        self._reader = Reader(policy, facts=facts, tell=tell)
        self._diagnose = diagnose
        self._tell = tell
        self._log = PlanLog() if log is None else log
        self._answers = Answers()
        self._rates = Rates()

    def check_ttl(self, ttl: Ttl | None, provider: Provider) -> None:
        """Refuse a lifetime that a provider does not have.

        Raises:
            OptionError: It is the given one, or one that the policy names.
        """
        self._reader.check_ttl(ttl, provider)

    def plan(self, prepared: Prepared) -> None:
        """Decide on a request: its plan, and the body to send.

        Raises:
            UnreadableBodyError: Its body has an unknown shape.
            OptionError: A lifetime is asked for that its provider does not have.
        """
        request, options = prepared.request, prepared.options
        provider = request.provider
        prepared.noted = noted_in(request.body, tenant=options.tenant)
        read, terms, past = self.look(prepared)
        outline, rules = read.outline, read.rules
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
        prepared.sent = self.history.record(
            outline,
            decided,
            past,
            now=prepared.started,
            terms=terms,
            where=key_of(request),
            tenant=options.tenant,
            built=read.built,
            reach=_reach(rules),
        )
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
        read, _, past = self.look(prepared)
        prepared.outline, prepared.rules = read.outline, read.rules
        if not read.is_refused:
            prepared.plan = plan(
                read.outline,
                rules=read.rules,
                policy=self._policy,
                past=past,
                options=prepared.options,
            )
        return past.entry

    def look(self, prepared: Prepared) -> tuple[Reading, Terms, Past]:
        """Return what a request is, what may be chosen for it, and what is known of it.

        Raises:
            UnreadableBodyError: Its body has an unknown shape.
            OptionError: A lifetime is asked for that its provider does not have.
        """
        read = self._reader.read(prepared, self.history)
        terms = self._terms(read, prepared.options)
        past = self.history.past(
            read.outline,
            now=prepared.started,
            terms=terms,
            where=key_of(prepared.request),
            tenant=prepared.options.tenant,
        )
        return read, terms, with_known(past, read.outline, read.arranged)

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
        what = self._reader.refused(prepared, status, message, now=now)
        if what is None:
            return False
        self._withdraw(prepared)
        if what == "plan":
            prepared.leave()
        else:
            prepared.leave_all()
        return True

    def learn(self, prepared: Prepared, usage: Usage) -> None:
        """Take note of what a request has read, by its provider's own count.

        Where it does not tell, the request is taken to be as it was planned.
        """
        sent, read, total = prepared.sent, usage.read_tokens, usage.input_tokens
        if sent is None:
            return
        if read is None or total is None:
            self.history.assume(sent)
            return
        self.history.settle(
            sent,
            tokens=total,
            read=read,
            written=_written(usage, sent.terms.short),
            where=key_of(prepared.request),
            tenant=prepared.options.tenant,
        )

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
            self._reader.note_answer(tenant, answer, trail)

    def _terms(self, read: Reading, options: CallOptions) -> Terms:
        """Return what may be chosen from: a lifetime that is asked for is all there is.

        Where one lifetime holds for a whole request, that in its body comes first.
        """
        ttl = options.ttl
        if read.rules.matching == "marked":
            ttl = read.outline.automatic or ttl
        return terms_of(read.rules, ttl, self._policy)

    def _withdraw(self, prepared: Prepared) -> None:
        """Forget that a request writes anything: it is sent without a plan."""
        if prepared.sent is not None:
            where = key_of(prepared.request)
            prepared.sent = self.history.withdraw(prepared.sent, where=where)

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


def _written(usage: Usage, short: Ttl) -> Mapping[Ttl, float]:
    """Return what was written, by lifetime; what no lifetime is told of is short."""
    by_ttl: dict[Ttl, float] = {
        "1h": usage.written_1h_tokens or 0,
        "12h": usage.written_12h_tokens or 0,
    }
    rest = (usage.written_tokens or 0) - sum(by_ttl.values())
    by_ttl[short] = by_ttl.get(short, 0.0) + rest
    return by_ttl


def _reach(rules: Rules) -> int | None:
    """Return how many positions a breakpoint finds what was written before it."""
    if rules.matching == "lookback":
        return rules.lookback
    return 1 if rules.matching == "marked" else None


def _conversation(options: CallOptions) -> tuple[str | None, str] | None:
    if options.conversation is None:
        return None
    return (options.tenant, options.conversation)
