"""The `anthropic` SDK's classes, instrumented: runs that are open plan through them."""

from anthropic import _base_client as base

from promptcache.providers.anthropic.seam import attach, is_attached, is_for_us
from promptcache.providers.instrumenting import replace_requests

__all__ = ["instrument"]


def instrument() -> None:
    """Let open runs plan the requests of all clients, also of those made before."""
    replace_requests(base, attach=attach, is_attached=is_attached, is_for_us=is_for_us)
