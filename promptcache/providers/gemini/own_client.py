"""A client of `google-genai` of our own, signed in as another one is.

Rule 1: what can be closed is not shared, unless the caller lends it; what is lent is
never closed here.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["TIMEOUT_SECONDS", "own_client", "own_options"]

TIMEOUT_SECONDS = 30.0
"""How long an answer is waited for, where the client does not say."""


def own_options(given: Any) -> Any:
    """Return a client's HTTP options, made fit for calls of our own."""
    options = given.model_copy()
    # Fields of `generateContent` that the caller adds to every body.
    options.extra_body = None
    options.retry_options = None
    options.timeout = given.timeout or int(TIMEOUT_SECONDS * 1_000)
    theirs = dict(given.async_client_args or {})
    # Of an asynchronous caller nothing else may be known.
    shared = ("cert", "proxy", "trust_env", "verify")
    args = {name: theirs[name] for name in shared if name in theirs}
    args |= dict(given.client_args or {})
    if args.get("transport") is not None:
        args["transport"] = _Lent(args["transport"])
    if args.get("mounts"):
        mounts = args["mounts"].items()
        args["mounts"] = {name: it and _Lent(it) for name, it in mounts}
    options.client_args = args or None
    options.async_client_args = options.httpx_async_client = None
    options.aiohttp_client = None
    return options


def own_client(signed: Mapping[str, Any]) -> Any:
    """Return a `google.genai.Client` made with these arguments."""
    # Who has a client of the SDK has the SDK; nobody else gets here.
    from google import genai  # noqa: PLC0415

    return genai.Client(**signed)


class _Lent:
    """A transport of the caller's, which is the caller's to close."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def handle_request(self, request: Any) -> Any:
        return self._transport.handle_request(request)

    def close(self) -> None:
        pass
