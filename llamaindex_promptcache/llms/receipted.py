"""Receipts on what LlamaIndex hands to its callers.

Rule 1: a stream is entered step by step, and nothing of ours stays open between.
Rule 2: what is added was absent; what LlamaIndex says itself is left as it is.
"""

from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeVar

from llamaindex_promptcache.instrumentation import LlmCall

__all__ = ["areceipted_steps", "receipted", "receipted_steps"]

Response = TypeVar("Response")

_KEY = "prompt_cache"
_END: Any = object()


def receipted(response: Response, call: LlmCall) -> Response:
    """Return a response with the receipt that has come for it, if one has."""
    receipt = call.take_receipt()
    # What `structured_predict` returns is the user's own.
    if receipt is not None and hasattr(response, "additional_kwargs"):
        response.additional_kwargs[_KEY] = receipt.to_metadata()
        if call.complete_usage is not None:
            call.complete_usage(response, receipt)
    return response


def receipted_steps(
    stream: Generator[Response, None, None], call: LlmCall
) -> Generator[Response, None, None]:
    """Yield what a stream yields, each step made inside the call."""
    try:
        while True:
            with call:
                response: Any = next(stream, _END)
            if response is _END:
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
                response: Any = await anext(stream, _END)
            if response is _END:
                return
            yield receipted(response, call)
    except GeneratorExit:
        call.leave()
        raise
    finally:
        with call:
            await stream.aclose()
        call.settle()
