"""Every surface: provider, framework and way to call, by class and by handler.

The same talk is held on each on the embedded emulator: six turns at one-minute
intervals, and a seventh two hours later. What the handler's rows and the class's rows
say must agree with the emulator's ledger and with each other.

Run: python benchmarks/surfaces.py [--json]
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import surfaces_langchain
import surfaces_llamaindex
from talks import MODELS, How, Path, Talk

from promptcache import Event, PromptCache, Receipt, Settled
from promptcache.emulator import Emulator, GeminiSettings, LedgerRow

WALKS: Mapping[str, Callable[[Talk], Any]] = {
    "langchain": surfaces_langchain.walk,
    "llamaindex": surfaces_llamaindex.walk,
}
PATHS: tuple[Path, ...] = ("invoke", "stream", "async", "structured", "agent")
HOWS: tuple[How, ...] = ("class", "handler")
SPEED = 50
ASKING = ("/messages", "/completions", "/responses", "enerateContent")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each surface."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="rows for machines")
    chosen = parser.parse_args(arguments)
    rows = measured()
    if chosen.json:
        print(json.dumps(list(rows), indent=2))
        return
    print(
        f"{'framework':<11}{'provider':<10}{'path':<11}{'how':<8}{'reqs':>5}{'plans':>6}"
        f"{'rcpts':>6} {'ledger':<7}{'bill':>9}{'ttft s':>7}  misses"
    )
    for row in rows:
        ttft = "?" if row["ttft_s"] is None else f"{row['ttft_s']:.2f}"
        bill = "?" if row["bill"] is None else f"{row['bill']:.6f}"
        print(
            f"{row['framework']:<11}{row['provider']:<10}{row['path']:<11}"
            f"{row['how']:<8}{row['requests']:>5}{row['plans']:>6}{row['receipts']:>6} "
            f"{row['receipt_equals_ledger']!s:<7}{bill:>9}{ttft:>7}  "
            f"{row['miss_reason']}"
        )


def measured(
    frameworks: Sequence[str] = tuple(WALKS),
    providers: Sequence[str] = tuple(MODELS),
    paths: Sequence[Path] = PATHS,
) -> Iterator[dict[str, Any]]:
    """Yield the rows, one after the other."""
    # One loop for all: the frameworks keep connections that belong to it.
    loop = asyncio.new_event_loop()
    try:
        for surface in product(frameworks, providers, paths, HOWS):
            yield loop.run_until_complete(_row(*surface))
    finally:
        loop.close()


async def _row(framework: str, provider: str, path: Path, how: How) -> dict[str, Any]:
    # What the provider reads by luck would hide what is planned.
    settings = GeminiSettings(implicit_luck=0.0)
    with Emulator(gemini=settings, speed=SPEED, tokens_per_second=400) as emulator:
        receipts: list[Receipt] = []
        cache = PromptCache(
            clock=emulator.clock,
            store="memory://",
            listeners=[_Settling(receipts)],
        )
        talk = Talk(provider, path, how, emulator, cache, receipts)
        told = await WALKS[framework](talk)
        cache.close()
        asked = [row for row in emulator.ledger if row.path.endswith(ASKING)]
        said = [_of_receipt(receipt) for receipt in receipts]
        total = cache.report().to_dict()["total"]
    return {
        "framework": framework,
        "provider": provider,
        "path": path,
        "how": how,
        "requests": len(asked),
        "plans": sum(receipt.policy == "auto" for receipt in receipts),
        "receipts": told,
        "receipt_equals_ledger": said == [_of_row(it) for it in asked],
        "bill": _sum(total["cost_usd"], total.get("storage_usd", 0.0)),
        "ttft_s": _mean([receipt.first_token_s for receipt in receipts]),
        "miss_reason": " ".join(_reasons(receipts)),
    }


class _Settling:
    def __init__(self, receipts: list[Receipt]) -> None:
        self._receipts = receipts

    def __call__(self, event: Event) -> None:
        if isinstance(event, Settled):
            self._receipts.append(event.receipt)


def _of_receipt(receipt: Receipt) -> tuple[int | None, ...]:
    usage = receipt.usage
    return (
        usage.input_tokens,
        usage.read_tokens,
        usage.written_tokens,
        usage.output_tokens,
    )


def _of_row(row: LedgerRow) -> tuple[int | None, ...]:
    return (
        row.total_input_tokens,
        row.cache_read_input_tokens,
        row.cache_creation_input_tokens,
        row.output_tokens,
    )


def _reasons(receipts: Sequence[Receipt]) -> Iterator[str]:
    """Yield the cause of each miss, `?` for a request that read nothing without one."""
    for receipt in receipts:
        if receipt.misses:
            yield receipt.misses[0].cause
        elif not receipt.usage.read_tokens:
            yield "?"


def _sum(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _mean(times: Sequence[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return sum(known) / len(known) if known else None


if __name__ == "__main__":
    main()
