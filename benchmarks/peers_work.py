"""Requests to compare tools with: made here, small, and the same on every run.

Each workload is something that applications do, and some are what tools stumble over.
Messages and tools are in the words of Chat Completions, with `cache_control` where the
caller has marked something.
"""

import heapq
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessions import SEED, Gaps, airline, steps

__all__ = ["WORKLOADS", "Ask", "recorded", "spaced"]

Message = Mapping[str, Any]
Timed = Iterator["tuple[float, Ask]"]

_WORDS = """
account agent airport answer amount basket border branch carrier cabin charge client
coupon credit date desk due early entry fare fee flight folder form gate guest hotel
hour invoice item journey key late letter limit list member night notice order owner
page part pass period permit person place policy price proof queue rate reason record
refund region request rule seat season section service share sign source stage station
status step store system table ticket total travel trip upgrade user value visit
voucher waiver week window yard zone
""".split()  # noqa: SIM905  # a list would fill pages
_MINUTE = 60.0
_AFTER_TOOL, _AFTER_TURN = (17.0, 1.0), (194.0, 1.8)
"""Median of a gap in seconds, and the spread of its logarithm, about as recorded
sessions of coding agents have them."""
_LONGEST = 120 * _MINUTE
_SESSIONS, _STEPS, _STEPS_OF_A_TURN = 4, 12, 6
_TALKS, _TURNS = 6, 8
_QUESTIONS, _AT_ONCE = 50, 40
_CALLS_OF_A_STEP = 24
_TOOLS = 8
RECORDED = 20
"""Recorded sessions that are played."""


@dataclass(frozen=True)
class Ask:
    """One request, and how long after the one before it comes."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    gap: float = 0.0
    """In seconds, from start to start."""


class _Writer:
    """Says something else each time, and the same on every run."""

    def __init__(self, name: str) -> None:
        self.rng = random.Random(f"{SEED} {name}")  # noqa: S311  # chance, no secret

    def text(self, words: int) -> str:
        """Return about as many tokens as words."""
        return " ".join(self.rng.choices(_WORDS, k=words)) + "."

    def gap(self, *, ends_turn: bool) -> float:
        """Return the seconds to the next request: people pause, tools seldom do."""
        median, spread = _AFTER_TURN if ends_turn else _AFTER_TOOL
        return min(median * self.rng.lognormvariate(0, spread), _LONGEST)

    def tools(self, number: int, words: int = 120) -> list[Mapping[str, Any]]:
        """Return definitions of tools."""
        return [self._tool(f"tool_{index}", words) for index in range(number)]

    def _tool(self, name: str, words: int) -> Mapping[str, Any]:
        properties = {"id": {"type": "string", "description": self.text(8)}}
        parameters = {"type": "object", "properties": properties, "required": ["id"]}
        function = {
            "name": name,
            "description": self.text(words),
            "parameters": parameters,
        }
        return {"type": "function", "function": function}


def _agent_loop() -> Timed:
    writer = _Writer("agent loop")
    tools, system = writer.tools(_TOOLS), _said("system", writer.text(2000))
    at = 0.0
    for _ in range(_SESSIONS):
        messages = [system, _said("user", writer.text(80))]
        for step in range(_STEPS):
            yield at, Ask([*messages], tools)
            ends_turn = (step + 1) % _STEPS_OF_A_TURN == 0
            at += writer.gap(ends_turn=ends_turn)
            if ends_turn:
                messages += [_said("assistant", writer.text(60))]
                messages += [_said("user", writer.text(40))]
            else:
                messages += _called(writer, calls=1, words=300, step=step)


def _machine_paced() -> Timed:
    """The same agent, and nobody whom it waits for."""
    for number, (_, ask) in enumerate(_agent_loop()):
        yield 15.0 * number, ask


def _chat() -> Timed:
    writer = _Writer("chat")
    system = _said("system", writer.text(1500))
    talks = [
        _talk(writer, system, start=20.0 * number, apart=100.0, turns=_TURNS)
        for number in range(_TALKS)
    ]
    yield from heapq.merge(*talks, key=lambda it: it[0])


def _slow_gaps() -> Timed:
    writer = _Writer("slow gaps")
    system = _said("system", writer.text(3000))
    at = 0.0
    for _, ask in _talk(writer, system, start=0.0, apart=0.0, turns=2 * _TURNS):
        yield at, ask
        at += 20 * _MINUTE


def _rotated_tools() -> Timed:
    writer = _Writer("rotated tools")
    tools = writer.tools(_TOOLS)
    for at, ask in _agent_loop():
        yield at, Ask(ask.messages, writer.rng.sample(tools, k=len(tools)))


def _volatile_system() -> Timed:
    writer = _Writer("volatile system block")
    rules = writer.text(3000)
    for at, ask in _chat():
        now = f"It is {10 + at // 3600:02.0f}:{at % 3600 / 60:05.2f}. {at:.3f}"
        yield at, Ask([_parts("system", rules, now), *ask.messages[1:]])


def _one_shot_tails() -> Timed:
    writer = _Writer("one-shot tails")
    system = _said("system", writer.text(2000))
    for number in range(_QUESTIONS):
        question = f"Case {number}. {writer.text(3000)} What follows?"
        yield 20.0 * number, Ask([system, _said("user", question)])


def _wide_fan_out() -> Timed:
    writer = _Writer("wide fan-out")
    system = _said("system", writer.text(6000))
    for at in (0.0, 2 * _MINUTE):
        for number in range(_AT_ONCE):
            question = f"Part {number} at {at}. {writer.text(400)}"
            yield at, Ask([system, _said("user", question)])


def _wide_steps() -> Timed:
    writer = _Writer("wide steps")
    tools, system = writer.tools(_TOOLS), _said("system", writer.text(2000))
    messages, at = [system, _said("user", writer.text(80))], 0.0
    for step in range(_STEPS):
        yield at, Ask([*messages], tools)
        at += writer.gap(ends_turn=False) + writer.gap(ends_turn=True)
        messages += _called(writer, calls=_CALLS_OF_A_STEP, words=60, step=step)
        messages += [_said("assistant", writer.text(30))]
        messages += [_parts("user", *(writer.text(20) for _ in range(12)))]


def _own_markers() -> Timed:
    """The caller marks the head and the end: what every guide says."""
    for at, ask in _chat():
        yield at, Ask(_with(ask.messages, {0, len(ask.messages) - 1}))


def _own_markers_all() -> Timed:
    """The caller marks the head and the last three questions: all that is allowed."""
    for at, ask in _chat():
        users = [n for n, it in enumerate(ask.messages) if it["role"] == "user"][-3:]
        yield at, Ask(_with(ask.messages, {0, *users}))


def _own_markers_long() -> Timed:
    """The caller wants the end of each request to live for an hour."""
    for at, ask in _chat():
        yield at, Ask(_with(ask.messages, {len(ask.messages) - 1}, ttl="1h"))


def _own_markers_too_many() -> Timed:
    """The caller marks each question, one more with each turn."""
    for at, ask in _chat():
        users = {n for n, it in enumerate(ask.messages) if it["role"] == "user"}
        yield at, Ask(_with(ask.messages, users))


WORKLOADS: Mapping[str, Callable[[], Timed]] = {
    "agent loop": _agent_loop,
    "machine-paced agent": _machine_paced,
    "chat": _chat,
    "slow gaps": _slow_gaps,
    "rotated tools": _rotated_tools,
    "volatile system block": _volatile_system,
    "one-shot tails": _one_shot_tails,
    "wide fan-out": _wide_fan_out,
    "wide steps": _wide_steps,
    "own markers": _own_markers,
    "own markers, all four": _own_markers_all,
    "own markers, 1h at the end": _own_markers_long,
    "own markers, too many": _own_markers_too_many,
}
"""Each yields the moment of a request, in seconds, and the request."""


def recorded(data: Path) -> Timed:
    """Yield requests of recorded sessions; see `sessions.py` for the folders."""
    sessions = airline(data / "tau_bench_airline")[:RECORDED]
    gaps = Gaps(data / "claude_code" / "gap_quantiles.csv")
    for step in steps(sessions, gaps, at_once=4, seed=SEED):
        session = sessions[step.session]
        yield step.at, Ask(session.messages[: step.length], session.tools)


def spaced(timed: Timed) -> Iterator[Ask]:
    """Yield requests with the time since the one before."""
    before = 0.0
    for at, ask in timed:
        yield Ask(ask.messages, ask.tools, at - before)
        before = at


def _talk(
    writer: _Writer,
    system: Message,
    *,
    start: float,
    apart: float,
    turns: int,
) -> Timed:
    at, messages = start, [system]
    for _ in range(turns):
        messages = [*messages, _said("user", writer.text(60))]
        yield at, Ask(messages)
        messages = [*messages, _said("assistant", writer.text(200))]
        at += writer.rng.uniform(0.2, 2.0) * apart


def _called(writer: _Writer, *, calls: int, words: int, step: int) -> list[Message]:
    """Return an answer that calls tools, and what they said."""
    ids = [f"call_{step}_{index}" for index in range(calls)]
    called = [
        {
            "id": name,
            "type": "function",
            "function": {
                "name": f"tool_{index % _TOOLS}",
                "arguments": json.dumps({"id": writer.text(3)}),
            },
        }
        for index, name in enumerate(ids)
    ]
    said: list[Message] = [{"role": "assistant", "content": "", "tool_calls": called}]
    return said + [
        {"role": "tool", "tool_call_id": name, "content": writer.text(words)}
        for name in ids
    ]


def _said(role: str, text: str) -> Message:
    return {"role": role, "content": text}


def _parts(role: str, *texts: str) -> Message:
    return {"role": role, "content": [{"type": "text", "text": it} for it in texts]}


def _marked(message: Message, ttl: str | None = None) -> Message:
    marker = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    block = {"type": "text", "text": message["content"], "cache_control": marker}
    return {"role": message["role"], "content": [block]}


def _with(
    messages: Sequence[Message], marked: AbstractSet[int], ttl: str | None = None
) -> list[Message]:
    return [
        _marked(it, ttl) if number in marked else it
        for number, it in enumerate(messages)
    ]
