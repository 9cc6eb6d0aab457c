"""One request after the other: planned as live requests are, judged by the emulator.

    past -> plan -> record -> the rules of the emulator -> settle

Rule 1: the one who plans learns of the judge what a provider would say, and no more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from promptcache.analysis.replay.billing import Billed
from promptcache.analysis.replay.choices import Choice
from promptcache.analysis.replay.judging import BlockJudge, BodyJudge
from promptcache.analysis.replay.scene import Scene
from promptcache.analysis.replay.traces import Asked, of_tenant
from promptcache.options import CallOptions
from promptcache.outline import Outline
from promptcache.planner import Planner
from promptcache.planning.plan import plan
from promptcache.planning.slots import Rules
from promptcache.planning.writing import context_of
from promptcache.prepared import Prepared
from promptcache.providers import Request
from promptcache.receipts.events import Event
from promptcache.receipts.usage import Usage
from promptcache.state.history import History
from promptcache.state.sent import Sent
from promptcache.ttl import Ttl

__all__ = [
    "BlockSteps",
    "BodySteps",
    "PlainSteps",
    "Quieted",
    "RecordedSteps",
    "Step",
    "Steps",
]


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one request."""

    billed: Billed
    quiet: "Quieted | None" = None
    """What may be kept alive after it."""


@dataclass(frozen=True, slots=True)
class Quieted:
    """A request whose prefix may be kept alive."""

    outline: Outline
    entries: tuple[tuple[int, Ttl], ...]
    may_ping: bool
    """By the books of the one who plans, a ping may be worth it."""
    again: Callable[[float], Billed]
    """Sends it once more at a time, for the sake of its prefix alone."""


class Steps(Protocol):
    """Sends the requests of a trace under one policy."""

    def step(self, asked: Asked, now: float) -> Step:
        """Plan a request, and return what came of it."""
        ...


class BlockSteps:
    """Sends requests of which only the digests of blocks are known."""

    def __init__(
        self, scene: Scene, rules: Rules, choice: Choice, judge: BlockJudge
    ) -> None:
        """Begin with an empty history.

        Args:
            scene: Whose rules hold.
            rules: What is accepted in a trace of blocks.
            choice: What decides.
            judge: The provider's cache.
        """
        self.history = History(pings=choice.learns and choice.pings)
        self._terms, self._where = scene.terms_under(choice.policy), scene.where
        self._rules, self._choice, self._judge = rules, choice, judge

    def step(self, asked: Asked, now: float) -> Step:
        """Plan a request, and return what came of it."""
        tenant, where, terms = asked.tenant, self._where, self._terms
        outline = of_tenant(asked.outline, tenant)
        past = self.history.past(
            outline, now=now, terms=terms, where=where, tenant=tenant
        )
        policy = self._choice.policy
        decided = plan(outline, rules=self._rules, policy=policy, past=past)
        sent = self.history.record(
            outline, decided, past, now=now, terms=terms, where=where, tenant=tenant
        )

        def send(at: float) -> Billed:
            return self._judge.judge(
                outline,
                decided.entries,
                total=asked.total_tokens,
                tenant=tenant,
                now=at,
            )

        billed = send(now)
        self.history.settle(
            sent,
            tokens=billed.total,
            read=billed.read,
            written=billed.written,
            where=where,
            tenant=tenant,
        )
        self.history.stopped(sent, asked.stop)

        def ping(at: float) -> Billed:
            billed = send(at)
            self.history.warmed(
                sent,
                read=billed.read,
                written=sum(billed.written.values()),
                now=at,
                where=where,
                tenant=tenant,
            )
            return billed

        may_ping = _may_ping(self._choice, sent, outline)
        return Step(billed, Quieted(outline, decided.entries, may_ping, ping))


class BodySteps:
    """Sends request bodies, with what a seam does around a request."""

    def __init__(self, scene: Scene, choice: Choice, judge: BodyJudge) -> None:
        """Begin with an empty history.

        Args:
            scene: Whose rules hold.
            choice: What decides.
            judge: The provider's cache.
        """
        self._scene, self._choice, self._judge = scene, choice, judge
        self._planner = Planner(
            choice.policy,
            facts=scene.facts,
            diagnose=False,
            tell=_quiet,
            pings=choice.learns and choice.pings,
        )
        self.history = self._planner.history

    def step(self, asked: Asked, now: float) -> Step:
        """Plan a request, and return what came of it."""
        scene, tenant = self._scene, asked.tenant
        prepared = Prepared(
            request=Request(scene.provider, asked.body, scene.host),
            body=asked.body,
            options=CallOptions(tenant=tenant, conversation=asked.conversation),
            policy=self._choice.policy.name,
            started=now,
        )
        self._planner.plan(prepared)

        def send(at: float) -> Billed:
            return self._judge.judge(prepared.body, tenant=tenant, now=at)

        billed = send(now)
        self._planner.learn(prepared, _usage(billed))
        outline, sent = prepared.outline, prepared.sent
        if outline is None or sent is None:
            return Step(billed)
        self.history.stopped(sent, asked.stop)

        def ping(at: float) -> Billed:
            billed = send(at)
            self.history.warmed(
                sent,
                read=billed.read,
                written=sum(billed.written.values()),
                now=at,
                where=scene.where,
                tenant=tenant,
            )
            return billed

        may_ping = _may_ping(self._choice, sent, outline)
        entries = prepared.plan.entries
        return Step(billed, Quieted(outline, entries, may_ping, ping))


class PlainSteps:
    """Sends requests to a provider that caches nothing."""

    def __init__(self, judge: BodyJudge | None) -> None:
        """Begin.

        Args:
            judge: What counts the tokens of bodies; None if the trace says them.
        """
        self._judge = judge

    def step(self, asked: Asked, now: float) -> Step:  # noqa: ARG002 - all the same
        """Return what came of a request."""
        total: float = asked.total_tokens
        if self._judge is not None:
            _, _, total = self._judge.positions(asked.body)
        return Step(Billed(total))


class RecordedSteps:
    """Takes requests for what their receipts say of them."""

    def step(self, asked: Asked, now: float) -> Step:  # noqa: ARG002 - it was then
        """Return what came of a request."""
        if asked.recorded is None:
            raise TypeError("nothing is recorded of what the request was billed")
        return Step(asked.recorded)


def _may_ping(choice: Choice, sent: Sent, outline: Outline) -> bool:
    """Tell whether what was sent is to be kept alive while that pays.

    What learns keeps books of agents' pings; those of chats are judged one by one.
    """
    if not choice.learns:
        return True
    return sent.pings or context_of(outline) not in ("agent", "tools")


def _usage(billed: Billed) -> Usage:
    written = {ttl: int(tokens) for ttl, tokens in billed.written.items()}
    return Usage(
        input_tokens=int(billed.total),
        read_tokens=int(billed.read),
        written_tokens=sum(written.values()),
        written_5m_tokens=written.get("5m"),
        written_1h_tokens=written.get("1h"),
        written_30m_tokens=written.get("30m"),
        written_12h_tokens=written.get("12h"),
    )


def _quiet(event: Event) -> None:
    """Tell nobody of an event."""
