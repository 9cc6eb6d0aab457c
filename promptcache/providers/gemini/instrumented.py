"""The `google-genai` SDK's classes, instrumented: open runs plan through them."""

from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

from google.genai import _api_client as base

from promptcache.providers.gemini.seam import Seam, is_for_us, is_sender, lacking
from promptcache.providers.gemini.streams import LateEvents
from promptcache.providers.instrumenting import instrumented, replace_method
from promptcache.runs import waiting_run

__all__ = ["instrument"]

_SEAMS = "_promptcache_seams"


def instrument() -> None:
    """Let open runs plan the requests of all clients, also of those made before."""
    kind = base.BaseApiClient
    for name, is_async in (
        ("request", False),
        ("async_request", True),
        ("async_request_streamed", True),
    ):
        replace_method(
            kind,
            name,
            partial(
                instrumented, is_for_us=_is_for_us, twins=_TWINS, is_async=is_async
            ),
        )
    replace_method(kind, "request_streamed", _streamed)


class _Seams:
    """The seams of API clients, kept by these, since each seam keeps its own alive."""

    def of(self, client: Any, cache: Any) -> Any:
        made = vars(client).setdefault(_SEAMS, {})
        if id(cache) not in made:
            cache.load_prices()
            why = lacking(client)
            if why is not None:
                cache.step_aside("google", why)
            seam = client if why else Seam(SimpleNamespace(_api_client=client), cache)
            made[id(cache)] = (cache, seam)
        return made[id(cache)][1]


_TWINS: Any = _Seams()


def _is_for_us(client: Any, http_method: str, path: str, *_: Any, **__: Any) -> bool:
    return is_for_us(http_method, path) and not is_sender(client)


def _streamed(plain: Any) -> Any:
    @wraps(plain)
    def request_streamed(self: Any, *args: Any, **named: Any) -> Any:
        run = waiting_run(self)
        if run is None or not _is_for_us(self, *args, **named):
            return plain(self, *args, **named)
        seam = _TWINS.of(self, run.cache)
        if seam is self:
            return plain(self, *args, **named)
        run.claim()
        chunks = seam.request_streamed(*args, **named)
        if isinstance(chunks, LateEvents):
            # What is asked is planned and sent when the first chunk is wanted.
            chunks.within(run.claimed)
        return chunks

    return request_streamed
