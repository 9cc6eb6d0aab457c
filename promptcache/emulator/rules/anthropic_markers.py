"""Which blocks are breakpoints, and which sets of them are refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from promptcache.emulator.rules.anthropic_blocks import as_blocks, marker_of
from promptcache.emulator.rules.anthropic_prompt import Position, Prompt
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings
from promptcache.providers.anthropic.facts import MAX_BREAKPOINTS

__all__ = ["Breakpoint", "Ttl", "breakpoints", "count_markers"]

Ttl: TypeAlias = Literal["5m", "1h"]

ORDER = (
    "{path}: a ttl='1h' cache_control block must not come after a ttl='5m' "
    "cache_control block. Note that blocks are processed in the following order: "
    "`tools`, `system`, `messages`."
)


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A place up to which the request asks to cache."""

    at: int
    """Index of its position in the prompt."""
    ttl: Ttl
    automatic: bool = False


def breakpoints(
    body: Mapping[str, Any], prompt: Prompt, settings: Settings
) -> tuple[Breakpoint, ...]:
    """Return the breakpoints in prompt order, the automatic one included.

    Raises:
        RejectedError: The set is one that the provider refuses.
    """
    explicit = [
        Breakpoint(at, cast("Ttl", position.ttl))
        for at, position in enumerate(prompt.positions)
        if position.ttl is not None
    ]
    found = count_markers(body)
    if found > MAX_BREAKPOINTS:
        # Source: tghamm/Anthropic.SDK#50, run-llama/llama_index#20854.
        msg = (
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be "
            f"provided. Found {found}."
        )
        raise RejectedError(msg)
    automatic = _automatic(body, prompt, explicit, settings)
    ordered = sorted([*explicit, *automatic], key=lambda bp: bp.at)
    _check_order(ordered, prompt.positions)
    return tuple(ordered)


def count_markers(body: Mapping[str, Any]) -> int:
    """Return how many slots the explicit markers take.

    A marker that is lifted from a sub-block counts once.
    """
    return sum(1 for _ in _marked(body))


def _marked(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    carriers: list[Mapping[str, Any]] = [*(body.get("tools") or ())]
    carriers += as_blocks(body.get("system"))
    for message in body.get("messages") or ():
        carriers += as_blocks(message.get("content"))
    return (block for block in carriers if marker_of(block) is not None)


def _automatic(
    body: Mapping[str, Any],
    prompt: Prompt,
    explicit: Sequence[Breakpoint],
    settings: Settings,
) -> list[Breakpoint]:
    """Place the top-level `cache_control` on the last eligible block, if there is one.

    "The system silently walks backwards to find the nearest eligible block. If none is
    found, caching is skipped."
    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    marker = body.get("cache_control")
    if not isinstance(marker, Mapping):
        return []
    ttl = cast("Ttl", marker.get("ttl") or "5m")
    positions = prompt.positions
    at = next(
        (i for i in range(len(positions) - 1, -1, -1) if positions[i].markable), None
    )
    own = next((bp for bp in explicit if bp.at == at), None)
    if own is not None and own.ttl != ttl:
        msg = (
            f"cache_control.ttl: the last block already has cache_control with "
            f"ttl='{own.ttl}', which differs from the automatic ttl='{ttl}'."
        )
        raise RejectedError(msg)
    full = len(explicit) >= MAX_BREAKPOINTS
    if full and (own is None or settings.automatic_with_four == "error"):
        msg = (
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be "
            f"provided. Found {len(explicit)}; no slots left for automatic caching."
        )
        raise RejectedError(msg)
    return (
        [] if at is None or own is not None else [Breakpoint(at, ttl, automatic=True)]
    )


def _check_order(ordered: Sequence[Breakpoint], positions: Sequence[Position]) -> None:
    """Refuse a longer lifetime after a shorter one.

    Source: cnighswonger/claude-code-cache-fix#44; the automatic breakpoint counts too.
    """
    shorter_seen = False
    for bp in ordered:
        if bp.ttl == "1h" and shorter_seen:
            path = "" if bp.automatic else f"{positions[bp.at].path}."
            raise RejectedError(ORDER.format(path=f"{path}cache_control.ttl"))
        shorter_seen = bp.ttl == "5m"
