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
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anthropic

from promptcache.errors import AttachedError
from promptcache.flow import Flow, arun, run
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.anthropic.pings import can_repeat
from promptcache.providers.anthropic.repeats import Repeat, loop_of
from promptcache.providers.anthropic.streams import MessageWatch
from promptcache.providers.streams import settle_body, watch_stream
from promptcache.state.forks import ForkSafeLock

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["TESTED", "Seam", "attach", "check", "is_attached", "is_for_us"]

TESTED = "anthropic 0.120 to 2.12"

Client = TypeVar("Client")

_PATH = "/v1/messages"
_RAW_RESPONSE = "X-Stainless-Raw-Response"
_FIRST_REFUSAL = 400
_FIRST_FAILURE = 500
_RETRIED = frozenset({408, 409, 429})

_MAX_WAITING = 256
_WAIT_SECONDS = 120
"""How long a failed attempt is kept; the SDK waits a minute at most."""

# An SDK that has none is found out, and said so, when a client is attached.
_Middleware: Any = getattr(anthropic, "Middleware", object)

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
        OptionError: The cache's policy names a lifetime that Anthropic lacks.
        AttachedError: The client is attached to another cache.
    """
    cache.check_ttl(None, ANTHROPIC)
    missing = _missing(client)
    if missing:
        why = f"anthropic {anthropic.__version__} has no {missing}"
        cache.step_aside(ANTHROPIC.name, why)
        warnings.warn(
            f"promptcache steps aside: {why}; tested with {TESTED}.", stacklevel=3
        )
        return client
    for entry in cast("Any", client).middleware:
        if isinstance(entry, Seam):
            if entry.cache is cache:
                return client
            raise AttachedError
    attached = cast("Any", client).with_middleware(Seam(cache, _host(client)))
    return cast("Client", attached)


def check() -> str | None:
    """Return why the installed SDK cannot be served; None if it can.

    Its classes are looked at; no client is made.
    """
    kinds = (anthropic.Anthropic, anthropic.AsyncAnthropic)
    missing = next(filter(None, map(_missing, kinds)), None)
    return missing and f"anthropic {anthropic.__version__} has no {missing}"


class Seam(_Middleware):  # type: ignore[misc]
    """Plans the requests of one client and settles their answers."""

    def __init__(self, cache: "PromptCache", host: str) -> None:
        """Serve one cache.

        Args:
            cache: What decides.
            host: The platform of the client, as the facts name it.
        """
        self.cache = cache
        self._host = host
        self._lock = ForkSafeLock()
        self._waiting: OrderedDict[str, tuple[float, Prepared]] = OrderedDict()

    def handle(self, request: Any, call_next: Any) -> Any:
        """Send one attempt of a synchronous client's request."""
        return run(self._attempt(request, call_next, None))

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        """Send one attempt of an asynchronous client's request."""
        return await arun(self._attempt(request, call_next, loop_of()))

    def _attempt(
        self, request: Any, call_next: Any, loop: "AbstractEventLoop | None"
    ) -> Flow[Any]:
        prepared = yield from self._prepared(request)
        if prepared is None:
            return (yield call_next(request))
        warming = self.cache.warming
        warming.seen(prepared)
        repeat = None
        if warming.is_on and can_repeat(prepared.body):
            repeat = Repeat(request, call_next, loop)
        watch = MessageWatch(self.cache, prepared, repeat)
        with prepared.on_its_way():
            return (yield from self._answer(request, call_next, prepared, watch))

    def _answer(
        self, request: Any, call_next: Any, prepared: "Prepared", watch: MessageWatch
    ) -> Flow[Any]:
        try:
            response = yield from self._send(request, call_next, prepared)
        except Exception:
            self._keep(request, prepared)
            raise
        yield from self.cache.loading.end()
        if not response.http_response.is_success:
            prepared.fail()
            if _may_be_retried(response):
                self._keep(request, prepared)
        elif request.stream:
            stream = yield response.parse()
            watch_stream(stream, watch)
            _hand_on(stream, request, response)
        else:
            settle_body(response, watch)
        return response

    def _send(self, request: Any, call_next: Any, prepared: "Prepared") -> Flow[Any]:
        prepared.attempts += 1
        response = yield call_next(_with_body(request, prepared))
        if response.status_code < _FIRST_REFUSAL or not prepared.is_changed:
            return response
        content = yield response.read()
        message = content.decode(errors="replace")
        if not self.cache.refuse(prepared, response.status_code, message):
            return response
        yield response.close()
        prepared.attempts += 1
        return (yield call_next(_with_body(request, prepared)))

    def _prepared(self, request: Any) -> "Flow[Prepared | None]":
        """Return what is decided for a request, or None if it is none of ours."""
        options = request.options
        if not is_for_us(options):
            return None
        body = _body(options)
        if request.retries_taken:
            prepared = self._kept(str(options.idempotency_key))
            # Another middleware may send something else under the same key.
            if prepared is not None and prepared.request.body == body:
                return prepared
        built = Request(ANTHROPIC, body, self._host)
        return (yield from self.cache.turns.prepare(built, self.cache.prepare))

    def _keep(self, request: Any, prepared: "Prepared") -> None:
        """Keep what was decided, in case that the SDK tries once more."""
        key = request.options.idempotency_key
        if key is None:
            return
        now = self.cache.clock.now()
        with self._lock:
            self._waiting[key] = (now + _WAIT_SECONDS, prepared)
            # The last attempt of a request leaves its entry, with the body, behind.
            while len(self._waiting) > _MAX_WAITING or self._oldest() <= now:
                self._waiting.popitem(last=False)

    def _kept(self, key: str) -> "Prepared | None":
        with self._lock:
            kept = self._waiting.pop(key, None)
        return None if kept is None else kept[1]

    def _oldest(self) -> float:
        return next(iter(self._waiting.values()))[0]


def is_attached(client: object) -> bool:
    """Tell whether a client's requests go through a seam."""
    return any(isinstance(it, Seam) for it in getattr(client, "middleware", ()))


def is_for_us(options: Any) -> bool:
    """Tell whether a request asks a model for an answer."""
    return bool(
        options.method.lower() == "post" and options.url.partition("?")[0] == _PATH
    )


def _body(options: Any) -> Any:
    """Return the body that the SDK is going to encode."""
    body, extra = options.json_data, options.extra_json
    if isinstance(body, Mapping) and isinstance(extra, Mapping):
        merged = {**body, **extra}
        return {
            name: value
            for name, value in merged.items()
            if not isinstance(value, anthropic.Omit)
        }
    return extra if body is None else body


def _with_body(request: Any, prepared: "Prepared") -> Any:
    """Return the request with the planned body; itself if nothing was planned.

    `request.copy(body=...)` would copy the whole body deeply first.
    """
    if not prepared.is_changed:
        return request
    planned = copy.copy(request)
    planned.options = copy.copy(request.options)
    planned.options.json_data = prepared.body
    planned.options.extra_json = None
    return planned


def _hand_on(stream: Any, request: Any, response: Any) -> None:
    """Let the caller of `with_raw_response` parse the stream that is watched.

    Before 1.0, the SDK turns the response into one of another class, which would make
    a stream of its own.
    """
    headers = request.options.headers
    if isinstance(headers, Mapping) and headers.get(_RAW_RESPONSE) == "true":
        response._options.post_parser = lambda _: stream


def _may_be_retried(response: Any) -> bool:
    """Tell whether the SDK's rules allow another attempt after this answer."""
    status, asked = response.status_code, response.headers.get("x-should-retry")
    return asked == "true" or status in _RETRIED or status >= _FIRST_FAILURE


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
