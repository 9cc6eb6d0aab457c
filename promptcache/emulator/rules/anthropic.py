"""The judgment on one request: what it reads, writes and pays, or why it is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptcache.emulator.rules.anthropic_entries import Entries, Entry
from promptcache.emulator.rules.anthropic_lookup import InputUsage, Lookup
from promptcache.emulator.rules.anthropic_markers import Breakpoint, breakpoints
from promptcache.emulator.rules.anthropic_prompt import Prompt, read_prompt
from promptcache.emulator.rules.anthropic_requests import check_request
from promptcache.emulator.rules.settings import Settings
from promptcache.providers.anthropic.facts import model_facts

__all__ = ["Verdict", "judge", "verdict_on"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one request reads, writes and pays."""

    usage: InputUsage
    breakpoints: tuple[str, ...] = ()
    """Paths of the breakpoints, in prompt order."""
    hit: str | None = None
    """Path of the position whose entry was read."""
    refreshed: tuple[Entry, ...] = ()
    """Entries whose life is extended, from the start of this request."""
    written: tuple[Entry, ...] = ()
    """Entries that can be found once the response has begun."""


def judge(
    body: Mapping[str, Any],
    entries: Entries,
    *,
    now: float,
    settings: Settings,
    betas: Sequence[str] = (),
) -> Verdict:
    """Return what a request that starts `now` does to the cache, and its bill.

    Args:
        body: The request.
        entries: What can be found.
        now: The start of the request.
        settings: The choices where sources leave a rule open.
        betas: What its `anthropic-beta` header names.

    Raises:
        RejectedError: The provider would refuse the request.
    """
    check_request(body, settings, betas)
    prompt = read_prompt(body, settings, betas=betas)
    points = breakpoints(body, prompt, settings)
    model = str(body["model"])
    return verdict_on(prompt, points, entries, model=model, now=now, settings=settings)


def verdict_on(
    prompt: Prompt,
    points: tuple[Breakpoint, ...],
    entries: Entries,
    *,
    model: str,
    now: float,
    settings: Settings,
) -> Verdict:
    """Return what a prompt with these breakpoints does to the cache, and its bill."""
    lookup = Lookup(prompt, points, entries, now, settings)
    hit = lookup.hit()
    minimum = settings.minimum_tokens
    if minimum is None:
        minimum = model_facts(model).minimum_tokens
    return Verdict(
        usage=lookup.bill(hit, minimum),
        breakpoints=tuple(prompt.positions[bp.at].path for bp in points),
        hit=None if hit is None else prompt.positions[hit].path,
        refreshed=tuple(lookup.refreshed(hit)),
        written=(*lookup.stamped(hit, minimum), *lookup.written(hit, minimum)),
    )
