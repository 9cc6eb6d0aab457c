"""Conversations with their texts, as requests that were sent for each answer.

Every message of the assistant is one request with all that stands before it. A line of
the file is a conversation:

    {"messages": [{"role": "user", "content": "..."}, ...], "tools": [...]}

with messages and tools as Chat Completions take them. Tools that all have may stand in
`tools.json` beside the file: a list, or lists by name, of which a conversation has
those that it names in `involved_classes`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from promptcache.analysis.replay.files import files_of, lines_of, whole
from promptcache.analysis.replay.gaps import Gaps
from promptcache.analysis.replay.traces import (
    Asked,
    Body,
    Session,
    UnreadableTraceError,
)

__all__ = ["ToBody", "read_messages"]

Message: TypeAlias = Mapping[str, Any]

ToBody: TypeAlias = Callable[[Sequence[Message], Sequence[Message]], Body]
"""Makes a request of messages and tools."""

TOOLS = "tools.json"

_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
"""Types of schemas as some collections name them, and as JSON Schema does."""


def read_messages(path: Path, *, to_body: ToBody, gaps: Gaps) -> Iterator[Session]:
    """Yield conversations.

    Args:
        path: A file of JSON lines, or a folder of such.
        to_body: Makes requests of them.
        gaps: The times between requests that say none.

    Raises:
        UnreadableTraceError: There is no such file, or it holds something else.
    """
    for file in files_of(path, (".jsonl",)):
        beside = file.with_name(TOOLS)
        common = whole(beside) if beside.exists() else []
        for number, line in enumerate(lines_of(file), 1):
            try:
                conversation = _Conversation(
                    str(line.get("session", f"{file.name}:{number}")),
                    line["messages"],
                    [_tool(it) for it in _tools(line, common)],
                )
                requests = list(conversation.requests(to_body, gaps))
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise UnreadableTraceError(
                    f"Line {number} of {file} is no conversation: {error!r}"
                ) from error
            yield Session(conversation.name, requests)


@dataclass(frozen=True, slots=True)
class _Conversation:
    """One conversation."""

    name: str
    messages: Sequence[Message]
    tools: Sequence[Message]

    def requests(self, to_body: ToBody, gaps: Gaps) -> Iterator[Asked]:
        """Yield a request for each answer."""
        at, first = 0.0, True
        for number, message in enumerate(self.messages):
            if message["role"] != "assistant" or number == 0:
                continue
            if self.messages[number - 1]["role"] == "assistant":
                continue  # the same answer goes on
            stop = "tool_use" if message.get("tool_calls") else "end_turn"
            at = float(message.get("at", at))
            body = to_body(self.messages[:number], self.tools)
            yield Asked(at, body, conversation=self.name, stop=stop)
            first = False
            at += gaps.after(stop)
        if first:
            raise ValueError("no assistant has answered")


def _tools(line: Mapping[str, Any], common: Any) -> Sequence[Message]:
    """Return the tools of a conversation."""
    if "tools" in line:
        own: Sequence[Message] = line["tools"]
        return own
    if isinstance(common, Mapping):
        named = line.get("involved_classes", ())
        return [tool for name in named for tool in common.get(name, ())]
    shared: Sequence[Message] = common
    return shared


def _tool(tool: Message) -> Message:
    """Return a tool as Chat Completions take it."""
    function = tool.get("function", tool)
    return {
        "type": "function",
        "function": {
            "name": function["name"],
            "description": function.get("description", ""),
            "parameters": _schema(function.get("parameters", {"type": "object"})),
        },
    }


def _schema(schema: Any) -> Any:
    """Return a schema with the types that JSON Schema has."""
    if isinstance(schema, list):
        return [_schema(it) for it in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: _schema(value) for name, value in schema.items()}
    said = made.get("type")
    if said == "any":
        del made["type"]
    elif isinstance(said, str):
        made["type"] = _TYPES.get(said, said)
    return made
