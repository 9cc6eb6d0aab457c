"""The cache of one run, from its first request to the end of what it created."""

from collections.abc import Iterator
from contextlib import contextmanager

from promptcache import Limits, PromptCache
from promptcache.demo.run import Meter, Run

__all__ = ["planned"]


@contextmanager
def planned(run: Run, meter: Meter) -> Iterator[PromptCache | None]:
    """Yield the cache that plans a run's requests; None for the stock run.

    At the end what it created at the provider is deleted, so that no storage is billed
    after the run.

    Raises:
        LimitReachedError: What it may create could pass the limit of the budget.
    """
    if not run.plugin:
        yield None
        return
    limits = Limits()
    with meter.keeping(limits.usd_per_hour if run.case.keeps else 0.0):
        cache = PromptCache(
            store="memory:", limits=limits, clock=run.clock, listeners=[meter.kept]
        )
        if run.case.keeps and run.url is not None:
            # A creation takes less than the request that it runs beside. At the
            # emulator's speed the client's own work, before it is sent, would not.
            meter.between = cache.keeper.idle
        try:
            yield cache
        finally:
            if run.case.keeps:
                # What is being created is deleted as well.
                cache.keeper.idle()
            cache.close()
