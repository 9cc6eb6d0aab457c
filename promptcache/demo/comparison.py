"""The same conversation twice: as the framework has it, and with the plugin."""

from collections.abc import Iterable, Iterator

from promptcache import SystemClock
from promptcache.demo import agent
from promptcache.demo.budget import Budget
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Framework, Meter, Row, Run
from promptcache.emulator import Emulator

__all__ = ["emulated_rows", "live_rows"]


def emulated_rows(
    framework: Framework, *, model: str, emulator: Emulator
) -> Iterator[Row]:
    """Yield the row of the plain run, then that of the run with the plugin.

    Args:
        framework: What the agent runs in.
        model: The model's name.
        emulator: A running emulator, without any answers ordered from it.
    """
    clock, url = emulator.clock, emulator.url
    runs = [
        Run.emulated(model=model, plugin=plugin, clock=clock, url=url)
        for plugin in (False, True)
    ]
    for _ in runs:
        for answer in agent.script(framework.argument):
            emulator.answers.push(answer)
    return _rows(framework, runs, None)


def live_rows(
    framework: Framework, *, model: str, key: str, budget: Budget
) -> Iterator[Row]:
    """Yield the same rows, with the provider's answers, as far as the budget goes.

    Raises:
        LimitReachedError: The budget ended; the row of the run so far is yielded first.
        DemoError: A request failed.
    """
    clock = SystemClock()
    runs = [
        Run.live(model=model, plugin=plugin, clock=clock, key=key)
        for plugin in (False, True)
    ]
    return _rows(framework, runs, budget)


def _rows(
    framework: Framework, runs: Iterable[Run], budget: Budget | None
) -> Iterator[Row]:
    for run in runs:
        framework.warm_up(run)
        meter = Meter(run.clock, budget=budget)
        try:
            framework.converse(run, meter)
        except DemoError:
            if meter.answered:
                yield Row.of(run, meter.answered, framework=framework)
            raise
        yield Row.of(run, meter.answered, framework=framework)
