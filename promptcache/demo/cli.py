"""The command that runs the demo and prints what it measured."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, NoReturn, cast

import orjson
import typer

from promptcache import is_switched_off
from promptcache.demo import table
from promptcache.demo.asked import KEYS, Workload, key_of, provider_of
from promptcache.demo.budget import Budget
from promptcache.demo.comparison import emulated_rows, live_rows
from promptcache.demo.errors import DemoError
from promptcache.demo.run import Case, Framework, Row
from promptcache.emulator import Emulator, GeminiSettings
from promptcache.receipts.prices import GenaiPrices
from promptcache.terminal import say

__all__ = ["demo"]

LANGCHAIN = "promptcache.demo.langchain_agent:LANGCHAIN"
LLAMAINDEX = "promptcache.demo.llamaindex_agent:LLAMAINDEX"
COMPARED: tuple[tuple[str, Workload], ...] = (
    ("claude-sonnet-5-5", "stdlib-agent"),
    ("gpt-5.2", "stdlib-agent"),
    ("gpt-6.1-sol", "stdlib-agent"),
    ("gpt-6.1-sol", "stdlib-questions"),
    ("gemini-3.8-flash", "stdlib-agent"),
    ("gemini-3.8-flash", "stdlib-questions"),
)
"""A model of each way of caching; and where a provider's own way finds nothing."""
PACKAGES: Mapping[str, Mapping[str, str]] = {
    "langchain": {"google": "langchain_google_genai"},
    "llamaindex": {
        "anthropic": "llama_index.llms.anthropic",
        "openai": "llama_index.llms.openai",
        "google": "llama_index.llms.google_genai",
    },
}
"""What a framework needs for a provider, and may lack. LlamaIndex's rows need the first
two at once; LangChain's are what the command is for."""
ANY_KEY = " or ".join(names[0] for names in KEYS.values())
INDENT = orjson.OPT_INDENT_2
SPEED = 15.0
"""Emulated seconds per real second, so that nobody waits for minutes."""
OUTPUT_PACE = 400.0
"""Emulated tokens of output per second: what is measured ends before them."""


def demo(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of rows.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="The only model to ask; else four of them.")
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help=f"Ask the providers; needs {ANY_KEY}."),
    ] = False,
    limit_usd: Annotated[
        float, typer.Option(help="What --live may cost, all runs together.")
    ] = 2.0,
) -> None:
    """Compare bills and waiting times with and without the plugin."""
    if is_switched_off():
        _stop("PROMPTCACHE=off switches off what the demo is to show.")
    rows: list[Row] = []
    failure = None
    try:
        if not as_json:
            say(f"{table.introduction()}\n")
        # Not `extend`: the rows before a failure are worth showing.
        for row in _live(model, limit_usd) if live else _emulated(model):
            rows.append(row)  # noqa: PERF402
    except DemoError as error:
        failure = str(error)
    if as_json:
        typer.echo(orjson.dumps([asdict(row) for row in rows], option=INDENT))
    elif rows:
        say("\n".join(table.lines(rows, live=live, speed=SPEED)))
    if failure is not None:
        _stop(failure)


def _emulated(model: str | None) -> Iterator[Row]:
    cases = _cases(_wanted(model))
    emulator = Emulator(
        speed=SPEED,
        tokens_per_second=OUTPUT_PACE,
        gemini=GeminiSettings(implicit_luck=0.0),
    )
    with _unpaused(), emulator:
        for case in cases:
            yield from emulated_rows(case, emulator=emulator)


@contextmanager
def _unpaused() -> Iterator[None]:
    """Take what is loaded out of the garbage collector's rounds.

    Two frameworks and a price list take it a quarter of a second, which would count as
    the wait for one token, at the emulator's speed.
    """
    GenaiPrices().load()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _live(model: str | None, limit_usd: float) -> Iterator[Row]:
    found = {name: key_of(name) for name in KEYS}
    keys = {name: key for name, key in found.items() if key is not None}
    wanted = [it for it in _wanted(model) if provider_of(it[0]) in keys]
    if not wanted:
        needed = ANY_KEY if model is None else KEYS[provider_of(model)][0]
        raise DemoError(f"`--live` asks the provider and needs {needed} to be set.")
    budget = Budget(limit_usd=limit_usd)
    cases = _cases(wanted)
    highest = sum(budget.highest_cost(case.model, case.workload) for case in cases)
    say(
        f"This costs at most ${highest:.2f}, as estimated for all runs "
        f"with nothing read, and stops before it passes ${limit_usd:.2f}.",
        err=True,
    )
    for case in cases:
        yield from live_rows(case, key=keys[case.provider], budget=budget)


def _wanted(model: str | None) -> Sequence[tuple[str, Workload]]:
    if model is None:
        return COMPARED
    return [it for it in COMPARED if it[0] == model] or [(model, "stdlib-agent")]


def _cases(wanted: Sequence[tuple[str, Workload]]) -> list[Case]:
    frameworks = _frameworks()
    cases = [
        Case(framework, model, workload)
        for model, workload in wanted
        for framework in frameworks
        if _has(PACKAGES[framework.name].get(provider_of(model)))
    ]
    if not cases:
        raise DemoError(
            f"For `{wanted[0][0]}` a package is missing: pip install 'promptcache[all]'"
        )
    return cases


def _frameworks() -> list[Framework]:
    needed = [PACKAGES["llamaindex"][name] for name in ("anthropic", "openai")]
    # By name, so that no framework is loaded before it is needed.
    names = [LANGCHAIN, *([LLAMAINDEX] if all(map(_has, needed)) else [])]
    parts = [name.partition(":") for name in names]
    return [
        cast("Framework", getattr(import_module(module), name))
        for module, _, name in parts
    ]


def _has(package: str | None) -> bool:
    """Tell whether a package is installed, or none is needed."""
    try:
        return package is None or find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _stop(sentence: str) -> NoReturn:
    say(sentence, err=True)
    raise typer.Exit(1)
