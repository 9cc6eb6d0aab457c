"""What a call takes with the plain class and with ours, side by side in one run.

Both classes ask an emulator on this machine the same questions, by turns; the emulator
answers at once, so that what is left of a call is the framework, the SDK, HTTP and us.
The difference of the two is what we add; a real answer takes a thousand times as long.

Run: python benchmarks/latency.py [--calls 1000] [--json]
"""

import argparse
import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

from langchain_promptcache import (
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)
from promptcache import PromptCache
from promptcache.emulator import Emulator

CALLS = 1_000
WARM = 20
SYSTEM = "You are a careful clerk of a railway museum. " * 560
TURNS = 10

Asked = list[tuple[str, str]]
Way = Callable[[Any, Asked], Awaitable[object]]


def main() -> None:
    """Print a row for each class and way to call it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="of each class")
    parser.add_argument("--json", action="store_true", help="rows for machines")
    given = parser.parse_args()
    with Emulator() as emulator:
        rows = asyncio.run(measured(emulator, given.calls))
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    names = ("plain_p50_ms", "ours_p50_ms", "plain_p99_ms", "ours_p99_ms")
    print(f"{'provider':<10} {'way':<8}", *(f"{it:>13}" for it in names), "  p50   p99")
    for row in rows:
        shown = (f"{row[it]:>13.2f}" for it in names)
        ratios = (f"{row[it]:>5.2f}" for it in ("p50_ratio", "p99_ratio"))
        print(f"{row['provider']:<10} {row['way']:<8}", *shown, *ratios)


async def measured(emulator: Emulator, calls: int) -> list[dict[str, Any]]:
    """Return a row for each class and way."""
    rows = []
    for provider, make in MODELS.items():
        cache = PromptCache(store="memory:", clock=emulator.clock)
        pair = (make(emulator.url, None), make(emulator.url, cache))
        for way, call in WAYS.items():
            times: tuple[list[float], list[float]] = ([], [])
            for number in range(calls + WARM):
                for kind in (0, 1) if number % 2 else (1, 0):
                    took = await seconds(call, pair[kind], asked(number))
                    if number >= WARM:
                        times[kind].append(took)
            rows.append(row(provider, way, *times))
        await asyncio.to_thread(cache.close)
    return rows


def row(
    provider: str, way: str, plain: list[float], ours: list[float]
) -> dict[str, Any]:
    """Return what was measured, in milliseconds, and ours as a multiple of theirs."""
    found: dict[str, Any] = {"provider": provider, "way": way, "calls": len(plain)}
    for name, percent in (("p50", 50), ("p99", 99)):
        theirs, mine = percentile(plain, percent), percentile(ours, percent)
        found[f"plain_{name}_ms"] = round(theirs * 1e3, 3)
        found[f"ours_{name}_ms"] = round(mine * 1e3, 3)
        found[f"{name}_ratio"] = round(mine / theirs, 3)
    return found


def percentile(times: list[float], percent: int) -> float:
    """Return what so many of a hundred calls took at most."""
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


async def seconds(call: Way, model: Any, messages: Asked) -> float:
    """Return how long one call takes, without Python's collector in between."""
    gc.disable()
    try:
        begun = time.perf_counter()
        await call(model, messages)
        return time.perf_counter() - begun
    finally:
        gc.enable()


def asked(number: int) -> Asked:
    """Return a conversation: each goes on for some turns, and then another begins."""
    turns = range(2 * (number % TURNS) + 1)
    said = [f"Turn {turn} of conversation {number // TURNS}." for turn in turns]
    roles = ("human", "ai")
    return [("system", SYSTEM), *((roles[at % 2], it) for at, it in enumerate(said))]


async def _invoke(model: Any, messages: Asked) -> object:
    return model.invoke(messages)


async def _ainvoke(model: Any, messages: Asked) -> object:
    return await model.ainvoke(messages)


async def _stream(model: Any, messages: Asked) -> object:
    return list(model.stream(messages))


WAYS: dict[str, Way] = {"invoke": _invoke, "ainvoke": _ainvoke, "stream": _stream}


def _anthropic(url: str, cache: PromptCache | None) -> Any:
    given: dict[str, Any] = {"model": "claude-sonnet-5-5", "api_key": "any"}
    given |= {"base_url": url, "max_tokens": 64}
    if cache is None:
        return ChatAnthropic(**given)
    return PromptCachedChatAnthropic(prompt_cache=cache, **given)


def _openai(url: str, cache: PromptCache | None) -> Any:
    given: dict[str, Any] = {"model": "gpt-6.1-sol", "api_key": "any"}
    given |= {"base_url": f"{url}/v1", "stream_usage": True}
    if cache is None:
        return ChatOpenAI(**given)
    return PromptCachedChatOpenAI(prompt_cache=cache, **given)


def _google(url: str, cache: PromptCache | None) -> Any:
    given: dict[str, Any] = {"model": "gemini-3.8-flash", "api_key": "any"}
    given |= {"base_url": url}
    if cache is None:
        return ChatGoogleGenerativeAI(**given)
    return PromptCachedChatGoogleGenerativeAI(prompt_cache=cache, **given)


MODELS: dict[str, Callable[[str, PromptCache | None], Any]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "google": _google,
}


if __name__ == "__main__":
    main()
