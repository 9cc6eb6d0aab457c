"""Sending a body once more, through the very client that sent it first.

Rule 1: it goes out behind our own middleware, so it is planned by nobody.
Rule 2: of an asynchronous client it runs on that client's event loop, or not at all.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping
from typing import Any

from promptcache.providers.anthropic.pings import repeated

__all__ = ["Repeat", "loop_of"]

_RAW_RESPONSE = "x-stainless-raw-response"

Answered = Callable[[int, bytes], None]
"""Told the HTTP status and the body of an answer; 0 if there was none."""


class Repeat:
    """How to send a ping after one request."""

    def __init__(
        self,
        request: Any,
        call_next: Callable[[Any], Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        """Keep what a request was sent with, except for its body.

        Args:
            request: The SDK's, as a middleware gets it.
            call_next: Sends a request as that of the client was sent.
            loop: The client's event loop; None if it is synchronous.
        """
        options = copy.copy(request.options)
        options.json_data = options.extra_json = options.idempotency_key = None
        if isinstance(options.headers, Mapping):
            options.headers = {
                name: value
                for name, value in options.headers.items()
                if name.lower() != _RAW_RESPONSE
            }
        self._request = copy.copy(request)
        self._request.options = options
        self._request.stream, self._request.stream_cls = False, None
        self._request.retries_taken = 0
        self._call_next = call_next
        self._loop = loop

    def send(self, body: Mapping[str, Any], answered: Answered) -> None:
        """Send a ping; this blocks with a synchronous client.

        Args:
            body: What was sent before.
            answered: Told the outcome, once, in any thread.
        """
        request = copy.copy(self._request)
        request.options = copy.copy(request.options)
        request.options.json_data = repeated(body)
        if self._loop is None:
            answered(*_outcome(lambda: self._call_next(request)))
            return
        if not self._loop.is_running():
            answered(0, b"")
            return
        sending = self._send(request, answered)
        try:
            asyncio.run_coroutine_threadsafe(sending, self._loop)
        except RuntimeError:
            # It was closed just now.
            sending.close()
            answered(0, b"")

    async def _send(self, request: Any, answered: Answered) -> None:
        try:
            response = await self._call_next(request)
        except Exception:  # noqa: BLE001 - a ping that fails is no one's concern
            answered(0, b"")
            return
        answered(*_outcome(lambda: response))


def loop_of() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if it is asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _outcome(call: Callable[[], Any]) -> tuple[int, bytes]:
    try:
        http = call().http_response
        status, content = http.status_code, http.content
    except Exception:  # noqa: BLE001 - a ping that fails is no one's concern
        return 0, b""
    return status, content
