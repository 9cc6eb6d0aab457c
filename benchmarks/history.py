"""What a full history costs: memory, what it forgets, and the time of one request.

* bytes a node: all that a history allocates, by the nodes that it may remember, after
  conversations of several shapes have filled it (500,000 of them, and 100 MB, is what
  it is made for).
* a million short conversations: what is left of them.
* second sights lost: conversations that begin with one request each, one after the
  other, and go on in any order when all have begun; the share of those that are not
  known any more.
* ratio: what a history adds to a request (`past` and `record`), as a multiple of the
  SDK's own encoding of its body, in the same run, with an empty and a full history.

Run: python benchmarks/history.py [--json] [--nodes 500000]
"""

import argparse
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from overhead import anthropic_body, anthropic_encode

from promptcache.outline import Blocks, Outline
from promptcache.planning.plan import Plan
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.state.history import DEFAULT_NODES, History

LINEAGES = 100_000
MANY = 1_000_000
REPEATS = 15
TURNS, TURN_TOKENS = 400, 1_000
START = 1e9
SECONDS = 0.01
"""Between two requests."""

Row = dict[str, Any]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows for machines")
    parser.add_argument("--nodes", type=int, default=DEFAULT_NODES, help="the bound")
    given = parser.parse_args()
    rows = list(measured(given.nodes))
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['case']:<58} {row['value']:>12,.3f} {row['unit']}")


def measured(nodes: int) -> Iterator[Row]:
    """Yield a row for each case."""
    part = nodes / DEFAULT_NODES
    for name, count, length in (
        ("long conversations (200 blocks each)", 3_000, 200),
        ("conversations of 20 blocks", 24_000, 20),
        ("short conversations (3 blocks each)", 80_000, 3),
    ):
        tracemalloc.start()
        history = filled(nodes, int(count * part), length)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        yield row(f"bytes a node: {name}", used / nodes, "bytes")
        yield row(f"blocks remembered: {name}", len(history), "blocks")
        del history
    many = len(filled(nodes, int(MANY * part), 3))
    yield row("blocks remembered of a million short conversations", many, "blocks")
    for length in (2, 5, 20):
        lost = lost_share(nodes, int(LINEAGES * part), length)
        name = f"second sights lost, {LINEAGES:,} conversations of {length} blocks"
        yield row(name, lost, "share")
    yield from ratios(nodes, part)


def row(case: str, value: float, unit: str) -> Row:
    """Return a row."""
    return {"case": case, "value": round(value, 4), "unit": unit}


def filled(nodes: int, count: int, length: int) -> History:
    """Return a history that has seen conversations of one request each."""
    history = History(nodes)
    for number in range(count):
        send(history, request(number, length), START + number * SECONDS)
    return history


def lost_share(nodes: int, count: int, length: int) -> float:
    """Return the share of conversations that are forgotten before they go on."""
    history, lost = filled(nodes, count, length), 0
    order = list(range(count))
    Random(0).shuffle(order)  # noqa: S311 - nothing is to be kept secret
    for turn, number in enumerate(order):
        now = START + (count + turn) * SECONDS
        # What a request before has shown: all that this conversation has begun with.
        shared = send(history, request(number, length + 2), now)
        lost += shared < length - 1
    return lost / count


def ratios(nodes: int, part: float) -> Iterator[Row]:
    """Yield how long a request takes, with an empty and with a full history."""
    full = filled(nodes, int(50_000 * part), 20)
    for name, make in (("empty", lambda: History(nodes)), ("full", lambda: full)):
        spent, share = [], []
        for number in range(REPEATS):
            ours, theirs = one_request(make(), number)
            spent.append(ours * 1e3)
            share.append(ours / theirs)
        what = f"a request of {TURNS} turns, {name} history"
        yield row(what, statistics.median(spent), "ms")
        yield row(f"{what}, by the SDK's encoding", statistics.median(share), "ratio")
    yield row("blocks of the full history", len(full), "blocks")


def one_request(history: History, number: int) -> tuple[float, float]:
    """Return what a history adds to a request that goes on, and the SDK's encoding."""
    now = START + 1e6 + number
    before = ANTHROPIC.outline(
        anthropic_body(TURNS - 2, TURN_TOKENS, number), host="anthropic", tenant=None
    )
    send(history, before, now)
    body = anthropic_body(TURNS, TURN_TOKENS, number)
    after = ANTHROPIC.outline(body, host="anthropic", tenant=None)
    theirs = seconds(lambda: anthropic_encode(body))
    return seconds(lambda: send(history, after, now + 1)), theirs


def send(history: History, outline: Outline, now: float) -> int:
    """Have a history see a request; return the last block that it knew."""
    past = history.past(outline, now=now)
    sent = history.record(outline, Plan(), past, now=now)
    history.settle(sent, tokens=outline.total_tokens, read=0, written={})
    return past.shared


def request(number: int, length: int) -> Outline:
    """Return a request of a conversation, behind a head that all share."""
    blocks = Blocks(b"model")
    blocks.add(b"system", 4_000, "text")
    for block in range(length):
        blocks.add(b"%d.%d" % (number, block), 800, "text")
    turns = (1, length)
    return Outline(blocks, length + 1, 0, 1, turns, ("assistant", "user"), {})


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
