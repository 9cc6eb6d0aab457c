"""The emulator's own endpoints, under `/_emulator`."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from promptcache.emulator.answers import parsed_answer
from promptcache.emulator.faults import Fault
from promptcache.emulator.machine import Machine

__all__ = ["control_routes"]

Handler = Callable[[Request], Awaitable[Any]]


def control_routes(machine: Machine) -> list[Route]:
    """Return the routes that steer and inspect the emulator."""
    control = _Control(machine)
    handlers: list[tuple[str, str, Handler]] = [
        ("POST", "advance", control.advance),
        ("GET", "clock", control.clock),
        ("GET", "ledger", control.ledger),
        ("POST", "reset", control.reset),
        ("POST", "faults", control.fault),
        ("POST", "answers", control.answer),
    ]
    return [
        Route(f"/_emulator/{name}", _answering(handler), methods=[method])
        for method, name, handler in handlers
    ]


def _answering(handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            body, status = await handler(request), 200
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            body, status = {"error": f"{type(error).__name__}: {error}"}, 400
        return Response(
            orjson.dumps(body), status_code=status, media_type="application/json"
        )

    return answer


class _Control:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def advance(self, request: Request) -> Any:
        body = orjson.loads(await request.body())
        return {"now": self._machine.clock.advance(float(body["seconds"]))}

    async def clock(self, _request: Request) -> Any:
        clock = self._machine.clock
        return {"now": clock.now(), "speed": clock.speed}

    async def ledger(self, request: Request) -> Any:
        with_body = request.query_params.get("bodies") == "1"
        rows = self._machine.ledger.rows()
        return [row.as_dict(with_body=with_body) for row in rows]

    async def reset(self, _request: Request) -> Any:
        self._machine.reset()
        return {"reset": True}

    async def fault(self, request: Request) -> Any:
        self._machine.faults.push(Fault(**orjson.loads(await request.body())))
        return {"queued": True}

    async def answer(self, request: Request) -> Any:
        body = orjson.loads(await request.body())
        self._machine.answers.push(
            parsed_answer(body["answer"]),
            model=body.get("model"),
            conversation=body.get("conversation"),
        )
        return {"queued": True}
