"""Whether the emulator agrees with what others have published of caching.

* even: 5m and 1h cost the same when about 3 % of turns follow a pause that only an hour
  bridges.
* no-pause: without pauses, 5m is 15 to 18 % cheaper for a session than 1h.
* billed: what the emulator reads and writes of a recorded session is what its provider
  billed, where each request reads what was cached of the one before.
* shared: of an hour of a chat service's requests, 37 to 40 % of the tokens can be read.

The first two need nothing. `DIR` holds the folders of the others: tracelab_examples
with `round_trace.jsonl`, and mooncake with `conversation_trace.jsonl.gz`.

Run: python benchmarks/checks.py [--data DIR] [--json]
"""

import argparse
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from promptcache.analysis.replay.block_traces import read_mooncake
from promptcache.analysis.replay.choices import choice
from promptcache.analysis.replay.files import lines_of
from promptcache.analysis.replay.judging import BlockJudge
from promptcache.analysis.replay.running import Run
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.stepping import BlockSteps
from promptcache.analysis.replay.traces import Asked, BlockTrace, Session
from promptcache.emulator.rules.settings import Settings
from promptcache.outline import Blocks, Outline
from promptcache.ttl import Ttl

__all__ = ["Check", "billed", "even", "no_pause", "shared"]

MODEL = "claude-sonnet-5"
READ = 0.1
"""Price of a token that is read, in input tokens: that of the published sessions."""

SESSIONS = 10
TURNS = 30
FIRST, ADDED = 157, 10
"""Blocks of a session's first request, and what each turn adds: some 10,000 tokens that
become 30,000, as a job does that works through a list."""

BLOCK = 64
ANSWER = 150
OUTPUT = 5.0
"""Tokens of an answer, and what one costs in input tokens."""

SOON, PAUSE = 30.0, 1200.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was found, beside what is published."""

    name: str
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether it is within what is published."""
        return self.low <= self.value <= self.high


def session(number: int, pauses: Sequence[int]) -> Session:
    """Return a session of turns, some of which follow a pause.

    Args:
        number: What tells it from others.
        pauses: The turns that do.
    """
    trace, at, asked = BlockTrace(BLOCK), 0.0, []
    for turn in range(TURNS):
        at += 0 if not turn else PAUSE if turn in pauses else SOON
        length = FIRST + turn * ADDED
        digests = [b"%d/%d" % (number, it) for it in range(length)]
        outline = trace.outline(
            digests, root=b"checks", tools=20, system=20, answered=turn > 0
        )
        asked.append(Asked(at, outline, length * BLOCK))
    return Session(str(number), asked)


@cache
def cost(policy: str, paused: int, sessions: int = SESSIONS) -> float:
    """Return what sessions cost with their answers, in input tokens.

    Args:
        policy: The lifetime of everything.
        paused: Turns that follow a pause, of all sessions together.
        sessions: How many there are.
    """
    scene = scene_of(MODEL, READ)
    rules = scene.rules
    judge = BlockJudge(Settings(reading="seg"), rules.minimum_tokens)
    taken = choice(policy, rules)
    run = Run(taken, BlockSteps(scene, rules, taken, judge), scene.terms)
    turns = sessions * (TURNS - 1)
    places = {int((it + 0.5) * turns / paused) for it in range(paused)}
    for number in range(sessions):
        first = number * (TURNS - 1)
        own = [it - first + 1 for it in places if 0 <= it - first < TURNS - 1]
        made = session(number, own)
        later = [
            Asked(it.at + number * 1e5, it.prompt, it.total_tokens)
            for it in made.requests
        ]
        run.take(Session(made.name, later))
    answers = sessions * TURNS * ANSWER * OUTPUT
    return sum(it.cost for it in run.each) + answers


def even() -> Check:
    """Return the share of turns after a pause at which both lifetimes cost the same."""

    def lost(paused: int) -> float:
        return cost("5m", paused) - cost("1h", paused)

    turns = SESSIONS * (TURNS - 1)
    above = bisect_left(range(turns // 5), 0.0, lo=1, key=lost)
    low, high = lost(above - 1), lost(above)
    part = -low / (high - low)
    return Check("even", (above - 1 + part) / turns, 0.025, 0.037)


def no_pause() -> Check:
    """Return by how much 5m is cheaper than 1h where nobody pauses."""
    saved = 1 - cost("5m", 0) / cost("1h", 0)
    return Check("no-pause", saved, 0.15, 0.18)


def billed(rows: Sequence[Mapping[str, Any]]) -> Check:
    """Return the share of requests that the emulator bills as their provider did.

    Args:
        rows: What was billed of each request, in order, by session.
    """
    same = 0
    for name in {row["session"] for row in rows}:
        same += sum(_same([row for row in rows if row["session"] == name]))
    return Check("billed", same / len(rows) if rows else 0.0, 1.0, 1.0)


def _same(rows: Sequence[Mapping[str, Any]]) -> Iterator[bool]:
    """Yield whether each request of a session is billed as it was."""
    first = rows[0]["claude_cache_read_input_tokens"]
    ends = [row["input_tokens_total"] - _uncached(row) for row in rows]
    tokens = [first, *ends]
    count = len(tokens)
    blocks = Blocks(
        b"",
        [b"%d" % it for it in range(count)],
        tokens,
        list(range(1, count + 1)),
        ["block"] * count,
        [""] * count,
    )
    judge = BlockJudge(Settings(), 1)
    # What its first request has read was written before the session was recorded.
    made = Outline(blocks, 1, 0, 0, (0,), ("user",), {})
    judge.judge(made, [(0, "5m")], total=first, tenant=None, now=-1.0)
    for number, row in enumerate(rows):
        made = Outline(blocks, number + 2, 0, 0, (0,), ("user",), {})
        found = judge.judge(
            made,
            [(number + 1, "5m")],
            total=row["input_tokens_total"],
            tenant=None,
            now=float(number),
        )
        read, written = (
            row["claude_cache_read_input_tokens"],
            row["claude_cache_creation_input_tokens"],
        )
        yield (found.read, found.written["5m"]) == (read, written)


def _uncached(row: Mapping[str, Any]) -> int:
    return int(row["claude_uncached_input_tokens"])


def shared(path: Path) -> Check:
    """Return the share of a service's tokens that is read where all is kept an hour.

    It is what can be read at all, so each block is marked, more than a request may.

    Args:
        path: A trace of its requests.
    """
    judge = BlockJudge(Settings(lookback=1), 1)
    total = read = 0.0
    for recorded in read_mooncake(path):
        for asked in recorded.requests:
            marks: list[tuple[int, Ttl]] = [
                (it, "1h") for it in range(asked.outline.length)
            ]
            found = judge.judge(
                asked.outline,
                marks,
                total=asked.total_tokens,
                tenant=None,
                now=asked.at,
            )
            total, read = total + found.total, read + found.read
    return Check("shared", read / total if total else 0.0, 0.37, 0.40)


def _with_data(data: Path) -> Iterator[Check]:
    rounds = data / "tracelab_examples" / "round_trace.jsonl"
    yield billed([it for it in lines_of(rounds) if it["provider"] == "claude"])
    yield shared(data / "mooncake")


def main() -> int:
    """Print what was found, and return 1 if something is not as published."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder with the traces")
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    options = parser.parse_args()
    checks = [even(), no_pause(), *(_with_data(options.data) if options.data else ())]
    if options.json:
        rows = [{**asdict(check), "holds": check.holds} for check in checks]
        print(json.dumps(rows, indent=2))
    else:
        for it in checks:
            word = "holds" if it.holds else "DIFFERS"
            print(f"{it.name:9} {it.value:6.1%}  {it.low:.1%} to {it.high:.1%}  {word}")
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())
