"""`PromptCache`: what happens to one request, from the framework's body to its receipt.

Rule 1: the parts meet only here; each of them knows nothing of the others.
Rule 2: an error of ours sends the request as the framework built it.
Rule 3: no lock is held over I/O, and nothing here waits.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from threading import Lock, Thread
from types import MappingProxyType
from typing import Any

from promptcache.clock import Clock, SystemClock
from promptcache.errors import (
    OptionError,
    PlanningError,
    PromptCacheError,
    UnreadableBodyError,
)
from promptcache.factsfile import read_facts
from promptcache.interrupts import undisturbed
from promptcache.options import CallOptions, current_options
from promptcache.outline import Outline, Trail
from promptcache.planning.keys import conversation_digest
from promptcache.planning.plan import Plan, plan
from promptcache.planning.policies import Policy
from promptcache.prepared import Answer, Prepared, described, receipt_for
from promptcache.providers import (
    Client,
    Facts,
    Provider,
    Request,
    attach_client,
    check_facts,
    warm_client,
)
from promptcache.receipts.collect import active_collectors, collecting, deliver
from promptcache.receipts.events import (
    BodyUnreadable,
    Event,
    Listener,
    MarkersChanged,
    ModelAssumed,
    PlanningFailed,
    RetriedUnplanned,
    Settled,
    SteppedAside,
    UsageMissing,
)
from promptcache.receipts.listeners import Listeners
from promptcache.receipts.logging import LoggingListener
from promptcache.receipts.prices import GenaiPrices, Prices
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.report import Report
from promptcache.receipts.usage import Usage
from promptcache.state.answers import Answers
from promptcache.state.history import History
from promptcache.state.rates import Rates
from promptcache.state.refusals import Refusals
from promptcache.state.trails import Trails
from promptcache.switch import is_switched_off
from promptcache.ttl import Ttl

__all__ = ["PromptCache"]

_MAX_ASSUMED = 1_000


class PromptCache:
    """Plans the prompt caching of every request that passes, and writes receipts.

    One instance serves any number of models, clients, threads and event loops, and
    learns from all of them; tenants are kept apart. It sends no request of its own.
    """

    def __init__(
        self,
        policy: Policy | str = "auto",
        *,
        listeners: Iterable[Listener] = (),
        prices: Prices | None = None,
        facts: Facts | None = None,
        diagnose: bool = False,
        strict: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Set a cache up; nothing is opened, created or sent.

        Args:
            policy: What makes plans, or its name.
            listeners: Told of every event, first of all of every receipt.
            prices: What tokens cost; else the prices that `genai-prices` ships.
            facts: Provider rules by model name, laid over those that ship and
                those in the file that `PROMPTCACHE_FACTS` names.
            diagnose: Ask the provider why a prefix was missed, where it can tell; the
                receipt's notes have its reason.
            strict: Raise our own errors instead of sending unplanned requests.
            clock: Where time comes from.

        Raises:
            OptionError: An argument is not allowed.
        """
        self.policy = Policy.named(policy)
        self.diagnose = diagnose
        self.strict = strict
        self.clock: Clock = SystemClock() if clock is None else clock
        self._prices: Prices = GenaiPrices() if prices is None else prices
        laid_over = {**read_facts(os.environ.get("PROMPTCACHE_FACTS")), **(facts or {})}
        self.facts: Facts = MappingProxyType(laid_over)
        check_facts(self.facts)
        self._listeners = Listeners((LoggingListener(), *listeners))
        self._history = History()
        self._answers = Answers()
        self._trails = Trails()
        self._rates = Rates()
        self._refusals = Refusals()
        self._report = Report()
        self._lock = Lock()
        self._assumed: set[str] = set()
        self._prices_loading = False

    def __copy__(self) -> "PromptCache":
        """Return itself: what a copied model learns, its original learns too."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "PromptCache":
        """Return itself, as `__copy__` does."""
        return self

    def attach(self, client: Client) -> Client:
        """Return a client of a provider's SDK whose requests this cache plans.

        The client that is passed in stays as it is; both share one connection pool.
        With `PROMPTCACHE=off` in the environment, the client itself is returned.

        Raises:
            UnsupportedClientError: It is of no SDK that is supported.
            OptionError: The policy names a lifetime that its provider lacks.
            AttachedError: It is attached to another cache.
        """
        if is_switched_off():
            return client
        attached = attach_client(client, self)
        self._load_prices()
        return attached

    def collect(self) -> AbstractContextManager[list[Receipt]]:
        """Return a context manager for a list of the receipts of what runs inside.

        It covers this thread or task and what these start.
        """
        return collecting(self)

    def prewarm(self, client: Any, **request: Any) -> Receipt | None:
        """Write what requests begin with, before the first of them comes.

        This sends a request of its own, billed as a write. `max_tokens` is left out;
        of `messages`, give those that every conversation begins with, or none.

        Args:
            client: A synchronous client of the provider's SDK.
            **request: What the requests will be made with: model, system, tools, and
                the very thinking and effort that they will have.

        Returns:
            The receipt; None if the answer said nothing of its usage.
        """
        with self.collect() as receipts:
            warm_client(self.attach(client), request)
        return receipts[-1] if receipts else None

    async def aprewarm(self, client: Any, **request: Any) -> Receipt | None:
        """Do what `prewarm` does, with an asynchronous client."""
        with self.collect() as receipts:
            await warm_client(self.attach(client), request)
        return receipts[-1] if receipts else None

    def report(self) -> Report:
        """Return what was read, written and saved so far, by model."""
        return self._report

    def listen(self, listener: Listener) -> None:
        """Tell a listener of every event from now on."""
        self._listeners.add(listener)

    def step_aside(self, provider: str, why: str) -> None:
        """Tell the listeners of a client that is used as if we were not there."""
        self._listeners(SteppedAside(provider, why))

    def check_ttl(self, ttl: Ttl | None, provider: Provider) -> None:
        """Refuse a lifetime that a provider does not have.

        Raises:
            OptionError: It is the given one, or one that the policy names.
        """
        for asked in (ttl, *self.policy.ttls):
            if asked is not None and asked not in provider.ttls:
                raise OptionError("ttl", asked, ", ".join(provider.ttls))

    def prepare(self, request: Request) -> Prepared:
        """Plan a request that is about to be sent.

        Raises:
            PlanningError: It cannot be planned, and the cache is strict.
        """
        options = current_options()
        is_off = self.policy.name == "off" or options.enabled is False
        prepared = Prepared(
            request=request,
            body=request.body,
            options=options,
            policy="off" if is_off else self.policy.name,
            started=self.clock.now(),
            collectors=active_collectors(),
        )
        name, model = request.provider.name, request.model or None
        with undisturbed():
            try:
                self._plan(prepared)
            except UnreadableBodyError as error:
                self._fail(error, BodyUnreadable(name, model, error.why), prepared)
            except Exception as error:  # noqa: BLE001 - the call survives any error
                self._fail(error, PlanningFailed.of(name, model, error), prepared)
        return prepared

    def refuse(self, prepared: Prepared, status: int, message: str) -> bool:
        """Take note of a refusal; tell whether to send the request unplanned now."""
        request = prepared.request
        if not prepared.is_planned:
            return False
        provider, built = request.provider, request.body
        if not provider.is_our_fault(status, message, built=built, sent=prepared.body):
            return False
        self._refusals.note(self._key(request), now=self.clock.now())
        prepared.body = request.body
        prepared.plan = Plan(notes=("refused",))
        prepared.breakpoints = ()
        self._listeners(RetriedUnplanned(provider.name, request.model, status, message))
        return True

    def settle(
        self,
        prepared: Prepared,
        reported: Mapping[str, Any] | None,
        *,
        model: str | None = None,
        message_id: str | None = None,
        tier: str | None = None,
        diagnosis: object = None,
    ) -> None:
        """Write the receipt of a request that was answered; only the first counts.

        Args:
            prepared: What `prepare` returned.
            reported: The usage as the provider sent it, or None if it did not.
            model: The model that answered.
            message_id: The provider's id of the answer.
            tier: The service tier that it was answered in, where that has a price.
            diagnosis: What the provider told of a miss, if it was asked.
        """
        if prepared.settled:
            return
        prepared.settled = True
        with undisturbed():
            try:
                provider = prepared.request.provider
                usage = Usage() if reported is None else provider.usage(reported)
                missed = provider.told(diagnosis)
                answer = Answer(usage, model, message_id, tier, missed)
                self._settle(prepared, answer, is_told=reported is not None)
            except Exception as error:  # noqa: BLE001 - the answer survives us
                name = prepared.request.provider.name
                event = PlanningFailed.of(name, prepared.request.model, error)
                self._listeners(event)

    def _plan(self, prepared: Prepared) -> None:
        request, options = prepared.request, prepared.options
        provider = request.provider
        rules, known = provider.rules(request.model, request.host, self.facts)
        prepared.facts_known = known
        if not known:
            self._note_assumed(request)
        self.check_ttl(options.ttl, provider)
        trail = None
        if request.follows is not None:
            trail = self._trails.before(options.tenant, request.follows)
        outline = provider.outline(
            request.body, host=request.host, tenant=options.tenant, trail=trail
        )
        now = prepared.started
        past = self._history.past(outline, now=now)
        decided, body = Plan(), request.body
        refused = self._refusals.holds(self._key(request), now=now)
        if prepared.policy != "off" and not refused:
            if rules.requests_per_minute is not None and outline.head_key:
                shards = self._rates.shards(
                    outline.head_key,
                    conversation_digest(outline, options),
                    per_minute=rules.requests_per_minute,
                    now=now,
                )
                past = replace(past, shards=shards)
            decided = plan(
                outline, rules=rules, policy=self.policy, past=past, options=options
            )
            body = provider.apply(request.body, outline, decided)
            if options.stream_usage:
                body = provider.metered(body)
            if self.diagnose:
                previous = self._answers.before(outline, _conversation(options))
                body = provider.asked(
                    body, previous, host=request.host, overrides=self.facts
                )
        if self.diagnose or provider.keeps_trails:
            prepared.outline = outline
        self._history.record(outline, decided, past, now=now)
        prepared.breakpoints = described(outline, decided)
        # Last, and together: whatever fails before leaves the request unplanned.
        prepared.plan, prepared.body = decided, body
        if decided.dropped or decided.shortened:
            changed = (decided.dropped, decided.shortened)
            self._listeners(MarkersChanged(provider.name, request.model, *changed))

    def _settle(self, prepared: Prepared, answer: Answer, *, is_told: bool) -> None:
        request, usage = prepared.request, answer.usage
        name = request.provider.name
        cost = self._prices.cost(
            name,
            answer.model or request.model,
            usage,
            tier=answer.tier,
            at=prepared.started,
        )
        receipt = receipt_for(prepared, answer, cost, now=self.clock.now())
        prepared.receipt = receipt
        if prepared.outline is not None and answer.id is not None:
            self._note_answer(prepared, prepared.outline, answer.id)
        deliver(receipt, prepared.collectors, owner=self)
        self._report.add(receipt)
        if usage.input_tokens is None:
            why = "it is incomplete" if is_told else "no usage was reported"
            self._listeners(UsageMissing(name, request.model, why))
        self._listeners(Settled(receipt))

    def _note_answer(self, prepared: Prepared, outline: Outline, answer: str) -> None:
        tenant = prepared.options.tenant
        if self.diagnose:
            conversation = _conversation(prepared.options)
            self._answers.note(outline, conversation, answer)
        if prepared.request.provider.keeps_trails:
            digest = outline.digest_before(outline.length)
            trail = Trail(digest, outline.total_tokens, prepared.plan.key)
            self._trails.note(tenant, answer, trail)

    def _load_prices(self) -> None:
        """Read the price list once, aside: half a second that no answer waits for."""
        with self._lock:
            if self._prices_loading or not isinstance(self._prices, GenaiPrices):
                return
            self._prices_loading = True
        Thread(target=self._prices.load, name="promptcache-prices", daemon=True).start()

    def _fail(self, error: Exception, event: Event, prepared: Prepared) -> None:
        self._listeners(event)
        if self.strict and prepared.policy != "off":
            if isinstance(error, PlanningError):
                raise error
            # No `ValueError` while a request is made: frameworks take one for theirs.
            ours = isinstance(error, PromptCacheError)
            raise PlanningError(str(error) if ours else repr(error)) from error

    def _note_assumed(self, request: Request) -> None:
        with self._lock:
            if request.model in self._assumed or len(self._assumed) >= _MAX_ASSUMED:
                return
            self._assumed.add(request.model)
        self._listeners(ModelAssumed(request.provider.name, request.model))

    @staticmethod
    def _key(request: Request) -> tuple[str, str, str]:
        return (request.provider.name, request.model, request.host)


def _conversation(options: CallOptions) -> tuple[str | None, str] | None:
    if options.conversation is None:
        return None
    return (options.tenant, options.conversation)
