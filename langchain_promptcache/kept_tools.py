"""The tools of an agent that chooses others for each call, kept for their prefix.

Tools stand first in a prompt: where a call has others than the one before, nothing is
read. So each call is sent all tools that its conversation has had; those that were not
chosen for it are withheld: OpenAI is told which may be called, and a call of another is
answered with an error instead of being made.

Rule 1: which tools a conversation has had is in its own answers, by name and digest, so
that neither a restart nor another process forgets it, and no conversation is sent what
only another one has had.
Rule 2: a withheld tool is never run. One that the provider itself runs is never kept.
Rule 3: the definition that is sent for this call is the one of this call.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias, TypeGuard

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_promptcache.locks import ForkSafeLock

__all__ = ["Call", "KeptTools"]

Tool: TypeAlias = BaseTool | dict[str, Any]
Known: TypeAlias = dict[str, str]
"""Digests of tools, by name, in the order in which they were first had."""

_HAD = "prompt_cache_tools"
_MAX_TOOLS = 2_000


@dataclass(frozen=True, slots=True)
class Call:
    """One model call, and what is to be done about its answer."""

    request: ModelRequest[Any]
    """What to send, with all tools."""
    withheld: frozenset[str] = frozenset()
    """The tools that are not to be called."""
    new: Known | None = None
    """Tools that the conversation has not had before."""

    def answered(self, response: ModelResponse[Any]) -> ModelResponse[Any]:
        """Return a response whose calls of withheld tools are answered with errors."""
        result: list[BaseMessage] = []
        for message in response.result:
            noted = isinstance(message, AIMessage) and self.new
            result.append(self._noted(message) if noted else message)
            if isinstance(message, AIMessage):
                result += self._refused(message)
        return replace(response, result=result)

    def _noted(self, message: BaseMessage) -> BaseMessage:
        said = {**message.response_metadata, _HAD: self.new}
        return message.model_copy(update={"response_metadata": said})

    def _refused(self, message: AIMessage) -> list[ToolMessage]:
        return [
            ToolMessage(
                f"Error: {call['name']} is not available now. Use another tool, or "
                "answer without it.",
                tool_call_id=call["id"] or "",
                name=call["name"],
                status="error",
            )
            for call in message.tool_calls
            if call["name"] in self.withheld
        ]


class KeptTools:
    """Knows the definitions of tools that were sent; safe from many threads."""

    def __init__(self, tools: Sequence[BaseTool | Callable[..., Any]] = ()) -> None:
        """Know some tools from the start, which each call is sent then.

        Args:
            tools: As `create_agent` takes them.
        """
        given = [it if isinstance(it, BaseTool) else tool(it) for it in tools]
        self._always = {it.name: it for it in given}
        self._digests: OrderedDict[int, tuple[BaseTool, str]] = OrderedDict()
        self._tools: OrderedDict[tuple[str, str], BaseTool] = OrderedDict()
        self._lock = ForkSafeLock()

    def call(self, request: ModelRequest[Any]) -> Call:
        """Return a model call with the tools that its conversation has had."""
        chosen = {it.name: it for it in request.tools if _is_kept(it)}
        digests = {name: self._digest(it) for name, it in chosen.items()}
        had = _had(request.messages)
        others = [it for it in request.tools if not _is_kept(it)]
        kept = {**self._always, **self._found(had), **chosen}
        for it in others:
            kept.pop(_name(it), None)
        new = {name: it for name, it in digests.items() if had.get(name) != it}
        # What the conversation has had comes first, so that its bytes do.
        order = dict.fromkeys((*self._always, *had, *chosen))
        tools = [*(kept[name] for name in order if name in kept), *others]
        withheld = frozenset(kept) - frozenset(chosen)
        return Call(request.override(tools=tools), withheld, new)

    def _found(self, had: Mapping[str, str]) -> dict[str, BaseTool]:
        """Return the tools that a conversation has had, as far as they are known."""
        with self._lock:
            found = {name: self._tools.get(it) for it in had.items() for name in it[:1]}
        return {name: it for name, it in found.items() if it is not None}

    def _digest(self, it: BaseTool) -> str:
        """Return the digest of a tool's definition, and remember the tool by it."""
        with self._lock:
            known = self._digests.get(id(it))
        # The tool is kept too, as its id may be another's once it is gone.
        digest = _digest_of(it) if known is None else known[1]
        with self._lock:
            self._digests[id(it)] = (it, digest)
            self._tools[it.name, digest] = it
            self._digests.move_to_end(id(it))
            self._tools.move_to_end((it.name, digest))
            for memory in (self._digests, self._tools):
                while len(memory) > _MAX_TOOLS:
                    memory.popitem(last=False)
        return digest


def _is_kept(it: Tool) -> TypeGuard[BaseTool]:
    """Tell whether a tool is run by the agent, not by the provider."""
    if not isinstance(it, BaseTool):
        return False
    return "provider_tool_definition" not in (it.extras or {})


def _name(it: Tool) -> str:
    """Return by what name a model calls a tool."""
    if isinstance(it, BaseTool):
        return it.name
    function = it.get("function")
    named = function if isinstance(function, Mapping) else it
    return str(named.get("name"))


def _had(messages: Sequence[BaseMessage]) -> Known:
    """Return what the answers of a conversation say of its tools."""
    had: Known = {}
    for message in messages:
        said = message.response_metadata.get(_HAD)
        if isinstance(message, AIMessage) and isinstance(said, Mapping):
            had.update(said)
    return had


def _digest_of(it: BaseTool) -> str:
    said = json.dumps([convert_to_openai_tool(it), it.extras], default=repr)
    return blake2b(said.encode(), digest_size=6).hexdigest()
