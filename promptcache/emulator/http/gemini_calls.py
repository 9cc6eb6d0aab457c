"""An HTTP request to Gemini, on either host, and the guard that all of them pass."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from promptcache.emulator.faults import Fault
from promptcache.emulator.gemini_cache import Where
from promptcache.emulator.gemini_objects import error_object, numbered
from promptcache.emulator.gemini_service import GeminiAsked
from promptcache.emulator.http.calls import OK, json_response
from promptcache.emulator.http.dropping import DroppedResponse
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.machine import Machine
from promptcache.emulator.rules.gemini_rejection import (
    STATUSES,
    GeminiRejectedError,
    unsigned,
)
from promptcache.emulator.rules.gemini_requests import bare

__all__ = ["GeminiCall", "GeminiGuard"]

WORKSPACE_KEY = re.compile(r"ws-([^-]+)-")
HEADERS_OF_INTEREST = ("user-agent", "x-goog-api-client")
NO_FAULT = Fault()
WITH_BODY = ("POST", "PATCH")


@dataclass(slots=True)
class GeminiCall:
    """One HTTP request on its way through."""

    scope: Scope
    row: LedgerRow
    where: Where
    model: str
    """The model as the path names it; empty for cached contents."""
    version: str
    """The version of the API in the path."""
    method: str
    """What is called of a model; empty for cached contents."""
    query: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)
    conversation: str | None = None
    fault: Fault = NO_FAULT

    @property
    def asked(self) -> GeminiAsked:
        """The request, freed from how it was sent."""
        return GeminiAsked(
            body=self.body,
            model=self.model,
            where=self.where,
            at=self.row.at,
            version=self.version,
            method=self.method,
            conversation=self.conversation,
        )

    @property
    def name(self) -> str:
        """The name of the cached content that the path names."""
        parent = f"{self.where.parent}/" if self.where.parent else ""
        return f"{parent}cachedContents/{self.scope['path_params']['id']}"

    @classmethod
    def of(cls, request: Request, method: str, row: LedgerRow) -> "GeminiCall":
        """Return the call that a request makes, its body not read yet.

        A key `ws-NAME-...` belongs to the workspace NAME: the emulator's own
        convention. On Vertex AI any other key belongs to the project.
        """
        path = request.path_params
        parent, model = "", f"models/{path.get('model')}"
        vertex = "project" in path or "/publishers/" in request.url.path
        if "project" in path:
            parent = f"projects/{path['project']}/locations/{path['location']}"
        if vertex:
            model = f"publishers/google/{model}"
        if vertex and parent:
            model = f"{parent}/{model}"
        found = WORKSPACE_KEY.match(_key(request))
        workspace = found[1] if found else str(path.get("project", "default"))
        headers = {
            name: request.headers[name]
            for name in HEADERS_OF_INTEREST
            if name in request.headers
        }
        row = replace(
            row,
            path=request.url.path,
            method=request.method,
            headers=headers,
            workspace=workspace,
            model=str(path.get("model", "")),
            stream=method == "streamGenerateContent",
        )
        return cls(
            request.scope,
            row,
            Where("vertex" if vertex else "developer", parent, workspace),
            model=model if "model" in path else "",
            version=request.url.path.split("/")[1],
            method=method,
            query=dict(request.query_params),
            conversation=request.headers.get("x-emulator-conversation"),
        )

    async def read(self, request: Request) -> None:
        """Take in the body.

        Raises:
            GeminiRejectedError: There is no key, or no JSON object.
        """
        if not _key(request):
            raise unsigned(self.where.host)
        if request.method not in WITH_BODY:
            return
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            msg = f"Invalid JSON payload received. {error}"
            raise GeminiRejectedError(msg) from error
        if not isinstance(body, dict):
            raise GeminiRejectedError("Invalid JSON payload received. Not an object.")
        self.body = body
        model = self.row.model or bare(str(body.get("model") or ""))
        self.row = replace(self.row, body=body, model=model)

    def encoded(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an answer with its enums as the query asks for them."""
        if "enum-encoding=int" in self.query.get("$alt", ""):
            return {name: numbered(value) for name, value in body.items()}
        return body


class GeminiGuard:
    """What every request passes: key, body, faults and the ledger."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._request_ids = machine.ids("req")

    async def serve(
        self,
        request: Request,
        method: str,
        answer: Callable[[GeminiCall], Awaitable[Response]],
    ) -> Response:
        """Return the answer, or the error that was ordered or that rules demand."""
        now = self._machine.clock.now()
        row = LedgerRow(id=next(self._request_ids), at=now, status=OK)
        call = GeminiCall.of(request, method, row)
        try:
            await call.read(request)
            await self._fail_if_ordered(call)
            if call.fault.close:
                self.log(call, status=0, error="connection dropped")
                return DroppedResponse()
            return await answer(call)
        except GeminiRejectedError as error:
            return self._refused(call, error)

    def log(self, call: GeminiCall, **fields: Any) -> None:
        """Write down what a request came to."""
        self._machine.ledger.add(replace(call.row, **fields))

    def json(self, call: GeminiCall, body: Mapping[str, Any]) -> Response:
        """Return an answer as JSON."""
        return json_response(call.encoded(body), headers={})

    def broken(self, call: GeminiCall) -> Mapping[str, Any]:
        """Return the error that ends a stream early."""
        fault = call.fault
        return fault.body or _fault_body(fault, fault.status or 500)

    async def _fail_if_ordered(self, call: GeminiCall) -> None:
        # The method tells a creation from a list, and a deletion from both.
        path = f"{call.row.method} {call.row.path}"
        fault = self._machine.faults.take(path, call.body)
        if fault is None:
            return
        call.fault = fault
        if fault.close:
            await self._machine.clock.pause(fault.delay_seconds)
        elif fault.after_events is None and (fault.status or fault.body):
            await self._machine.clock.pause(fault.delay_seconds)
            raise GeminiRejectedError(fault.message, status=fault.status or 500)

    def _refused(self, call: GeminiCall, error: GeminiRejectedError) -> Response:
        self.log(call, status=error.status, error=error.message)
        fault, headers = call.fault, {}
        if fault.retry_after is not None:
            headers["retry-after"] = f"{fault.retry_after:g}"
        body = fault.body or error_object(
            error.message, status=error.status, kind=fault.type or error.kind
        )
        return json_response(body, status=error.status, headers=headers)


def _fault_body(fault: Fault, status: int) -> Mapping[str, Any]:
    kind = fault.type or STATUSES.get(status, "UNKNOWN")
    return error_object(fault.message, status=status, kind=kind)


def _key(request: Request) -> str:
    """Return what the client signs in with; any of it is taken."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer").strip()
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    return key or bearer
