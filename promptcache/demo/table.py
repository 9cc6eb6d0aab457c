"""The demo's rows as a person reads them."""

from collections.abc import Sequence
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from promptcache.demo import agent
from promptcache.demo.library import stdlib
from promptcache.demo.run import Row
from promptcache.emulator.machine import Pace

__all__ = ["print_rows", "workload"]

COLUMNS = (
    "requests",
    "input",
    "read",
    "written",
    "output",
    "cost",
    "first\np50",
    "token\np95",
)
EMULATED = """\
Emulated: token counts, prices from genai-prices, times in the emulator's clock.
It takes {first:g} s to the first byte and 1 s more for {pace:,.0f} tokens that are not
read. At {speed:g} times real time, the client's own work counts {speed:g} times.
Live: ANTHROPIC_API_KEY=... promptcache demo --live"""
LIVE = "Live: tokens and times as measured, prices from genai-prices."
UNKNOWN = "?"
TITLES = {"langchain": "LangChain", "llamaindex": "LlamaIndex"}


def workload(model: str) -> str:
    """Return what is asked, and of whom."""
    prompt = len(agent.system_prompt("")) // 4
    return f"""\
An agent on {model} answers {len(agent.TURNS)} questions in one conversation.
Its prompt starts with some {prompt:,} tokens of instructions, and its tool searches
{len(stdlib().passages)} docstrings of this Python's standard library."""


def print_rows(rows: Sequence[Row], *, live: bool, speed: float) -> None:
    """Print a line per run, what the plugin changed, and where the numbers are from."""
    table = Table(
        box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False
    )
    table.add_column("")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    lines = []
    for framework, group in groupby(rows, lambda row: row.framework):
        title, runs = TITLES.get(framework, framework), list(group)
        table.add_row(title)
        for row in runs:
            table.add_row(*_cells(row))
        if len(runs) == 2:  # noqa: PLR2004 - a plain run and one with the plugin
            lines.append(f"{title}\n{_change(*runs)}")
    # The text is wrapped already, and a terminal may be narrow.
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print("", table, "", sep="\n")
    console.print("\n\n".join([*lines, LIVE if live else _pace(speed)]))


def _pace(speed: float) -> str:
    pace = Pace()
    return EMULATED.format(
        first=pace.first_byte_seconds,
        pace=pace.prefill_tokens_per_second,
        speed=speed,
    )


def _cells(row: Row) -> tuple[str, ...]:
    tokens = (row.input_tokens, row.read_tokens, row.written_tokens, row.output_tokens)
    return (
        "  cached" if row.plugin else "  plain",
        str(row.requests),
        *(UNKNOWN if count is None else f"{count:,}" for count in tokens),
        UNKNOWN if row.cost_usd is None else f"${row.cost_usd:.4f}",
        _seconds(row.ttft_p50_s),
        _seconds(row.ttft_p95_s),
    )


def _change(plain: Row, cached: Row) -> str:
    read = ratio = saved = UNKNOWN
    if cached.read_tokens is not None and cached.input_tokens:
        read = f"{cached.read_tokens / cached.input_tokens:.1%}"
    if cached.cost_usd is not None and plain.cost_usd:
        ratio = f"{cached.cost_usd / plain.cost_usd:.2f}"
        saved = f"${plain.cost_usd - cached.cost_usd:.4f}"
    return (
        f"  Read from the cache: {read} of the input.\n"
        f"  Bill: {ratio} of the plain one, {saved} saved.\n"
        f"  First token after {_seconds(cached.ttft_p50_s)} instead of "
        f"{_seconds(plain.ttft_p50_s)}."
    )


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} s"
