"""A trace, played through under several policies at once.

Rule 1: the same trace under the same policy gives the same row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast, get_args

from promptcache.analysis.replay.block_traces import read_claude_code, read_mooncake
from promptcache.analysis.replay.bodies import to_anthropic, to_openai
from promptcache.analysis.replay.choices import (
    HINDSIGHT,
    OPTIMUM,
    RECORDED,
    Choice,
    choice,
    hindsights,
    usual,
)
from promptcache.analysis.replay.gaps import Gaps
from promptcache.analysis.replay.judging import (
    EVERYWHERE,
    AnthropicJudge,
    BlockJudge,
    BodyJudge,
    OpenAIJudge,
)
from promptcache.analysis.replay.messages import read_messages
from promptcache.analysis.replay.optimum import Optimum
from promptcache.analysis.replay.pacing import Pace, Slice, laid
from promptcache.analysis.replay.receipts import Receipts
from promptcache.analysis.replay.running import Row, Run, best, optimal
from promptcache.analysis.replay.scene import Scene
from promptcache.analysis.replay.stepping import (
    BlockSteps,
    BodySteps,
    PlainSteps,
    RecordedSteps,
    Steps,
)
from promptcache.analysis.replay.traces import Asked, Session, UnreadableTraceError
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings
from promptcache.errors import OptionError
from promptcache.planning.policies import Policy

__all__ = ["FORMATS", "Format", "Reading", "Replay"]

Format = Literal["claude-code", "mooncake", "messages", "receipts"]
Reading = Literal["seg", "ent"]
FORMATS: Final = get_args(Format)

_Positions: TypeAlias = Callable[
    [Asked], tuple[Sequence[bytes], Sequence[float], float, bytes]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is replayed, and how."""

    path: Path
    form: Format
    scene: Scene
    policies: Sequence[str] = ()
    """None: `auto` beside the fixed ones."""
    reading: Reading = "seg"
    knows_reading: bool = False
    keep_warm: bool = False
    warmup: float = 0.0
    pace: Pace = "recorded"
    mixed: bool = False
    by_tenant: bool = False
    part: Slice = "all"
    gaps: Path | None = None
    notes: list[str] = field(default_factory=list)
    """What a reader of the rows should know, once they were made."""

    def rows(self) -> list[Row]:
        """Play it through, and return a row for each policy.

        Raises:
            OptionError: A policy or an option is not allowed here.
            UnreadableTraceError: The trace cannot be read.
        """
        self._check()
        names = list(dict.fromkeys(self.policies or self._usual()))
        runs = {name: self._run(it) for name in names if (it := self._choice(name))}
        in_hindsight = self._in_hindsight() if HINDSIGHT in names else []
        for it in in_hindsight:
            runs.setdefault(it.name, self._run(it))
        plain = runs.get("none") or next(iter(runs.values()), None)
        if plain is None:
            plain = runs["none"] = self._run(choice("none", self.scene.rules))
        rules = self.scene.rules
        optimum = Optimum(
            self.scene.lives(keeps=self.reading == "ent"),
            rules.read,
            minimum=rules.minimum_tokens,
            pings=self.keep_warm,
        )
        positions = self._positions()
        for session in self._laid():
            try:
                for asked in session.requests:
                    keys, tokens, whole, root = positions(asked)
                    optimum.add(
                        keys,
                        tokens,
                        total=whole,
                        now=asked.at,
                        counts=asked.at >= self.warmup,
                        root=root,
                    )
                for run in runs.values():
                    run.take(session)
            except (RejectedError, OpenAIRejectedError) as error:
                raise UnreadableTraceError(
                    f"A request of {session.name} would be refused: {error}"
                ) from error
        reached = optimal(plain.each, optimum)
        if reached.bill is None:
            self.notes.append("There is no request to bill.")
        made = {name: run.row(reached.bill) for name, run in runs.items()}
        made[OPTIMUM] = reached
        if in_hindsight:
            alike = [runs[it.name] for it in in_hindsight]
            made[HINDSIGHT] = best(alike, reached.bill)
        return [made[name] for name in names]

    @property
    def _is_text(self) -> bool:
        return self.form == "messages"

    def _check(self) -> None:
        whose = self.scene.provider.name
        if not self._is_text and whose != "anthropic":
            allowed = "a model of Anthropic's, whose rules judge blocks and receipts"
            raise OptionError("--model", self.scene.model, allowed)
        if self.by_tenant and not self.mixed:
            raise OptionError("--tenant-key", "given", "used with --mix")
        if not self.scene.known:
            self.notes.append(
                f"{self.scene.model} is not known: the most cautious rules stand in."
            )

    def _usual(self) -> tuple[str, ...]:
        names = usual(self.scene.rules, keep_warm=self.keep_warm)
        if self.form == "receipts":
            # Receipts do not say how long a head is.
            return (*(it for it in names if it != "head"), RECORDED)
        return names

    def _in_hindsight(self) -> list[Choice]:
        found = hindsights(self.scene.rules, keep_warm=self.keep_warm)
        return [it for it in found if it.name != "head" or self.form != "receipts"]

    def _choice(self, name: str) -> Choice | None:
        if name in (HINDSIGHT, OPTIMUM):
            return None
        if self.form == "receipts":
            if name == RECORDED:
                return Choice(RECORDED, Policy.off())
            if name == "head":
                allowed = "another one: receipts do not say how long a head is"
                raise OptionError("--policy", name, allowed)
        return choice(name, self.scene.rules, keep_warm=self.keep_warm)

    def _run(self, it: Choice) -> Run:
        return Run(it, self._steps(it), self.scene.terms, self.warmup)

    def _steps(self, it: Choice) -> Steps:
        if it.name == RECORDED:
            return RecordedSteps()
        if it.name == "none":
            return PlainSteps(self._judge() if self._is_text else None)
        scene = self.scene
        made: BlockSteps | BodySteps
        if self._is_text:
            made = BodySteps(scene, it, self._judge())
        else:
            settings = Settings(reading=self.reading, lookback=EVERYWHERE)
            rules = replace(scene.rules, lookback=EVERYWHERE)
            judge = BlockJudge(settings, rules.minimum_tokens)
            made = BlockSteps(scene, rules, it, judge)
        if self.knows_reading:
            made.history.know(scene.where, keeps=self.reading == "ent")
        return made

    def _judge(self) -> BodyJudge:
        minimum = self.scene.rules.minimum_tokens
        if self.scene.provider.name == "openai":
            return OpenAIJudge(OpenAISettings())
        return AnthropicJudge(Settings(reading=self.reading, minimum_tokens=minimum))

    def _positions(self) -> _Positions:
        """Return what tells the prefixes of a request, for the optimum."""
        if not self._is_text:
            return _of_blocks
        judge = self._judge()

        def of_body(
            asked: Asked,
        ) -> tuple[Sequence[bytes], Sequence[float], float, bytes]:
            return (*judge.positions(asked.body), (asked.tenant or "").encode())

        return of_body

    def _laid(self) -> Iterator[Session]:
        return laid(
            self._sessions(),
            pace=self.pace,
            mixed=self.mixed,
            by_tenant=self.by_tenant,
            part=self.part,
        )

    def _sessions(self) -> Iterable[Session]:
        model = self.scene.model
        match self.form:
            case "claude-code":
                return read_claude_code(self.path)
            case "mooncake":
                return read_mooncake(self.path)
            case "messages":
                is_openai = self.scene.provider.name == "openai"
                to_body = to_openai(model) if is_openai else to_anthropic(model)
                return read_messages(
                    self.path, to_body=to_body, gaps=Gaps.of(self.gaps)
                )
            case "receipts":
                return self._receipts()

    def _receipts(self) -> Iterator[Session]:
        receipts = Receipts(self.path)
        yield from receipts.sessions()
        if receipts.left_out:
            self.notes.append(
                f"{receipts.left_out:,} receipts were left out: they name no "
                "conversation, lack a count or sum several requests up."
            )


def _of_blocks(asked: Asked) -> tuple[Sequence[bytes], Sequence[float], float, bytes]:
    outline = asked.outline
    root = outline.blocks.root + b"\0" + (asked.tenant or "").encode()
    tokens = cast("Sequence[float]", outline.blocks.tokens)
    return outline.blocks.digests, tokens, asked.total_tokens, root
