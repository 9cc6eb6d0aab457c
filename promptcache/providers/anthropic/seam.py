"""Where promptcache sits in the `anthropic` SDK: a middleware on a client's requests.

Rule 1: the seam moves bodies and events; every decision is the cache's.
Rule 2: what the SDK returns is what the caller gets; only event iterators are wrapped.
Rule 3: the SDK runs middleware once per attempt, so an attempt that fails keeps what
was prepared for the next attempt of the same request.
"""

import copy
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anthropic

from promptcache.errors import AttachedError
from promptcache.flow import Flow, arun, run
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.anthropic.streams import AsyncEvents, Events, settle_body

if TYPE_CHECKING:
    from promptcache.cache import Prepared, PromptCache

__all__ = ["TESTED", "Seam", "attach"]

TESTED = "anthropic 0.120 to 2.12"

Client = TypeVar("Client")

_PATH = "/v1/messages"
_FIRST_REFUSAL = 400
_MAX_WAITING = 64

_HOSTS: Mapping[str, str] = {
    "AnthropicAWS": "aws",
    "AnthropicBedrock": "bedrock",
    "AnthropicBedrockMantle": "bedrock-mantle",
    "AnthropicFoundry": "foundry",
    "AnthropicVertex": "vertex",
}


def attach(client: Client, cache: "PromptCache") -> Client:
    """Return a client that shares the pool of this one and plans its requests.

    Attaching to the same cache again returns the client as it is. If the installed
    SDK lacks what the seam relies on, so does this, with a warning.

    Raises:
        AttachedError: The client is attached to another cache.
    """
    missing = _missing(client)
    if missing:
        warnings.warn(
            f"promptcache steps aside: anthropic {anthropic.__version__} has no "
            f"{missing}; tested with {TESTED}.",
            stacklevel=3,
        )
        return client
    for entry in cast("Any", client).middleware:
        if isinstance(entry, Seam):
            if entry.cache is cache:
                return client
            raise AttachedError
    attached = cast("Any", client).with_middleware(Seam(cache, _host(client)))
    return cast("Client", attached)


class Seam(anthropic.Middleware):
    """Plans the requests of one client and settles their answers."""

    def __init__(self, cache: "PromptCache", host: str) -> None:
        """Serve one cache.

        Args:
            cache: What decides.
            host: The platform of the client, as the facts name it.
        """
        self.cache = cache
        self._host = host
        self._lock = Lock()
        self._waiting: OrderedDict[str, Prepared] = OrderedDict()

    def handle(self, request: Any, call_next: Any) -> Any:
        """Send one attempt of a synchronous client's request."""
        return run(self._attempt(request, call_next))

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        """Send one attempt of an asynchronous client's request."""
        return await arun(self._attempt(request, call_next))

    def _attempt(self, request: Any, call_next: Any) -> Flow[Any]:
        prepared = self._prepared(request)
        if prepared is None:
            return (yield call_next(request))
        try:
            response = yield from self._send(request, call_next, prepared)
        except BaseException:
            self._keep(request, prepared)
            raise
        if not response.http_response.is_success:
            self._keep(request, prepared)
        elif request.stream:
            stream = yield response.parse()
            wrapper = AsyncEvents if hasattr(stream, "__aiter__") else Events
            stream._iterator = wrapper(stream._iterator, self.cache, prepared)
        else:
            settle_body(response, self.cache, prepared)
        return response

    def _send(self, request: Any, call_next: Any, prepared: "Prepared") -> Flow[Any]:
        prepared.attempts += 1
        response = yield call_next(_with_body(request, prepared))
        if response.status_code < _FIRST_REFUSAL or not prepared.is_planned:
            return response
        content = yield response.read()
        message = content.decode(errors="replace")
        if not self.cache.refuse(prepared, response.status_code, message):
            return response
        yield response.close()
        prepared.attempts += 1
        return (yield call_next(_with_body(request, prepared)))

    def _prepared(self, request: Any) -> "Prepared | None":
        """Return what is decided for a request, or None if it is none of ours."""
        options = request.options
        if options.method.lower() != "post" or options.url.partition("?")[0] != _PATH:
            return None
        if request.retries_taken:
            with self._lock:
                prepared = self._waiting.pop(options.idempotency_key, None)
            if prepared is not None:
                return prepared
        return self.cache.prepare(Request(ANTHROPIC, _body(options), self._host))

    def _keep(self, request: Any, prepared: "Prepared") -> None:
        """Keep what was decided, in case that the SDK tries once more."""
        key = request.options.idempotency_key
        if key is None:
            return
        with self._lock:
            self._waiting[key] = prepared
            # The last attempt of a request leaves its entry behind.
            while len(self._waiting) > _MAX_WAITING:
                self._waiting.popitem(last=False)


def _body(options: Any) -> Any:
    """Return the body that the SDK is going to encode."""
    body, extra = options.json_data, options.extra_json
    if isinstance(body, Mapping) and isinstance(extra, Mapping):
        return {**body, **extra}
    return extra if body is None else body


def _with_body(request: Any, prepared: "Prepared") -> Any:
    """Return the request with the planned body; itself if nothing was planned.

    `request.copy(body=...)` would copy the whole body deeply first.
    """
    if not prepared.is_planned:
        return request
    planned = copy.copy(request)
    planned.options = copy.copy(request.options)
    planned.options.json_data = prepared.body
    planned.options.extra_json = None
    return planned


def _host(client: object) -> str:
    names = [kind.__name__.removeprefix("Async") for kind in type(client).__mro__]
    return next((_HOSTS[name] for name in names if name in _HOSTS), "anthropic")


def _missing(client: object) -> str | None:
    """Return what the installed SDK lacks of what the seam relies on."""
    if not callable(getattr(client, "with_middleware", None)):
        return "`with_middleware`"
    if not hasattr(client, "middleware"):
        return "`middleware`"
    # A cached property in newer versions, set by the constructor in older ones.
    set_first = anthropic.Stream.__init__.__code__.co_names
    if "_iterator" not in {*vars(anthropic.Stream), *set_first}:
        return "`Stream._iterator`"
    return None
