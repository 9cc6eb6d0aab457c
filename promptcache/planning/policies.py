"""The policies a caller may choose from, as values."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from promptcache.errors import OptionError
from promptcache.ttl import TTL_SECONDS, Ttl, read_ttl

__all__ = ["ALLOWANCE", "LONGEST", "Policy"]

LONGEST: Final[tuple[Ttl, ...]] = ("5m", "1h")
"""What may be the longest lifetime that `auto` chooses."""

ALLOWANCE: Final = 200_000.0
"""Input tokens by which a bill may exceed that of not caching while `auto` learns."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What makes plans: `Policy.auto()`, `Policy.fixed(...)` or `Policy.off()`."""

    name: Literal["auto", "fixed", "off"]
    tools: Ttl | None = None
    """Lifetime of a breakpoint at the end of the tools; None places none."""
    system: Ttl | None = None
    """The same at the end of the system prompt."""
    history: Ttl | None = None
    """The same where earlier turns end."""
    tail: Ttl | None = None
    """The same at the end of the request."""
    max_ttl: Ttl = "1h"
    """The longest lifetime that `auto` may choose."""
    keep_warm: bool = False
    """`auto` may send pings, within `Limits.ping_usd_per_hour`."""
    allowance: float = ALLOWANCE
    """What `auto` may lose while it learns, in input tokens."""

    @classmethod
    def auto(
        cls,
        max_ttl: str | timedelta = "1h",
        *,
        keep_warm: bool = False,
        allowance: float = ALLOWANCE,
    ) -> "Policy":
        """Place breakpoints where what is written is likely to be read again.

        Args:
            max_ttl: The longest lifetime that may be chosen; "5m" chooses nothing but
                the shortest that the provider has.
            keep_warm: Repeat the prefix of a silent conversation on Anthropic just
                before it is dropped, as long as that is worth more than it costs. These
                are requests of our own, with `max_tokens: 0`: nothing is sent unless
                `Limits(ping_usd_per_hour=...)` allows money for it. Bodies stay in
                memory meanwhile, for an hour at most, and in no store.
            allowance: By how many input tokens the bill of a tenant on a model may
                exceed that of not caching, beside one percent of it.

        Raises:
            OptionError: An argument is not allowed.
        """
        longest = next((it for it in LONGEST if _is_ttl(max_ttl, it)), None)
        if longest is None:
            raise OptionError("max_ttl", max_ttl, " or ".join(map(repr, LONGEST)))
        if not isinstance(keep_warm, bool):
            raise OptionError("keep_warm", keep_warm, "True or False")
        if not _is_amount(allowance):
            raise OptionError("allowance", allowance, "0 or more input tokens")
        return cls(
            "auto", max_ttl=longest, keep_warm=keep_warm, allowance=float(allowance)
        )

    @classmethod
    def fixed(
        cls,
        *,
        tools: str | timedelta | None = "1h",
        system: str | timedelta | None = "1h",
        history: str | timedelta | None = "5m",
        tail: str | timedelta | None = "5m",
    ) -> "Policy":
        """Place the same breakpoints on every request; None leaves one out.

        Args:
            tools: Lifetime at the end of the tools.
            system: Lifetime at the end of the system prompt.
            history: Lifetime where earlier turns end.
            tail: Lifetime at the end of the request.

        Raises:
            OptionError: A lifetime is not allowed, or is longer than one before it,
                which providers refuse.
        """
        given = (tools, system, history, tail)
        read = [None if ttl is None else read_ttl(ttl) for ttl in given]
        lives = [TTL_SECONDS[ttl] for ttl in read if ttl is not None]
        if lives != sorted(lives, reverse=True):
            allowed = "lifetimes that do not grow from tools to system, history, tail"
            raise OptionError("Policy.fixed", given, allowed)
        return cls("fixed", read[0], read[1], read[2], read[3])

    @classmethod
    def off(cls) -> "Policy":
        """Leave every request as the framework built it; still write receipts."""
        return cls("off")

    @classmethod
    def named(cls, name: object) -> "Policy":
        """Return the policy of that name.

        Raises:
            OptionError: There is none.
        """
        if isinstance(name, Policy):
            return name
        if name == "auto":
            return cls.auto()
        if name == "fixed":
            return cls.fixed()
        if name == "off":
            return cls.off()
        raise OptionError("policy", name, "'auto', 'fixed', 'off' or a Policy")

    @property
    def ttls(self) -> tuple[Ttl, ...]:
        """Every lifetime that the policy names."""
        given = (self.tools, self.system, self.history, self.tail)
        return tuple(ttl for ttl in given if ttl is not None)


def _is_ttl(value: object, ttl: Ttl) -> bool:
    """Tell whether a value says a lifetime, as text or as a timedelta."""
    return value in (ttl, timedelta(seconds=TTL_SECONDS[ttl]))


def _is_amount(value: Any) -> bool:
    """Tell whether a value is a number from 0; NaN is not."""
    return isinstance(value, int | float) and type(value) is not bool and value >= 0
