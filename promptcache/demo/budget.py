"""What a live demo may cost, and the limit that it keeps.

Rule 1: a request is let through only if even its worst case keeps the limit.
Rule 2: a size is overestimated here, never underestimated.
Rule 3: of what is created beside requests, all that its own limits allow is set aside
before a run. They bound what it costs in any hour, storage is ordered for an hour at
most, and a run takes minutes and deletes what it created.
"""

from itertools import accumulate

from promptcache import Limits, Usage
from promptcache.demo import agent, questions
from promptcache.demo.asked import Workload, provider_of
from promptcache.demo.errors import DemoError, LimitReachedError
from promptcache.receipts.prices import GenaiPrices, Prices

__all__ = ["Budget"]

RUNS_PER_CASE = 2
RESULTS = (agent.RESULT_CHARS,) * (agent.CALLS_PER_QUESTION - 1)
# English prose has four; code has fewer, and so have newer tokenizers.
CHARS_PER_TOKEN = 3
FEWEST_CHARS_PER_TOKEN = 2
TOOL_TOKENS = 1_000
"""More than the tool's definition and the provider's own text about tools take."""


class Budget:
    """Counts what all requests cost, and stops before the limit is passed."""

    def __init__(self, *, limit_usd: float, prices: Prices | None = None) -> None:
        """Start with nothing spent.

        Args:
            limit_usd: What all requests together may cost.
            prices: What tokens cost; else the prices that `genai-prices` ships.
        """
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        """What was billed; of a request without an answer, its worst case."""
        self._prices: Prices = GenaiPrices() if prices is None else prices
        self._open_usd = 0.0
        self._aside_usd = 0.0

    def admit(self, model: str, prompt_chars: int) -> None:
        """Let a request through.

        Raises:
            LimitReachedError: It could pass the limit.
            DemoError: The model's price is not known.
        """
        tokens = TOOL_TOKENS + prompt_chars // FEWEST_CHARS_PER_TOKEN
        # The dearest that can happen: all of the prompt is written, none read.
        worst = self.cost(model, _fullest(model, tokens, written=tokens))
        self._check(worst)
        self.spent_usd += worst
        self._open_usd = worst

    def settle(self, model: str, usage: Usage) -> None:
        """Put what the last request really cost in place of its worst case."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return
        self.spent_usd += self.cost(model, usage) - self._open_usd
        self._open_usd = 0.0

    def set_aside(self, usd: float) -> None:
        """Keep money back for what is bought beside requests.

        Raises:
            LimitReachedError: It could pass the limit.
        """
        self._check(usd)
        self._aside_usd += usd

    def use(self, usd: float, *, cost_usd: float | None) -> None:
        """Put what was really bought in place of what was set aside for it.

        Args:
            usd: What was set aside.
            cost_usd: What it cost; None if that is not known, which takes all of it.
        """
        self._aside_usd -= usd
        self.spent_usd += usd if cost_usd is None else cost_usd

    def cost(self, model: str, usage: Usage) -> float:
        """Return what a request costs.

        Raises:
            DemoError: The model's price is not known.
        """
        cost = self._prices.cost(provider_of(model), model, usage)
        if cost is None:
            raise DemoError(
                f"The price of `{model}` is not known, so no limit can be kept."
            )
        return cost.usd

    def highest_cost(self, model: str, workload: Workload) -> float:
        """Return what both runs cost with every request made and nothing read.

        Raises:
            DemoError: The model's price is not known.
        """
        start = TOOL_TOKENS + len(agent.system_prompt("")) // CHARS_PER_TOKEN
        if workload == "stdlib-agent":
            sizes = [(start + grown, 0) for grown in accumulate(_added(model))]
        else:
            # Here even the provider's own way writes all of each prompt.
            asked = [len(question) for question, _ in questions.QUESTIONS]
            sizes = [(start + it // CHARS_PER_TOKEN,) * 2 for it in asked]
        kept = Limits().usd_per_hour if provider_of(model) == "google" else 0.0
        return kept + RUNS_PER_CASE * sum(
            self.cost(model, _fullest(model, size, written=written))
            for size, written in sizes
        )

    def _check(self, usd: float) -> None:
        if self.spent_usd + self._aside_usd + usd > self.limit_usd:
            raise LimitReachedError(limit_usd=self.limit_usd, spent_usd=self.spent_usd)


def _added(model: str) -> list[int]:
    return [
        chars // CHARS_PER_TOKEN + agent.most_tokens(model)
        for turn in agent.TURNS
        for chars in (len(turn.question), *RESULTS)
    ]


def _fullest(model: str, input_tokens: int, *, written: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens,
        read_tokens=0,
        written_tokens=written,
        output_tokens=agent.most_tokens(model),
    )
