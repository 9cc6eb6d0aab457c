"""What a handler adds to a call of LlamaIndex's, from its span to its receipt."""

import statistics
import time
import uuid
from collections.abc import Iterator
from inspect import signature

from llama_index.core.llms import LLM, ChatMessage, MockLLM
from llama_index_instrumentation import get_dispatcher

from llamaindex_promptcache import PromptCacheHandler
from promptcache import PromptCache, Receipt
from promptcache.receipts.collect import deliver
from promptcache.runs import observing_collectors

__all__ = ["handler_us"]


def handler_us(receipt: Receipt, size: int) -> Iterator[tuple[str, float]]:
    """Yield how long a handler's part of a call takes, in microseconds.

    What the provider's SDK and the seam do beside is not in it: the receipt is given.

    Args:
        receipt: What each call is told of.
        size: How many calls.
    """
    for name, insert in (("watching", False), ("planning", True)):
        with PromptCacheHandler(PromptCache(), insert=insert):
            took = sorted(_call(MockLLM(), receipt) for _ in range(size))
        yield f"LlamaIndex handler, {name}, median", statistics.median(took) * 1e6
        yield f"LlamaIndex handler, {name}, p95", took[int(0.95 * size)] * 1e6


def _call(llm: LLM, receipt: Receipt) -> float:
    """Return how many seconds the handlers take for one call of an LLM."""
    dispatcher = get_dispatcher(type(llm).__module__)
    span_id = f"{type(llm).__name__}.chat-{uuid.uuid4()}"
    bound = signature(llm.chat).bind([ChatMessage("Hm")])
    began = time.perf_counter()
    dispatcher.span_enter(id_=span_id, bound_args=bound, instance=llm, tags={})
    _tell(receipt)
    dispatcher.span_exit(id_=span_id, bound_args=bound, instance=llm, result=None)
    return time.perf_counter() - began


def _tell(receipt: Receipt) -> None:
    """Deliver a receipt as a cache does that has just settled one."""
    for collector in observing_collectors():
        deliver(receipt, (collector,))
