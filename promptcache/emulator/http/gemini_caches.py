"""Gemini's cached contents: create, get, list, update and delete."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from promptcache.emulator.gemini_service import GeminiService
from promptcache.emulator.http.gemini_calls import GeminiCall, GeminiGuard
from promptcache.emulator.machine import Machine
from promptcache.emulator.rules.gemini_contents import CachedContent
from promptcache.emulator.rules.gemini_requests import bare

__all__ = ["CachedContentsApi"]

Endpoint = Callable[[Request], Awaitable[Response]]


class CachedContentsApi:
    """The resource on both hosts; only creating one costs tokens of input."""

    def __init__(
        self, machine: Machine, service: GeminiService, guard: GeminiGuard
    ) -> None:
        self._machine = machine
        self._service = service
        self._guard = guard

    @property
    def endpoints(self) -> Sequence[tuple[str, str, Endpoint]]:
        """The endpoints by method, and path behind `cachedContents`."""
        return (
            ("POST", "", self._serving(self._create)),
            ("GET", "", self._serving(self._list)),
            ("GET", "/{id}", self._serving(self._get)),
            ("PATCH", "/{id}", self._serving(self._update)),
            ("DELETE", "/{id}", self._serving(self._delete)),
        )

    def _serving(self, answer: Callable[[GeminiCall], Awaitable[Response]]) -> Endpoint:
        async def serve(request: Request) -> Response:
            return await self._guard.serve(request, "", answer)

        return serve

    async def _create(self, call: GeminiCall) -> Response:
        begun = self._service.begin_creation(call.asked)
        seconds = begun.seconds + call.fault.delay_seconds
        await self._machine.clock.pause(seconds)
        content = self._service.finish_creation(begun)
        self._guard.log(
            call,
            input_tokens=begun.billed_tokens,
            total_seconds=seconds,
        )
        return self._guard.json(call, content.resource())

    async def _get(self, call: GeminiCall) -> Response:
        content = self._service.cache.get(call.name, where=call.where, now=call.row.at)
        return await self._told(call, content)

    async def _update(self, call: GeminiCall) -> Response:
        mask = call.query.get("updateMask")
        return await self._told(call, self._service.extend(call.asked, call.name, mask))

    async def _list(self, call: GeminiCall) -> Response:
        told = self._service.cache.listed(
            size=call.query.get("pageSize"),
            token=call.query.get("pageToken"),
            where=call.where,
            now=call.row.at,
        )
        await self._passed(call)
        self._guard.log(call)
        return self._guard.json(call, told)

    async def _delete(self, call: GeminiCall) -> Response:
        content = self._service.cache.delete(
            call.name, where=call.where, now=call.row.at
        )
        await self._passed(call)
        self._guard.log(call, model=bare(content.model))
        return self._guard.json(call, {})

    async def _told(self, call: GeminiCall, content: CachedContent) -> Response:
        await self._passed(call)
        self._guard.log(call, model=bare(content.model))
        return self._guard.json(call, content.resource())

    async def _passed(self, call: GeminiCall) -> None:
        seconds = self._machine.pace.first_byte_seconds + call.fault.delay_seconds
        await self._machine.clock.pause(seconds)
