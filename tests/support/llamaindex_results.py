"""What a path left behind, in a form that two kinds of LLM can be compared by."""

import asyncio
import re
from collections import Counter

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from pydantic import BaseModel

OPTION = "prompt_cache"


async def settled(opened):
    """Wait until the tasks that an agent leaves behind have closed their spans."""
    for _ in range(200):
        if not opened.open:
            return
        await asyncio.sleep(0.005)


def bodies(rows, strip):
    return sorted((strip(row.body) for row in rows), key=str)


def kinds(events):
    return Counter(type(event).__name__ for event in events)


def names(spans):
    """Return the methods of spans; the class in a name is that of the LLM."""
    return Counter(re.sub(r"^.*?(\w+)-[0-9a-f-]{36}$", r"\1", name) for name in spans)


def responses_in(result):
    if isinstance(result, (ChatResponse, CompletionResponse)):
        yield result
    elif isinstance(result, (list, tuple)):
        for item in result:
            yield from responses_in(item)


def receipted(result):
    return [it for it in responses_in(result) if OPTION in it.additional_kwargs]


def answers_in(result):
    """Return how many answers of a model are in a result, streams counted once.

    Those of a `StructuredLLM` are its own, made from an instance.
    """
    return sum(any(not is_parsed(it.raw) for it in responses_in(one)) for one in result)


def is_parsed(raw):
    is_of_the_sdk = type(raw).__module__.startswith("openai.")
    return isinstance(raw, BaseModel) and not is_of_the_sdk


def shape(result):
    """Return what two results have in common if they say the same."""
    if isinstance(result, ChatResponse):
        usage = result.message.additional_kwargs.get("usage") or {}
        raw = result.raw
        return (
            type(result).__name__,
            [block.model_dump() for block in result.message.blocks],
            result.delta,
            result.message.additional_kwargs.get("stop_reason"),
            usage.get("output_tokens"),
            list(raw) if isinstance(raw, dict) else type(raw).__name__,
        )
    if isinstance(result, CompletionResponse):
        return type(result).__name__, result.text, result.delta
    if isinstance(result, (list, tuple)):
        return [shape(item) for item in result]
    if isinstance(result, BaseModel):
        return result.model_dump()
    return str(getattr(result, "response", result))
