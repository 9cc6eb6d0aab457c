"""What receipts, reports and handlers cost, in time, memory and bytes.

A case is a function that takes its size, how many receipts or calls it is measured
with, and yields rows. Sizes of a million take about a minute in all.

Run: python benchmarks/telemetry.py [--json] [--case report] [--size 100000]
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

from promptcache import JsonlReceipts, Receipt, Report, Settled, Usage
from promptcache.analysis.report.cli import report
from promptcache.receipts.lines import to_line
from promptcache.receipts.miss import Miss

MODELS = (
    ("anthropic", "claude-sonnet-5-5"),
    ("openai", "gpt-6.1-sol"),
    ("google", "gemini-3.8-flash"),
)
POINTS = ("tools[11] 1h tools", "system[0] 5m system", "messages[8].content[0] 5m tail")
MISSES = (
    Miss("prefix_changed", "outline", "system[0]", 4096, None, 12_034, 0.033412),
    Miss("expired", "clock", None, None, None, 20_412, 0.061236),
    Miss("model_or_settings_changed", "outline", None, None, None, 9_041, 0.027),
)
MISSED = 12
"""One request of so many has a miss."""

REPEATS = 5
FEW = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    case: str
    value: float
    unit: str


def main(argv: list[str] | None = None) -> None:
    """Print a row for each figure of each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows for machines")
    parser.add_argument("--case", choices=CASES, help="only this one")
    parser.add_argument("--size", type=int, help="receipts or calls, for each case")
    given = parser.parse_args(argv)
    chosen = CASES if given.case is None else {given.case: CASES[given.case]}
    rows = [
        row for case in chosen.values() for row in case.rows(given.size or case.size)
    ]
    if given.json:
        shown = [
            {"case": it.case, "value": round(it.value, 3), "unit": it.unit}
            for it in rows
        ]
        print(json.dumps(shown, indent=2))
        return
    for row in rows:
        print(f"{row.case:<36} {row.value:>12,.2f} {row.unit}")


def usual(number: int) -> Receipt:
    """Return one of many receipts that differ."""
    provider, model = MODELS[number % len(MODELS)]
    read = 0 if number % MISSED == 0 else 20_000 + number % 977
    written = 24_310 - read if read == 0 else 3_222
    return Receipt(
        provider=provider,
        model=model,
        at=1_764_000_000.0 + number * 1.317,
        policy="auto",
        usage=Usage(24_310, read, written, written, 0, 400 + number % 311),
        cost_usd=0.021_4 + number % 1013 * 1e-6,
        without_caching_usd=0.079_1 + number % 1013 * 1e-6,
        first_token_s=0.35 + number % 797 / 400,
        total_s=3.1 + number % 797 / 400,
        breakpoints=POINTS,
        conversation=f"{number % 65_521:08x}-d9cb-469f-a165-70867728950e",
        id=f"msg_{number:024x}",
        credits=("placed",) if read else (),
        misses=() if read else (MISSES[number // MISSED % len(MISSES)],),
    )


def line_rows(size: int) -> Iterator[Row]:
    """Measure lines of files of receipts: their length, and writing them."""
    lengths = [len(to_line(usual(number))) for number in range(size)]
    yield Row("line, median", statistics.median(lengths), "bytes")
    yield Row("line, longest", max(lengths), "bytes")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "receipts.jsonl")
        with JsonlReceipts(path, max_bytes=50_000_000) as receipts:
            event = Settled(usual(1))
            yield Row("JsonlReceipts, a receipt", per_call(size, receipts, event), "us")


def report_rows(size: int) -> Iterator[Row]:
    """Measure `promptcache report` on a file, with and without its page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "receipts.jsonl")
        write(path, size)
        page = Path(folder, "page.html")
        for name, html in (("report", None), ("report --html", page)):
            seconds, peak_mb = in_a_process(reporting, path, html)
            yield Row(f"{name}, {size:,} receipts", seconds, "s")
            yield Row(f"{name}, peak memory", peak_mb, "MB")


def add_rows(size: int) -> Iterator[Row]:
    """Measure what a model call waits for: counting its receipt."""
    hit, missed = usual(1), usual(0)
    yield Row("Report.add", per_call(size, Report().add, hit), "us")
    yield Row("Report.add, with a miss", per_call(size, Report().add, missed), "us")
    by_tag = Report(by="tag")
    three = ("planner", "nightly", "eu")
    yield Row("Report.add, three tags", per_call(size, by_tag.add, hit, three), "us")


def llamaindex_rows(size: int) -> Iterator[Row]:
    """Measure what a handler of LlamaIndex's adds to a call."""
    # Only who asks for this has LlamaIndex.
    from telemetry_llamaindex import handler_us  # noqa: PLC0415

    for name, value in handler_us(usual(1), size):
        yield Row(name, value, "us")


def langchain_rows(size: int) -> Iterator[Row]:
    """Measure what a model call waits for LangChain's handler."""
    # The other cases need no framework.
    from telemetry_langchain import handler_microseconds  # noqa: PLC0415

    for name, microseconds in handler_microseconds(size, usual):
        yield Row(f"LangChain handler, {name}", microseconds, "us")


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured, and with how many receipts or calls if nothing is said."""

    rows: Callable[[int], Iterator[Row]]
    size: int


# What handlers cost has its cases here, too: a function of a size that yields rows.
CASES: Mapping[str, Case] = {
    "lines": Case(line_rows, 100_000),
    "add": Case(add_rows, 100_000),
    "langchain": Case(langchain_rows, 2_000),
    "report": Case(report_rows, 1_000_000),
    "llamaindex": Case(llamaindex_rows, 3_000),
}


def per_call(size: int, function: Callable[..., object], *given: Any) -> float:
    """Return the microseconds of one call: the best of some rounds."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(max(size // REPEATS, 1)):
            function(*given)
        best = min(best, time.perf_counter() - start)
    return best / max(size // REPEATS, 1) * 1e6


def write(path: Path, size: int) -> None:
    """Write receipts to a file, with times that go on."""
    templates = [usual(number) for number in range(min(size, FEW * MISSED))]
    with path.open("wb") as file:
        for number in range(size):
            receipt = templates[number % len(templates)]
            file.write(to_line(replace(receipt, at=1_764_000_000.0 + number * 1.317)))


def reporting(path: Path, html: Path | None) -> None:
    """Run the command, and keep what it prints to itself."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        report(path, html=html)


def in_a_process(function: Callable[..., None], *given: Any) -> tuple[float, float]:
    """Return the seconds and the peak megabytes of a call in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (function, *given))


def measured(function: Callable[..., None], *given: Any) -> tuple[float, float]:
    """Return the seconds of a call and the peak megabytes of this process."""
    start = time.perf_counter()
    function(*given)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return seconds, peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
