"""The `anthropic` SDK's classes, instrumented: runs that are open plan through them."""

from functools import partial
from typing import Any

from anthropic import _base_client as base

from promptcache.providers.anthropic.seam import Seam, attach, is_for_us
from promptcache.providers.instrumenting import Twins, instrumented, replace_method

__all__ = ["instrument"]

_TWINS = Twins(attach)


def instrument() -> None:
    """Let open runs plan the requests of all clients, also of those made before."""
    for kind, is_async in ((base.SyncAPIClient, False), (base.AsyncAPIClient, True)):
        replace_method(
            kind,
            "request",
            partial(
                instrumented, is_for_us=_is_for_us, twins=_TWINS, is_async=is_async
            ),
        )


def _is_for_us(client: Any, cast_to: Any, options: Any, **_: Any) -> bool:
    del cast_to
    attached = any(isinstance(it, Seam) for it in getattr(client, "middleware", ()))
    return not attached and is_for_us(options)
