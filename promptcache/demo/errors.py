"""Why the demo cannot go on, each in one sentence for the one who started it."""

__all__ = ["DemoError", "LimitReachedError"]


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


class LimitReachedError(DemoError):
    """The next request could have passed the limit."""

    def __init__(self, *, limit_usd: float, spent_usd: float) -> None:
        super().__init__(
            f"Stopped before a request that could have passed the limit of "
            f"${limit_usd:.2f}; ${spent_usd:.4f} is spent."
        )
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
