"""What a request reads and writes, by the rules of the emulator.

Rule 1: nothing here knows how a request was planned, but for where it is marked.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

from promptcache.analysis.replay.billing import Billed
from promptcache.analysis.replay.traces import Body
from promptcache.emulator.anthropic_cache import AnthropicCache
from promptcache.emulator.openai_cache import OpenAICache
from promptcache.emulator.rules.anthropic_entries import Entry
from promptcache.emulator.rules.anthropic_lookup import InputUsage, Lookup
from promptcache.emulator.rules.anthropic_markers import Breakpoint
from promptcache.emulator.rules.anthropic_prompt import Prompt, read_prompt
from promptcache.emulator.rules.openai import accepted
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.settings import Settings
from promptcache.outline import Outline
from promptcache.ttl import Ttl

__all__ = ["AnthropicJudge", "BlockJudge", "BodyJudge", "OpenAIJudge"]

EVERYWHERE = 10**9
"""A look-back without an end: what recorded blocks stand for in a request is not known,
so a prefix that was marked is found however far back it ends."""


class BodyJudge(Protocol):
    """The cache of an emulated provider, for request bodies."""

    def judge(self, body: Body, *, tenant: str | None, now: float) -> Billed:
        """Return what a request is billed, and keep what it writes."""
        ...

    def positions(self, body: Body) -> tuple[list[bytes], list[float], float]:
        """Return the keys and tokens of a body's prefixes, and all its tokens."""
        ...


class BlockJudge:
    """The cache of an emulated Anthropic, for blocks of which digests are known."""

    def __init__(self, settings: Settings, minimum: int) -> None:
        """Begin with no entry.

        Args:
            settings: The choices where sources leave a rule open.
            minimum: Tokens of the shortest prefix that is cached.
        """
        self._settings = settings
        self._minimum = minimum
        self._entries: dict[str | None, dict[bytes, Entry]] = {}

    def judge(
        self,
        outline: Outline,
        points: Sequence[tuple[int, Ttl]],
        *,
        total: int,
        tenant: str | None,
        now: float,
    ) -> Billed:
        """Return what a request is billed, and keep what it writes."""
        entries = self._entries.setdefault(tenant, {})
        prompt = cast("Prompt", _Prompt(_Positions(outline), total))
        marks = tuple(Breakpoint(at, cast("Any", ttl)) for at, ttl in points)
        lookup = Lookup(prompt, marks, entries, now, self._settings)
        hit = lookup.hit()
        changed = [*lookup.refreshed(hit), *lookup.stamped(hit, self._minimum)]
        changed += lookup.written(hit, self._minimum)
        for entry in changed:
            known = entries.get(entry.key)
            if known is None or known.expires <= entry.expires:
                entries[entry.key] = entry
        return _billed(lookup.bill(hit, self._minimum))


class AnthropicJudge:
    """An emulated Anthropic, without its server."""

    def __init__(self, settings: Settings) -> None:
        """Begin with no entry.

        Args:
            settings: The choices where sources leave a rule open.
        """
        self._settings = settings
        self._cache = AnthropicCache(settings)

    def judge(self, body: Body, *, tenant: str | None, now: float) -> Billed:
        """Return what a request is billed, and keep what it writes.

        Raises:
            RejectedError: The provider would refuse it.
        """
        workspace = tenant or ""
        verdict = self._cache.admit(body, workspace=workspace, now=now)
        self._cache.commit(verdict, workspace=workspace, now=now)
        return _billed(verdict.usage)

    def positions(self, body: Body) -> tuple[list[bytes], list[float], float]:
        """Return the keys and tokens of a body's prefixes, and all its tokens."""
        prompt = read_prompt(body, self._settings)
        keys = [it.key for it in prompt.positions]
        return keys, [it.tokens for it in prompt.positions], prompt.total_tokens


class OpenAIJudge:
    """An emulated OpenAI, without its server."""

    def __init__(self, settings: OpenAISettings) -> None:
        """Begin with no entry.

        Args:
            settings: The choices where sources leave a rule open.
        """
        self._settings = settings
        self._cache = OpenAICache(settings)

    def judge(self, body: Body, *, tenant: str | None, now: float) -> Billed:
        """Return what a request is billed, and keep what it writes.

        Raises:
            OpenAIRejectedError: The provider would refuse it.
        """
        request = accepted("chat", body, self._settings)
        admitted = self._cache.admit(request, workspace=tenant or "", now=now)
        self._cache.commit(admitted, now=now)
        usage = admitted.verdict.usage
        written: dict[Ttl, float] = {"30m": usage.written_30m, "12h": usage.written_12h}
        return Billed(usage.total, usage.read, written)

    def positions(self, body: Body) -> tuple[list[bytes], list[float], float]:
        """Return the keys and tokens of a body's prefixes, and all its tokens."""
        prompt = accepted("chat", body, self._settings).prompt
        keys = [it.key for it in prompt.positions]
        return keys, [it.tokens for it in prompt.positions], prompt.total_tokens


def _billed(usage: InputUsage) -> Billed:
    written: dict[Ttl, float] = {"5m": usage.written_5m, "1h": usage.written_1h}
    return Billed(usage.total, usage.read, written)


class _Position(NamedTuple):
    key: bytes
    tokens: int
    unit: int


class _Positions(Sequence[_Position]):
    """The positions of an outline, each made when it is looked at."""

    def __init__(self, outline: Outline) -> None:
        blocks = outline.blocks
        self._columns = (blocks.digests, blocks.tokens, blocks.units)
        self._length = outline.length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: Any) -> Any:
        keys, tokens, units = self._columns
        return _Position(keys[at], tokens[at], units[at])


class _Prompt(NamedTuple):
    positions: _Positions
    total_tokens: int
