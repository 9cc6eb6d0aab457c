"""The command that runs the demo and prints what it measured."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, NoReturn, cast

import orjson
import typer

from promptcache import is_switched_off
from promptcache.demo import table
from promptcache.demo.budget import Budget
from promptcache.demo.comparison import emulated_rows, live_rows
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Framework, Row
from promptcache.emulator import Emulator

__all__ = ["demo"]

KEY = "ANTHROPIC_API_KEY"
LANGCHAIN = "promptcache.demo.langchain_agent:LANGCHAIN"
LLAMAINDEX = "promptcache.demo.llamaindex_agent:LLAMAINDEX"
INDENT = orjson.OPT_INDENT_2
SPEED = 5.0
"""Emulated seconds per real second, so that nobody waits for a minute."""


def demo(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of rows.")
    ] = False,
    model: Annotated[str, typer.Option(help="The model to ask.")] = "claude-sonnet-5-5",
    live: Annotated[
        bool, typer.Option("--live", help=f"Ask the provider; needs {KEY}.")
    ] = False,
    limit_usd: Annotated[
        float, typer.Option(help="What --live may cost, all runs together.")
    ] = 1.0,
) -> None:
    """Compare an agent's bill and waiting time with and without the plugin."""
    if is_switched_off():
        _stop("PROMPTCACHE=off switches off what the demo is to show.")
    rows: list[Row] = []
    failure = None
    try:
        if not as_json:
            typer.echo(table.workload(model))
        # Not `extend`: the rows before a failure are worth showing.
        for row in _live(model, limit_usd) if live else _emulated(model):
            rows.append(row)  # noqa: PERF402
    except DemoError as error:
        failure = str(error)
    if as_json:
        typer.echo(orjson.dumps([asdict(row) for row in rows], option=INDENT))
    elif rows:
        table.print_rows(rows, live=live, speed=SPEED)
    if failure is not None:
        _stop(failure)


def _emulated(model: str) -> Iterator[Row]:
    for framework in _frameworks():
        with Emulator(speed=SPEED) as emulator:
            yield from emulated_rows(framework, model=model, emulator=emulator)


def _live(model: str, limit_usd: float) -> Iterator[Row]:
    key = os.environ.get(KEY)
    if not key:
        raise DemoError(f"`--live` asks the provider and needs {KEY} to be set.")
    budget = Budget(model, limit_usd=limit_usd)
    frameworks = _frameworks()
    highest = budget.highest_cost(frameworks=len(frameworks))
    typer.echo(
        f"This costs at most ${highest:.2f}, as estimated for all runs "
        f"without any caching, and stops before it passes ${limit_usd:.2f}.",
        err=True,
    )
    for framework in frameworks:
        yield from live_rows(framework, model=model, key=key, budget=budget)


def _frameworks() -> list[Framework]:
    # By name, so that no framework is loaded before it is needed.
    wanted = [LANGCHAIN, *([LLAMAINDEX] if _has_llamaindex() else [])]
    parts = [name.partition(":") for name in wanted]
    return [
        cast("Framework", getattr(import_module(module), name))
        for module, _, name in parts
    ]


def _has_llamaindex() -> bool:
    try:
        return find_spec("llama_index.llms.anthropic") is not None
    except ModuleNotFoundError:
        return False


def _stop(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
