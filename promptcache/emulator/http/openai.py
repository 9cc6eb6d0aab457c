"""Chat Completions and Responses: faults, judgment, pace and the ledger."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from promptcache.emulator.http.calls import OK, json_response
from promptcache.emulator.http.dropping import DroppedResponse, drop
from promptcache.emulator.http.openai_calls import OpenAICall, check_key
from promptcache.emulator.http.openai_events import (
    DONE,
    chat_chunks,
    encoded_chunk,
    encoded_event,
    response_events,
)
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.machine import Machine
from promptcache.emulator.openai_completions import error_object
from promptcache.emulator.openai_service import OpenAIAnswered, OpenAIService
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_turns import Api

__all__ = ["OpenAIApi"]

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    429: "requests",
}


class OpenAIApi:
    """Both APIs on one cache."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._service = OpenAIService(machine)
        self._request_ids = machine.ids("req")

    async def chat(self, request: Request) -> Response:
        """Answer `POST /v1/chat/completions`."""
        return await self._guarded(request, "chat", self._create)

    async def responses(self, request: Request) -> Response:
        """Answer `POST /v1/responses`."""
        return await self._guarded(request, "responses", self._create)

    async def azure_chat(self, request: Request) -> Response:
        """Answer `POST /openai/deployments/DEPLOYMENT/chat/completions`.

        A body without a model is one for the model that the deployment is named after.
        Source: `openai` 2.54 and 3.54, `lib/azure.py`.
        """
        return await self._guarded(request, "chat", self._create, versioned=True)

    async def azure_responses(self, request: Request) -> Response:
        """Answer `POST /openai/responses`, whatever the client's deployment is.

        Source: `openai` 2.54 and 3.54, `lib/azure.py`.
        """
        return await self._guarded(request, "responses", self._create, versioned=True)

    async def retrieve(self, request: Request) -> Response:
        """Answer `GET /v1/responses/ID`; the ledger has no row for it."""
        row = LedgerRow(id=next(self._request_ids), at=0.0, status=OK)
        call = OpenAICall.of(request, "responses", row)
        try:
            found = self._stored(request, workspace=call.row.workspace)
        except OpenAIRejectedError as error:
            body = error_object(error.message, kind=error.kind)
            return json_response(body, status=error.status, headers=call.headers)
        return json_response(found, headers=call.headers)

    async def input_tokens(self, request: Request) -> Response:
        """Answer `POST /v1/responses/input_tokens`."""
        return await self._guarded(request, "responses", self._count)

    def _stored(self, request: Request, *, workspace: str) -> Mapping[str, Any]:
        check_key(request)
        if request.query_params.get("stream") == "true":
            raise OpenAIRejectedError("The emulator streams no stored response.")
        return self._service.stored(request.path_params["id"], workspace=workspace)

    async def _guarded(
        self,
        request: Request,
        api: Api,
        answer: Callable[[OpenAICall], Awaitable[Response]],
        *,
        versioned: bool = False,
    ) -> Response:
        now = self._machine.clock.now()
        row = LedgerRow(id=next(self._request_ids), at=now, status=OK)
        call = OpenAICall.of(request, api, row)
        try:
            await call.read(request, versioned=versioned)
            await self._fail_if_ordered(call)
            if call.fault.close:
                self._log(call, status=0, error="connection dropped")
                return DroppedResponse()
            return await answer(call)
        except OpenAIRejectedError as error:
            return self._refused(call, error)

    async def _fail_if_ordered(self, call: OpenAICall) -> None:
        fault = self._machine.faults.take(call.row.path, call.body)
        if fault is None:
            return
        call.fault = fault
        if fault.close:
            await self._machine.clock.pause(fault.delay_seconds)
        elif fault.after_events is None and (fault.status or fault.body):
            await self._machine.clock.pause(fault.delay_seconds)
            raise OpenAIRejectedError(
                fault.message,
                kind=_kind(call),
                param=fault.field,
                status=fault.status or 500,
            )

    def _refused(self, call: OpenAICall, error: OpenAIRejectedError) -> Response:
        self._log(call, status=error.status, error=error.message)
        headers = call.headers
        if call.fault.retry_after is not None:
            headers["retry-after"] = f"{call.fault.retry_after:g}"
        body = call.fault.body or error_object(
            error.message, kind=error.kind, param=error.param, code=error.code
        )
        return json_response(body, status=error.status, headers=headers)

    def _log(self, call: OpenAICall, **fields: Any) -> None:
        self._machine.ledger.add(replace(call.row, **fields))

    async def _count(self, call: OpenAICall) -> Response:
        """Count without caching. Source: github.com/openai/openai-openapi."""
        total = self._service.accept(call.asked).prompt.total_tokens
        self._log(call)
        body = {"object": "response.input_tokens", "input_tokens": total}
        return json_response(body, headers=call.headers)

    async def _create(self, call: OpenAICall) -> Response:
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
                media_type="text/event-stream; charset=utf-8",
                headers={**call.headers, "cache-control": "no-cache"},
            )
        await clock.pause(answered.output_seconds)
        return json_response(answered.answer, headers=call.headers)

    async def _stream(
        self, call: OpenAICall, answered: OpenAIAnswered
    ) -> AsyncIterator[bytes]:
        fault = call.fault
        sent = list(_encoded(call, answered.answer))
        for number, event in enumerate(sent):
            if number == fault.after_events and fault.status is None:
                await drop(call.scope)
                return
            if number == fault.after_events:
                yield _broken(call)
                return
            await self._machine.clock.pause(answered.output_seconds / len(sent))
            yield event
        if call.api == "chat":
            yield DONE


def _encoded(call: OpenAICall, answer: Mapping[str, Any]) -> Iterator[bytes]:
    if call.api == "chat":
        options = call.body.get("stream_options") or {}
        chunks = chat_chunks(answer, with_usage=bool(options.get("include_usage")))
        yield from map(encoded_chunk, chunks)
    else:
        yield from map(encoded_event, response_events(answer))


def _kind(call: OpenAICall) -> str:
    fault = call.fault
    return fault.type or ERROR_TYPES.get(fault.status or 0, "server_error")


def _broken(call: OpenAICall) -> bytes:
    """Return what ends a stream early: an error."""
    fault = call.fault
    if call.api == "chat":
        return encoded_chunk(
            fault.body or error_object(fault.message, kind=_kind(call))
        )
    event = {
        "type": "error",
        "code": _kind(call),
        "message": fault.message,
        "param": None,
        "sequence_number": fault.after_events,
    }
    return encoded_event({**event, **(fault.body or {}), "type": "error"})
