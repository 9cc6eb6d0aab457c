"""The `openai` SDK's classes, instrumented: runs that are open plan through them."""

from openai import _base_client as base

from promptcache.providers.instrumenting import replace_requests
from promptcache.providers.openai.seam import attach, is_attached, is_for_us

__all__ = ["instrument"]


def instrument() -> None:
    """Let open runs plan the requests of all clients, also of those made before."""
    replace_requests(base, attach=attach, is_attached=is_attached, is_for_us=is_for_us)
