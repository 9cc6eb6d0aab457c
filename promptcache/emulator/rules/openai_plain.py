"""What a server refuses that speaks Chat Completions as they once were.

Others' servers that take this API often refuse what they do not know. No source lists
their fields: those here are the ones that `openai` 1.0 had, and `max_completion_tokens`
and `parallel_tool_calls`, which clients have long sent unasked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError, unknown
from promptcache.emulator.rules.openai_turns import Api, Body

__all__ = ["check_plain"]

NOT_FOUND = 404
TOP_LEVEL = frozenset(
    [
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    ]
)
MESSAGE = frozenset(
    ["role", "content", "name", "tool_calls", "tool_call_id", "function_call"]
)
PARTS: Mapping[str, frozenset[str]] = {
    "text": frozenset(["type", "text"]),
    "image_url": frozenset(["type", "image_url"]),
}
TOOL = frozenset(["type", "function"])


def check_plain(api: Api, body: Body) -> None:
    """Refuse every field that is newer, wherever it stands.

    Raises:
        OpenAIRejectedError: Such a server would refuse the request.
    """
    if api == "responses":
        raise OpenAIRejectedError("Not Found", status=NOT_FOUND)
    for path, value, known in _objects(body):
        for name in value:
            if name not in known:
                raise unknown(f"{path}.{name}" if path else name)


def _objects(body: Body) -> Iterator[tuple[str, Mapping[str, Any], frozenset[str]]]:
    yield "", body, TOP_LEVEL
    for at, tool in _mappings(body.get("tools"), "tools"):
        yield at, tool, TOOL
    for at, message in _mappings(body.get("messages"), "messages"):
        yield at, message, MESSAGE
        for inner, part in _mappings(message.get("content"), f"{at}.content"):
            yield inner, part, PARTS.get(str(part.get("type")), frozenset(part))


def _mappings(value: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield f"{path}[{index}]", item
