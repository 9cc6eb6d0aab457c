"""What LangChain's handler costs a call, without the seam's own work."""

import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_promptcache import PromptCacheCallbackHandler
from promptcache import PromptCache, Receipt, Usage

__all__ = ["handler_microseconds"]

_SERIALIZED = {"name": "ChatAnthropic", "id": ["langchain", "ChatAnthropic"]}
_METADATA = {
    "lc_agent_name": "clerk",
    "langgraph_node": "model",
    "ls_model_name": "claude-sonnet-5-5",
    "ls_provider": "anthropic",
    "thread_id": "visit",
}
_USAGE = {
    "input_tokens": 24_310,
    "output_tokens": 400,
    "total_tokens": 24_710,
    "input_token_details": {"cache_read": 20_000, "cache_creation": 3_222},
}


def handler_microseconds(
    size: int, make_receipt: Callable[[int], Receipt]
) -> Iterator[tuple[str, float]]:
    """Yield what start and end of a call take, the median in microseconds.

    Args:
        size: How many calls are made.
        make_receipt: Returns the receipt of a numbered request.
    """
    yield "a call", _median(size, make_receipt)
    yield "a call of another SDK", _median(size, None)


def _median(size: int, make_receipt: Callable[[int], Receipt] | None) -> float:
    cache = PromptCache()
    # The price list, which a process reads while it waits for its first answer.
    cache.prices.cost("anthropic", "claude-sonnet-5-5", Usage(1, 0, 0, 0, 0, 1))
    handler = PromptCacheCallbackHandler(cache, insert=True)
    agent = uuid.uuid4()
    handler.on_chain_start({}, {}, run_id=agent, name="clerk")
    return statistics.median(
        _one(handler, agent, None if make_receipt is None else make_receipt(number))
        for number in range(size)
    )


def _one(handler: Any, agent: uuid.UUID, receipt: Receipt | None) -> float:
    usage: Any = _USAGE if receipt is None else None
    message = AIMessage("Yes.", usage_metadata=usage)
    result = LLMResult(generations=[[ChatGeneration(message=message)]])
    run_id = uuid.uuid4()
    start = time.perf_counter()
    handler.on_chat_model_start(
        _SERIALIZED,
        [],
        run_id=run_id,
        parent_run_id=agent,
        tags=["seq:step:1", "north"],
        metadata=_METADATA,
        invocation_params={},
        batch_size=1,
    )
    if receipt is not None:
        _tell(handler, run_id, receipt)
    handler.on_llm_end(result, run_id=run_id)
    return (time.perf_counter() - start) * 1e6


def _tell(handler: Any, run_id: uuid.UUID, receipt: Receipt) -> None:
    """Tell of a receipt as the seam does when it settles."""
    handler._calls.get(run_id).run.collector.told(receipt)  # noqa: SLF001
