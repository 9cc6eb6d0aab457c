"""What the same requests cost with other tools for prompt caching, and with this one.

Each tool plans them with its own code, against the embedded emulator:
* promptcache: LangChain's agent with our chat model, policy `auto`;
* langchain: the same agent with `AnthropicPromptCachingMiddleware`;
* litellm: `cache_control_injection_points` at tools, system prompt and last message;
* llama-index: the keyword `cache_control`, which is automatic caching;
* llama-index cache_idx: a breakpoint in each message up to the last.

The bill is in input tokens: 1 for one that is neither read nor written, 1.25 for one
written for five minutes, 2 for one written for an hour, and the model's own share for
one read. In all it is relative to the same requests without caching. A request that is
refused has no bill: where there are any, a tool's bill is that of the others, and none
at all if nothing was answered.

It needs an environment of its own: pip install 'promptcache[peers]'

Run: python benchmarks/peers.py [--data DIR] [--only WORKLOAD] [--json]
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peers_langchain
import peers_litellm
import peers_llamaindex
from peers_work import WORKLOADS, Ask, recorded, spaced
from sessions import OK, READINGS, bill

from promptcache.emulator import Emulator, LedgerRow, Settings

RECORDED = "tau_bench_airline"

Send = Callable[[Ask], object]


@dataclass(frozen=True)
class Peer:
    """A tool, as one uses it."""

    package: str
    prepared: Callable[[Emulator], Send]


PEERS: Mapping[str, Peer] = {
    "promptcache": Peer("promptcache", peers_langchain.promptcache),
    "langchain": Peer("langchain-anthropic", peers_langchain.langchain),
    "litellm": Peer("litellm", peers_litellm.inject),
    "llama-index": Peer("llama-index-llms-anthropic", peers_llamaindex.automatic),
    "llama-index cache_idx": Peer(
        "llama-index-llms-anthropic", peers_llamaindex.marked
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each workload and tool."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folders of recorded sessions")
    parser.add_argument("--only", action="append", help="a workload; may come again")
    parser.add_argument(
        "--reading", choices=READINGS, default="ent", help="of 1h on 5m"
    )
    parser.add_argument("--json", action="store_true", help="rows for machines")
    chosen = parser.parse_args(arguments)
    workloads = dict(WORKLOADS)
    if chosen.data is not None:
        workloads[RECORDED] = lambda: recorded(chosen.data)
    named = chosen.only or [*workloads]
    unknown = [name for name in named if name not in workloads]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}: it is one of {', '.join(workloads)}")
    rows = (
        row
        for name in named
        for row in measured(name, [*spaced(workloads[name]())], chosen.reading)
    )
    if chosen.json:
        print(json.dumps(list(rows), indent=2))
        return
    print(f"{'workload':<27} {'peer':<22} {'version':<9} {'bill':>7} {'refused':>8}")
    for row in rows:
        print(
            f"{row['workload']:<27} {row['peer']:<22} {row['version']:<9} "
            f"{_shown(row['bill']):>7} {row['refused_requests']:>8}"
        )


def measured(
    workload: str, asks: Sequence[Ask], reading: Any
) -> Iterator[dict[str, Any]]:
    """Yield a row for each tool."""
    for name, peer in PEERS.items():
        ledger = _ledger(asks, peer.prepared, reading)
        answered = [row for row in ledger if row.status == OK]
        without = sum(row.total_input_tokens for row in answered)
        yield {
            "workload": workload,
            "peer": name,
            "version": version(peer.package),
            # Unknown is not zero.
            "bill": round(sum(map(bill, answered)) / without, 4) if without else None,
            "refused_requests": len(ledger) - len(answered),
        }


def _ledger(
    asks: Sequence[Ask], prepared: Callable[[Emulator], Send], reading: Any
) -> list[LedgerRow]:
    """Return the provider's account of all requests."""
    with Emulator(settings=Settings(reading=reading)) as emulator:
        send, seen = prepared(emulator), 0
        for ask in asks:
            emulator.clock.advance(ask.gap)
            # What was really said is in the history of the next request.
            emulator.answers.push("Done.")
            try:
                send(ask)
            except Exception:
                # Each tool has errors of its own; the ledger knows a refusal.
                rows = emulator.ledger[seen:]
                if not rows or rows[-1].status == OK:
                    raise
            seen = len(emulator.ledger)
        return emulator.ledger


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.4f}"


if __name__ == "__main__":
    main()
