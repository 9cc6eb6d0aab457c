"""What recorded sessions of agents with tools cost under each policy.

Sessions are played again through LangChain's chat model on the embedded emulator: what
the agent said is put into the history as it was recorded. A few users play at a time,
each one session after the other. Text traces have no times, so the gap to the next
request is drawn by what ended the answer: a tool call, or the end of the turn. The same
requests come at the same moments under each policy.

`DIR` holds one of these folders, or more:
* tau_bench_airline: `tools.json`, a list of tools as Chat Completions take them, and
  `trajectories.jsonl.gz`, with `messages` in each line;
* bfcl: `tools.json`, such lists by name, and `base.jsonl.gz`, with `messages` and
  `involved_classes`, the names of a session's lists;
* claude_code: `gap_quantiles.csv`, with a quantile of the gaps in each line.

The bill is in input tokens: 1 for one that is neither read nor written, 1.25 for one
written for five minutes, 2 for one written for an hour, and the model's own share for
one read; in all it is relative to not caching.

Run: python benchmarks/sessions.py --data DIR [--gaps FILE] [--json]
"""

import argparse
import csv
import gzip
import heapq
import json
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from anthropic import BadRequestError
from langchain_core.messages import convert_to_messages
from langchain_core.runnables import Runnable

from langchain_promptcache import PromptCachedChatAnthropic
from promptcache import Policy, PromptCache
from promptcache.emulator import Emulator, LedgerRow, Settings

__all__ = ["MODEL", "Gaps", "Session", "Step", "airline", "bfcl", "bill", "steps"]

MODEL = "claude-sonnet-5-5"
READ, WRITTEN_5M, WRITTEN_1H = 0.05, 1.25, 2.0
"""Prices of a token read or written, in input tokens. Source: `genai-prices` 0.2.3."""
OK = 200
SEED = 20261122
AT_ONCE = 4

POLICIES: Mapping[str, Policy] = {
    "auto": Policy.auto(),
    "5m tail": Policy.fixed(tools="5m", system="5m", history="5m", tail="5m"),
    "1h everywhere": Policy.fixed(tools="1h", system="1h", history="1h", tail="1h"),
    "1h head, 5m tail": Policy.fixed(tools="1h", system="1h", history="5m", tail="5m"),
    "system and tools": Policy.fixed(tools="1h", system="1h", history=None, tail=None),
    "none": Policy.off(),
}
READINGS = ("seg", "ent")
"""What the emulator takes a long breakpoint after a short entry to protect."""

JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
"""Names of types that are no words of JSON Schema."""


@dataclass(frozen=True)
class Session:
    """A recorded conversation, in the words of Chat Completions."""

    tools: Sequence[Mapping[str, Any]]
    messages: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Step:
    """One request of a session."""

    at: float
    """In seconds since the first one of all."""
    session: int
    length: int
    """How many messages stand before the answer."""


class Gaps:
    """The time from the start of a request to that of the next one."""

    def __init__(self, file: Path) -> None:
        """Read a table of quantiles, after tool calls and after ends of turns."""
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [[float(value) for value in row] for row in [*csv.reader(lines)][1:]]
        self._shares, *self._seconds = zip(*rows, strict=True)

    def drawn(self, rng: random.Random, *, ends_turn: bool) -> float:
        """Return a gap in seconds."""
        share, seconds = rng.random(), self._seconds[ends_turn]
        above = bisect_right(self._shares, share)
        low, high = self._shares[above - 1], self._shares[above]
        part = (share - low) / (high - low)
        return float(seconds[above - 1] + part * (seconds[above] - seconds[above - 1]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each workload, reading and policy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="has the folders")
    parser.add_argument("--gaps", type=Path, help="another table of gaps")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="users at a time")
    parser.add_argument("--seed", type=int, default=SEED, help="of the gaps")
    parser.add_argument("--json", action="store_true", help="rows for machines")
    chosen = parser.parse_args(arguments)
    table = chosen.gaps or chosen.data / "claude_code" / "gap_quantiles.csv"
    rows = measured(chosen.data, Gaps(table), at_once=chosen.at_once, seed=chosen.seed)
    if chosen.json:
        print(json.dumps(list(rows), indent=2))
        return
    print(
        f"{'workload':<18} {'reading':<8} {'policy':<17} {'requests':>8} {'read':>7} "
        f"{'bill':>7} {'refused':>8}"
    )
    for row in rows:
        print(
            f"{row['workload']:<18} {row['reading']:<8} {row['policy']:<17} "
            f"{row['requests']:>8} {row['read_share']:>7.1%} {row['bill']:>7.4f} "
            f"{row['refused']:>8}"
        )


def measured(
    data: Path, gaps: Gaps, *, at_once: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows, one after the other."""
    readers: dict[str, Callable[[Path], list[Session]]] = {
        "tau_bench_airline": airline,
        "bfcl": bfcl,
    }
    for workload, read in readers.items():
        if not (data / workload).is_dir():
            continue
        sessions = read(data / workload)
        played = [*steps(sessions, gaps, at_once=at_once, seed=seed)]
        fixed: dict[str, dict[str, Any]] = {}
        for reading in READINGS:
            for name, policy in POLICIES.items():
                # No lifetime of a fixed policy comes after a shorter one, so what it
                # costs does not hang on the reading.
                figures = fixed.get(name)
                if figures is None:
                    figures = row(_ledger(sessions, played, policy, reading))
                if name != "auto":
                    fixed[name] = figures
                named = {"workload": workload, "reading": reading, "policy": name}
                yield named | figures


def airline(folder: Path) -> list[Session]:
    """Return sessions that share all their tools."""
    tools = json.loads((folder / "tools.json").read_text(encoding="utf-8"))
    lines = _lines(folder / "trajectories.jsonl.gz")
    return [Session(tools, [*_renamed(line["messages"])]) for line in lines]


def bfcl(folder: Path) -> list[Session]:
    """Return sessions that have some of several lists of tools each."""
    lists = json.loads((folder / "tools.json").read_text(encoding="utf-8"))
    lists = {name: [*map(_tool, tools)] for name, tools in lists.items()}
    return [
        Session(
            [tool for name in line["involved_classes"] for tool in lists[name]],
            line["messages"],
        )
        for line in _lines(folder / "base.jsonl.gz")
    ]


def steps(
    sessions: Sequence[Session], gaps: Gaps, *, at_once: int, seed: int
) -> Iterator[Step]:
    """Yield the requests in the order in which they come."""
    rng = random.Random(seed)  # noqa: S311  # chance, no secret
    waiting = [(number, requests(it)) for number, it in enumerate(sessions)][::-1]
    going: list[tuple[float, int, Iterator[tuple[int, bool]]]] = []
    for _ in range(min(at_once, len(waiting))):
        number, rest = waiting.pop()
        heapq.heappush(going, (gaps.drawn(rng, ends_turn=True), number, rest))
    while going:
        at, number, rest = heapq.heappop(going)
        step = next(rest, None)
        if step is not None:
            length, ends_turn = step
            yield Step(at, number, length)
            gap = gaps.drawn(rng, ends_turn=ends_turn)
            heapq.heappush(going, (at + gap, number, rest))
        elif waiting:
            number, rest = waiting.pop()
            heapq.heappush(going, (at, number, rest))


def requests(session: Session) -> Iterator[tuple[int, bool]]:
    """Yield how much stood before each answer, and whether that ended the turn."""
    for index, message in enumerate(session.messages):
        if message["role"] == "assistant":
            yield index, not message.get("tool_calls")


def row(ledger: Iterable[LedgerRow]) -> dict[str, Any]:
    """Return what all requests came to."""
    rows = [*ledger]
    answered = [it for it in rows if it.status == OK]
    total = sum(it.total_input_tokens for it in answered)
    read = sum(it.cache_read_input_tokens for it in answered)
    return {
        "requests": len(rows),
        "read_share": round(read / total, 4),
        "bill": round(sum(map(bill, answered)) / total, 4),
        "refused": len(rows) - len(answered),
    }


def bill(request: LedgerRow) -> float:
    """Return what a request came to, in input tokens."""
    return (
        request.input_tokens
        + READ * request.cache_read_input_tokens
        + WRITTEN_5M * request.cache_creation_5m_input_tokens
        + WRITTEN_1H * request.cache_creation_1h_input_tokens
    )


def _ledger(
    sessions: Sequence[Session], played: Iterable[Step], policy: Policy, reading: Any
) -> list[LedgerRow]:
    """Return the provider's account of all requests under a policy."""
    messages = [convert_to_messages(session.messages) for session in sessions]
    agents: dict[int, Runnable[Any, Any]] = {}
    with Emulator(settings=Settings(reading=reading)) as emulator:
        model = PromptCachedChatAnthropic(
            model=MODEL,
            base_url=emulator.url,
            api_key="any",
            max_retries=0,
            prompt_cache=PromptCache(policy=policy, clock=emulator.clock, strict=True),
        )
        now = 0.0
        for step in played:
            emulator.clock.advance(step.at - now)
            now, number = step.at, step.session
            if number not in agents:
                agents[number] = model.bind_tools(sessions[number].tools)
            try:
                agents[number].invoke(messages[number][: step.length])
            except BadRequestError:
                continue  # the ledger has it
        return emulator.ledger


def _lines(file: Path) -> list[Any]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _renamed(messages: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield messages whose tool calls have ids of their own.

    Some recorded ids come twice in a session, which Anthropic refuses.
    """
    names: dict[str, str] = {}
    numbers = count(1)
    for message in messages:
        if message["role"] == "tool":
            yield {**message, "tool_call_id": names[message["tool_call_id"]]}
            continue
        calls = message.get("tool_calls") or ()
        names |= {call["id"]: f"call_{next(numbers)}" for call in calls}
        renamed = [{**call, "id": names[call["id"]]} for call in calls]
        yield {**message, "tool_calls": renamed} if calls else message


def _tool(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool as Chat Completions take it."""
    kept = {name: told[name] for name in ("name", "description")}
    parameters = _schema(told["parameters"])
    return {"type": "function", "function": {**kept, "parameters": parameters}}


def _schema(told: Any) -> Any:
    if isinstance(told, list):
        return [_schema(it) for it in told]
    if not isinstance(told, dict):
        return told
    made = {name: _schema(value) for name, value in told.items()}
    if isinstance(told.get("type"), str):
        made["type"] = JSON_TYPES.get(told["type"], told["type"])
    return made


if __name__ == "__main__":
    main()
