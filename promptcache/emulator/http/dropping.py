"""Dropping a connection the way a failing network does."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["DroppedResponse", "Dropping", "drop"]

HOOK = "emulator.drop"


class Dropping:
    """The outermost layer, which alone can reach the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, which may drop its connection."""

        async def drop_connection() -> None:
            # The server hands a bound method of its request cycle to the outermost
            # app; there is no public way to the transport.
            cycle: Any = send.__self__  # type: ignore[attr-defined]
            cycle.transport.abort()
            # Until the server has noticed, it would answer in our place.
            await receive()

        await self._app({**scope, HOOK: drop_connection}, receive, send)


async def drop(scope: Scope) -> None:
    """Close the connection of a request with no further word."""
    await cast("Callable[[], Awaitable[None]]", scope[HOOK])()


class DroppedResponse(Response):
    """No answer at all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection instead of sending anything."""
        del receive, send
        await drop(scope)
