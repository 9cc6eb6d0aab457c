"""Memory over many requests through `prepare` and `settle`, and where it stays.

Of every two requests one is a prompt of its own and one goes on in one of many
conversations, by turns with Anthropic, OpenAI and Gemini. At each step this prints what
the process holds, what Python has allocated (with `--trace`), and how many blocks of
prompts, footprints and objects the cache holds.

Run: python benchmarks/memory.py [--requests 200000] [--steps 10] [--trace] [--json]
"""

import argparse
import gc
import json
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from promptcache import MemoryStore, PromptCache, options
from promptcache.providers import Provider, Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.gemini import GEMINI
from promptcache.providers.openai import CHAT

REQUESTS, STEPS = 200_000, 10
TALKS, TURNS = 2_000, 12
SECONDS = 0.05
"""Between two requests."""

START = 1_795_000_000.0
WORDS = 60
"""In each block: what counts is how many blocks there are, not how long they are."""

Row = dict[str, Any]
Body = dict[str, Any]


class Passing:
    """A clock on which each request comes a little later than the one before."""

    def __init__(self) -> None:
        """Begin."""
        self.time = START

    def now(self) -> float:
        """Return UTC seconds."""
        return self.time

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


def main() -> None:
    """Print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--trace", action="store_true", help="ask tracemalloc: slower")
    parser.add_argument("--json", action="store_true", help="rows for machines")
    given = parser.parse_args()
    if given.trace:
        tracemalloc.start()
    rows = []
    for row in measured(given.requests, given.steps):
        rows.append(row)
        if not given.json:
            print_row(row, is_first=len(rows) == 1)
    if given.json:
        print(json.dumps(rows, indent=2))


def measured(requests: int, steps: int) -> Iterator[Row]:
    """Yield what is held after each step."""
    clock = Passing()
    cache = PromptCache(store=MemoryStore(), clock=clock)
    begun = time.process_time()
    for step in range(steps):
        each = requests // steps
        send(cache, clock, range(step * each, (step + 1) * each))
        gc.collect()
        traced = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
        yield {
            "requests": (step + 1) * each,
            "rss_mb": round(resident_mb(), 1),
            "traced_mb": round(traced / 1e6, 1) or None,
            "objects": held(cache),
            **sizes(cache),
            "cpu_s": round(time.process_time() - begun, 1),
        }


def send(cache: PromptCache, clock: Passing, numbers: range) -> None:
    """Have requests planned and settled, as seams do."""
    for number in numbers:
        clock.time += SECONDS
        provider, host, body, reported = request(number)
        with options(tenant=f"tenant {number % 20}", gemini_caches=False):
            prepared = cache.prepare(Request(provider, body, host))
            cache.settle(prepared, reported, message_id=f"msg_{number}")


def request(number: int) -> tuple[Provider, str, Body, Body]:
    """Return a request by its number, with the usage that it is answered with."""
    wire, index = number % 3, number // 3
    if index % 2:
        texts = [f"A prompt of its own, {number}. " + "word " * WORDS]
    else:
        talk, turn = index // 2 % TALKS, index // 2 // TALKS
        # The next conversation of this number begins where one was long enough.
        name = f"{talk}.{turn // TURNS}"
        said = range(2 * (turn % TURNS) + 1)
        texts = [f"Turn {it} of {name}. " + "word " * WORDS for it in said]
    system = f"You are clerk {number % 20}. " + "word " * 20 * WORDS
    return (anthropic, openai, gemini)[wire](system, texts)


def anthropic(system: str, texts: list[str]) -> tuple[Provider, str, Body, Body]:
    """Return a request to Anthropic."""
    roles = ("user", "assistant")
    body = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 9,
        "system": system,
        "messages": [
            {"role": roles[at % 2], "content": it} for at, it in enumerate(texts)
        ],
    }
    reported = {
        "input_tokens": 9,
        "cache_read_input_tokens": 1200,
        "cache_creation_input_tokens": 60,
        "output_tokens": 9,
    }
    return ANTHROPIC, "anthropic", body, reported


def openai(system: str, texts: list[str]) -> tuple[Provider, str, Body, Body]:
    """Return a request to OpenAI."""
    roles = ("user", "assistant")
    said = [{"role": roles[at % 2], "content": it} for at, it in enumerate(texts)]
    body = {
        "model": "gpt-6.1-sol",
        "messages": [{"role": "system", "content": system}, *said],
    }
    reported = {
        "prompt_tokens": 1300,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 1152},
    }
    return CHAT, "openai", body, reported


def gemini(system: str, texts: list[str]) -> tuple[Provider, str, Body, Body]:
    """Return a request to Gemini."""
    roles = ("user", "model")
    body = {
        "model": "gemini-3.8-flash",
        "systemInstruction": {"parts": [{"text": system}]},
        "contents": [
            {"role": roles[at % 2], "parts": [{"text": it}]}
            for at, it in enumerate(texts)
        ],
    }
    reported = {"promptTokenCount": 1300, "candidatesTokenCount": 9}
    return GEMINI, "developer", body, reported


def sizes(cache: PromptCache) -> Row:
    """Return how many blocks and footprints are remembered."""
    return {
        "nodes": len(cache._planner.history),  # noqa: SLF001 - no public place
        "footprints": len(cache._settling.footprints),  # noqa: SLF001 - likewise
    }


def held(cache: PromptCache) -> int:
    """Return how many objects a cache holds, whatever for."""
    seen = {id(cache)}
    reached, objects = [cache], 0
    while reached:
        found = []
        for thing in gc.get_referents(*reached):
            if id(thing) in seen or isinstance(thing, (ModuleType, type, FunctionType)):
                continue
            seen.add(id(thing))
            found.append(thing)
        objects += len(found)
        reached = found
    return objects


def resident_mb() -> float:
    """Return the memory of this process; the most there was, where none tells."""
    status = Path("/proc/self/statm")
    if status.exists():
        pages = int(status.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def print_row(row: Row, *, is_first: bool) -> None:
    """Print a row for people."""
    if is_first:
        print(" ".join(f"{name:>11}" for name in row))
    shown = ("-" if it is None else f"{it:,}" for it in row.values())
    print(" ".join(f"{it:>11}" for it in shown), flush=True)


if __name__ == "__main__":
    main()
