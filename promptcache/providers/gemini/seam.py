"""Where promptcache sits in `google-genai`: at the four calls that all requests make.

Rule 1: the seam moves bodies and chunks; every decision is the cache's or its keeper's.
Rule 2: the client that was passed in is never changed, and what both share is closed
only by its end, or by whoever closes either.
Rule 3: the SDK repeats a failed attempt inside those calls, so one call is one plan.
"""

import inspect
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from google.genai import _api_client, _common, errors, types, version

from promptcache.errors import AttachedError
from promptcache.flow import Flow, arun, run
from promptcache.providers import Request
from promptcache.providers.gemini import GEMINI, facts, wire
from promptcache.providers.gemini.copies import lasting_copy, moved
from promptcache.providers.gemini.remote import GenaiRemote
from promptcache.providers.gemini.streams import GenerateWatch, LateEvents, resumed
from promptcache.providers.streams import AsyncEvents, Events

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["TESTED", "Seam", "attach", "check", "is_for_us", "is_sender", "lacking"]

TESTED = "google-genai 2.20 to 3.4"

Client = TypeVar("Client")

_PATH = re.compile(
    r"(?P<model>[^?]+):(?:generateContent|streamGenerateContent)(?:\?.*)?"
)

_SENDER = "_promptcache_sends"

_CALLS = ("request", "request_streamed", "async_request", "async_request_streamed")
_ARGUMENTS = ("self", "http_method", "path", "request_dict", "http_options")
_ATTEMPTS = ("_request_once", "_async_request_once")
_SET_FIRST = ("_http_options", "vertexai")


def attach(client: Client, cache: "PromptCache") -> Client:
    """Return a client that shares the connections of this one and plans its requests.

    Attaching to the same cache again returns the client as it is. If the installed
    SDK lacks what the seam relies on, so does this, with a warning.

    Args:
        client: A `google.genai.Client`, or what that has as `aio`.
        cache: What decides.

    Raises:
        OptionError: The cache's policy names a lifetime that cached contents lack.
        AttachedError: The client is attached to another cache.
    """
    cache.check_ttl(None, GEMINI)
    seam = _seam_of(client)
    if seam is not None:
        if seam.cache is cache:
            return client
        raise AttachedError
    why = _missing(client)
    if why is None:
        attached = _attached(client, cache)
        if _is_moved(attached):
            return cast("Client", attached)
        why = f"the modules of {type(client).__name__} cannot be moved"
    cache.step_aside(GEMINI.name, why)
    warnings.warn(
        f"promptcache steps aside: {why}; tested with {TESTED}.", stacklevel=3
    )
    return client


def check() -> str | None:
    """Return why the installed SDK cannot be served; None if it can.

    Its classes are looked at; no client is made.
    """
    kind = _api_client.BaseApiClient
    return _lacking(kind, kind.__init__.__code__.co_names)


class Seam:
    """Plans the requests of one client and settles their answers."""

    def __init__(self, client: Any, cache: "PromptCache") -> None:
        """Serve one cache.

        Args:
            client: The client, as the SDK made it; it lives as long as this does.
            cache: What decides.
        """
        self.cache = cache
        self._client = client
        self._plain = client._api_client
        self._sender = lasting_copy(self._plain)
        setattr(self._sender, _SENDER, True)
        self._sender._request_once = partial(_attempt, self._plain._request_once)
        self._sender._async_request_once = partial(
            _async_attempt, self._plain._async_request_once
        )
        self._known_remote: GenaiRemote | None = None

    def request(
        self,
        http_method: str,
        path: str,
        request_dict: dict[str, Any],
        http_options: Any = None,
    ) -> Any:
        """Send a request and return its answer."""
        call = self._call(http_method, path, request_dict, http_options)
        if call is None:
            return self._plain.request(http_method, path, request_dict, http_options)
        return run(self._whole(self._sender.request, call))

    def request_streamed(
        self,
        http_method: str,
        path: str,
        request_dict: dict[str, Any],
        http_options: Any = None,
    ) -> Any:
        """Return the chunks of a request that is sent when the first is asked for."""
        call = self._call(http_method, path, request_dict, http_options)
        if call is None:
            send = self._plain.request_streamed
            return send(http_method, path, request_dict, http_options)
        return LateEvents(lambda: run(self._stream(self._begun, Events, call)))

    async def async_request(
        self,
        http_method: str,
        path: str,
        request_dict: dict[str, Any],
        http_options: Any = None,
    ) -> Any:
        """Send a request of an asynchronous client and return its answer."""
        call = self._call(http_method, path, request_dict, http_options)
        if call is None:
            send = self._plain.async_request
            return await send(http_method, path, request_dict, http_options)
        return await arun(self._whole(self._sender.async_request, call))

    async def async_request_streamed(
        self,
        http_method: str,
        path: str,
        request_dict: dict[str, Any],
        http_options: Any = None,
    ) -> Any:
        """Send a request of an asynchronous client and return its chunks."""
        call = self._call(http_method, path, request_dict, http_options)
        if call is None:
            send = self._plain.async_request_streamed
            return await send(http_method, path, request_dict, http_options)
        begin = self._sender.async_request_streamed
        return await arun(self._stream(begin, AsyncEvents, call))

    def _whole(self, send: Any, call: "_Call") -> Flow[Any]:
        prepared = yield from self._prepared(call)
        answer = yield from self._sent(send, call, prepared)
        yield from self.cache.loading.end()
        GenerateWatch(self.cache, prepared).see_whole(answer)
        return answer

    def _stream(self, send: Any, made: Any, call: "_Call") -> Flow[Any]:
        prepared = yield from self._prepared(call)
        chunks = yield from self._sent(send, call, prepared)
        yield from self.cache.loading.end()
        return made(chunks, GenerateWatch(self.cache, prepared))

    def _begun(self, *arguments: Any) -> Iterator[Any]:
        """Send a request whose chunks are wanted now: the SDK would wait."""
        chunks = self._sender.request_streamed(*arguments)
        try:
            first = next(chunks)
        except StopIteration:
            return iter(())
        return resumed(first, chunks)

    def _prepared(self, call: "_Call") -> Flow["Prepared"]:
        prepared = self.cache.prepare(call.request)
        if wire.named(call.request.body) is None:
            yield from self.cache.place(prepared, self._remote)
        return prepared

    def _sent(self, send: Any, call: "_Call", prepared: "Prepared") -> Flow[Any]:
        try:
            return (yield send(*call.arguments(prepared)))
        except errors.ClientError as error:
            status, message = error.code, str(error.message or "")
            is_lost = yield from self.cache.lost(prepared, status, message)
            if not is_lost:
                raise
        return (yield send(*call.arguments(prepared)))

    def _call(
        self, http_method: str, path: str, request_dict: Any, http_options: Any
    ) -> "_Call | None":
        """Return what is asked of a model, or None for what is none of ours."""
        found = _asked(http_method, path)
        if found is None:
            return None
        options = _options(http_options)
        extra = _chosen("extra_body", options, self._plain)
        request = Request(
            GEMINI,
            _body(request_dict, extra),
            self._host(_chosen("base_url", options, self._plain)),
            deployment=wire.bare(found["model"]),
        )
        return _Call(request, (http_method, path), request_dict, options, bool(extra))

    def _host(self, url: str | None) -> str:
        """Return the platform; a server that the caller's facts name, by its name."""
        server = urlsplit(url or "").netloc
        if server in self.cache.facts:
            return server
        # Servers of others speak the API that the client was made for.
        mode = "vertex" if self._plain.vertexai else "developer"
        return facts.host_named(server) or mode

    def _remote(self) -> GenaiRemote:
        if self._known_remote is None:
            self._known_remote = GenaiRemote(self._plain)
        return self._known_remote


def is_for_us(http_method: str, path: str) -> bool:
    """Tell whether a call asks a model for an answer."""
    return _asked(http_method, path) is not None


def is_sender(api_client: object) -> bool:
    """Tell whether an API client is what a seam sends by."""
    return _SENDER in vars(api_client)


def lacking(api_client: Any) -> str | None:
    """Return what the installed SDK lacks of what a seam relies on."""
    kind = type(api_client)
    return _lacking(kind, [it for it in _SET_FIRST if hasattr(api_client, it)])


class _Body(dict[str, Any]):
    """A body on its way, which tells whose attempts are made."""

    prepared: "Prepared"


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the SDK that asks a model for an answer."""

    request: Request
    where: tuple[str, str]
    """Method and path."""
    given: Mapping[str, Any]
    """The body as the SDK made it."""
    options: Any
    is_merged: bool
    """Whether the options add to the body."""

    def arguments(self, prepared: "Prepared") -> tuple[Any, ...]:
        """Return what to call the SDK with, now."""
        options = self.options
        if not prepared.is_changed:
            body = _Body(self.given)
        else:
            body = _Body(prepared.body)
            if self.is_merged:
                # It is in the body already; and nothing at all would be the client's.
                nothing: dict[str, Any] = {"extra_body": {}}
                options = (
                    types.HttpOptions(**nothing)
                    if options is None
                    else options.model_copy(update=nothing)
                )
        body.prepared = prepared
        return (*self.where, body, options)


def _asked(http_method: str, path: str) -> re.Match[str] | None:
    return _PATH.fullmatch(path) if http_method.lower() == "post" else None


def _attempt(send: Any, http_request: Any, *arguments: Any, **named: Any) -> Any:
    """Count an attempt: the SDK calls this at the beginning of each."""
    _count(http_request)
    return send(http_request, *arguments, **named)


async def _async_attempt(
    send: Any, http_request: Any, *arguments: Any, **named: Any
) -> Any:
    """Count an attempt; the SDK looks whether what it repeats is asynchronous."""
    _count(http_request)
    return await send(http_request, *arguments, **named)


def _count(http_request: Any) -> None:
    if isinstance(http_request.data, _Body):
        http_request.data.prepared.attempts += 1


def _attached(client: Any, cache: "PromptCache") -> Any:
    seam = Seam(client, cache)
    plain = client._api_client
    front = lasting_copy(plain)
    for name in _CALLS:
        setattr(front, name, getattr(seam, name))
    return moved(client, plain, front)


def _seam_of(client: Any) -> Seam | None:
    front = getattr(client, "_api_client", None)
    seam = getattr(getattr(front, "request", None), "__self__", None)
    return seam if isinstance(seam, Seam) else None


def _is_moved(client: Any) -> bool:
    """Tell whether all that asks models goes through the seam."""
    clients = [client, client.aio] if hasattr(client, "aio") else [client]
    return all(
        _seam_of(it) is not None and it.models._api_client is client._api_client
        for it in clients
    )


def _options(given: Any) -> Any:
    return types.HttpOptions.model_validate(given) if isinstance(given, dict) else given


def _chosen(name: str, options: Any, api_client: Any) -> Any:
    """Return an option of a call, else that of its client."""
    chosen = getattr(options, name, None)
    return getattr(api_client._http_options, name, None) if chosen is None else chosen


def _body(given: Mapping[str, Any], extra: Any) -> dict[str, Any]:
    """Return the body that the SDK is going to encode."""
    body = {name: value for name, value in given.items() if not name.startswith("_")}
    if extra:
        body = _unshared(body)
        _common.recursive_dict_update(body, extra)
    return body


def _unshared(value: Any) -> Any:
    """Return an object whose inner objects may be written to; lists are replaced."""
    if not isinstance(value, dict):
        return value
    return {name: _unshared(inner) for name, inner in value.items()}


def _missing(client: Any) -> str | None:
    """Return what the installed SDK lacks of what the seam relies on."""
    installed = f"google-genai {version.__version__}"
    plain = getattr(client, "_api_client", None)
    if plain is None or not hasattr(client, "models"):
        return f"{installed} has no `{type(client).__name__}.models`"
    return lacking(plain)


def _lacking(kind: type, set_first: Collection[str]) -> str | None:
    """Return it by a class, and by what its constructor sets."""
    installed = f"google-genai {version.__version__}"
    for name in _CALLS:
        if _parameters(kind, name) != _ARGUMENTS:
            return f"{installed} has another `{kind.__name__}.{name}`"
    for name in _ATTEMPTS:
        if _parameters(kind, name)[:2] != ("self", "http_request"):
            return f"{installed} has another `{kind.__name__}.{name}`"
    relied = {
        **{name: name in set_first for name in _SET_FIRST},
        "HttpRequest.data": "data" in _api_client.HttpRequest.__annotations__,
        "HttpResponse.body": "body" in types.HttpResponse.model_fields,
        "recursive_dict_update": hasattr(_common, "recursive_dict_update"),
    }
    lacking = next((name for name, is_there in relied.items() if not is_there), None)
    return None if lacking is None else f"{installed} has no `{lacking}`"


def _parameters(kind: type, name: str) -> tuple[str, ...]:
    call = getattr(kind, name, None)
    return () if call is None else tuple(inspect.signature(call).parameters)
