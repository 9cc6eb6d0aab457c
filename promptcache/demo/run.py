"""One run of a workload, measured alike whatever framework and plugin it uses."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from uuid import uuid4

from promptcache import Clock, Usage
from promptcache.demo import agent, questions
from promptcache.demo.asked import ProviderName, Workload, provider_of
from promptcache.demo.budget import Budget
from promptcache.demo.kept import Kept
from promptcache.emulator import ToolCall
from promptcache.receipts.prices import GenaiPrices, Prices

__all__ = ["Answered", "Case", "Framework", "Meter", "Row", "Run"]


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework that the workloads run in."""

    name: str
    warm_up: "Callable[[Run], None]"
    """Load and connect what the first request would wait for; costs nothing."""
    perform: "Callable[[Run, Meter], None]"
    """Do all of a run's workload, and tell the meter of each request."""
    argument: str = "query"
    """What the framework calls the one argument of the agent's tool."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is run without the plugin, and then with it."""

    framework: Framework
    model: str
    workload: Workload = "stdlib-agent"

    @property
    def provider(self) -> ProviderName:
        """Who is asked."""
        return provider_of(self.model)

    @property
    def keeps(self) -> bool:
        """Whether the plugin may create something at the provider that costs money."""
        return self.provider == "google"

    def script(self) -> Iterator[ToolCall | str]:
        """Yield what an emulated model says in one run, request by request."""
        if self.workload == "stdlib-agent":
            return agent.script(self.framework.argument)
        return questions.script()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a case: where it goes, and whether the plugin plans its requests."""

    case: Case
    plugin: bool
    clock: Clock
    session: str
    """What no other run has in its prompt, so that none reads what another wrote."""
    key: str
    url: str | None = None
    """The emulator's address; None for the provider's own."""

    @property
    def model(self) -> str:
        """The model to ask."""
        return self.case.model

    @classmethod
    def emulated(cls, case: Case, *, plugin: bool, clock: Clock, url: str) -> "Run":
        """Return a run against an emulator, in a workspace of its own."""
        session = uuid4().hex[:12]
        key = f"ws-{'plugin' if plugin else 'stock'}-{session}"
        return cls(
            case=case, plugin=plugin, clock=clock, session=session, key=key, url=url
        )

    @classmethod
    def live(cls, case: Case, *, plugin: bool, clock: Clock, key: str) -> "Run":
        """Return a run against the provider."""
        session = uuid4().hex[:12]
        return cls(case=case, plugin=plugin, clock=clock, session=session, key=key)


@dataclass(frozen=True, slots=True)
class Answered:
    """What one request used, and how soon its answer began."""

    usage: Usage = field(default_factory=Usage)
    first_token_s: float | None = None


class Meter:
    """Takes the time and the tokens of each request, as a framework reports them."""

    def __init__(self, run: Run, *, budget: Budget | None = None) -> None:
        self._clock = run.clock
        self._model = run.model
        self._budget = budget
        self._started: dict[Hashable, float] = {}
        self._answered: dict[Hashable, Answered] = {}
        self.kept = Kept()
        """What is to be told of cached contents."""
        self.between: Callable[[], object] | None = None
        """What is done between two requests, and no part of either."""

    @property
    def answered(self) -> list[Answered]:
        """The requests that were answered, oldest first."""
        return list(self._answered.values())

    def start(self, call: Hashable, *, prompt_chars: int) -> None:
        """Note that a request is about to be made.

        Raises:
            LimitReachedError: It could pass the limit of the budget.
        """
        if self._budget is not None:
            self._budget.admit(self._model, prompt_chars)
        self._started[call] = self._clock.now()

    def token(self, call: Hashable) -> None:
        """Note that some of the answer is there; only the first time counts."""
        if call not in self._answered:
            waited = self._clock.now() - self._started[call]
            self._answered[call] = Answered(first_token_s=waited)

    def end(self, call: Hashable, usage: Usage) -> None:
        """Note what a request used."""
        if self._budget is not None:
            self._budget.settle(self._model, usage)
        seen = self._answered.get(call, Answered())
        self._answered[call] = replace(seen, usage=usage)
        if self.between is not None:
            self.between()

    @contextmanager
    def keeping(self, most_usd: float) -> Iterator[None]:
        """Set aside what cached contents may cost until they are gone.

        Args:
            most_usd: The most that they may cost.

        Raises:
            LimitReachedError: That could pass the limit of the budget.
        """
        if self._budget is None:
            yield
            return
        self._budget.set_aside(most_usd)
        try:
            yield
        finally:
            self._budget.use(most_usd, cost_usd=self.kept.cost_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The sums of one run; a number that is not known is None."""

    framework: str
    provider: str
    model: str
    workload: str
    plugin: bool
    requests: int
    input_tokens: int | None
    read_tokens: int | None
    written_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    ttft_p50_s: float | None
    ttft_p95_s: float | None

    @classmethod
    def of(
        cls,
        run: Run,
        answered: Sequence[Answered],
        kept: Kept,
        *,
        prices: Prices | None = None,
    ) -> "Row":
        """Return the row of a run.

        Its cost is the sum of each request's cost, and of what was kept beside them.
        Where that is how a provider writes, its tokens are those that were written.
        """
        case = run.case
        usages = [request.usage for request in answered]
        total = reduce(add, usages, Usage.zero())
        listed: Prices = GenaiPrices() if prices is None else prices
        costs = [listed.cost(case.provider, case.model, it) for it in usages]
        paid = [None if cost is None else cost.usd for cost in costs]
        waits = [request.first_token_s for request in answered]
        return cls(
            framework=case.framework.name,
            provider=case.provider,
            model=case.model,
            workload=case.workload,
            plugin=run.plugin,
            requests=len(answered),
            input_tokens=total.input_tokens,
            read_tokens=total.read_tokens,
            written_tokens=kept.tokens if case.keeps else total.written_tokens,
            output_tokens=total.output_tokens,
            cost_usd=_total([*paid, kept.cost_usd]),
            ttft_p50_s=_quantile(waits, 0.50),
            ttft_p95_s=_quantile(waits, 0.95),
        )


def _total(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else round(sum(filter(None, known)), 6)


def _quantile(values: Sequence[float | None], share: float) -> float | None:
    """Return the smallest value that so large a share does not exceed."""
    known = sorted(value for value in values if value is not None)
    if not known or len(known) < len(values):
        return None
    return round(known[math.ceil(share * len(known)) - 1], 3)
