"""The Messages API: faults, judgment, pace and the ledger, on every platform."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from promptcache.emulator.anthropic_messages import error_body
from promptcache.emulator.anthropic_service import Answered, AnthropicService
from promptcache.emulator.http.anthropic_events import events
from promptcache.emulator.http.calls import (
    BEDROCK,
    DIRECT,
    OK,
    VERTEX,
    Call,
    Platform,
    json_response,
)
from promptcache.emulator.http.dropping import DroppedResponse, drop
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.machine import Machine
from promptcache.emulator.rules.anthropic_prompt import read_prompt
from promptcache.emulator.rules.anthropic_requests import check_request
from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["MessagesApi"]


class MessagesApi:
    """Messages, as the Claude API, Google Cloud and legacy Bedrock spell them."""

    def __init__(self, machine: Machine, service: AnthropicService) -> None:
        self._machine = machine
        self._service = service
        self._request_ids = machine.ids("req")

    async def create(self, request: Request) -> Response:
        """Answer `POST /v1/messages`."""
        return await self._guarded(request, DIRECT, self._create)

    async def count_tokens(self, request: Request) -> Response:
        """Answer `POST /v1/messages/count_tokens`."""
        return await self._guarded(request, DIRECT, self._count)

    async def vertex(self, request: Request) -> Response:
        """Answer `POST .../models/MODEL:rawPredict` and its streaming twin.

        The model stands in the path and the API's version in the body.
        Source: `anthropic` 2.12, `lib/vertex/_client.py`.
        """
        fields = {
            "model": request.path_params["model"],
            "stream": request.url.path.endswith(":streamRawPredict"),
        }
        return await self._guarded(request, VERTEX, self._create, **fields)

    async def vertex_count_tokens(self, request: Request) -> Response:
        """Answer `POST .../models/count-tokens:rawPredict`; the body has the model."""
        return await self._guarded(request, VERTEX, self._count)

    async def bedrock(self, request: Request) -> Response:
        """Answer `POST /model/MODEL/invoke` and its streaming twin.

        The model stands in the path and the API's version in the body.
        Source: `anthropic` 2.12, `lib/bedrock/_client.py`.
        """
        fields = {
            "model": request.path_params["model"],
            "stream": request.url.path.endswith("-with-response-stream"),
        }
        return await self._guarded(request, BEDROCK, self._create, **fields)

    async def _guarded(
        self,
        request: Request,
        platform: Platform,
        answer: Callable[[Call], Awaitable[Response]],
        **fields: Any,
    ) -> Response:
        now = self._machine.clock.now()
        row = LedgerRow(id=next(self._request_ids), at=now, status=OK)
        call = Call.of(request, platform, self._machine.settings, row)
        try:
            await call.read(request, **fields)
            await self._fail_if_ordered(call)
            if call.fault.close:
                self._log(call, status=0, error="connection dropped")
                return DroppedResponse()
            return await answer(call)
        except RejectedError as error:
            return self._refused(call, error)

    async def _fail_if_ordered(self, call: Call) -> None:
        fault = self._machine.faults.take(call.row.path, call.body)
        if fault is None:
            return
        call.fault = fault
        if fault.close:
            await self._machine.clock.pause(fault.delay_seconds)
        elif fault.after_events is None and (fault.status or fault.body):
            await self._machine.clock.pause(fault.delay_seconds)
            raise RejectedError(
                fault.message, kind=fault.error_type(), status=fault.status or 500
            )

    def _refused(self, call: Call, error: RejectedError) -> Response:
        self._log(call, status=error.status, error=error.message)
        headers = call.headers
        if call.fault.retry_after is not None:
            headers["retry-after"] = f"{call.fault.retry_after:g}"
        body = call.fault.body or error_body(error.kind, error.message, call.row.id)
        return json_response(body, status=error.status, headers=headers)

    def _log(self, call: Call, **fields: Any) -> None:
        self._machine.ledger.add(replace(call.row, **fields))

    async def _count(self, call: Call) -> Response:
        """Count without caching: markers are accepted and ignored.

        Source: token-counting page of the documentation.
        """
        body = {"max_tokens": 1, **call.body}
        settings = self._machine.anthropic(call.host).settings
        check_request(body, settings, call.betas)
        total = read_prompt(body, settings).total_tokens
        self._log(call)
        return json_response({"input_tokens": total}, headers=call.headers)

    async def _create(self, call: Call) -> Response:
        clock, fault = self._machine.clock, call.fault
        begun = self._service.begin(call.asked)
        await clock.pause(begun.first_token_seconds + fault.delay_seconds)
        answered = self._service.finish(
            begun, late=fault.delay_seconds, cache_fields=not fault.drop_usage
        )
        self._log(call, **answered.figures)
        if call.row.stream:
            return StreamingResponse(
                self._stream(call, answered),
                media_type=call.platform.stream_type,
                headers={**call.headers, "cache-control": "no-cache"},
            )
        await clock.pause(answered.output_seconds)
        return json_response(answered.message, headers=call.headers)

    async def _stream(self, call: Call, answered: Answered) -> AsyncIterator[bytes]:
        fault, encoded = call.fault, call.platform.encoded
        sent = list(events(answered.message, answered.started))
        deltas = sum(event["type"] == "content_block_delta" for event in sent)
        for number, event in enumerate(sent):
            if number == fault.after_events and fault.status is None:
                await drop(call.scope)
                return
            if number == fault.after_events:
                yield self._broken(call)
                return
            if event["type"] == "content_block_delta":
                await self._machine.clock.pause(answered.output_seconds / deltas)
            yield encoded(event)

    def _broken(self, call: Call) -> bytes:
        """Return the error event that ends a stream early."""
        fault = call.fault
        body = fault.body or error_body(fault.error_type(), fault.message, call.row.id)
        return call.platform.encoded({**body, "type": "error"})
