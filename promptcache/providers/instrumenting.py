"""A method of an SDK's class that sends a run's requests through our seam.

Rule 1: where no run waits for a request, the method does what it did, and no more.
Rule 2: a client that is attached already is left to its own seam.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from weakref import WeakKeyDictionary

from promptcache.errors import PromptCacheError
from promptcache.runs import Run, waiting_run

__all__ = ["Twins", "instrumented", "replace_method", "replace_requests"]

_MARK = "_promptcache_instrumented"


class Twins:
    """What serves a client for a cache, made once and gone with the client."""

    def __init__(self, make: Callable[[Any, Any], Any]) -> None:
        """Make none yet.

        Args:
            make: Returns what serves a client, given that and a cache.
        """
        self._make = make
        self._made: WeakKeyDictionary[Any, dict[int, tuple[Any, Any]]] = (
            WeakKeyDictionary()
        )

    def of(self, client: Any, cache: Any) -> Any:
        """Return what serves a client; the client itself if nothing can."""
        made = self._made.setdefault(client, {})
        if id(cache) not in made:
            # The seam is attached past `PromptCache.attach`, which does this.
            cache.load_prices()
            try:
                made[id(cache)] = (cache, self._make(client, cache))
            except PromptCacheError as error:
                cache.step_aside(type(client).__module__.partition(".")[0], str(error))
                made[id(cache)] = (cache, client)
        return made[id(cache)][1]


def instrumented(
    plain: Any,
    *,
    is_for_us: Callable[..., bool],
    twins: Twins,
    is_async: bool,
) -> Any:
    """Return a method that takes the way of a run's cache, where a run waits.

    Args:
        plain: The method as the SDK has it.
        is_for_us: Tells whether a call, given with its client, asks a model and is not
            planned by a seam already.
        twins: Have a method of the same name for each client.
        is_async: Whether it is a coroutine function.
    """
    name = plain.__name__

    def served(client: Any, args: Any, named: Any) -> tuple[Run, Any] | None:
        run = waiting_run(client)
        if run is None or not is_for_us(client, *args, **named):
            return None
        twin = twins.of(client, run.cache)
        return None if twin is client else (run, getattr(twin, name))

    @wraps(plain)
    def request(self: Any, *args: Any, **named: Any) -> Any:
        found = served(self, args, named)
        if found is None:
            return plain(self, *args, **named)
        run, send = found
        with run.claimed():
            try:
                return send(*args, **named)
            except BaseException:
                run.release()
                raise

    @wraps(plain)
    async def request_async(self: Any, *args: Any, **named: Any) -> Any:
        found = served(self, args, named)
        if found is None:
            return await plain(self, *args, **named)
        run, send = found
        with run.claimed():
            try:
                return await send(*args, **named)
            except BaseException:
                run.release()
                raise

    return request_async if is_async else request


def replace_requests(
    base: Any,
    *,
    attach: Callable[[Any, Any], Any],
    is_attached: Callable[[Any], bool],
    is_for_us: Callable[[Any], bool],
) -> None:
    """Instrument the one method by which all requests of an SDK are sent.

    Args:
        base: The SDK's module with `SyncAPIClient` and `AsyncAPIClient`.
        attach: Returns what serves a client, given that and a cache.
        is_attached: Tells whether a client's requests go through a seam already.
        is_for_us: Tells, by its options, whether a request asks a model.
    """

    def is_ours(client: Any, cast_to: Any, options: Any, **_: Any) -> bool:
        del cast_to
        return not is_attached(client) and is_for_us(options)

    twins = Twins(attach)
    for kind, is_async in ((base.SyncAPIClient, False), (base.AsyncAPIClient, True)):
        made = partial(instrumented, is_for_us=is_ours, twins=twins, is_async=is_async)
        replace_method(kind, "request", made)


def replace_method(kind: type, name: str, made: Callable[[Any], Any]) -> None:
    """Put a method in the place of a class's own, once.

    Args:
        kind: The class.
        name: The method.
        made: Returns the new one, given the old one.
    """
    plain = vars(kind)[name]
    if hasattr(plain, _MARK):
        return
    new = made(plain)
    setattr(new, _MARK, True)
    setattr(kind, name, new)
