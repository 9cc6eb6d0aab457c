"""What a provider reads and writes of requests that are known by their blocks alone."""

from typing import NamedTuple

from promptcache.emulator.rules.anthropic_entries import is_live
from promptcache.emulator.rules.anthropic_lookup import Lookup
from promptcache.emulator.rules.anthropic_markers import Breakpoint
from promptcache.emulator.rules.settings import Settings
from promptcache.outline import Blocks, Outline

WRITE = {"5m": 1.25, "1h": 2.0}


def letters(names, *, sizes=lambda _: 400, tools=0, system=0, starts=None, root=b"m"):
    """Return a request of blocks, a letter each.

    Args:
        names: The letters.
        sizes: The bytes of a block by its letter.
        tools: How many blocks the tools have.
        system: How many the system prompt has.
        starts: The first block of each message; else each block is one.
        root: What no prefix is shared across.
    """
    blocks = Blocks(root)
    for name in names:
        blocks.add(name.encode(), sizes(name), "text")
    head, length = tools + system, len(names)
    starts = tuple(range(head, length)) if starts is None else starts
    roles = tuple(("user", "assistant")[turn % 2] for turn in range(len(starts)))
    return Outline(blocks, length, tools, head, starts, roles, {})


class Judged(NamedTuple):
    """What a request was billed, in tokens."""

    read: int
    written: dict
    excess: float
    """What it cost beyond plain input."""


class Judge:
    """The entries of one workspace, by the rules of the emulator."""

    def __init__(self, *, minimum=0, read=0.1, **settings):
        self.entries = {}
        self._settings = Settings(**settings)
        self._minimum, self._read = minimum, read

    def deepest(self, outline, now):
        """Return the last block whose prefix can be read; -1 if there is none."""
        keys = outline.blocks.digests
        live = [at for at in range(outline.length) if self._is_live(keys[at], now)]
        return max(live, default=-1)

    def judge(self, outline, points, now):
        """Return what a request is billed, and keep what it writes."""
        lookup = Lookup(
            Prompt(outline),
            tuple(Breakpoint(at, ttl) for at, ttl in points),
            self.entries,
            now,
            self._settings,
        )
        hit = lookup.hit()
        usage = lookup.bill(hit, self._minimum)
        changed = [*lookup.refreshed(hit), *lookup.stamped(hit, self._minimum)]
        for entry in [*changed, *lookup.written(hit, self._minimum)]:
            known = self.entries.get(entry.key)
            longer = known is not None and known.expires > entry.expires
            if not longer or not self._is_live(entry.key, now):
                self.entries[entry.key] = entry
        written = {"5m": usage.written_5m, "1h": usage.written_1h}
        extra = sum((WRITE[ttl] - 1) * tokens for ttl, tokens in written.items())
        return Judged(usage.read, written, extra - (1 - self._read) * usage.read)

    def _is_live(self, key, now):
        return is_live(key, self.entries, now=now, settings=self._settings)


class Prompt:
    """An outline, as the rules of the emulator look at a prompt."""

    def __init__(self, outline):
        blocks, length = outline.blocks, outline.length
        self.total_tokens = outline.total_tokens
        self.positions = [
            Position(blocks.digests[at], blocks.tokens[at], blocks.units[at])
            for at in range(length)
        ]


class Position(NamedTuple):
    """Where a prefix may end."""

    key: bytes
    tokens: int
    unit: int
