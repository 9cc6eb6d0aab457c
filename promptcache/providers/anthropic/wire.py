"""A body of Anthropic's Messages API, read into an outline.

Rule 1: a body is never written to.
Rule 2: markers are not content: they enter no digest and no size.
Rule 3: what is not understood is read, counted and left alone.
"""

from collections.abc import Container, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from promptcache.errors import UnreadableBodyError
from promptcache.outline import DIGEST_BYTES, Blocks, Outline, Place, Section
from promptcache.providers.anthropic.blocks import (
    ADVISORY,
    NESTING,
    content_of,
    mapping_of,
    nested_markers,
    refusal_of,
    size_of,
)
from promptcache.providers.anthropic.facts import DIRECT, HostFacts
from promptcache.ttl import Ttl

__all__ = ["MAX_BYTES", "extended", "outline"]

MAX_BYTES = 32 * 1024 * 1024
"""Larger bodies are sent as they are: reading them would hold the request up."""

_RUNS = frozenset({"tool_use", "tool_result"})

_OPENINGS = {
    role: b"\0%b\0" % role.encode() for role in ("user", "assistant", "system")
}
"""What tells a message of one role from a message of another."""

_TTLS: Mapping[Any, Ttl] = {None: "5m", "5m": "5m", "1h": "1h"}


def outline(
    body: Mapping[str, Any],
    *,
    host: HostFacts = DIRECT,
    tenant: str | None = None,
    wanted: Container[int] = (),
) -> Outline:
    """Read a body of `POST /v1/messages`.

    Args:
        body: The body as the SDK would encode it.
        host: What the platform accepts.
        tenant: Enters every digest, so that tenants share none.
        wanted: Positions whose contents the outline is to hold.

    Raises:
        UnreadableBodyError: It is no request of this API, or is too large.
    """
    if not isinstance(body, Mapping):
        raise UnreadableBodyError(f"it is a {type(body).__name__}, not an object")
    reading = _Reading(Blocks(_root(body, tenant), wanted=wanted), host)
    for index, tool in enumerate(_sequence(body, "tools")):
        reading.tool(index, mapping_of(tool))
    tools_end = len(reading.blocks.digests)
    reading.opening = b"\0system\0" + _system_level(body)
    reading.system(body.get("system"))
    system_end = len(reading.blocks.digests)
    reading.opening += _messages_level(body)
    reading.messages(_sequence(body, "messages"))
    automatic = body.get("cache_control")
    return Outline(
        blocks=reading.blocks,
        length=len(reading.blocks.digests),
        tools_end=tools_end,
        system_end=system_end,
        starts=tuple(reading.starts),
        roles=tuple(reading.roles),
        markers=reading.markers,
        illegal=tuple(reading.illegal),
        automatic=_ttl(automatic),
        automatic_illegal=automatic is not None and _ttl(automatic) is None,
        forced=_is_forced(body),
        warms=body.get("max_tokens") == 0,
    )


def extended(
    previous: Outline, messages: Sequence[Any], *, host: HostFacts = DIRECT
) -> Outline:
    """Return the outline of a conversation that `messages` have been added to.

    It shares the columns of `previous` and reads nothing but the new messages, and
    it knows only of markers on these: those of the request before are not content.

    Args:
        previous: What the conversation was.
        messages: The messages that follow.
        host: What the platform accepts.

    Raises:
        UnreadableBodyError: A message has a shape that cannot be read.
    """
    blocks = previous.blocks.first(previous.length)
    reading = _Reading(blocks, host, previous.starts, previous.roles)
    reading.messages(messages)
    return Outline(
        blocks=blocks,
        length=len(blocks.digests),
        tools_end=previous.tools_end,
        system_end=previous.system_end,
        starts=tuple(reading.starts),
        roles=tuple(reading.roles),
        markers=reading.markers,
        illegal=tuple(reading.illegal),
        forced=previous.forced,
    )


class _Reading:
    """One pass over one body, block by block."""

    def __init__(
        self,
        blocks: Blocks,
        host: HostFacts,
        starts: Sequence[int] = (),
        roles: Sequence[str] = (),
    ) -> None:
        self.blocks = blocks
        self.starts = list(starts)
        self.roles = list(roles)
        self.markers: dict[int, Ttl] = {}
        self.illegal: list[Place] = []
        self.opening = b""
        """What stands between the last block and the next one."""
        self._collapses = host.collapses_tool_runs
        self._code_calls: set[str] = set()

    def tool(self, index: int, tool: Mapping[str, Any]) -> None:
        if tool.get("defer_loading"):
            # Not in the prompt until a search finds it, and then it stands inline.
            self.blocks.add_unseen(kind="tool", refusal="deferred-tool")
        else:
            content = content_of(tool, "tool")
            self.blocks.add(content, len(content), "tool", opening=b"\0tool\0")
        if "cache_control" in tool:
            self._note_marker(tool, Section.TOOLS, index)

    def system(self, value: Any) -> None:
        for index, block in enumerate(_content(value, "system")):
            self._add(mapping_of(block), Section.SYSTEM, index, None)

    def messages(self, messages: Sequence[Any]) -> None:
        for message in messages:
            index = len(self.starts)
            if not isinstance(message, Mapping):
                raise UnreadableBodyError(f"messages[{index}] is no object")
            role = str(message.get("role"))
            self.starts.append(len(self.blocks.digests))
            self.roles.append(role)
            if message.get("cache_control") is not None:
                self.illegal.append(Place(Section.MESSAGES, index))
            self.opening += _OPENINGS.get(role) or repr(role).encode()
            refusal = ""
            if message.get("clear_at") is not None:
                refusal = "clear-at"
            elif role == "system":
                refusal = "system-turn"
            content = _content(message.get("content"), "messages.content")
            for number, part in enumerate(content):
                block = mapping_of(part)
                self._add(block, Section.MESSAGES, index, number, refusal)
            if self.blocks.size > MAX_BYTES:
                raise UnreadableBodyError(f"it is larger than {MAX_BYTES:,} bytes")

    def _add(
        self,
        block: Mapping[str, Any],
        section: Section,
        index: int,
        number: int | None,
        refusal: str = "",
    ) -> None:
        kind = str(block.get("type"))
        blocks = self.blocks
        content = content_of(block, kind)
        joins = kind in _RUNS and self._collapses and blocks.kinds[-1:] == [kind]
        blocks.add(
            content,
            size_of(block, kind, content),
            kind,
            _stricter(refusal_of(block, kind, self._code_calls), refusal),
            opening=self.opening,
            joins=joins,
        )
        self.opening = b""
        if "cache_control" in block or kind in NESTING:
            self._note_marker(block, section, index, number)

    def _note_marker(
        self,
        block: Mapping[str, Any],
        section: Section,
        index: int,
        number: int | None = None,
    ) -> None:
        marker = block.get("cache_control")
        inner, last = nested_markers(block)
        if marker is None:
            marker = last
        elif last is not None:
            inner = True
        if inner:
            self.illegal.append(Place(section, index, number, inside=True))
        if marker is None:
            return
        position = len(self.blocks.digests) - 1
        ttl = _ttl(marker)
        refusal = self.blocks.refusals[position]
        if ttl is None or (refusal and refusal not in ADVISORY):
            self.illegal.append(Place(section, index, number))
        else:
            self.markers[position] = ttl


def _stricter(own: str, turn: str) -> str:
    """Return the refusal of a block or that of its turn; a caution gives way."""
    return turn if turn and (not own or own in ADVISORY) else own


def _root(body: Mapping[str, Any], tenant: str | None) -> bytes:
    # Speed is part of it: requests at different speeds share no cached prefix.
    seed = repr(("anthropic", body.get("model"), body.get("speed"), tenant))
    return blake2b(
        seed.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES
    ).digest()


def _system_level(body: Mapping[str, Any]) -> bytes:
    """Return the parameters that, when changed, make system and messages miss.

    Source: the invalidation table of the prompt caching page, and structured outputs,
    whose format stands in the system prompt.
    """
    config = body.get("output_config")
    chosen = config.get("format") if isinstance(config, Mapping) else None
    return b"" if chosen is None else repr(chosen).encode("utf-8", "surrogatepass")


def _messages_level(body: Mapping[str, Any]) -> bytes:
    """Return the parameters that, when changed, make the messages miss.

    Source: as above. `auto` is what is used without a `tool_choice`, and how thinking
    is displayed is not part of the prompt.
    """
    choice, config = body.get("tool_choice"), body.get("output_config")
    thinking = body.get("thinking")
    levels: list[Any] = []
    if isinstance(choice, Mapping) and dict(choice) != {"type": "auto"}:
        levels.append(sorted(map(str, choice.items())))
    if isinstance(config, Mapping):
        levels.append((config.get("effort"), config.get("task_budget")))
    if isinstance(thinking, Mapping):
        levels.append([item for item in thinking.items() if item[0] != "display"])
    return repr(levels).encode("utf-8", "surrogatepass") if levels else b""


def _sequence(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise UnreadableBodyError(f"`{name}` is a {type(value).__name__}, not a list")
    return value


def _content(value: Any, path: str) -> Sequence[Any]:
    if isinstance(value, str):
        return ({"type": "text", "text": value},) if value else ()
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise UnreadableBodyError(f"`{path}` is a {type(value).__name__}")
    return value


def _ttl(marker: Any) -> Ttl | None:
    if isinstance(marker, Mapping) and marker.get("type") == "ephemeral":
        ttl = marker.get("ttl")
        return _TTLS.get(ttl) if ttl is None or isinstance(ttl, str) else None
    return None


def _is_forced(body: Mapping[str, Any]) -> bool:
    choice, config = body.get("tool_choice"), body.get("output_config")
    return (isinstance(choice, Mapping) and choice.get("type") in ("tool", "any")) or (
        isinstance(config, Mapping) and config.get("format") is not None
    )
