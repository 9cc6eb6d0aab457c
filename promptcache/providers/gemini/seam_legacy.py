"""Where promptcache sits in `google-generativeai`: in front of a model's two clients.

Rule 1: as in `seam`: what is moved is bodies and chunks; every decision is the cache's.
Rule 2: the model that was passed in is never changed; a client is made when a model of
the SDK would make it, and as it would.
Rule 3: this is below the SDK's own checks, one of which forbids a model to have both a
cached content and an instruction.
"""

import copy
import inspect
import warnings
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import google.generativeai as sdk
from google.ai import generativelanguage as glm
from google.api_core.exceptions import GoogleAPICallError, ServerError
from google.api_core.gapic_v1.method import DEFAULT
from google.api_core.timeout import TimeToDeadlineTimeout
from google.generativeai import client as configured
from google.generativeai.caching import CachedContent
from google.generativeai.generative_models import GenerativeModel

from promptcache.errors import AttachedError
from promptcache.flow import Aside, Flow, arun, run
from promptcache.providers import Request
from promptcache.providers.gemini import GEMINI, facts, wire
from promptcache.providers.gemini.remote import RemoteError
from promptcache.providers.gemini.remote_legacy import (
    LegacyRemote,
    status_of,
    words_of,
)
from promptcache.providers.gemini.streams_legacy import LegacyWatch
from promptcache.providers.gemini.wire_legacy import body_of, request_of
from promptcache.providers.streams import AsyncEvents, Events
from promptcache.receipts.events import PlanningFailed
from promptcache.state.stores import Handle

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["TESTED", "Seam", "attach", "check", "generative_model"]

TESTED = "google-generativeai 0.8.6"

Model = TypeVar("Model")

_CALLS = ("generate_content", "stream_generate_content")
_ARGUMENTS = ("self", "request", "model", "contents", "retry", "timeout", "metadata")
_SET_FIRST = ("_client", "_async_client")
_MAKERS = ("get_default_generative_client", "get_default_generative_async_client")
_UNREADABLE: Mapping[str, Any] = {"contents": "what JSON cannot carry"}
"""Stands for a request that is sent as it is, since nobody could read it."""


def attach(model: Model, cache: "PromptCache") -> Model:
    """Return a model that asks as this one does and plans its requests.

    Attaching to the same cache again returns the model as it is. If the installed SDK
    lacks what the seam relies on, so does this, with a warning.

    Args:
        model: A `google.generativeai.GenerativeModel`.
        cache: What decides.

    Raises:
        OptionError: The cache's policy names a lifetime that cached contents lack.
        AttachedError: The model is attached to another cache.
    """
    cache.check_ttl(None, GEMINI)
    front = getattr(model, "_client", None)
    if isinstance(front, _Front):
        if front.seam.cache is cache:
            return model
        raise AttachedError
    why = _missing(model)
    if why is not None:
        cache.step_aside(GEMINI.name, why)
        warnings.warn(
            f"promptcache steps aside: {why}; tested with {TESTED}.", stacklevel=3
        )
        return model
    attached: Any = copy.copy(model)
    seam = Seam(model, cache)
    attached._client = _Client(seam)
    attached._async_client = _AsyncClient(seam)
    return attached  # type: ignore[no-any-return]


def check() -> str | None:
    """Return why the installed SDK cannot be served; None if it can.

    Its classes are looked at; no client is made.
    """
    return _lacking(GenerativeModel, GenerativeModel.__init__.__code__.co_names)


def generative_model(handle: Handle | str, cache: "PromptCache") -> Any:
    """Return a model whose requests name a cached content and have receipts.

    Args:
        handle: The cached content; with its name alone, the provider is asked for the
            model that it is for.
        cache: What writes the receipts.
    """
    named: Any = handle
    if isinstance(handle, Handle):
        bare = "/" not in handle.model
        model = f"models/{handle.model}" if bare else handle.model
        named = CachedContent._from_obj(
            glm.CachedContent(name=handle.name, model=model)
        )
    return cache.attach(GenerativeModel.from_cached_content(named))


class Seam:
    """Plans the requests of one model and settles their answers."""

    def __init__(self, model: Any, cache: "PromptCache") -> None:
        """Serve one cache.

        Args:
            model: The model, as the SDK made it.
            cache: What decides.
        """
        self.cache = cache
        self._plain = copy.copy(model)
        self._known_remote: LegacyRemote | None = None

    @property
    def client(self) -> Any:
        """The SDK's client, made at its first use."""
        if self._plain._client is None:
            self._plain._client = configured.get_default_generative_client()
        return self._plain._client

    @property
    def async_client(self) -> Any:
        """The SDK's asynchronous client, made at its first use."""
        if self._plain._async_client is None:
            self._plain._async_client = configured.get_default_generative_async_client()
        return self._plain._async_client

    def whole(self, client: Any, request: Any, options: Any) -> Flow[Any]:
        """Ask for an answer in one piece."""
        call = self._call(client, "generate_content", request, options)
        prepared = yield from self._prepared(call)
        answer = yield from self._sent(call.send, call, prepared)
        yield from self.cache.loading.end()
        LegacyWatch(self.cache, prepared).see_whole(answer)
        return answer

    def stream(self, client: Any, request: Any, options: Any) -> Flow[Events]:
        """Ask for an answer in chunks, and wait for the first one."""
        call = self._call(client, "stream_generate_content", request, options)
        prepared = yield from self._prepared(call)
        chunks = yield from self._sent(partial(_begun, call.send), call, prepared)
        return Events(chunks, LegacyWatch(self.cache, prepared))

    def async_stream(
        self, client: Any, request: Any, options: Any
    ) -> Flow[AsyncEvents]:
        """Ask for an answer in chunks through an asynchronous client."""
        call = self._call(client, "stream_generate_content", request, options)
        prepared = yield from self._prepared(call)
        begin = partial(_async_begun, call.send)
        chunks = yield from self._sent(begin, call, prepared)
        yield from self.cache.loading.end()
        return AsyncEvents(chunks, LegacyWatch(self.cache, prepared))

    def _prepared(self, call: "_Call") -> Flow["Prepared"]:
        prepared = self.cache.prepare(call.request)
        if wire.named(call.request.body) is None:
            yield from self.cache.place(prepared, self._remote)
        return prepared

    def _sent(self, send: Any, call: "_Call", prepared: "Prepared") -> Flow[Any]:
        message = self._message(call, prepared)
        options = call.counted(prepared)
        try:
            return (yield send(message, **options))
        except (AttributeError, GoogleAPICallError) as error:
            refusal = yield from self._refusal(error, prepared)
            if refusal is None:
                raise
            is_lost = yield from self.cache.lost(prepared, *refusal)
            if not is_lost:
                raise
        return (yield send(self._message(call, prepared), **options))

    def _message(self, call: "_Call", prepared: "Prepared") -> Any:
        if not prepared.is_changed:
            return call.given
        try:
            return request_of(prepared.body, call.given.model)
        except Exception as error:  # noqa: BLE001 - the call survives any error
            prepared.leave_all()
            name, model = GEMINI.name, call.request.model
            self.cache.tell(PlanningFailed.of(name, model, error))
            return call.given

    def _refusal(
        self, error: Exception, prepared: "Prepared"
    ) -> Flow[tuple[int, str] | None]:
        """Return the status and the words of a refusal; None if it was none."""
        if isinstance(error, ServerError):
            return None
        if isinstance(error, GoogleAPICallError):
            return status_of(error) or 0, words_of(error) or ""
        name = wire.named(prepared.body)
        if name is None or prepared.placement is None:
            return None
        # What refuses a stream over REST is a list of one, and the SDK fails to read
        # it. Source: google-api-core 2.33, exceptions.py, format_http_response_error.
        try:
            yield Aside(partial(self._remote().get, name))
        except RemoteError as refused:
            return refused.status or 0, refused.message
        return None

    def _call(self, client: Any, name: str, request: Any, options: Any) -> "_Call":
        body = body_of(request)
        asked = Request(
            GEMINI,
            _UNREADABLE if body is None else body,
            self._host(client),
            deployment=wire.bare(request.model),
        )
        return _Call(asked, request, client, name, options)

    def _host(self, client: Any) -> str:
        """Return the platform; a server that the caller's facts name, by its name."""
        address = str(client.api_endpoint)
        server = urlsplit(address if "//" in address else f"//{address}").netloc
        if server in self.cache.facts:
            return server
        return facts.host_named(server) or "developer"

    def _remote(self) -> LegacyRemote:
        if self._known_remote is None:
            self._known_remote = LegacyRemote(self._plain)
        return self._known_remote


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the SDK's client that asks a model for an answer."""

    request: Request
    given: Any
    """What the SDK made."""
    client: Any
    name: str
    options: Mapping[str, Any]

    @property
    def send(self) -> Any:
        """What sends it."""
        return getattr(self.client, self.name)

    def counted(self, prepared: "Prepared") -> Mapping[str, Any]:
        """Return the options, and have each attempt counted.

        The SDK repeats what it limits in time, and lets the caller say how that is
        done. Source: google-api-core 2.33, gapic_v1/method.py.
        """
        timeout = self.options.get("timeout", DEFAULT)
        if timeout is DEFAULT:
            transport = self.client.transport
            method = transport._wrapped_methods[getattr(transport, self.name)]
            timeout = method._timeout
        if isinstance(timeout, int | float):
            timeout = TimeToDeadlineTimeout(timeout=timeout)  # type: ignore[no-untyped-call]

        def limited(send: Any) -> Any:
            attempt = send if timeout is None else timeout(send)

            def counted(*arguments: Any, **named: Any) -> Any:
                prepared.attempts += 1
                return attempt(*arguments, **named)

            return counted

        return {**self.options, "timeout": limited}


class _Front:
    """Stands before a client of the SDK."""

    _behind: str
    """Where the seam has it."""

    def __init__(self, seam: Seam) -> None:
        self.seam = seam

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Copying asks before there is a seam.
            raise AttributeError(name)
        return getattr(getattr(self.seam, self._behind), name)


class _Client(_Front):
    _behind = "client"

    def generate_content(self, request: Any = None, **options: Any) -> Any:
        client = self.seam.client
        if not isinstance(request, glm.GenerateContentRequest):
            return client.generate_content(request, **options)
        return run(self.seam.whole(client, request, options))

    def stream_generate_content(self, request: Any = None, **options: Any) -> Any:
        client = self.seam.client
        if not isinstance(request, glm.GenerateContentRequest):
            return client.stream_generate_content(request, **options)
        return run(self.seam.stream(client, request, options))


class _AsyncClient(_Front):
    _behind = "async_client"

    async def generate_content(self, request: Any = None, **options: Any) -> Any:
        client = self.seam.async_client
        if not isinstance(request, glm.GenerateContentRequest):
            return await client.generate_content(request, **options)
        return await arun(self.seam.whole(client, request, options))

    async def stream_generate_content(self, request: Any = None, **options: Any) -> Any:
        client = self.seam.async_client
        if not isinstance(request, glm.GenerateContentRequest):
            return await client.stream_generate_content(request, **options)
        return await arun(self.seam.async_stream(client, request, options))


def _begun(send: Any, *arguments: Any, **named: Any) -> Iterator[Any]:
    """Send a request, and wait for its first chunk: a refusal may come in its place."""
    chunks = iter(send(*arguments, **named))
    try:
        first = next(chunks)
    except StopIteration:
        return iter(())
    return chain((first,), chunks)


async def _async_begun(send: Any, *arguments: Any, **named: Any) -> AsyncIterator[Any]:
    """Do what `_begun` does, with an asynchronous client."""
    chunks = aiter(await send(*arguments, **named))
    try:
        first = await anext(chunks)
    except StopAsyncIteration:
        return _resumed((), chunks)
    return _resumed((first,), chunks)


async def _resumed(
    taken: tuple[Any, ...], chunks: AsyncIterator[Any]
) -> AsyncIterator[Any]:
    for chunk in taken:
        yield chunk
    async for chunk in chunks:
        yield chunk


def _missing(model: Any) -> str | None:
    """Return what the installed SDK lacks of what the seam relies on."""
    return _lacking(type(model), [it for it in _SET_FIRST if hasattr(model, it)])


def _lacking(kind: type, set_first: Collection[str]) -> str | None:
    """Return it by a model's class, and by what its constructor sets."""
    installed = f"google-generativeai {sdk.__version__}"
    for name in _SET_FIRST:
        if name not in set_first:
            return f"{installed} has no `{kind.__name__}.{name}`"
    for client in (glm.GenerativeServiceClient, glm.GenerativeServiceAsyncClient):
        for name in _CALLS:
            call = getattr(client, name, None)
            found = () if call is None else tuple(inspect.signature(call).parameters)
            if found != _ARGUMENTS:
                return f"{installed} has another `{client.__name__}.{name}`"
    for name in _MAKERS:
        if not hasattr(configured, name):
            return f"{installed} has no `{name}`"
    return None
