"""Receipts on what LlamaIndex hands to its callers.

Rule 1: a stream is entered step by step, and nothing of ours stays open between.
Rule 2: what is added was absent; what LlamaIndex says itself is left as it is.
"""

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any, TypeVar

from llamaindex_promptcache.instrumentation import LlmCall
from promptcache import Receipt

__all__ = ["areceipted_steps", "receipted", "receipted_steps"]

Response = TypeVar("Response")

_KEY = "prompt_cache"
_USAGE = "usage"


def receipted(response: Response, call: LlmCall) -> Response:
    """Return a response with the receipt that has come for it, if one has."""
    receipt = call.take_receipt()
    # What `structured_predict` returns is the user's own.
    if receipt is not None and hasattr(response, "additional_kwargs"):
        response.additional_kwargs[_KEY] = receipt.to_metadata()
        _complete_usage(response, receipt)
    return response


def receipted_steps(
    stream: Generator[Response, None, None], call: LlmCall
) -> Generator[Response, None, None]:
    """Yield what a stream yields, each step made inside the call."""
    try:
        while True:
            with call:
                response = next(stream, None)
            if response is None:
                return
            yield receipted(response, call)
    except GeneratorExit:
        call.leave()
        raise
    finally:
        with call:
            stream.close()
        call.settle()


async def areceipted_steps(
    stream: AsyncGenerator[Response, None], call: LlmCall
) -> AsyncGenerator[Response, None]:
    """Yield what a stream yields, each step made inside the call."""
    try:
        while True:
            with call:
                response = await anext(stream, None)
            if response is None:
                return
            yield receipted(response, call)
    except GeneratorExit:
        call.leave()
        raise
    finally:
        with call:
            await stream.aclose()
        call.settle()


def _complete_usage(response: Any, receipt: Receipt) -> None:
    """Add the cache's tokens to the usage of a stream, which LlamaIndex leaves out.

    It keeps two fields of the event that opens a stream; the one that ends it need
    not repeat the others.
    """
    usage = receipt.usage
    counts = {
        "cache_creation_input_tokens": usage.written_tokens,
        "cache_read_input_tokens": usage.read_tokens,
    }
    known = {name: count for name, count in counts.items() if count is not None}
    shown = response.message.additional_kwargs.get(_USAGE)
    if not isinstance(shown, Mapping):
        return
    response.message.additional_kwargs[_USAGE] = {**known, **shown}
    raw = response.raw if isinstance(response.raw, dict) else {}
    reported: Any = raw.get(_USAGE)
    missing = {name: known[name] for name in known if _lacks(reported, name)}
    if missing:
        # A copy: the event that it came with belongs to the SDK.
        raw[_USAGE] = reported.model_copy(update=missing)


def _lacks(reported: Any, name: str) -> bool:
    return hasattr(reported, name) and getattr(reported, name) is None
