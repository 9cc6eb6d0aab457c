"""One pass over a request of either API, block by block.

Rule 1: a body is never written to.
Rule 2: what is not understood is read, counted and left alone.
Rule 3: a message's parts are its first blocks, so a part's number is its block's.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from promptcache.errors import UnreadableBodyError
from promptcache.outline import Blocks, Outline, Place, Section, Trail
from promptcache.providers.openai.breakpoints import (
    MARK,
    bare,
    bare_tool,
    is_marked_inside,
    lifetime,
)
from promptcache.providers.openai.parameters import CachingOptions, digest_of
from promptcache.providers.openai.parts import (
    ADVISORY,
    content_of,
    refusal_of,
    rendered,
    size_of,
)
from promptcache.providers.openai.values import encoded, mapping_of, word
from promptcache.ttl import Ttl

__all__ = ["MAX_BYTES", "Reading", "check_object"]

MAX_BYTES = 32 * 1024 * 1024
"""Larger bodies are sent as they are: reading them would hold the request up."""

_HEAD_ROLES = ("system", "developer")


def check_object(body: Any) -> None:
    """Refuse what is no request at all.

    Raises:
        UnreadableBodyError: It is no object.
    """
    if not isinstance(body, Mapping):
        raise UnreadableBodyError(f"it is a {type(body).__name__}, not an object")


class Reading:
    """What was read so far."""

    def __init__(
        self, root: bytes, options: CachingOptions, wanted: Container[int] = ()
    ) -> None:
        self.blocks = Blocks(root, wanted=wanted)
        self.starts: list[int] = []
        self.roles: list[str] = []
        self.markers: dict[int, Ttl] = {}
        self.illegal: list[Place] = []
        self.head_texts: list[bytes] = []
        """What the system section says."""
        self.in_head = True
        """The next message may belong to the system section."""
        self._options = options
        self._whole: Ttl = options.ttl or "30m"
        self._tools_end = 0
        self._system_end = 0
        self._opening = b""
        self._trail: Trail | None = None

    def tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Take in the tools, which come first and carry no breakpoint."""
        for index, tool in enumerate(tools):
            if tool.get("defer_loading"):
                # Not in the prompt until a search finds it, and then it stands inline.
                self.blocks.add_unseen(kind="tool", refusal="tool")
            else:
                content = _tool(tool)
                size = len(content)
                self.blocks.add(content, size, "tool", "tool", opening=b"\0tool\0")
            self._note_tool(tool, index)
        self.end()
        self._tools_end = self._system_end = len(self.blocks.digests)

    def instructions(self, value: Any) -> None:
        """Take in the instructions, which come next and carry none either."""
        if not value:
            return
        self._opening = b"\0instructions\0"
        if isinstance(value, str):
            self.text(value, "instructions", "instructions")
        else:
            self.said(encoded(value), "instructions", "instructions")
        self._system_end = len(self.blocks.digests)

    def follow(
        self, trail: Trail, tools: Sequence[Mapping[str, Any]], instructions: Any
    ) -> None:
        """Begin with what the provider puts first, as one message of its own.

        Tools and instructions have no blocks then: they stand before what is put
        there, and only enter the digest of what follows.
        """
        for index, tool in enumerate(tools):
            self._note_tool(tool, index)
        said = [_tool(tool) for tool in tools if not tool.get("defer_loading")]
        said.append(encoded(instructions))
        self._opening = b"\0follows\0" + self.blocks.root + digest_of(b"\0".join(said))
        self._trail = trail
        self.in_head = False
        self.starts.append(0)
        self.roles.append("assistant")
        self.blocks.add_trail(trail)

    def go_on(self, conversation: str) -> None:
        """Put what the provider keeps of a conversation before the messages."""
        self.in_head = False
        said = conversation.encode("utf-8", "surrogatepass")
        self._opening += b"\0conversation\0" + said

    def begin(self, role: str, opening: bytes, message: Mapping[str, Any]) -> None:
        """Begin a message or item.

        Args:
            role: Whose it is.
            opening: What tells it from others besides its parts.
            message: The message or item.
        """
        if self.in_head and role not in _HEAD_ROLES:
            self.in_head = False
        self.starts.append(len(self.blocks.digests))
        self.roles.append(role)
        self._opening += opening
        if MARK in message and message[MARK] is not None:
            self.illegal.append(Place(Section.MESSAGES, len(self.starts) - 1))

    def end(self) -> None:
        """End a message or item, or the tools.

        Raises:
            UnreadableBodyError: The request is too large.
        """
        if self.in_head:
            self._system_end = len(self.blocks.digests)
        if self.blocks.size > MAX_BYTES:
            raise UnreadableBodyError(f"it is larger than {MAX_BYTES:,} bytes")

    def text(self, text: str, kind: str, refusal: str = "") -> None:
        """Take in a text that is written as a plain string."""
        content = text.encode("utf-8", "surrogatepass")
        if not refusal and not content:
            refusal = "empty-text"
        self.said(content, kind, refusal)

    def parts(
        self, parts: Sequence[Any], markable: frozenset[str], refusal: str = ""
    ) -> None:
        """Take in the parts of a message.

        Args:
            parts: The parts.
            markable: The types that may carry a breakpoint there.
            refusal: Why none of them may, if that is so.
        """
        for number, given in enumerate(parts):
            part = given if type(given) is dict else mapping_of(given)
            kind = word(part.get("type"))
            why = refusal or refusal_of(part, kind, markable)
            content = content_of(part, kind)
            self.said(content, kind, why, size_of(kind, content))
            if MARK in part and part[MARK] is not None:
                self._note(part[MARK], number, why)

    def whole(self, item: Mapping[str, Any], kind: str, refusal: str) -> None:
        """Take in an item that has no parts for breakpoints."""
        if is_marked_inside(item):
            place = Place(Section.MESSAGES, len(self.starts) - 1, 0, inside=True)
            self.illegal.append(place)
            item = bare(item)
        self.said(rendered(item), kind, refusal)

    def said(
        self, content: bytes, kind: str, refusal: str, size: int | None = None
    ) -> None:
        """Take in a block.

        Args:
            content: What tells it from another one.
            kind: Its type as the wire names it.
            refusal: Why it may not carry a breakpoint, if it may not.
            size: Bytes of prompt that it stands for, if not its own.
        """
        if self.in_head and content:
            self.head_texts.append(content)
        size = len(content) if size is None else size
        self.blocks.add(content, size, kind, refusal, opening=self._opening)
        self._opening = b""

    def outline(self, *, forced: bool, head_key: bytes) -> Outline:
        """Return what was read."""
        options = self._options
        return Outline(
            blocks=self.blocks,
            length=len(self.blocks.digests),
            tools_end=self._tools_end,
            system_end=self._system_end,
            starts=tuple(self.starts),
            roles=tuple(self.roles),
            markers=self.markers,
            illegal=tuple(self.illegal),
            automatic=options.ttl,
            forced=forced,
            warms=options.warms,
            implicit=self._implicit(),
            mode=options.mode,
            has_options=options.given,
            illegal_options=options.illegal,
            head_key=head_key,
            trail=self._trail,
        )

    def _note(self, marker: Any, number: int, refusal: str) -> None:
        ttl = lifetime(marker, self._whole)
        if ttl is None or (refusal and refusal not in ADVISORY):
            place = Place(Section.MESSAGES, len(self.starts) - 1, number)
            self.illegal.append(place)
        else:
            self.markers[len(self.blocks.digests) - 1] = ttl

    def _note_tool(self, tool: Mapping[str, Any], index: int) -> None:
        if bare_tool(tool) is not tool:
            self.illegal.append(Place(Section.TOOLS, index))

    def _implicit(self) -> int:
        """Return the end of the latest message that the provider marks itself.

        These are user messages, the last of a group of tool responses, and the last
        system or developer message of the initial group. Source: the guide.
        """
        end, following = len(self.blocks.digests), ""
        for start, role in zip(
            reversed(self.starts), reversed(self.roles), strict=True
        ):
            eligible = role == "user" or (role == "tool" and following != "tool")
            if eligible and end > start:
                return end - 1
            end, following = start, role
        return self._system_end - 1 if self._system_end > self._tools_end else -1


def _tool(tool: Mapping[str, Any]) -> bytes:
    return encoded(bare_tool(tool), in_order=True)
