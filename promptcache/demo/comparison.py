"""The same work twice: as the framework has it, and with the plugin."""

from collections.abc import Iterator, Sequence

from promptcache import SystemClock
from promptcache.demo.budget import Budget
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Case, Meter, Row, Run
from promptcache.emulator import Emulator

__all__ = ["emulated_rows", "live_rows"]


def emulated_rows(case: Case, *, emulator: Emulator) -> Iterator[Row]:
    """Yield the row of the stock run, then that of the run with the plugin.

    Args:
        case: What is run.
        emulator: A running emulator, without any answers ordered from it.
    """
    clock, url = emulator.clock, emulator.url
    runs = [
        Run.emulated(case, plugin=plugin, clock=clock, url=url)
        for plugin in (False, True)
    ]
    for _ in runs:
        for answer in case.script():
            emulator.answers.push(answer)
    return _rows(runs, None)


def live_rows(case: Case, *, key: str, budget: Budget) -> Iterator[Row]:
    """Yield the same rows, with the provider's answers, as far as the budget goes.

    Raises:
        LimitReachedError: The budget ended; the row of the run so far is yielded first.
        DemoError: A request failed.
    """
    clock = SystemClock()
    runs = [
        Run.live(case, plugin=plugin, clock=clock, key=key) for plugin in (False, True)
    ]
    return _rows(runs, budget)


def _rows(runs: Sequence[Run], budget: Budget | None) -> Iterator[Row]:
    # The run with the plugin needs all that the other one needs, and more.
    runs[-1].case.framework.warm_up(runs[-1])
    for run in runs:
        meter = Meter(run, budget=budget)
        try:
            run.case.framework.perform(run, meter)
        except DemoError:
            if meter.answered:
                yield Row.of(run, meter.answered, meter.kept)
            raise
        yield Row.of(run, meter.answered, meter.kept)
