"""Where promptcache sits in the `openai` SDK: at the one call that all requests make.

Rule 1: the seam moves bodies and events; every decision is the cache's.
Rule 2: what the SDK returns is what the caller gets; only event iterators are wrapped.
Rule 3: the SDK repeats a failed attempt inside that call, so one call is one plan.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, TypeVar, cast

import openai

from promptcache.errors import AttachedError
from promptcache.flow import Flow, arun, run
from promptcache.providers import Request
from promptcache.providers.openai import CHAT, RESPONSES, OpenAIProvider, facts
from promptcache.providers.openai.streams import (
    ChatWatch,
    ResponsesWatch,
    settle_response,
    settle_stream,
)
from promptcache.providers.streams import Watch

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.loading import Loading
    from promptcache.prepared import Prepared

__all__ = ["TESTED", "Seam", "attach", "check", "is_attached", "is_for_us"]

TESTED = "openai 2.45 to 3.54"

Client = TypeVar("Client")

_APIS: Mapping[str, tuple[OpenAIProvider, type[Watch]]] = {
    "/chat/completions": (CHAT, ChatWatch),
    "/responses": (RESPONSES, ResponsesWatch),
}
_PLATFORMS: Mapping[str, str] = {"AzureOpenAI": "azure", "BedrockOpenAI": "bedrock"}

_ARGUMENTS = ("self", "cast_to", "options", "stream", "stream_cls")
_OPTIONS = frozenset({"extra_json", "json_data", "method", "post_parser", "url"})

_FORGOTTEN = ("_azure_deployment", "_azure_endpoint", "_strict_response_validation")
"""What a copy of a client does not keep, in some versions of the SDK."""


def attach(client: Client, cache: "PromptCache") -> Client:
    """Return a client that shares the pool of this one and plans its requests.

    Attaching to the same cache again returns the client as it is. If the installed
    SDK lacks what the seam relies on, so does this, with a warning.

    Raises:
        OptionError: The cache's policy names a lifetime that OpenAI lacks.
        AttachedError: The client is attached to another cache.
    """
    cache.check_ttl(None, CHAT)
    sdk_client = cast("Any", client)
    seam = _seam_of(client)
    if seam is not None:
        if seam.cache is cache:
            return client
        raise AttachedError
    why = _missing(client)
    if why is None:
        try:
            attached = sdk_client.copy()
        except Exception as error:  # noqa: BLE001 - any constructor may be behind it
            why = f"{type(client).__name__}.copy() fails: {error!r}"
        else:
            for name in _FORGOTTEN:
                if hasattr(client, name):
                    setattr(attached, name, getattr(client, name))
            return cast("Client", _attached(attached, cache))
    cache.step_aside(CHAT.name, why)
    warnings.warn(
        f"promptcache steps aside: {why}; tested with {TESTED}.", stacklevel=3
    )
    return client


def check() -> str | None:
    """Return why the installed SDK cannot be served; None if it can.

    Its classes are looked at; no client is made.
    """
    return _missing(openai.OpenAI) or _missing(openai.AsyncOpenAI)


class Seam:
    """Plans the requests of one client and settles their answers."""

    def __init__(self, client: Any, cache: "PromptCache") -> None:
        """Serve one cache.

        Args:
            client: The client, as the SDK made it.
            cache: What decides.
        """
        self.cache = cache
        self._client = client
        self._send = client.request
        self._prepare_options = client._prepare_options
        names = [kind.__name__.removeprefix("Async") for kind in type(client).__mro__]
        known = (_PLATFORMS[name] for name in names if name in _PLATFORMS)
        self._platform = next(known, None)

    def request(self, cast_to: Any, options: Any, **streaming: Any) -> Any:
        """Send a synchronous client's request, with its retries."""
        send = partial(self._send, cast_to, **streaming)
        return run(self._request(send, options))

    async def request_async(self, cast_to: Any, options: Any, **streaming: Any) -> Any:
        """Send an asynchronous client's request, with its retries."""
        send = partial(self._send, cast_to, **streaming)
        return await arun(self._request(send, options))

    def prepare_options(self, options: Any) -> Any:
        """Count an attempt: the SDK calls this at the beginning of each."""
        if isinstance(options.post_parser, _Arrival):
            options.post_parser.prepared.attempts += 1
        return self._prepare_options(options)

    def derive(self, copied: Callable[..., Any], **changes: Any) -> Any:
        """Return a copy of the client that is attached as well."""
        return _attached(copied(**changes), self.cache)

    def _request(self, send: Callable[[Any], Any], options: Any) -> Flow[Any]:
        api = _api(options)
        if api is None:
            return (yield send(options))
        provider, watch = api
        body = _body(options)
        request = Request(
            provider,
            body,
            self._host(),
            follows=_follows(provider, body),
            deployment=getattr(self._client, "_azure_deployment", None),
        )
        prepared = yield from self.cache.turns.prepare(request, self.cache.prepare)
        arrival = _Arrival(
            watch(self.cache, prepared),
            prepared,
            options.post_parser,
            self.cache.loading,
        )
        with prepared.on_its_way():
            answer = yield from self._answer(send, options, arrival)
        yield from self.cache.loading.end()
        arrival.settle_early()
        if not arrival.has_come:
            settle_response(answer, arrival.watch)
        return answer

    def _answer(
        self, send: Callable[[Any], Any], options: Any, arrival: "_Arrival"
    ) -> Flow[Any]:
        prepared = arrival.prepared
        try:
            return (yield send(_planned(options, arrival)))
        except openai.APIStatusError as error:
            status, message = error.status_code, _message(error)
            if not self.cache.refuse(prepared, status, message):
                raise
        except (openai.APIResponseValidationError, JSONDecodeError) as error:
            # It was answered, and billed, in a form that the SDK cannot read.
            arrival.watch.see_whole(getattr(error, "body", None))
            raise
        return (yield send(_planned(options, arrival)))

    def _host(self) -> str:
        """Return the platform; a server that the caller's facts name, by its name."""
        server = self._client.base_url.netloc.decode()
        if server in self.cache.facts:
            return str(server)
        return self._platform or facts.host_named(server)


class _Arrival:
    """Where the SDK brings what it made of an answer, before the caller gets it.

    It travels in the options of the request, whose own `post_parser` it goes before.
    """

    def __init__(
        self, watch: Watch, prepared: "Prepared", given: Any, loading: "Loading"
    ) -> None:
        self.watch = watch
        self.prepared = prepared
        self.has_come = False
        self._given = given
        self._loading = loading
        self._early: list[Any] = []

    def __call__(self, made: Any) -> Any:
        self.has_come = True
        if isinstance(made, (openai.Stream, openai.AsyncStream)):
            settle_stream(made, self.watch)
        elif self._loading.is_awaited:
            self._early.append(made)
        else:
            self.watch.see_whole(made)
        return self._given(made) if callable(self._given) else made

    def settle_early(self) -> None:
        """Settle what came before its price could be known."""
        for made in self._early:
            self.watch.see_whole(made)
        self._early.clear()


def is_for_us(options: Any) -> bool:
    """Tell whether a request asks a model for an answer."""
    return _api(options) is not None


def is_attached(client: object) -> bool:
    """Tell whether a client's requests go through a seam."""
    return _seam_of(client) is not None


def _attached(client: Any, cache: "PromptCache") -> Any:
    if _seam_of(client) is not None:
        # A subclass may make one copy by way of the other.
        return client
    seam = Seam(client, cache)
    is_async = isinstance(client, openai.AsyncOpenAI)
    client.copy = partial(seam.derive, client.copy)
    client.with_options = partial(seam.derive, client.with_options)
    client._prepare_options = seam.prepare_options
    client.request = seam.request_async if is_async else seam.request
    return client


def _seam_of(client: object) -> Seam | None:
    seam = getattr(vars(client).get("request"), "__self__", None)
    return seam if isinstance(seam, Seam) else None


def _api(options: Any) -> tuple[OpenAIProvider, type[Watch]] | None:
    """Return the API that a request is for, or None if it is none of ours."""
    if options.method.lower() != "post":
        return None
    return _APIS.get(options.url.partition("?")[0])


def _body(options: Any) -> Any:
    """Return the body that the SDK is going to encode."""
    body, extra = options.json_data, options.extra_json
    if isinstance(body, Mapping) and isinstance(extra, Mapping):
        return {
            name: value
            for name, value in {**body, **extra}.items()
            if not isinstance(value, openai.Omit)
        }
    return extra if body is None else body


def _follows(provider: OpenAIProvider, body: Any) -> str | None:
    if provider is CHAT or not isinstance(body, Mapping):
        return None
    answer = body.get("previous_response_id")
    return answer if isinstance(answer, str) else None


def _planned(options: Any, arrival: _Arrival) -> Any:
    """Return options of our own, with the planned body if there is one."""
    planned = copy.copy(options)
    planned.post_parser = arrival
    prepared = arrival.prepared
    if prepared.is_changed:
        planned.json_data, planned.extra_json = _parted(prepared.body, options)
    return planned


def _parted(body: Mapping[str, Any], options: Any) -> tuple[Any, Any]:
    """Return a body in the two parts that it was given in.

    What stood in both stays in both: Azure's clients make the URL of the first.
    """
    given, extra = options.json_data, options.extra_json
    if not isinstance(extra, Mapping):
        return body, extra
    given = given if isinstance(given, Mapping) else {}
    first = {
        name: given[name] if name in extra else value
        for name, value in body.items()
        if name in given or name not in extra
    }
    return first, {name: value for name, value in body.items() if name in extra}


def _message(error: openai.APIStatusError) -> str:
    try:
        return str(error.response.text)
    except Exception:  # noqa: BLE001 - a closed response may never have been read
        return str(error)


def _missing(client: Any) -> str | None:
    """Return what the installed SDK lacks of what the seam relies on."""
    version = f"openai {openai.__version__}"
    for name in ("copy", "with_options", "_prepare_options", "base_url", "request"):
        if not hasattr(client, name):
            return f"{version} has no `{name}`"
    for kind in (openai.OpenAI, openai.AsyncOpenAI):
        if tuple(inspect.signature(kind.request).parameters) != _ARGUMENTS:
            return f"{version} has another `{kind.__name__}.request`"
    models = getattr(openai, "_models", None)
    options = getattr(models, "FinalRequestOptions", None)
    if not _OPTIONS.issubset(getattr(options, "__annotations__", ())):
        return f"{version} has other options of requests"
    for made in (openai.Stream, openai.AsyncStream):
        if "_iterator" not in made.__init__.__code__.co_names:
            return f"{version} has no `{made.__name__}._iterator`"
    return None
