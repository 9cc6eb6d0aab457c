"""Look-up, billing and writes of one prompt against the entries there are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from promptcache.emulator.rules.anthropic_entries import (
    Entries,
    Entry,
    chain,
    is_live,
    is_over,
)
from promptcache.emulator.rules.anthropic_markers import Breakpoint
from promptcache.emulator.rules.anthropic_prompt import Prompt
from promptcache.emulator.rules.settings import Settings
from promptcache.providers.anthropic.facts import TTL_SECONDS

__all__ = ["InputUsage", "Lookup"]

DOCS = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"


@dataclass(frozen=True, slots=True)
class InputUsage:
    """Input tokens by how they are billed."""

    uncached: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def total(self) -> int:
        """All tokens the request sent."""
        return self.uncached + self.read + self.written_5m + self.written_1h

    def __add__(self, other: "InputUsage") -> "InputUsage":
        """Return the sum, as for the iterations of one answer."""
        return InputUsage(
            self.uncached + other.uncached,
            self.read + other.read,
            self.written_5m + other.written_5m,
            self.written_1h + other.written_1h,
        )


@dataclass(frozen=True, slots=True)
class Lookup:
    """One request against the entries there are at its start."""

    prompt: Prompt
    points: tuple[Breakpoint, ...]
    entries: Entries
    now: float
    settings: Settings

    def hit(self) -> int | None:
        """Return the position that is read: last breakpoint first, walking back.

        "The system checks at most 20 positions per breakpoint, counting the breakpoint
        itself as the first." Source: `DOCS`.
        """
        for bp in reversed(self.points):
            for at in self._window(bp):
                if self._readable(at, bp):
                    return at
        return None

    def _window(self, bp: Breakpoint) -> Iterator[int]:
        positions = self.prompt.positions
        first = positions[bp.at].unit - self.settings.lookback
        for at in range(bp.at, -1, -1):
            if positions[at].unit <= first:
                return
            yield at

    def _readable(self, at: int, bp: Breakpoint) -> bool:
        key = self.prompt.positions[at].key
        if not is_live(key, self.entries, now=self.now, settings=self.settings):
            return False
        longer = at == bp.at and bp.ttl == "1h" and self.entries[key].ttl == "5m"
        return not (longer and self.settings.longer_ttl_rewrites)

    def bill(self, hit: int | None, minimum: int) -> InputUsage:
        """Bill by the positions A, B and C.

        A is the highest hit, B the highest 1h breakpoint after it (or A), C the last
        breakpoint: read A, write B - A for 1h and C - B for 5m. Source: `DOCS`.
        """
        a = 0 if hit is None else self.prompt.positions[hit].tokens
        b = c = a
        for bp in self._new(hit, minimum):
            c = self.prompt.positions[bp.at].tokens
            b = c if bp.ttl == "1h" else b
        return InputUsage(
            uncached=self.prompt.total_tokens - c,
            read=a,
            written_5m=c - b,
            written_1h=b - a,
        )

    def _new(self, hit: int | None, minimum: int) -> Iterator[Breakpoint]:
        """Yield the breakpoints that write, each tested against the minimum alone."""
        for bp in self.points:
            beyond = hit is None or bp.at > hit
            if beyond and self.prompt.positions[bp.at].tokens >= minimum:
                yield bp

    def written(self, hit: int | None, minimum: int) -> Iterator[Entry]:
        """Yield one entry per breakpoint beyond the hit.

        "Cache writes happen only at your breakpoint"; "the lifetime is measured from
        the start of the request". Source: `DOCS`.
        """
        parent = None if hit is None else self.prompt.positions[hit].key
        for bp in self._new(hit, minimum):
            position = self.prompt.positions[bp.at]
            # A server tool adds no text of its own, so it ends the same prefix.
            if position.key == parent:
                continue
            yield Entry(
                key=position.key,
                tokens=position.tokens,
                ttl=bp.ttl,
                used=self.now,
                expires=self.now + TTL_SECONDS[bp.ttl],
                parent=parent,
            )
            parent = position.key

    def refreshed(self, hit: int | None) -> Iterator[Entry]:
        """Yield the entries that the read keeps alive, each by its own lifetime.

        "The cache is refreshed for no additional cost each time the cached content is
        used." Source: `DOCS`; for the earlier entries only measurements exist.
        """
        if hit is None:
            return
        key = self.prompt.positions[hit].key
        for entry in chain(key, self.entries):
            if entry is None or is_over(entry, self.now, self.settings):
                continue
            expires = self.now + TTL_SECONDS[entry.ttl]
            yield replace(entry, used=self.now, expires=max(entry.expires, expires))
            if self.settings.reading == "ent" and not self.settings.refresh_earlier:
                return

    def stamped(self, hit: int | None, minimum: int) -> Iterator[Entry]:
        """Yield free entries for breakpoints inside of the prefix that is read.

        Measured: such an entry lives as long as the one that was read.
        """
        if hit is None or not self.settings.free_stamping:
            return
        refreshed = list(self.refreshed(hit))
        for bp in self.points:
            position = self.prompt.positions[bp.at]
            if bp.at >= hit or position.tokens < minimum:
                continue
            if any(entry.key == position.key for entry in refreshed):
                continue
            yield self._stamp(position.key, position.tokens, refreshed)

    def _stamp(self, key: bytes, tokens: int, read: list[Entry]) -> Entry:
        source = read[0]
        if self.settings.reading == "seg":
            # The tokens live as long as the segment that they are part of.
            source = [entry for entry in read if entry.tokens >= tokens][-1]
        earlier = [entry.key for entry in read if entry.tokens < tokens]
        parent = earlier[0] if earlier else None
        return replace(source, key=key, tokens=tokens, parent=parent)
