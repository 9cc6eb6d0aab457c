"""The Message Batches API: everything in a batch is processed at once, in order.

The provider takes up to a day, works on many at a time and promises no order, so that
real caching is best effort; the rules are the same.
Source: batch-processing page of the documentation.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from promptcache.emulator.anthropic_messages import error_body
from promptcache.emulator.anthropic_service import AnthropicService
from promptcache.emulator.http.calls import DIRECT, OK, Call, json_response
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.machine import Machine
from promptcache.emulator.rules.anthropic_batches import check_batch, check_params
from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["BatchesApi"]

MAX_KEPT = 1_000
LIFE = timedelta(hours=24)
NOT_FOUND = 404
Result = Mapping[str, Any]


class BatchesApi:
    """The endpoints under `/v1/messages/batches`."""

    def __init__(self, machine: Machine, service: AnthropicService) -> None:
        self._machine = machine
        self._service = service
        self._request_ids = machine.ids("req")
        self._batch_ids = machine.ids("msgbatch")
        self._kept: OrderedDict[str, tuple[Mapping[str, Any], Sequence[Result]]]
        self._kept = OrderedDict()
        self._lock = threading.Lock()

    async def create(self, request: Request) -> Response:
        """Answer `POST /v1/messages/batches`: process the requests and keep them."""
        call = self._call(request)
        try:
            await call.read(request)
            check_batch(call.body)
        except RejectedError as error:
            return self._refused(call, error)
        results = [self._result(call, item) for item in call.body["requests"]]
        batch = self._batch(results, at=call.row.at, origin=str(request.base_url))
        with self._lock:
            self._kept[batch["id"]] = (batch, results)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return json_response(batch, headers=call.headers)

    async def retrieve(self, request: Request) -> Response:
        """Answer `GET /v1/messages/batches/ID`."""
        call, found = self._call(request), self._found(request)
        if found is None:
            return self._refused(call, _unknown(request))
        return json_response(found[0], headers=call.headers)

    async def results(self, request: Request) -> Response:
        """Answer `GET /v1/messages/batches/ID/results`: one line each."""
        call, found = self._call(request), self._found(request)
        if found is None:
            return self._refused(call, _unknown(request))
        lines = b"".join(orjson.dumps(each) + b"\n" for each in found[1])
        return Response(lines, media_type="application/x-jsonl", headers=call.headers)

    def _call(self, request: Request) -> Call:
        now = self._machine.clock.now()
        row = LedgerRow(id=next(self._request_ids), at=now, status=OK)
        return Call.of(request, DIRECT, self._machine.settings, row)

    def _found(
        self, request: Request
    ) -> tuple[Mapping[str, Any], Sequence[Result]] | None:
        with self._lock:
            return self._kept.get(request.path_params["id"])

    def _refused(self, call: Call, error: RejectedError) -> Response:
        body = error_body(error.kind, error.message, call.row.id)
        self._machine.ledger.add(
            replace(call.row, status=error.status, error=error.message)
        )
        return json_response(body, status=error.status, headers=call.headers)

    def _result(self, call: Call, item: Mapping[str, Any]) -> Result:
        """Process one request of a batch; what is refused fails alone."""
        params = item["params"]
        row = replace(
            call.row,
            id=next(self._request_ids),
            body=params,
            model=str(params.get("model", "")),
        )
        try:
            check_params(params)
            asked = replace(call.asked, body=params, tier="batch")
            answered = self._service.finish(self._service.begin(asked))
        except RejectedError as error:
            self._machine.ledger.add(
                replace(row, status=error.status, error=error.message)
            )
            body = error_body(error.kind, error.message, row.id)
            result = {"type": "errored", "error": body}
        else:
            self._machine.ledger.add(replace(row, **answered.figures))
            result = {"type": "succeeded", "message": answered.message}
        return {"custom_id": item["custom_id"], "result": result}

    def _batch(
        self, results: Sequence[Result], *, at: float, origin: str
    ) -> dict[str, Any]:
        name = next(self._batch_ids)
        now = datetime.fromtimestamp(at, tz=timezone.utc)
        kinds = [each["result"]["type"] for each in results]
        counted = ("processing", "succeeded", "errored", "canceled", "expired")
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended",
            "request_counts": {kind: kinds.count(kind) for kind in counted},
            "created_at": now.isoformat(),
            "ended_at": now.isoformat(),
            "expires_at": (now + LIFE).isoformat(),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{origin}v1/messages/batches/{name}/results",
        }


def _unknown(request: Request) -> RejectedError:
    msg = f"batch {request.path_params['id']} not found"
    return RejectedError(msg, kind="not_found_error", status=NOT_FOUND)
