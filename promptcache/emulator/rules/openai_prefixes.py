"""Look-up at fixed intervals, without breakpoints: models up to gpt-5.5.

Rule 1: ends of prefixes are counted from the first hidden token, one each interval.
Rule 2: what is read is reported in steps of 128 tokens, hidden ones taken off.
Source: the guide's section on earlier models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from promptcache.emulator.rules.openai_entries import (
    Entries,
    Entry,
    InputUsage,
    is_live,
    kept,
    refreshed,
)
from promptcache.emulator.rules.openai_prompt import DIGEST_BYTES, Position, Prompt
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.providers.openai.facts import REPORTED_STEP, Retention

__all__ = ["Prefixes", "initial_digest"]


@dataclass(frozen=True, slots=True)
class Prefixes:
    """One request against the entries there are at its start."""

    ends: tuple[Position, ...]
    total_tokens: int
    retention: Retention
    entries: Entries
    now: float
    settings: OpenAISettings

    @classmethod
    def of(
        cls,
        prompt: Prompt,
        retention: Retention,
        entries: Entries,
        *,
        interval: int,
        minimum: int,
        now: float,
        settings: OpenAISettings,
    ) -> "Prefixes":
        """Return the request with the ends of its prefixes, one each interval."""
        hidden = settings.hidden_tokens
        first = hidden + max(minimum, 1)
        starts = range(
            -(-first // interval) * interval, hidden + prompt.total_tokens + 1, interval
        )
        ends = _cut(prompt, [at - hidden for at in starts])
        return cls(tuple(ends), prompt.total_tokens, retention, entries, now, settings)

    def hit(self) -> int | None:
        """Return the end that is read: the longest one that is live."""
        for at in range(len(self.ends) - 1, -1, -1):
            if is_live(self.entries.get(self.ends[at].key), self.now):
                return at
        return None

    def bill(self, hit: int | None) -> InputUsage:
        """Bill what is read; nothing is charged for writes."""
        match = 0 if hit is None else self.ends[hit].tokens
        read = match // REPORTED_STEP * REPORTED_STEP
        return InputUsage(uncached=self.total_tokens - read, read=read)

    def refreshed(self, hit: int | None) -> Iterator[Entry]:
        """Yield what the read keeps alive: each end up to the one that is read."""
        for end in self.ends[: 0 if hit is None else hit + 1]:
            entry = self.entries.get(end.key)
            if entry is not None and is_live(entry, self.now):
                yield refreshed(entry, self.now)

    def written(self) -> Iterator[Entry]:
        """Yield what can be found once the response has begun."""
        for end in self.ends:
            if not is_live(self.entries.get(end.key), self.now):
                yield kept(
                    end.key,
                    end.tokens,
                    self.retention,
                    now=self.now,
                    settings=self.settings,
                )


def initial_digest(prompt: Prompt, tokens: int) -> bytes:
    """Return the digest of the first tokens, which routes a request."""
    found = list(_cut(prompt, [min(tokens, prompt.total_tokens)]))
    return found[0].key if found else b""


def _cut(prompt: Prompt, tokens: list[int]) -> Iterator[Position]:
    """Yield the prefixes of so many tokens, ascending."""
    digest = blake2b(prompt.seed, digest_size=DIGEST_BYTES)
    wanted, begun = iter(tokens), 0
    at = next(wanted, None)
    for segment in prompt.segments:
        while at is not None and at <= begun + segment.tokens:
            head = digest.copy()
            head.update(segment.first(at - begun))
            yield Position(segment.path, head.digest(), at)
            at = next(wanted, None)
        digest.update(segment.first(segment.tokens))
        begun += segment.tokens
