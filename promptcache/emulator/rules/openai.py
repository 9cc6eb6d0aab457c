"""The judgment on one request: what it reads, writes and pays, or why it is refused."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from promptcache.emulator.rules.openai_breakpoints import Breakpoints
from promptcache.emulator.rules.openai_entries import Entries, Entry, InputUsage
from promptcache.emulator.rules.openai_prefixes import Prefixes, initial_digest
from promptcache.emulator.rules.openai_prompt import Prompt, read_prompt
from promptcache.emulator.rules.openai_requests import check_request
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_turns import Api, Body
from promptcache.providers.openai.facts import ModelFacts, Retention

__all__ = ["Accepted", "Verdict", "accepted", "machine_for", "route", "verdict_on"]

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that is not refused."""

    body: Body
    facts: ModelFacts
    prompt: Prompt

    @property
    def mode(self) -> str:
        """Whether the end of the latest eligible message is a breakpoint."""
        return str(
            (self.body.get("prompt_cache_options") or {}).get("mode") or "implicit"
        )

    @property
    def ttl(self) -> str:
        """The lifetime that the request asks for as a whole."""
        return str((self.body.get("prompt_cache_options") or {}).get("ttl") or "30m")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one request reads, writes and pays."""

    usage: InputUsage
    breakpoints: tuple[str, ...] = ()
    """Paths of the breakpoints that may be written, in prompt order."""
    hit: str | None = None
    """Path of the part in which the prefix ends that was read."""
    refreshed: tuple[Entry, ...] = ()
    """Entries whose life is extended, from the start of this request."""
    written: tuple[Entry, ...] = ()
    """Entries that can be found once the response has begun."""


def accepted(api: Api, body: Body, settings: OpenAISettings) -> Accepted:
    """Return the request as it is rendered.

    Raises:
        OpenAIRejectedError: The provider would refuse the request.
    """
    facts = check_request(api, body, settings)
    return Accepted(body, facts, read_prompt(api, body, settings))


def route(request: Accepted, settings: OpenAISettings) -> bytes:
    """Return what decides where a request's entries are kept.

    With breakpoints the key partitions the cache. Earlier models send a request to a
    machine by the hash of its first tokens and the key. Source: the guide.
    """
    key = str(request.body.get("prompt_cache_key") or "").encode()
    if request.facts.breakpoints:
        return b"key\0" + key if settings.key_partitions else b"key\0"
    first = initial_digest(request.prompt, settings.routed_tokens)
    return b"hash\0%b\0%b" % (first, key)


def machine_for(
    starts: Sequence[Collection[float]],
    request: Accepted,
    *,
    now: float,
    settings: OpenAISettings,
) -> int:
    """Return the number of the machine that takes a request: the first with room.

    More than some 15 requests a minute of one prefix and key go on to another machine.
    Source: the guide. That a machine takes so many within any minute, and that others
    are tried in a fixed order, is the plainest reading.

    Args:
        starts: For each machine, when it took requests of the same route.
        request: The request.
        now: Its start.
        settings: The choices where sources leave a rule open.
    """
    where = settings.overflow
    if where == "none" or (where == "matched" and request.facts.breakpoints):
        return 0
    for number, taken in enumerate(starts):
        if sum(now - at < MINUTE for at in taken) < settings.requests_per_minute:
            return number
    return len(starts)


def verdict_on(
    request: Accepted, entries: Entries, *, now: float, settings: OpenAISettings
) -> Verdict:
    """Return what a request that starts `now` does to the cache, and its bill."""
    minimum = settings.minimum_tokens
    if minimum is None:
        minimum = request.facts.minimum_tokens
    if request.facts.breakpoints:
        return _at_breakpoints(request, entries, minimum, now=now, settings=settings)
    lookup = Prefixes.of(
        request.prompt,
        _retention(request, settings),
        entries,
        interval=settings.interval or request.facts.interval,
        minimum=minimum,
        now=now,
        settings=settings,
    )
    hit = lookup.hit()
    return Verdict(
        usage=lookup.bill(hit),
        hit=None if hit is None else lookup.ends[hit].path,
        refreshed=tuple(lookup.refreshed(hit)),
        written=tuple(lookup.written()),
    )


def _at_breakpoints(
    request: Accepted,
    entries: Entries,
    minimum: int,
    *,
    now: float,
    settings: OpenAISettings,
) -> Verdict:
    prompt, implicit = request.prompt, request.mode == "implicit"
    lookup = Breakpoints(prompt, implicit, request.ttl, minimum, entries, now, settings)
    hit = lookup.hit()
    return Verdict(
        usage=lookup.bill(hit),
        breakpoints=tuple(prompt.positions[at].path for at in lookup.slots()),
        hit=None if hit is None else prompt.positions[hit].path,
        refreshed=tuple(lookup.refreshed(hit)),
        written=tuple(lookup.written(hit)),
    )


def _retention(request: Accepted, settings: OpenAISettings) -> Retention:
    """Return how long an earlier model keeps the prefix.

    Without a word of the request it is 24h, and `in_memory` for organizations that
    keep no data, where the model has both. Source: `openai` 3.54.
    """
    asked = request.body.get("prompt_cache_retention")
    offered = request.facts.retention
    for policy in offered:
        if asked == policy:
            return policy
    if len(offered) == 1:
        return offered[0]
    return "in_memory" if settings.zero_retention else "24h"
