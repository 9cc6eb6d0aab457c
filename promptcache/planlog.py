"""What the logger is told of plans, beside events: what is active, and each decision.

Rule 1: no prompt text: places, names, counts and reasons only.
Rule 2: what nobody listens to costs a look at the logger's level.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import isinf
from typing import Any

from promptcache.limits import Limits
from promptcache.planning.slots import Rules
from promptcache.prepared import Prepared
from promptcache.receipts.visible import plain
from promptcache.state.forks import ForkSafeLock

__all__ = ["PlanLog", "note_switched_off", "note_unread"]

_LOGGER = logging.getLogger("promptcache")

_MAX_TOLD = 1_000
"""Models, or ways to use one, that are remembered as told."""

_COUNTS = ("tokens", "TokenCount", "Tokens")
"""How the names of counts end, whatever the provider."""


class PlanLog:
    """Says once per model what is active and why, and each plan at DEBUG."""

    def __init__(
        self, limits: Limits | None = None, *, logger: logging.Logger = _LOGGER
    ) -> None:
        """Say nothing yet.

        Args:
            limits: What cached contents may cost; else what they may by default.
            logger: Where it is said.
        """
        self._limits = Limits() if limits is None else limits
        self._logger = logger
        self._lock = ForkSafeLock()
        self._told: set[tuple[Any, ...]] = set()

    def planned(
        self, prepared: Prepared, rules: Rules, *, is_refused: bool = False
    ) -> None:
        """Tell of a plan, and of the model if it was not told of before.

        Args:
            prepared: The request, with its plan.
            rules: What its provider accepts.
            is_refused: Whether it goes out unplanned, since one like it was refused.
        """
        if self._logger.isEnabledFor(logging.INFO):
            self._tell_of_model(prepared, rules, is_refused=is_refused)
        if self._logger.isEnabledFor(logging.DEBUG):
            self._tell_of_plan(prepared)

    def _tell_of_model(
        self, prepared: Prepared, rules: Rules, *, is_refused: bool
    ) -> None:
        request, options = prepared.request, prepared.options
        way = (
            request.provider.name,
            request.model,
            request.host,
            prepared.policy,
            options.enabled,
            options.gemini_caches,
            is_refused,
        )
        with self._lock:
            if way in self._told or len(self._told) >= _MAX_TOLD:
                return
            self._told.add(way)
        active = ", ".join(self._active(prepared, rules, is_refused=is_refused))
        subject = f"{request.model or 'a model without a name'} on {request.host}"
        fields = {
            "provider": request.provider.name,
            "model": request.model,
            "host": request.host,
            "policy": prepared.policy,
            "active": active,
        }
        extra = {"prompt_cache_event": "ModelActive", "prompt_cache": fields}
        self._logger.info("%s: %s", plain(subject), active, extra=extra)

    def _active(
        self, prepared: Prepared, rules: Rules, *, is_refused: bool
    ) -> Iterator[str]:
        """Yield what is done for a model, and why or why not, in words."""
        if prepared.policy == "off":
            by_option = prepared.options.enabled is False
            yield "off by option" if by_option else "off by policy"
            return
        if is_refused:
            yield "off for now, as the provider refused our fields"
            return
        if rules.matching == "named":
            yield from self._contents(prepared, rules)
        elif rules.matching == "prefix":
            yield "implicit caching only"
        else:
            yield "breakpoints placed"
        if rules.takes_key:
            yield "cache key sent"
        yield f"policy {prepared.policy}"
        yield f"minimum {rules.minimum_tokens} tokens"
        if rules.matching in ("lookback", "marked"):
            yield f"lifetimes {' '.join(rules.ttls)}"
        if not prepared.facts_known:
            yield "by the most cautious rules, as this model is not known"

    def _contents(self, prepared: Prepared, rules: Rules) -> Iterator[str]:
        if prepared.options.gemini_caches is False:
            yield "implicit caching only, by option"
        elif not rules.has_contents:
            yield "implicit caching only, no cached contents known for this model"
        else:
            limits = self._limits
            a_price = isinf(limits.usd_per_hour)
            price = "any price" if a_price else f"${limits.usd_per_hour:.2f} an hour"
            yield f"cached contents within limits {limits.live_caches} live, {price}"

    def _tell_of_plan(self, prepared: Prepared) -> None:
        request, plan = prepared.request, prepared.plan
        fields = {
            "provider": request.provider.name,
            "model": request.model,
            "policy": prepared.policy,
            "breakpoints": prepared.breakpoints,
            "key": plan.key,
            "retention": plan.retention,
            "notes": plan.notes,
        }
        parts = [*prepared.breakpoints]
        if plan.key is not None:
            parts.append(f"key {plan.key}")
        if plan.retention is not None:
            parts.append(f"kept for {plan.retention}")
        parts.extend(plan.notes)
        extra = {"prompt_cache_event": "Planned", "prompt_cache": fields}
        text = ", ".join(parts) or "nothing placed"
        model = plain(str(request.model))
        self._logger.debug("Planned: %s: %s", model, plain(text), extra=extra)


@lru_cache(maxsize=1)
def note_switched_off() -> None:
    """Say once a process that nothing is planned here."""
    extra = {"prompt_cache_event": "SwitchedOff", "prompt_cache": {}}
    _LOGGER.info("off by PROMPTCACHE=off: clients are used as they are", extra=extra)


def note_unread(
    provider: str,
    model: str,
    reported: Mapping[str, Any] | None,
    *,
    logger: logging.Logger = _LOGGER,
) -> None:
    """Log the counts of a usage that are no counts, and so are not known.

    Args:
        provider: Who reported it.
        model: The model that was asked.
        reported: The usage as it was reported.
        logger: Where it is said.
    """
    if reported is None or not logger.isEnabledFor(logging.DEBUG):
        return
    odd = {name: type(value).__name__ for name, value in _unread(reported)}
    if odd:
        text = ", ".join(f"{name} is {kind}" for name, kind in odd.items())
        extra = {
            "prompt_cache_event": "UsageUnread",
            "prompt_cache": {"provider": provider, "model": model, "fields": odd},
        }
        told = (plain(str(model)), plain(text))
        logger.debug("UsageUnread: %s: %s", *told, extra=extra)


def _unread(reported: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield counts that are neither missing nor a number from zero."""
    for name, value in reported.items():
        if isinstance(value, Mapping):
            yield from _unread(value)
        elif str(name).endswith(_COUNTS) and value is not None:
            is_count = isinstance(value, int) and not isinstance(value, bool)
            if not is_count or value < 0:
                yield str(name), value
