"""Keeping prefixes alive while their conversations are silent, where that is asked for.

Rule 1: nothing is sent unless the policy keeps warm and `Limits` allows money for it.
Rule 2: a ping that does not read, or that writes, is the last one of its prefix.
Rule 3: a conversation with a request on its way is left alone.
Rule 4: what was sent is held as bytes, in memory alone, until its conversation goes on
or an hour is over.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from promptcache.interrupts import undisturbed
from promptcache.limits import Limits
from promptcache.outline import Outline
from promptcache.planning.policies import Policy
from promptcache.prepared import Answer, Prepared, receipt_for
from promptcache.receipts.events import LimitReached, PlanningFailed, Settled
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage
from promptcache.state.forks import let_go_at_forks
from promptcache.state.history import History
from promptcache.state.idle import Idle, Ping, Quiet
from promptcache.ticking import Ticker

if TYPE_CHECKING:
    from promptcache.cache import PromptCache

__all__ = ["Repeats", "Warming", "may_ping"]

LATE_SECONDS = 10.0
"""How late a ping may be sent: after that, the prefix may be gone."""

MAX_BYTES = 64 << 20
"""Bodies that are held at a time; the one silent longest goes first."""

_HOUR = 3600.0
_RUNNING_SECONDS = 600.0
"""How long a request is taken to be on its way; the SDK waits no longer for one."""
_MAX_RUNNING = 256
_OK, _BAD_REQUEST = 200, 400
_KEPT = 0.9
_MAX_REFUSED = 1_000


class Repeats(Protocol):
    """How the seam sends what it has sent once more."""

    def send(
        self, body: Mapping[str, Any], answered: Callable[[int, bytes], None]
    ) -> None:
        """Send a ping, and tell the HTTP status and the body of its answer."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """What it takes to ping a conversation."""

    body: bytes
    prepared: Prepared
    """The request, without its body."""
    repeat: Repeats


@dataclass(frozen=True, slots=True)
class _Running:
    """A request on its way."""

    since: float
    outline: Outline
    after: Quiet | None
    """What it goes on from."""


class Warming:
    """The pings of one cache; safe from many threads, event loops and forks."""

    def __init__(self, cache: "PromptCache", history: History) -> None:
        """Send nothing, and begin no thread, before a conversation falls silent.

        Args:
            cache: What plans the requests.
            history: Told of what pings read.
        """
        self.is_asked = cache.policy.keep_warm
        self.is_on = may_ping(cache.policy, cache.limits)
        """Whether anything may be sent."""
        self._cache = cache
        self._history = history
        self._untold: tuple[Prepared, float | None] | None = None
        self._begin()
        if self.is_on:
            let_go_at_forks(self)

    def seen(self, prepared: Prepared) -> None:
        """Note that a request is about to be sent."""
        if self.is_on and prepared.outline is not None:
            with undisturbed(), self._guarded(prepared), self._lock:
                self._seen(prepared, prepared.outline)

    def answered(
        self, prepared: Prepared, *, stop: str | None, repeat: Repeats | None
    ) -> None:
        """Note that a request was answered: its conversation is silent from now on.

        Args:
            prepared: The request, with its receipt.
            stop: Why the model stopped, as the provider says it.
            repeat: What can send it again; None if nothing may.
        """
        if not self.is_asked:
            return
        if not self.is_on:
            self._tell_of_the_limit(prepared, None)
            return
        quiet = None
        with undisturbed(), self._guarded(prepared), self._lock:
            running = self._running.pop(prepared.number, None)
            if prepared.sent is not None:
                self._history.stopped(prepared.sent, stop)
            quiet = self._quiet(prepared, stop, repeat)
            if quiet is not None:
                self._idle.begin(quiet, None if running is None else running.after)
                self._let_go()
        if quiet is not None:
            self._ticker.wake()

    def tend(self) -> float | None:
        """Send the pings that are due; return when something is due next."""
        now = self._cache.clock.now()
        with undisturbed(), self._lock:
            ready = []
            for ping in self._idle.due(now):
                if now - ping.at > LATE_SECONDS or not self._may_send(ping, now):
                    self._idle.answered(ping, kept=False)
                else:
                    ready.append((ping, ping.quiet.with_))
            self._flying += len(ready)
            untold = self._untold
            self._untold = None
        if untold is not None:
            self._tell_of_the_limit(*untold)
        for ping, held in ready:
            held.repeat.send(
                orjson.loads(held.body), partial(self._sent, ping, held, now)
            )
        with undisturbed(), self._lock:
            return self._idle.next_at

    def idle(self, seconds: float = 30.0) -> bool:
        """Wait until no ping is on its way; False if that takes longer."""
        with self._landed:
            return self._landed.wait_for(lambda: not self._flying, seconds)

    def close(self) -> None:
        """Send nothing more, and let go of what is held."""
        self._ticker.stop()
        with undisturbed(), self._lock:
            self.is_on = self.is_asked = False
            self._idle.clear()
            self._running.clear()

    def pause(self) -> bool:
        """Stand still before a fork."""
        return self._lock.acquire(timeout=1.0)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Keep nothing warm in the child of a fork: its parent does."""
        self._begin()

    def _begin(self) -> None:
        self._lock = Lock()
        self._landed = Condition(self._lock)
        self._flying = 0
        self._idle = Idle()
        self._running: OrderedDict[int, _Running] = OrderedDict()
        self._spent: deque[tuple[float, float]] = deque()
        self._refused: OrderedDict[object, None] = OrderedDict()
        self._is_full = False
        self._untold = None
        self._ticker = Ticker(self.tend, clock=self._cache.clock)

    def _seen(self, prepared: Prepared, outline: Outline) -> None:
        if prepared.number in self._running:
            return
        now, name = prepared.started, _name(prepared)
        after = self._idle.seen(outline, now=now, conversation=name)
        self._running[prepared.number] = _Running(now, outline, after)
        while (
            len(self._running) > _MAX_RUNNING
            or next(iter(self._running.values())).since < now - _RUNNING_SECONDS
        ):
            self._running.popitem(last=False)

    @contextmanager
    def _guarded(self, prepared: Prepared) -> Iterator[None]:
        """Keep an error of ours from the request that it happens beside."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the call survives any error
            name, model = prepared.request.provider.name, prepared.request.model
            self._cache.tell(PlanningFailed.of(name, model, error))

    def _quiet(
        self, prepared: Prepared, stop: str | None, repeat: Repeats | None
    ) -> Quiet | None:
        """Return a conversation that falls silent, if there is something to keep."""
        outline, sent, receipt = prepared.outline, prepared.sent, prepared.receipt
        if outline is None or sent is None or receipt is None or outline.warms:
            return None
        usage = receipt.usage
        uncached = usage.uncached_tokens
        if usage.input_tokens is None or uncached is None or prepared.policy == "off":
            return None
        quiet = Quiet(
            outline,
            prepared.plan.entries if prepared.is_planned else (),
            prepared.started,
            sent.terms,
            stop=stop,
            whose=(_where(prepared), prepared.options.tenant),
            conversation=_name(prepared),
            kept=float(usage.input_tokens - uncached),
            rest=float(uncached),
            held=sent.held,
            may_ping=False,
        )
        if repeat is None or not quiet.entries or _where(prepared) in self._refused:
            return quiet
        if quiet.is_agent and not sent.pings:
            return quiet
        try:
            body = orjson.dumps(prepared.body)
        except TypeError:
            # Bytes or objects of the caller's: they may change under our hands.
            return quiet
        light = replace(prepared, body={}, request=_without_body(prepared))
        light.arranged = light.outline = None
        quiet.with_, quiet.may_ping = _Held(body, light, repeat), True
        return quiet

    def _let_go(self) -> None:
        """Hold no more bytes than are allowed."""
        held = [it for it in self._idle if it.with_ is not None]
        size = sum(len(it.with_.body) for it in held)
        for quiet in held:
            if size <= MAX_BYTES:
                return
            size -= len(quiet.with_.body)
            quiet.with_, quiet.may_ping = None, False

    def _may_send(self, ping: Ping, now: float) -> bool:
        """Tell whether nothing else of a conversation runs, and there is money."""
        quiet = ping.quiet
        last = quiet.entries[-1][0]
        digest = quiet.outline.blocks.digests[last]
        for it in self._running.values():
            is_long = it.outline.length > last
            if is_long and it.outline.blocks.digests[last] == digest:
                return False
        tokens = int(quiet.kept + quiet.rest)
        usage = Usage(
            tokens, int(quiet.kept), 0, written_5m_tokens=0, written_1h_tokens=0
        )
        cost = self._cost(quiet.with_.prepared, replace(usage, output_tokens=0))
        while self._spent and self._spent[0][0] <= now - _HOUR:
            self._spent.popleft()
        spent = sum(usd for _, usd in self._spent)
        limit = self._cache.limits.ping_usd_per_hour
        if cost is None or spent + cost > limit:
            total = None if cost is None else spent + cost
            self._untold = (quiet.with_.prepared, total)
            return False
        self._is_full = False
        self._spent.append((now, cost))
        return True

    def _cost(self, prepared: Prepared, usage: Usage) -> float | None:
        prices = prepared.options.prices or self._cache.prices
        name, model = prepared.request.provider.name, prepared.request.model
        cost = prices.cost(name, model, usage, at=prepared.started)
        return None if cost is None else cost.usd

    def _sent(
        self, ping: Ping, held: _Held, at: float, status: int, content: bytes
    ) -> None:
        """Take note of what a ping read."""
        try:
            receipt = None if status != _OK else self._receipt(ping, held, at, content)
            with undisturbed(), self._lock:
                self._settle(ping, held, receipt, status=status)
        finally:
            with self._landed:
                self._flying -= 1
                self._landed.notify_all()

    def _settle(
        self, ping: Ping, held: _Held, receipt: Receipt | None, *, status: int
    ) -> None:
        where, sent = _where(held.prepared), held.prepared.sent
        if status == _BAD_REQUEST:
            self._refused[where] = None
            if len(self._refused) > _MAX_REFUSED:
                self._refused.popitem(last=False)
        read = written = 0
        if receipt is not None:
            read = receipt.usage.read_tokens or 0
            written = receipt.usage.written_tokens or 0
            if written and receipt.cost_usd is not None:
                self._spent.append((receipt.at, receipt.cost_usd))
        self._idle.answered(ping, kept=read >= _KEPT * ping.quiet.kept and not written)
        if sent is not None and receipt is not None:
            self._history.warmed(
                sent,
                read=read,
                written=written,
                now=receipt.at,
                where=where,
                tenant=held.prepared.options.tenant,
            )

    def _receipt(
        self, ping: Ping, held: _Held, at: float, content: bytes
    ) -> Receipt | None:
        """Write the receipt of a ping: a cost that no caching would not have had."""
        told = orjson.loads(content)
        reported = told.get("usage") if isinstance(told, Mapping) else None
        if not isinstance(reported, Mapping):
            return None
        usage = held.prepared.request.provider.usage(reported)
        prepared = replace(held.prepared, started=at, first_token=None, waited=0.0)
        prices = prepared.options.prices or self._cache.prices
        name, model = prepared.request.provider.name, prepared.request.model
        cost = prices.cost(name, model, usage, at=at)
        receipt = receipt_for(
            prepared, Answer(usage, model), cost, now=self._cache.clock.now()
        )
        receipt = replace(
            receipt,
            without_caching_usd=None if cost is None else 0.0,
            credits=("placed",),
            notes=(f"keep-warm ping {ping.number}: {ping.chance:.0%} likely to pay",),
        )
        self._cache.report().add(receipt)
        self._cache.tell(Settled(receipt))
        return receipt

    def _tell_of_the_limit(self, prepared: Prepared, usd: float | None) -> None:
        """Say once that a limit is reached, until there is room again."""
        if self._is_full:
            return
        self._is_full = True
        name, model = prepared.request.provider.name, prepared.request.model
        self._cache.tell(LimitReached(name, model, "ping_usd_per_hour", usd))


def may_ping(policy: Policy, limits: Limits) -> bool:
    """Tell whether a policy keeps warm, and there is money for it."""
    return policy.keep_warm and limits.ping_usd_per_hour > 0


def _where(prepared: Prepared) -> tuple[str, str, str]:
    request = prepared.request
    return (request.provider.name, request.model, request.host)


def _name(prepared: Prepared) -> object:
    options = prepared.options
    if options.conversation is None:
        return None
    return (_where(prepared), options.tenant, options.conversation)


def _without_body(prepared: Prepared) -> Any:
    request = prepared.request
    return replace(request, body={"model": request.model})
