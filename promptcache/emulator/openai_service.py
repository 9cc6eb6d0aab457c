"""One request to OpenAI's APIs from judgment to answer, however it was sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.emulator.machine import Machine
from promptcache.emulator.openai_cache import Admitted, KeptResponse
from promptcache.emulator.openai_completions import completion, completion_usage
from promptcache.emulator.openai_objects import (
    output_items,
    response_object,
    response_usage,
)
from promptcache.emulator.openai_replies import openai_reply
from promptcache.emulator.replies import Reply
from promptcache.emulator.rules.openai import Accepted, accepted
from promptcache.emulator.rules.openai_diagnostics import (
    diagnosis,
    response_fingerprint,
)
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_responses import input_items
from promptcache.emulator.rules.openai_tiers import tier_used
from promptcache.emulator.rules.openai_turns import Api, Body

__all__ = ["OpenAIAnswered", "OpenAIAsked", "OpenAIBegun", "OpenAIService"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIAsked:
    """A request, freed from how it was sent."""

    api: Api
    body: Body
    workspace: str
    at: float
    """Start of the request, in the emulator's time."""
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class OpenAIBegun:
    """A request that was accepted."""

    asked: OpenAIAsked
    request: Accepted
    admitted: Admitted
    reply: Reply
    first_token_seconds: float

    @property
    def choices(self) -> int:
        """How many answers are given, all of them the same."""
        return int(self.request.body.get("n") or 1)

    @property
    def output_tokens(self) -> int:
        """All that is said and billed."""
        return self.reply.output_tokens * self.choices


@dataclass(frozen=True, slots=True)
class OpenAIAnswered:
    """A request that was answered."""

    answer: Mapping[str, Any]
    figures: Mapping[str, Any]
    """What the ledger says of it."""
    output_seconds: float


class OpenAIService:
    """Answers requests; time passes between `begin` and `finish`, not inside."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ids = {
            prefix: machine.ids(prefix)
            for prefix in ("chatcmpl", "resp", "msg", "fc", "call")
        }

    def accept(self, asked: OpenAIAsked) -> Accepted:
        """Return the request as it is rendered, what it goes on from included.

        Raises:
            OpenAIRejectedError: The provider would refuse it.
        """
        body = asked.body
        named = body.get("previous_response_id")
        if asked.api == "responses" and named is not None:
            kept = self._kept(named, asked)
            if kept is None or kept.items is None:
                raise OpenAIRejectedError(
                    f"Previous response with id '{named}' not found.",
                    param="previous_response_id",
                    code="previous_response_not_found",
                )
            body = {**body, "input": [*kept.items, *input_items(body.get("input"))]}
        return accepted(asked.api, body, self._machine.openai.settings)

    def begin(self, asked: OpenAIAsked) -> OpenAIBegun:
        """Judge a request and decide what to say.

        Raises:
            OpenAIRejectedError: The provider would refuse it, or the answer cannot be
                made.
        """
        request = self.accept(asked)
        admitted = self._machine.openai.admit(
            request, workspace=asked.workspace, now=asked.at
        )
        used = admitted.verdict.usage
        first = self._machine.pace.first_token_seconds(total=used.total, read=used.read)
        reply = self._reply(asked, request)
        return OpenAIBegun(asked, request, admitted, reply, first)

    def finish(
        self, begun: OpenAIBegun, *, late: float = 0.0, cache_fields: bool = True
    ) -> OpenAIAnswered:
        """Let the answer begin: what it writes can be found from now on.

        Args:
            begun: The request.
            late: Seconds by which the first token was held up.
            cache_fields: Whether the usage has them.
        """
        self._machine.openai.commit(begun.admitted, now=self._machine.clock.now())
        if begun.asked.api == "chat":
            answer = self._completion(begun, cache_fields=cache_fields)
        else:
            answer = self._response(begun, cache_fields=cache_fields)
        seconds = self._machine.pace.output_seconds(begun.reply.output_tokens)
        first_token = begun.first_token_seconds + late
        verdict, used = begun.admitted.verdict, begun.admitted.verdict.usage
        figures = {
            "input_tokens": used.uncached,
            "cache_read_input_tokens": used.read,
            "cache_creation_30m_input_tokens": used.written_30m,
            "cache_creation_12h_input_tokens": used.written_12h,
            "breakpoints": verdict.breakpoints,
            "hit": verdict.hit,
            "output_tokens": begun.output_tokens,
            "first_token_seconds": first_token,
            "total_seconds": first_token + seconds,
        }
        return OpenAIAnswered(answer, figures, seconds)

    def stored(self, name: str, *, workspace: str) -> Mapping[str, Any]:
        """Return a response that was answered earlier.

        Raises:
            OpenAIRejectedError: There is none of this name.
        """
        kept = self._machine.openai.response(name, workspace=workspace)
        if kept is None or kept.answer is None:
            msg = f"Response with id '{name}' not found."
            raise OpenAIRejectedError(msg, status=404)
        return kept.answer

    def _completion(self, begun: OpenAIBegun, *, cache_fields: bool) -> Body:
        usage = completion_usage(
            begun.admitted.verdict.usage,
            begun.output_tokens,
            writes=begun.request.facts.breakpoints,
            cache_fields=cache_fields,
        )
        return completion(
            begun.reply,
            usage,
            model=begun.request.body["model"],
            name=next(self._ids["chatcmpl"]),
            at=begun.asked.at,
            choices=begun.choices,
            tier=tier_used(begun.request.body),
        )

    def _response(self, begun: OpenAIBegun, *, cache_fields: bool) -> Body:
        asked, request = begun.asked, begun.request
        name = next(self._ids["resp"])
        output = output_items(begun.reply, self._ids["msg"], self._ids["fc"])
        usage = response_usage(
            begun.admitted.verdict.usage,
            begun.reply.output_tokens,
            writes=request.facts.breakpoints,
            cache_fields=cache_fields,
        )
        cut = begun.reply.stop_reason == "max_tokens"
        answer = response_object(
            asked.body, output, usage, name=name, at=asked.at, cut=cut
        )
        if request.facts.breakpoints:
            answer |= self._about_caching(begun)
        items = (*input_items(request.body.get("input")), *output)
        stored = asked.body.get("store") is not False
        kept = KeptResponse(
            items if stored else None,
            response_fingerprint(request),
            asked.at,
            answer if stored else None,
        )
        self._machine.openai.keep_response(name, kept, workspace=asked.workspace)
        return answer

    def _about_caching(self, begun: OpenAIBegun) -> dict[str, Any]:
        """Return the options that were applied, and the diagnosis if one was asked."""
        request, settings = begun.request, self._machine.openai.settings
        options = {"mode": request.mode, "ttl": request.ttl}
        asked = begun.asked.body.get("prompt_cache_options") or {}
        named = asked.get("comparison_response_id")
        if named is None:
            return {"prompt_cache_options": options}
        kept = self._kept(named, begun.asked)
        fresh = (
            kept is not None and begun.asked.at - kept.at <= settings.diagnosis_seconds
        )
        found = diagnosis(
            kept.fingerprint if kept is not None and fresh else None,
            response_fingerprint(request),
            request,
            begun.admitted.verdict,
            settings,
        )
        options["comparison_response_id"] = named
        return {"prompt_cache_options": options, "prompt_cache_diagnostics": found}

    def _kept(self, name: object, asked: OpenAIAsked) -> KeptResponse | None:
        return self._machine.openai.response(str(name), workspace=asked.workspace)

    def _reply(self, asked: OpenAIAsked, request: Accepted) -> Reply:
        body, ids = request.body, self._ids["call"]
        if (body.get("prompt_cache_options") or {}).get("prewarm"):
            # Nothing is said, so no answer is used up.
            return openai_reply(asked.api, body, None, ids)
        try:
            scripted = self._machine.answers.take(
                asked.body, model=str(body["model"]), conversation=asked.conversation
            )
        except Exception as error:
            # The function is the user's and may fail in any way.
            msg = f"The answer's function failed: {error!r}"
            raise OpenAIRejectedError(msg, kind="server_error", status=500) from error
        return openai_reply(asked.api, body, scripted, ids)
