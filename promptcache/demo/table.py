"""The demo's rows as a person reads them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from promptcache.demo import agent
from promptcache.demo.library import stdlib
from promptcache.demo.questions import QUESTIONS
from promptcache.demo.run import Row
from promptcache.emulator.machine import Pace

__all__ = ["introduction", "lines"]

HEADS = (
    ("", "", "", "", "", "", "", "first", "token"),
    ("", "calls", "input", "read", "written", "cost", "bill", "p50", "p95"),
)
WIDTHS = (12, 6, 9, 9, 9, 9, 6, 8, 8)
INTRODUCTION = """\
agent      {turns} questions to an agent in one conversation, whose prompt starts
           with some {prompt:,} tokens of instructions and whose tool searches
           {passages} docstrings of this Python's standard library
questions  {questions} questions, each asked alone, after the same instructions"""
EXPLAINED = """\
The second line of a pair is with the plugin; `bill` is its part of the first."""
ABOUT_OPENAI = """\
GPT models cache unasked, so an agent that sends its conversation again pays no
more without the plugin, which adds a cache key and the receipts. From gpt-5.6
on a prompt is found only up to where another one ended, so single questions are
written whole and never read; the plugin marks where the instructions end, and
only these are written. Up to gpt-5.5 writes are free, and not reported."""
ABOUT_GEMINI = """\
Gemini's implicit caching promises nothing: reports go from always to 1 request
in 138. Where it reads, the plugin measures that and creates nothing. Else it
creates cached contents, and requests name them instead of sending what is in
them: `written` has their tokens, which come on top of `input`, and the cost has
their creation, and their storage until they are deleted when the run ends."""
UNLUCKY = """\
Here implicit caching never reads: without the plugin, Gemini is paid in full."""
EMULATED = """\
Emulated: token counts, prices from genai-prices, times in the emulator's clock.
It takes {first:g} s to the first byte and 1 s more for {pace:,.0f} tokens that are not
read. At {speed:g} times real time, the client's own work counts {speed:g} times.
Live, with one of these keys or more: ANTHROPIC_API_KEY=... OPENAI_API_KEY=...
GEMINI_API_KEY=... promptcache demo --live"""
LIVE = "Live: tokens and times as measured, prices from genai-prices."
UNKNOWN = "?"
TITLES = {"langchain": "LangChain", "llamaindex": "LlamaIndex"}
ASKED: Mapping[str, str] = {"stdlib-agent": "agent", "stdlib-questions": "questions"}


def introduction() -> str:
    """Return what is asked."""
    return INTRODUCTION.format(
        turns=len(agent.TURNS),
        prompt=len(agent.system_prompt("")) // 4,
        passages=len(stdlib().passages),
        questions=len(QUESTIONS),
    )


def lines(rows: Sequence[Row], *, live: bool, speed: float) -> Iterator[str]:
    """Yield a line per run, what they mean, and where the numbers are from."""
    for head in HEADS:
        yield _line(head)
    yield "─" * sum(WIDTHS)
    for (workload, model), group in groupby(rows, lambda it: (it.workload, it.model)):
        yield f"{ASKED.get(workload, workload)}, {model}"
        for _, pair in groupby(group, lambda it: it.framework):
            yield from _pair(list(pair))
    yield ""
    yield EXPLAINED
    if any(row.provider == "openai" for row in rows):
        yield from ("", ABOUT_OPENAI)
    if any(row.provider == "google" for row in rows):
        yield from ("", ABOUT_GEMINI)
        if not live:
            yield UNLUCKY
    yield ""
    yield LIVE if live else _pace(speed)


def _pair(runs: Sequence[Row]) -> Iterator[str]:
    stock = runs[0]
    for row in runs:
        title = TITLES.get(row.framework, row.framework)
        name = "   + plugin" if row.plugin else f"  {title}"
        yield _line((name, *_cells(row, _bill(stock, row) if row.plugin else "")))


def _cells(row: Row, bill: str) -> tuple[str, ...]:
    tokens = (row.input_tokens, row.read_tokens, row.written_tokens)
    return (
        str(row.requests),
        *(UNKNOWN if count is None else f"{count:,}" for count in tokens),
        UNKNOWN if row.cost_usd is None else f"${row.cost_usd:.3f}",
        bill,
        _seconds(row.ttft_p50_s),
        _seconds(row.ttft_p95_s),
    )


def _bill(stock: Row, planned: Row) -> str:
    if planned.cost_usd is None or not stock.cost_usd:
        return UNKNOWN
    return f"{planned.cost_usd / stock.cost_usd:.2f}"


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} s"


def _line(cells: Sequence[str]) -> str:
    name, *numbers = cells
    placed = (cell.rjust(w) for cell, w in zip(numbers, WIDTHS[1:], strict=True))
    return "".join([name.ljust(WIDTHS[0]), *placed]).rstrip()


def _pace(speed: float) -> str:
    pace = Pace()
    return EMULATED.format(
        first=pace.first_byte_seconds,
        pace=pace.prefill_tokens_per_second,
        speed=speed,
    )
