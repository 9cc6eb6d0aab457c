"""The state behind the endpoints, each part guarded for many threads."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from promptcache.emulator.answers import Answers
from promptcache.emulator.anthropic_cache import AnthropicCache
from promptcache.emulator.clock import EmulatorClock
from promptcache.emulator.faults import Faults
from promptcache.emulator.fingerprints import Fingerprints
from promptcache.emulator.gemini_cache import GeminiCache
from promptcache.emulator.ledger import Ledger
from promptcache.emulator.openai_cache import OpenAICache
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.settings import Settings
from promptcache.providers.anthropic.facts import HOSTS

__all__ = ["Machine", "Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long an emulated answer takes, in the emulator's time."""

    first_byte_seconds: float = 0.4
    prefill_tokens_per_second: float = 8000.0
    tokens_per_second: float = 80.0

    def first_token_seconds(self, *, total: int, read: int) -> float:
        """Return the time to the first token: what is read is not computed again."""
        return self.first_byte_seconds + (total - read) / self.prefill_tokens_per_second

    def output_seconds(self, tokens: int) -> float:
        """Return the time that many tokens of output take."""
        return tokens / self.tokens_per_second


class Machine:
    """Everything behind the emulator's endpoints."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: EmulatorClock,
        pace: Pace,
        openai: OpenAISettings | None = None,
        gemini: GeminiSettings | None = None,
    ) -> None:
        self.settings = settings
        self.pace = pace
        self.clock = clock
        self.ledger = Ledger()
        self.answers = Answers()
        self.faults = Faults()
        self.fingerprints = Fingerprints(settings.diagnosis_seconds)
        self._anthropic = {
            host: AnthropicCache(replace(settings, host=host)) for host in HOSTS
        }
        self.openai = OpenAICache(openai or OpenAISettings())
        self.gemini = GeminiCache(gemini or GeminiSettings())
        self._numbers = itertools.count(1)

    def anthropic(self, host: str) -> AnthropicCache:
        """Return the cache of a platform; no two platforms share one."""
        return self._anthropic[host]

    def ids(self, prefix: str) -> Iterator[str]:
        """Yield fresh ids; the counter is shared, so none comes twice."""
        while True:
            yield f"{prefix}_emulated_{next(self._numbers):08d}"

    def reset(self) -> None:
        """Forget entries, rows, answers and faults; the clock keeps its time."""
        for cache in self._anthropic.values():
            cache.clear()
        self.openai.clear()
        self.gemini.clear()
        self.fingerprints.clear()
        self.ledger.clear()
        self.answers.clear()
        self.faults.clear()
