"""One request to Gemini from judgment to answer, on either host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptcache.emulator.gemini_cache import GeminiCache, Where
from promptcache.emulator.gemini_objects import answer, usage_object
from promptcache.emulator.gemini_replies import gemini_reply
from promptcache.emulator.machine import Machine
from promptcache.emulator.replies import Reply
from promptcache.emulator.rules.gemini import Accepted, Asked, Verdict
from promptcache.emulator.rules.gemini_contents import CachedContent
from promptcache.emulator.rules.gemini_creation import (
    check_creation,
    expiration,
    new_expiration,
)
from promptcache.emulator.rules.gemini_prompt import Segment, total_tokens
from promptcache.emulator.rules.gemini_rejection import GeminiRejectedError
from promptcache.emulator.rules.gemini_requests import IN_CACHED, bare
from promptcache.emulator.rules.gemini_spelling import Body, spelled

__all__ = [
    "GeminiAnswered",
    "GeminiAsked",
    "GeminiBegun",
    "GeminiCreation",
    "GeminiService",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiAsked:
    """A request, freed from how it was sent."""

    body: Body
    model: str
    """The model as the path names it."""
    where: Where
    at: float
    """Start of the request, in the emulator's time."""
    version: str = "v1beta"
    method: str = "generateContent"
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class GeminiBegun:
    """A request that was accepted."""

    asked: GeminiAsked
    verdict: Verdict
    reply: Reply
    first_token_seconds: float


@dataclass(frozen=True, slots=True)
class GeminiAnswered:
    """A request that was answered."""

    answer: Mapping[str, Any]
    figures: Mapping[str, Any]
    """What the ledger says of it."""
    output_seconds: float


@dataclass(frozen=True, slots=True)
class GeminiCreation:
    """A creation of a cached content that was accepted."""

    asked: GeminiAsked
    body: Body
    segments: tuple[Segment, ...]
    expires: float
    billed_tokens: int
    """What it costs as plain input."""
    seconds: float
    """How long it takes."""


class GeminiService:
    """Answers requests; time passes between `begin` and `finish`, not inside."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._call_ids = machine.ids("call")
        self._answer_ids = machine.ids("resp")

    @property
    def cache(self) -> GeminiCache:
        """What is kept between requests."""
        return self._machine.gemini

    def accept(self, asked: GeminiAsked) -> Accepted:
        """Return the request as it is rendered.

        Raises:
            GeminiRejectedError: The provider would refuse it.
        """
        request = Asked(
            body=spelled(asked.body),
            model=asked.model,
            host=asked.where.host,
            version=asked.version,
            method=asked.method,
        )
        return self.cache.admit(request, where=asked.where, now=asked.at)

    def begin(self, asked: GeminiAsked) -> GeminiBegun:
        """Judge a request and decide what to say.

        Raises:
            GeminiRejectedError: The provider would refuse it, or the answer cannot be
                made.
        """
        request = self.accept(asked)
        reply = self._reply(asked, request)
        verdict = self.cache.judge(request, where=asked.where, now=asked.at)
        used = verdict.usage
        first = self._machine.pace.first_token_seconds(total=used.total, read=used.read)
        return GeminiBegun(asked, verdict, reply, first)

    def finish(
        self, begun: GeminiBegun, *, late: float = 0.0, cache_fields: bool = True
    ) -> GeminiAnswered:
        """Let the answer begin: what was sent can be found from now on.

        Args:
            begun: The request.
            late: Seconds by which the first token was held up.
            cache_fields: Whether the usage has them.
        """
        asked, used, reply = begun.asked, begun.verdict.usage, begun.reply
        self.cache.commit(begun.verdict, where=asked.where, sent=asked.at)
        usage = usage_object(
            used, reply.output_tokens, host=asked.where.host, cache_fields=cache_fields
        )
        name = next(self._answer_ids)
        whole = answer(reply, usage, model=asked.model, name=name)
        seconds = self._machine.pace.output_seconds(reply.output_tokens)
        first_token = begun.first_token_seconds + late
        figures = {
            "input_tokens": used.uncached,
            "cache_read_input_tokens": used.read,
            "hit": begun.verdict.hit,
            "output_tokens": reply.output_tokens,
            "first_token_seconds": first_token,
            "total_seconds": first_token + seconds,
        }
        return GeminiAnswered(whole, figures, seconds)

    def begin_creation(self, asked: GeminiAsked) -> GeminiCreation:
        """Judge the creation of a cached content.

        Raises:
            GeminiRejectedError: The provider would refuse it.
        """
        body, host = spelled(asked.body), asked.where.host
        settings = self.cache.settings
        segments = check_creation(
            body, host=host, version=asked.version, settings=settings
        )
        expires = expiration(body, host=host, now=asked.at)
        tokens = total_tokens(segments)
        seconds = self._machine.pace.first_token_seconds(total=tokens, read=0)
        billed = tokens if settings.bills_creation(host) else 0
        return GeminiCreation(asked, body, segments, expires, billed, seconds)

    def finish_creation(self, begun: GeminiCreation) -> CachedContent:
        """Let it be found and used from now on; its storage is billed from now on."""
        return self.cache.create(
            begun.body,
            begun.segments,
            where=begun.asked.where,
            now=self._machine.clock.now(),
            expires=begun.expires,
        )

    def extend(self, asked: GeminiAsked, name: str, mask: str | None) -> CachedContent:
        """Give a cached content another expiration.

        Raises:
            GeminiRejectedError: The provider would refuse it.
        """
        where = asked.where
        expires = new_expiration(
            spelled(asked.body), mask, host=where.host, now=asked.at
        )
        return self.cache.extend(name, expires, where=where, now=asked.at)

    def _reply(self, asked: GeminiAsked, request: Accepted) -> Reply:
        body: Body = request.asked.body
        if request.cached is not None:
            held = request.cached.body
            body = {**body, **{name: held.get(name) for name in IN_CACHED}}
        try:
            scripted = self._machine.answers.take(
                asked.body,
                model=bare(asked.model),
                conversation=asked.conversation,
            )
        except Exception as error:
            # The function is the user's and may fail in any way.
            msg = f"The answer's function failed: {error!r}"
            raise GeminiRejectedError(msg, status=500) from error
        return gemini_reply(body, scripted, self._call_ids)
