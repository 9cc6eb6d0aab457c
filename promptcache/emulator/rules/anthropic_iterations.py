"""What the samplings inside of one answer read, write and pay.

A server tool or a compaction makes the provider sample more than once for one request.
Each sampling is an iteration with a bill of its own; the sum of those that wrote the
message is the request's usage. Sources: tool-use-with-prompt-caching and compaction
pages of the documentation, `anthropic` 2.12 `types/beta/beta_usage.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Literal, TypeAlias

from promptcache.emulator.rules.anthropic import Verdict, verdict_on
from promptcache.emulator.rules.anthropic_blocks import Block, is_server_result
from promptcache.emulator.rules.anthropic_entries import Entries, Entry
from promptcache.emulator.rules.anthropic_lookup import InputUsage
from promptcache.emulator.rules.anthropic_markers import (
    Breakpoint,
    breakpoints,
    count_markers,
)
from promptcache.emulator.rules.anthropic_prompt import Prompt, read_prompt
from promptcache.emulator.rules.settings import Settings
from promptcache.emulator.rules.tokens import block_tokens
from promptcache.providers.anthropic.facts import MAX_BREAKPOINTS

__all__ = ["Bill", "Iteration", "bill_of"]

Body: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Iteration:
    """One sampling."""

    kind: Literal["message", "compaction"]
    usage: InputUsage
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Bill:
    """The samplings of one answer, and what the later ones wrote."""

    iterations: tuple[Iteration, ...]
    written: tuple[Entry, ...] = ()

    @property
    def usage(self) -> InputUsage:
        """The input that the answer's usage names: compactions are not in it."""
        return reduce(add, (each.usage for each in self._messages()), InputUsage(0))

    @property
    def output_tokens(self) -> int:
        """The output that the answer's usage names."""
        return sum(each.output_tokens for each in self._messages())

    @property
    def billed(self) -> tuple[InputUsage, int]:
        """Input and output that are paid for, compactions included."""
        inputs = (each.usage for each in self.iterations)
        outputs = sum(each.output_tokens for each in self.iterations)
        return reduce(add, inputs, InputUsage(0)), outputs

    @property
    def started(self) -> InputUsage:
        """What is known when the answer begins: its first sampling."""
        return next((each.usage for each in self._messages()), InputUsage(0))

    def _messages(self) -> Iterator[Iteration]:
        return (each for each in self.iterations if each.kind == "message")


def bill_of(
    body: Body,
    content: Sequence[Block],
    verdict: Verdict,
    entries: Entries,
    *,
    now: float,
    settings: Settings,
    betas: Sequence[str] = (),
) -> Bill:
    """Return the bill of an answer.

    "If the request uses caching, the API places a cache breakpoint on the server tool
    result", always for five minutes; without any `cache_control` it does not.

    Args:
        body: The request.
        content: The blocks of the answer.
        verdict: The judgment on the request.
        entries: What can be found, the request's own writes included.
        now: The start of the request.
        settings: The choices where sources leave a rule open.
        betas: What its `anthropic-beta` header names.
    """
    ends = list(_ends(content))
    if not ends:
        return Bill((Iteration("message", verdict.usage, _output(content)),))
    asked = _points(body, settings, betas)
    known, usage, start = dict(entries), verdict.usage, 0
    iterations, written = list[Iteration](), list[Entry]()
    for end in ends:
        kind = _kind(content[end - 1])
        iterations.append(Iteration(kind, usage, _output(content[start:end])))
        if kind == "compaction" and end == len(content):
            return Bill(tuple(iterations), tuple(written))
        longer = _continued(body, content[:end])
        prompt = read_prompt(longer, settings, betas=betas)
        points = _kept(asked, prompt)
        if kind == "message" and _is_marked(body) and _has_slot(points, settings):
            points = (*points, Breakpoint(len(prompt.positions) - 1, "5m"))
        model = str(body["model"])
        found = verdict_on(
            prompt, points, known, model=model, now=now, settings=settings
        )
        written += found.written
        known.update({entry.key: entry for entry in found.written})
        usage, start = found.usage, end
    iterations.append(Iteration("message", usage, _output(content[start:])))
    return Bill(tuple(iterations), tuple(written))


def _ends(content: Sequence[Block]) -> Iterator[int]:
    """Yield where one sampling ends and another goes on from its result."""
    for index, block in enumerate(content):
        following = content[index + 1] if index + 1 < len(content) else {}
        ends_results = is_server_result(block) and not is_server_result(following)
        if ends_results or block.get("type") == "compaction":
            yield index + 1


def _kind(last: Block) -> Literal["message", "compaction"]:
    return "compaction" if last.get("type") == "compaction" else "message"


def _output(content: Sequence[Block]) -> int:
    """Count what the model wrote; a server tool's result is not its output."""
    return sum(block_tokens(block) for block in content if not is_server_result(block))


def _continued(body: Body, content: Sequence[Block]) -> Body:
    turn = {"role": "assistant", "content": list(content)}
    return {**body, "messages": [*body["messages"], turn]}


def _points(
    body: Body, settings: Settings, betas: Sequence[str]
) -> Mapping[str, Breakpoint]:
    prompt = read_prompt(body, settings, betas=betas)
    points = breakpoints(body, prompt, settings)
    return {prompt.positions[bp.at].path: bp for bp in points}


def _kept(asked: Mapping[str, Breakpoint], prompt: Prompt) -> tuple[Breakpoint, ...]:
    """Return the request's breakpoints where they stand in a longer prompt."""
    return tuple(
        Breakpoint(at, asked[position.path].ttl)
        for at, position in enumerate(prompt.positions)
        if position.path in asked
    )


def _is_marked(body: Body) -> bool:
    return bool(count_markers(body)) or isinstance(body.get("cache_control"), Mapping)


def _has_slot(points: Sequence[Breakpoint], settings: Settings) -> bool:
    return not settings.server_tool_takes_slot or len(points) < MAX_BREAKPOINTS
