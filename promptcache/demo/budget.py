"""What a live demo may cost, and the limit that it keeps.

Rule 1: a request is let through only if even its worst case keeps the limit.
Rule 2: a size is overestimated here, never underestimated.
"""

from itertools import accumulate

from promptcache import Usage
from promptcache.demo import agent
from promptcache.demo.errors import DemoError, LimitReachedError
from promptcache.receipts.prices import GenaiPrices, Prices

__all__ = ["Budget"]

PROVIDER = "anthropic"
RUNS_PER_FRAMEWORK = 2
RESULTS = (agent.RESULT_CHARS,) * (agent.CALLS_PER_QUESTION - 1)
# English prose has four; code has fewer, and so have newer tokenizers.
CHARS_PER_TOKEN = 3
FEWEST_CHARS_PER_TOKEN = 2
TOOL_TOKENS = 1_000
"""More than the tool's definition and the provider's own text about tools take."""


class Budget:
    """Counts what all requests cost, and stops before the limit is passed."""

    def __init__(
        self, model: str, *, limit_usd: float, prices: Prices | None = None
    ) -> None:
        """Start with nothing spent.

        Args:
            model: The model that all requests go to.
            limit_usd: What all of them together may cost.
            prices: What tokens cost; else the prices that `genai-prices` ships.
        """
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        """What was billed; of a request without an answer, its worst case."""
        self._model = model
        self._prices: Prices = GenaiPrices() if prices is None else prices
        self._open_usd = 0.0

    def admit(self, prompt_chars: int) -> None:
        """Let a request through.

        Raises:
            LimitReachedError: It could pass the limit.
            DemoError: The model's price is not known.
        """
        tokens = TOOL_TOKENS + prompt_chars // FEWEST_CHARS_PER_TOKEN
        # The dearest that can happen: all of the prompt is written, none read.
        worst = self.cost(_fullest(tokens, written=tokens))
        if self.spent_usd + worst > self.limit_usd:
            raise LimitReachedError(limit_usd=self.limit_usd, spent_usd=self.spent_usd)
        self.spent_usd += worst
        self._open_usd = worst

    def settle(self, usage: Usage) -> None:
        """Put what the last request really cost in place of its worst case."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return
        self.spent_usd += self.cost(usage) - self._open_usd
        self._open_usd = 0.0

    def cost(self, usage: Usage) -> float:
        """Return what a request costs.

        Raises:
            DemoError: The model's price is not known.
        """
        cost = self._prices.cost(PROVIDER, self._model, usage)
        if cost is None:
            raise DemoError(
                f"The price of `{self._model}` is not known, so no limit can be kept."
            )
        return cost.usd

    def highest_cost(self, *, frameworks: int = 1) -> float:
        """Return what all runs cost with every request made and nothing cached.

        Args:
            frameworks: How many frameworks the agent runs in.

        Raises:
            DemoError: The model's price is not known.
        """
        added = [
            chars // CHARS_PER_TOKEN + agent.MAX_TOKENS
            for turn in agent.TURNS
            for chars in (len(turn.question), *RESULTS)
        ]
        start = TOOL_TOKENS + len(agent.system_prompt("")) // CHARS_PER_TOKEN
        sizes = (start + grown for grown in accumulate(added))
        runs = RUNS_PER_FRAMEWORK * frameworks
        return runs * sum(self.cost(_fullest(size)) for size in sizes)


def _fullest(input_tokens: int, *, written: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens,
        read_tokens=0,
        written_tokens=written,
        output_tokens=agent.MAX_TOKENS,
    )
