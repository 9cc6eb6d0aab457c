"""`PromptCache`: where the parts meet, and what users do with them.

Rule 1: the parts meet only here; each of them knows nothing of the others.
Rule 2: an error of ours sends the request as the framework built it.
Rule 3: no lock is held over I/O, and nothing here waits.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from promptcache.clock import Clock, SystemClock
from promptcache.factsfile import read_facts
from promptcache.fanout import Turns
from promptcache.flow import Aside, Flow
from promptcache.holdings import Holdings, read_secret
from promptcache.limits import Limits
from promptcache.loading import Loading
from promptcache.planlog import PlanLog, note_switched_off
from promptcache.planner import Planner
from promptcache.planning.policies import Policy
from promptcache.prepared import Prepared
from promptcache.providers import (
    Client,
    Facts,
    Provider,
    attach_client,
    check_facts,
    warm_client,
)
from promptcache.receipts.collect import collecting
from promptcache.receipts.events import (
    CacheCreated,
    CacheEnded,
    Event,
    Listener,
    PlanningFailed,
    SteppedAside,
)
from promptcache.receipts.fixed_prices import read_prices
from promptcache.receipts.listeners import Listeners
from promptcache.receipts.logging import LoggingListener
from promptcache.receipts.prices import GenaiPrices, Prices
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.report import Report
from promptcache.serving import Serving
from promptcache.settling import Settling
from promptcache.sharing import Sharing
from promptcache.state.probed import recalled
from promptcache.state.stores import Store
from promptcache.switch import is_switched_off
from promptcache.ttl import Ttl
from promptcache.warming import Warming, may_ping

if TYPE_CHECKING:
    from promptcache.providers.gemini.keeper import Keeper
    from promptcache.providers.gemini.remote import Remote

__all__ = ["PromptCache"]


class PromptCache(Serving):
    """Plans the prompt caching of every request that passes, and writes receipts.

    One instance serves any number of models, clients, threads and event loops, and
    learns from all of them; tenants are kept apart. It sends no request of its own,
    except for Gemini's cached contents, and pings if the policy keeps warm, within
    `limits`.
    """

    def __init__(
        self,
        policy: Policy | str = "auto",
        *,
        store: Store | str | None = None,
        listeners: Iterable[Listener] = (),
        limits: Limits | None = None,
        prices: Prices | Mapping[str, Any] | None = None,
        facts: Facts | None = None,
        secret: bytes | str | None = None,
        diagnose: bool = False,
        strict: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Set a cache up; nothing is opened, created or sent.

        Args:
            policy: What makes plans, or its name.
            store: Where handles of Gemini's cached contents are kept and workers learn
                from each other, or its URL; else handles are in a file in the user's
                cache directory, and what is learned in memory.
            listeners: Told of every event, first of all of every receipt.
            limits: What cached contents may cost; else 8 that live, and 0.10 US
                dollars an hour.
            prices: What tokens cost: a source of prices, or rates by model as
                `FixedPrices` takes them; else the prices that `genai-prices` ships.
            facts: Provider rules by model name, laid over those that ship and
                those in the file that `PROMPTCACHE_FACTS` names.
            secret: Key of the digests in the store; else that of `PROMPTCACHE_SECRET`
                or the store's own.
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
        self.limits = Limits() if limits is None else limits
        self.prices: Prices = read_prices(prices)
        laid_over = {**read_facts(os.environ.get("PROMPTCACHE_FACTS")), **(facts or {})}
        self.facts: Facts = MappingProxyType(laid_over)
        check_facts(self.facts)
        self.secret = read_secret(secret)
        self._listeners = Listeners((LoggingListener(), *listeners))
        self._holdings = Holdings(store, tell=self._listeners)
        self._sharing = self._share()
        self._planner = Planner(
            self.policy,
            facts=self.facts,
            diagnose=diagnose,
            tell=self._listeners,
            log=PlanLog(self.limits),
            pings=may_ping(self.policy, self.limits),
            pools=None if self._sharing is None else self._sharing.pools,
        )
        self.turns = Turns(self._planner, clock=self.clock, limits=self.limits)
        self.warming = Warming(self, self._planner.history)
        self._settling = Settling(tell=self._listeners)
        self._report = Report()
        listed = self.prices if isinstance(self.prices, GenaiPrices) else None
        self.loading = Loading(
            quick=self._recall, slow=[] if listed is None else [listed.load]
        )

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

        Attaching a Gemini client chooses cached contents: what comes again is kept at
        the provider under a name where that pays, which costs storage by the hour,
        within `limits`. `gemini_caches=False`, as an option, leaves implicit caching.

        Raises:
            UnsupportedClientError: It is of no SDK that is supported.
            OptionError: The policy names a lifetime that its provider lacks.
            AttachedError: It is attached to another cache.
        """
        if is_switched_off():
            note_switched_off()
            return client
        attached = attach_client(client, self)
        self.load_prices()
        return attached

    def collect(self) -> AbstractContextManager[list[Receipt]]:
        """Return a context manager for a list of the receipts of what runs inside.

        It covers this thread or task, and what these start with its context.
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
        self._planner.check_ttl(ttl, provider)

    @property
    def store(self) -> Store:
        """Where handles are kept; opened at its first use."""
        return self._holdings.store

    @property
    def keeper(self) -> "Keeper":
        """What keeps Gemini's cached contents; made at its first use."""
        return self._holdings.keeper(self)

    def tell(self, event: Event) -> None:
        """Tell the listeners of something, and count what it cost."""
        if isinstance(event, CacheCreated):
            self._report.add_storage(event.provider, event.model, 0.0, event.cost_usd)
        elif isinstance(event, CacheEnded):
            self._report.add_storage(
                event.provider, event.model, event.token_hours, event.cost_usd
            )
        self._listeners(event)

    def close(self) -> None:
        """End what was begun beside requests; attached models go on working."""
        self.warming.close()
        if self._sharing is not None:
            self._sharing.close()
        self._holdings.close()

    def place(self, prepared: Prepared, remote: "Callable[[], Remote]") -> Flow[None]:
        """Have a request name a cached content, where there is one or ought to be.

        Args:
            prepared: A request whose body names none yet.
            remote: Returns what reaches the cached contents of the request's client.

        Raises:
            PlanningError: That failed, and the cache is strict.
        """
        allowed = prepared.options.gemini_caches is not False
        if prepared.policy == "off" or prepared.outline is None or not allowed:
            return
        try:
            if not self._holdings.has_keeper:
                # The first one opens the store.
                yield Aside(lambda: self.keeper)
            yield from self.keeper.place(prepared, remote())
        except Exception as error:  # noqa: BLE001 - the call survives any error
            prepared.leave()
            name, model = prepared.request.provider.name, prepared.request.model
            self._fail(error, PlanningFailed.of(name, model, error), prepared)

    def lost(self, prepared: Prepared, status: int, message: str) -> Flow[bool]:
        """Take note of a refusal; tell whether to send the whole request now.

        Args:
            prepared: What was refused.
            status: The HTTP status.
            message: The text of the refusal.
        """
        if prepared.placement is None:
            return False
        try:
            lost = partial(self.keeper.lost, prepared, status, message)
            return bool((yield Aside(lost)))
        except Exception as error:  # noqa: BLE001 - the call survives any error
            prepared.leave()
            name, model = prepared.request.provider.name, prepared.request.model
            self._listeners(PlanningFailed.of(name, model, error))
            return True

    def load_prices(self) -> None:
        """Read what is kept on disk, once, as soon as there is a client.

        The price list is read aside: half a second that no answer waits for. What a
        probe has found out of providers is a short file of this user's.
        """
        self.loading.begin()

    def _recall(self) -> None:
        for where, keeps in recalled().items():
            self._planner.history.know(where, keeps=keeps)

    def _share(self) -> Sharing | None:
        """Return what learns together with others, where a store is given."""
        store = self._holdings.given
        if store is None:
            return None
        return Sharing(
            store, clock=self.clock, secret=self.secret, tell=self._listeners
        )
