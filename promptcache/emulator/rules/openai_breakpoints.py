"""Look-up, billing and writes at breakpoints: gpt-5.6 and later.

Rule 1: a prefix is read only where some request wrote it; there is no shorter match
and no rounding. Source: the guide.
Rule 2: surplus breakpoints and prefixes below the minimum are no errors, they are not
written. Source: the guide.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from promptcache.emulator.rules.openai_entries import (
    Entries,
    Entry,
    InputUsage,
    is_live,
    refreshed,
    written,
)
from promptcache.emulator.rules.openai_prompt import Prompt
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.providers.openai.facts import MAX_WRITES, TTL_SECONDS

__all__ = ["Breakpoints"]


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """One request against the entries there are at its start."""

    prompt: Prompt
    implicit: bool
    """Whether the end of the latest eligible message is a breakpoint."""
    ttl: str
    minimum: int
    entries: Entries
    now: float
    settings: OpenAISettings

    def hit(self) -> int | None:
        """Return the position that is read: the longest one that is live."""
        positions = self.prompt.positions
        for at in sorted(self._boundaries(), reverse=True):
            if positions[at].tokens >= self.minimum and self._readable(at):
                return at
        return None

    def slots(self) -> tuple[int, ...]:
        """Return the positions that may be written, in prompt order.

        Implicit mode uses one slot and leaves the latest three explicit breakpoints,
        explicit mode has the latest four. Source: `openai` 3.54, `PromptCacheOptions`.
        """
        marks = self._marks()
        if not self.implicit:
            return tuple(marks[-MAX_WRITES:])
        return tuple(sorted({*marks[-(MAX_WRITES - 1) :], *self.prompt.endings[-1:]}))

    def bill(self, hit: int | None) -> InputUsage:
        """Bill what is written beyond what is read, each token once.

        What ends at or before the last new 12h breakpoint is kept for 12 hours, the
        rest for 30 minutes: how overlapping writes count is in no source.
        """
        read = long = end = 0 if hit is None else self.prompt.positions[hit].tokens
        for at in self._new(hit):
            end = self.prompt.positions[at].tokens
            long = end if self._ttl(at) == "12h" else long
        return InputUsage(
            uncached=self.prompt.total_tokens - end,
            read=read,
            written_30m=end - long,
            written_12h=long - read,
        )

    def written(self, hit: int | None) -> Iterator[Entry]:
        """Yield the entries that can be found once the response has begun."""
        parent = None if hit is None else self.prompt.positions[hit].key
        for at in self.slots():
            position = self.prompt.positions[at]
            if position.tokens < self.minimum or at == hit:
                continue
            inside = hit is not None and at < hit
            if inside and not self._may_stamp(position.key):
                continue
            yield written(
                position.key,
                position.tokens,
                self._ttl(at),
                now=self.now,
                parent=None if inside else parent,
            )
            parent = parent if inside else position.key

    def refreshed(self, hit: int | None) -> Iterator[Entry]:
        """Yield what the read keeps alive, at no charge. Source: the guide."""
        key = None if hit is None else self.prompt.positions[hit].key
        while key is not None:
            entry = self.entries.get(key)
            if entry is None or not is_live(entry, self.now):
                return
            yield refreshed(entry, self.now)
            key = entry.parent if self.settings.refresh_earlier else None

    def _marks(self) -> list[int]:
        positions = enumerate(self.prompt.positions)
        return [at for at, position in positions if position.ttl is not None]

    def _boundaries(self) -> set[int]:
        """Return the positions that are looked up.

        The first 2 and the latest 50 explicit breakpoints; in implicit mode also the
        implicit one, up to 20 earlier message endings, and the end of the initial
        developer messages. Source: the guide; other documents say 80 or 50.
        """
        marks, settings = self._marks(), self.settings
        found = {
            *marks[: settings.first_breakpoints],
            *marks[max(0, len(marks) - settings.latest_breakpoints) :],
        }
        if not self.implicit:
            return found
        endings = self.prompt.endings
        found.update(endings[-1:])
        found.update(
            endings[:-1][max(0, len(endings) - 1 - settings.earlier_endings) :]
        )
        if self.prompt.initial is not None:
            found.add(self.prompt.initial)
        return found

    def _readable(self, at: int) -> bool:
        entry = self.entries.get(self.prompt.positions[at].key)
        if entry is None or not is_live(entry, self.now):
            return False
        longer = at in self.slots() and TTL_SECONDS[self._ttl(at)] > entry.seconds
        return not (longer and self.settings.longer_ttl_rewrites)

    def _may_stamp(self, key: bytes) -> bool:
        live = is_live(self.entries.get(key), self.now)
        return self.settings.writes_inside_read and not live

    def _new(self, hit: int | None) -> Iterator[int]:
        for at in self.slots():
            beyond = hit is None or at > hit
            if beyond and self.prompt.positions[at].tokens >= self.minimum:
                yield at

    def _ttl(self, at: int) -> str:
        return self.prompt.positions[at].ttl or self.ttl
