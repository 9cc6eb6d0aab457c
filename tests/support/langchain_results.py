"""What is compared of two walks of one path: bodies, answers and receipts."""

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

OPTION = "prompt_cache"
ENDS = ("stop_reason", "finish_reason", "status")
"""Where providers say why an answer ended."""


def walked(walk, kit, answers, emulator):
    emulator.answers.clear()
    for answer in answers:
        emulator.answers.push(answer)
    return walk(kit)


def bodies(rows, strip):
    return sorted((strip(row.body) for row in rows), key=str)


def messages_in(result):
    """Yield the model's messages in a result of any form."""
    if isinstance(result, AIMessage):
        yield result
    elif isinstance(result, ChatGeneration):
        yield result.message
    elif isinstance(result, LLMResult):
        yield from messages_in(result.generations)
    elif isinstance(result, dict):
        yield from messages_in(list(result.values()))
    elif isinstance(result, (list, tuple)):
        for item in result:
            yield from messages_in(item)


def receipted(result):
    return [
        message
        for message in messages_in(result)
        if OPTION in message.response_metadata
    ]


def shape(result):
    """Return what two results have in common if they say the same."""
    if isinstance(result, BaseMessage):
        usage = getattr(result, "usage_metadata", None) or {}
        return (
            type(result).__name__,
            result.content,
            getattr(result, "tool_calls", None),
            getattr(result, "tool_call_chunks", None),
            usage.get("total_tokens"),
            *(result.response_metadata.get(key) for key in ENDS),
        )
    if isinstance(result, ChatGeneration):
        return shape(result.message)
    if isinstance(result, LLMResult):
        return shape(result.generations)
    if isinstance(result, dict):
        return {key: shape(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        shapes = [shape(item) for item in result]
        # Those of `batch_as_completed` come as they are done, and so do the parts of
        # what runs side by side.
        done = all(isinstance(item, tuple) and len(item) == 2 for item in result)
        parts = all(isinstance(item, dict) and len(item) == 1 for item in result)
        return sorted(shapes, key=str) if done or parts else shapes
    return result
