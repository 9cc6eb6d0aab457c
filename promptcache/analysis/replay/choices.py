"""The policies that a replay can put beside each other, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptcache.errors import OptionError
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.ttl import Ttl

__all__ = ["HINDSIGHT", "OPTIMUM", "RECORDED", "Choice", "choice", "usual"]

HINDSIGHT: Final = "hindsight"
"""For each session the fixed policy that turns out to be cheapest."""

OPTIMUM: Final = "optimum"
"""What could have been reached, had the future been known."""

RECORDED: Final = "recorded"
"""What was done, where the trace says it."""

_LIVES: tuple[Ttl, ...] = ("5m", "30m", "1h")


@dataclass(frozen=True, slots=True)
class Choice:
    """A policy that is played through."""

    name: str
    policy: Policy
    pings: bool = False
    """Prefixes are kept alive by pings where that pays."""
    learns: bool = False
    """It decides by what it has seen."""


def choice(name: str, rules: Rules, *, keep_warm: bool = False) -> Choice:
    """Return the policy of that name.

    Args:
        name: `auto`, `none`, `off`, `head`, `keep-warm` or a lifetime.
        rules: What the provider accepts.
        keep_warm: `auto` may ping.

    Raises:
        OptionError: There is none, or the provider has no such lifetime.
    """
    short = rules.ttls[0]
    if name == "auto":
        return Choice(
            name, Policy.auto(keep_warm=keep_warm), pings=keep_warm, learns=True
        )
    if name in ("none", "off") and name in _fixed(rules):
        return Choice(name, Policy.off())
    if name == "head":
        fixed = Policy.fixed(tools=short, system=short, history=None, tail=None)
        return Choice(name, fixed)
    if name == "keep-warm" and _pings(rules):
        return Choice(name, _everywhere(short), pings=True)
    for life in _LIVES:
        if life == name and life in rules.ttls:
            return Choice(name, _everywhere(life))
    allowed = ", ".join((*_fixed(rules), "auto", HINDSIGHT, OPTIMUM))
    raise OptionError("--policy", name, allowed)


def usual(rules: Rules, *, keep_warm: bool) -> tuple[str, ...]:
    """Return the names of what is compared unless something else is asked for."""
    fixed = _fixed(rules)
    if not keep_warm:
        fixed = tuple(it for it in fixed if it != "keep-warm")
    return ("auto", *fixed, HINDSIGHT, OPTIMUM)


def hindsights(rules: Rules, *, keep_warm: bool) -> Sequence[Choice]:
    """Return the policies that hindsight chooses from."""
    return [
        choice(name, rules)
        for name in _fixed(rules)
        if keep_warm or name != "keep-warm"
    ]


def _fixed(rules: Rules) -> tuple[str, ...]:
    """Return the names of what decides nothing by what it has seen.

    `none` is no caching at all, and `off` what a provider does unasked.
    """
    if rules.matching == "prefix":
        return ("none", "off")
    lives = tuple(life for life in _LIVES if life in rules.ttls)
    if not _pings(rules):
        return ("none", "off", "head", *lives)
    return ("none", "head", *lives, "keep-warm")


def _pings(rules: Rules) -> bool:
    return rules.matching == "lookback"


def _everywhere(life: Ttl) -> Policy:
    return Policy.fixed(tools=life, system=life, history=life, tail=life)
