"""The policies a caller may choose from, as values."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from promptcache.errors import OptionError
from promptcache.ttl import TTL_SECONDS, Ttl, read_ttl

__all__ = ["Policy"]


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

    @classmethod
    def auto(cls) -> "Policy":
        """Place breakpoints where what is written is likely to be read again."""
        return cls("auto")

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
        return cls("fixed", *read)

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
