"""One Messages request from judgment to answer, however it was sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.emulator.anthropic_cache import AnthropicCache
from promptcache.emulator.anthropic_messages import message, started_usage, usage
from promptcache.emulator.machine import Machine
from promptcache.emulator.replies import Reply, reply_to
from promptcache.emulator.rules.anthropic import Verdict
from promptcache.emulator.rules.anthropic_diagnostics import diagnosis, fingerprint
from promptcache.emulator.rules.anthropic_iterations import Bill
from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["Answered", "AnthropicService", "Asked", "Begun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, freed from how its platform spells it."""

    body: Mapping[str, Any]
    host: str
    workspace: str
    at: float
    """Start of the request, in the emulator's time."""
    betas: tuple[str, ...] = ()
    conversation: str | None = None
    tier: str = "standard"


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was accepted."""

    asked: Asked
    cache: AnthropicCache
    verdict: Verdict
    reply: Reply
    first_token_seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered."""

    message: Mapping[str, Any]
    started: Mapping[str, Any]
    """The usage that a stream begins with."""
    figures: Mapping[str, Any]
    """What the ledger says of it."""
    output_seconds: float


class AnthropicService:
    """Answers requests; time passes between `begin` and `finish`, not inside."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._message_ids = machine.ids("msg")
        self._tool_ids = machine.ids("toolu")

    def begin(self, asked: Asked) -> Begun:
        """Judge a request and decide what to say.

        Raises:
            RejectedError: The provider would refuse it, or the answer cannot be made.
        """
        cache = self._machine.anthropic(asked.host)
        verdict = cache.admit(
            asked.body, workspace=asked.workspace, now=asked.at, betas=asked.betas
        )
        total, read = verdict.usage.total, verdict.usage.read
        first = self._machine.pace.first_token_seconds(total=total, read=read)
        return Begun(asked, cache, verdict, self._reply(asked), first)

    def finish(
        self, begun: Begun, *, late: float = 0.0, cache_fields: bool = True
    ) -> Answered:
        """Let the answer begin: what it writes can be found from now on.

        Args:
            begun: The request.
            late: Seconds by which the first token was held up.
            cache_fields: Whether the usage has them.
        """
        asked, reply = begun.asked, begun.reply
        where = {"workspace": asked.workspace}
        begun.cache.commit(begun.verdict, now=self._machine.clock.now(), **where)
        bill = begun.cache.bill(
            asked.body,
            reply.content,
            begun.verdict,
            now=asked.at,
            betas=asked.betas,
            **where,
        )
        name, model = next(self._message_ids), str(asked.body["model"])
        used = usage(reply, bill, tier=asked.tier, with_cache_fields=cache_fields)
        first = started_usage(bill, tier=asked.tier, with_cache_fields=cache_fields)
        whole = message(reply, used, model=model, message_id=name)
        if asked.body.get("diagnostics") is not None:
            whole["diagnostics"] = self._diagnosis(asked, name)
        seconds = self._machine.pace.output_seconds(reply.output_tokens)
        first_token = begun.first_token_seconds + late
        figures = {
            **_figures(begun.verdict, bill, reply),
            "first_token_seconds": first_token,
            "total_seconds": first_token + seconds,
        }
        return Answered(whole, first, figures, seconds)

    def _reply(self, asked: Asked) -> Reply:
        if asked.body["max_tokens"] == 0:
            # Nothing is said, so no answer is used up.
            return reply_to(asked.body, None, self._tool_ids)
        model = str(asked.body["model"])
        try:
            scripted = self._machine.answers.take(
                asked.body, model=model, conversation=asked.conversation
            )
        except Exception as error:
            # The function is the user's and may fail in any way.
            msg = f"The answer's function failed: {error!r}"
            raise RejectedError(msg, kind="api_error", status=500) from error
        return reply_to(asked.body, scripted, self._tool_ids)

    def _diagnosis(self, asked: Asked, name: str) -> Mapping[str, Any] | None:
        """Compare with the request that was named, and keep this one for the next."""
        kept, where = self._machine.fingerprints, {"workspace": asked.workspace}
        current = fingerprint(asked.body, asked.betas)
        kept.put(name, current, now=asked.at, **where)
        previous = asked.body["diagnostics"].get("previous_message_id")
        if previous is None:
            return None
        known = kept.get(previous, now=asked.at, **where)
        settings = self._machine.anthropic(asked.host).settings
        return diagnosis(known, current, settings)


def _figures(verdict: Verdict, bill: Bill, reply: Reply) -> dict[str, Any]:
    used, output = bill.billed
    alone = len(bill.iterations) == 1
    return {
        "output_tokens": reply.output_tokens if alone else output,
        "input_tokens": used.uncached,
        "cache_read_input_tokens": used.read,
        "cache_creation_5m_input_tokens": used.written_5m,
        "cache_creation_1h_input_tokens": used.written_1h,
        "breakpoints": verdict.breakpoints,
        "hit": verdict.hit,
    }
