"""What may be spent unasked: money on remote caches and pings, and time on waiting."""

from dataclasses import dataclass
from math import inf
from typing import Any

from promptcache.errors import OptionError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is done unasked.

    Those of Gemini's cached contents are for all workers that share a store: at one,
    nothing is created, requests go out in full, and one event says so.

    Raises:
        OptionError: A bound is not allowed.
    """

    usd_per_hour: float = 0.10
    """US dollars that cached contents may cost in any hour: the storage of all that
    live, and the creations of the last hour. `math.inf` is no bound. Where a price is
    not known, the other two bounds are all there is."""
    live_caches: int = 8
    """Cached contents that may live at a time; 0 for none at all."""
    token_hours: float | None = None
    """Tokens that may be stored at a time, which is token-hours in an hour; None is no
    bound."""
    wait_seconds: float = 0.0
    """How long a request may wait for a creation that pays from this very request on;
    0 sends it in full at once, and the cached content is created beside it."""
    fan_out_seconds: float = 10.0
    """How long a request may wait, where `fan_out` is on, for the first of those that
    share its head to be answered; 0 waits for nothing."""
    ping_usd_per_hour: float = 0.0
    """US dollars that the pings of `Policy.auto(keep_warm=True)` may cost in any hour;
    0 sends none. A ping that turns out to write what it was to read counts in full, so
    it may pass the bound once; then nothing is sent until there is room again."""

    def __post_init__(self) -> None:
        if not _is_amount(self.usd_per_hour):
            raise OptionError("usd_per_hour", self.usd_per_hour, "0 or more dollars")
        if not _is_amount(self.ping_usd_per_hour):
            usd = self.ping_usd_per_hour
            raise OptionError("ping_usd_per_hour", usd, "0 or more dollars")
        if not _is_amount(self.live_caches) or not isinstance(self.live_caches, int):
            raise OptionError("live_caches", self.live_caches, "a count from 0")
        if self.token_hours is not None and not _is_amount(self.token_hours):
            raise OptionError("token_hours", self.token_hours, "0 or more, or None")
        for name in ("wait_seconds", "fan_out_seconds"):
            seconds = getattr(self, name)
            if not _is_amount(seconds) or seconds == inf:
                raise OptionError(name, seconds, "0 or more seconds")


def _is_amount(value: Any) -> bool:
    """Tell whether a value is a number from 0; NaN is not."""
    return isinstance(value, int | float) and type(value) is not bool and value >= 0
