"""Gemini's models: answers, streams, counts of tokens and what a model can do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from promptcache.emulator.gemini_objects import (
    count_object,
    model_object,
)
from promptcache.emulator.gemini_service import GeminiAnswered, GeminiService
from promptcache.emulator.http.dropping import drop
from promptcache.emulator.http.gemini_calls import GeminiCall, GeminiGuard
from promptcache.emulator.http.gemini_events import ARRAY, SERVER_SENT, chunks
from promptcache.emulator.machine import Machine
from promptcache.emulator.rules.gemini_rejection import not_served
from promptcache.providers.gemini.facts import model_facts

__all__ = ["ModelsApi"]


class ModelsApi:
    """What is asked of a model."""

    def __init__(
        self, machine: Machine, service: GeminiService, guard: GeminiGuard
    ) -> None:
        self._machine = machine
        self._service = service
        self._guard = guard

    @property
    def methods(self) -> Mapping[str, Callable[[Request], Awaitable[Response]]]:
        """The endpoints by the method that a path ends with."""
        return {
            "generateContent": self.generate,
            "streamGenerateContent": self.stream,
            "countTokens": self.count,
        }

    async def generate(self, request: Request) -> Response:
        """Answer `POST .../models/MODEL:generateContent`."""
        return await self._guard.serve(request, "generateContent", self._generate)

    async def stream(self, request: Request) -> Response:
        """Answer `POST .../models/MODEL:streamGenerateContent`."""
        return await self._guard.serve(request, "streamGenerateContent", self._generate)

    async def count(self, request: Request) -> Response:
        """Answer `POST .../models/MODEL:countTokens`."""
        return await self._guard.serve(request, "countTokens", self._count)

    async def get(self, request: Request) -> Response:
        """Answer `GET .../models/MODEL`."""
        return await self._guard.serve(request, "getModel", self._get)

    async def _get(self, call: GeminiCall) -> Response:
        name, host = call.row.model, call.where.host
        if not name.startswith("gemini-"):
            raise not_served(host, call.model, version=call.version, method=call.method)
        explicit = self._service.cache.settings.explicit(model_facts(name))
        self._guard.log(call)
        return self._guard.json(call, model_object(name, host=host, explicit=explicit))

    async def _count(self, call: GeminiCall) -> Response:
        """Count without answering, and without reading what is not named.

        One client puts the whole request into a field of its own. Source:
        google-generativeai 0.8.6.
        """
        call.body = call.body.get("generateContentRequest", call.body)
        request = self._service.accept(call.asked)
        self._guard.log(call)
        return self._guard.json(call, count_object(request))

    async def _generate(self, call: GeminiCall) -> Response:
        clock, fault = self._machine.clock, call.fault
        begun = self._service.begin(call.asked)
        await clock.pause(begun.first_token_seconds + fault.delay_seconds)
        answered = self._service.finish(
            begun, late=fault.delay_seconds, cache_fields=not fault.drop_usage
        )
        self._guard.log(call, **answered.figures)
        if call.row.stream:
            framing = SERVER_SENT if call.query.get("alt") == "sse" else ARRAY
            return StreamingResponse(
                self._stream(call, answered), media_type=framing.media_type
            )
        await clock.pause(answered.output_seconds)
        return self._guard.json(call, answered.answer)

    async def _stream(
        self, call: GeminiCall, answered: GeminiAnswered
    ) -> AsyncIterator[bytes]:
        fault = call.fault
        framing = SERVER_SENT if call.query.get("alt") == "sse" else ARRAY
        early = self._service.cache.settings.early_usage_on(call.where.host)
        sent = list(chunks(answered.answer, early=early))
        for number, chunk in enumerate(sent):
            if number == fault.after_events and fault.status is None:
                await drop(call.scope)
                return
            if number == fault.after_events:
                yield framing.encoded(number, self._guard.broken(call)) + framing.end
                return
            await self._machine.clock.pause(answered.output_seconds / len(sent))
            yield framing.encoded(number, call.encoded(chunk))
        yield framing.end
