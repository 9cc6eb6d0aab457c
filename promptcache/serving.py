"""What happens to one request, from the framework's body to its receipt.

Rule 1: an error of ours sends the request as the framework built it.
Rule 2: a request is settled once, whatever becomes of its answer.
Rule 3: nothing here waits.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.clock import Clock
from promptcache.errors import PlanningError, PromptCacheError, UnreadableBodyError
from promptcache.interrupts import undisturbed
from promptcache.options import current_options
from promptcache.planlog import note_unread
from promptcache.planner import Planner
from promptcache.planning.plan import Plan
from promptcache.planning.policies import Policy
from promptcache.prepared import Answer, Prepared
from promptcache.providers import Request
from promptcache.receipts.collect import deliver
from promptcache.receipts.events import (
    BodyUnreadable,
    Event,
    PlanningFailed,
    RetriedUnplanned,
    Settled,
    UsageMissing,
)
from promptcache.receipts.listeners import Listeners
from promptcache.receipts.prices import Prices
from promptcache.receipts.quotes import without_quotes
from promptcache.receipts.report import Report
from promptcache.receipts.usage import Usage
from promptcache.runs import observing_collectors
from promptcache.settling import Settling
from promptcache.sharing import Sharing

__all__ = ["Serving"]


class Serving:
    """What a cache does with every request; `PromptCache` sets its parts up."""

    policy: Policy
    strict: bool
    clock: Clock
    prices: Prices
    _planner: Planner
    _listeners: Listeners
    _settling: Settling
    _report: Report
    _sharing: Sharing | None

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
            collectors=observing_collectors(),
        )
        name, model = request.provider.name, request.model or None
        with undisturbed():
            try:
                self._planner.plan(prepared)
            except UnreadableBodyError as error:
                self._fail(error, BodyUnreadable(name, model, error.why), prepared)
            except Exception as error:  # noqa: BLE001 - the call survives any error
                self._fail(error, PlanningFailed.of(name, model, error), prepared)
            if self._sharing is not None:
                self._sharing.seen()
        return prepared

    def refuse(self, prepared: Prepared, status: int, message: str) -> bool:
        """Take note of a refusal; tell whether to send the request unplanned now."""
        request, now = prepared.request, self.clock.now()
        name, model = request.provider.name, request.model
        try:
            if not self._planner.left(prepared, status, message, now=now):
                return False
        except Exception as error:  # noqa: BLE001 - the refusal is what is to be seen
            self._listeners(PlanningFailed.of(name, model, error))
            return False
        prepared.plan = Plan(notes=("refused",))
        told = without_quotes(message, request.body)
        self._listeners(RetriedUnplanned(name, model, status, told))
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
                note_unread(provider.name, prepared.request.model, reported)
                missed = provider.told(diagnosis)
                answer = Answer(usage, model, message_id, tier, missed)
                self._settle(prepared, answer, is_told=reported is not None)
            except Exception as error:  # noqa: BLE001 - the answer survives us
                name = prepared.request.provider.name
                event = PlanningFailed.of(name, prepared.request.model, error)
                self._listeners(event)

    def _settle(self, prepared: Prepared, answer: Answer, *, is_told: bool) -> None:
        prices = prepared.options.prices or self.prices
        receipt = self._settling.receipt(
            prepared, answer, prices=prices, now=self.clock.now()
        )
        prepared.receipt = receipt
        self._planner.learn(prepared, receipt.usage)
        if self._sharing is not None:
            self._sharing.seen()
        if answer.id is not None:
            self._planner.note_answer(prepared, answer.id)
        deliver(receipt, prepared.collectors, owner=self)
        self._report.add(receipt)
        if receipt.usage.input_tokens is None:
            why = "it is incomplete" if is_told else "no usage was reported"
            name, model = receipt.provider, prepared.request.model
            self._listeners(UsageMissing(name, model, why))
        self._listeners(Settled(receipt, prepared.context))
        if prepared.placement is not None:
            prepared.placement.settled(receipt)

    def _fail(self, error: Exception, event: Event, prepared: Prepared) -> None:
        self._listeners(event)
        if self.strict and prepared.policy != "off":
            if isinstance(error, PlanningError):
                raise error
            # No `ValueError` while a request is made: frameworks take one for theirs.
            ours = isinstance(error, PromptCacheError)
            raise PlanningError(str(error) if ours else repr(error)) from error
