"""A request as ordered blocks: what every provider's wire format is read into.

Rule 1: this file knows no provider; `providers/*/wire` fill an outline in.
Rule 2: an outline holds digests, sizes and names; text only where its reader asked for
the contents of some blocks, and then only until it lets the outline go.
Rule 3: a digest covers everything before it, and no marker enters one.
"""

from bisect import bisect_right
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import Literal

from promptcache.ttl import Ttl

__all__ = [
    "BYTES_PER_TOKEN",
    "DIGEST_BYTES",
    "Blocks",
    "Mode",
    "Outline",
    "Place",
    "Section",
    "Trail",
]

DIGEST_BYTES = 16

BYTES_PER_TOKEN = 4
"""UTF-8 bytes of a prompt that make about one token; sizes are estimates."""


Mode = Literal["implicit", "explicit"]
"""Whether a provider also caches where it chooses itself, or only where it is told."""


class Section(IntEnum):
    """The parts of a prompt, in the order in which providers hash them."""

    TOOLS = 0
    SYSTEM = 1
    MESSAGES = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands in the request that it was read from."""

    section: Section
    index: int
    """Of the tool, the system block or the message."""
    block: int | None = None
    """Within a message; None for tools, system and a message as a whole."""
    inside: bool = False
    """A part of the block is meant."""

    def __str__(self) -> str:
        path = f"{self.section.name.lower()}[{self.index}]"
        if self.block is not None:
            path += f".content[{self.block}]"
        return f"{path} (inside)" if self.inside else path


@dataclass(slots=True)
class Blocks:
    """The columns of an outline, a value a block; only ever appended to.

    Columns are lists, not an object a block, and a conversation that grows shares
    them with the outline that it grew from.
    """

    root: bytes
    """Digest of what stands before the first block: model, tenant, parameters."""
    digests: list[bytes] = field(default_factory=list)
    """Running digest of the prefix that ends with the block."""
    tokens: list[int] = field(default_factory=list)
    """Estimated tokens of the prefix that ends with the block."""
    units: list[int] = field(default_factory=list)
    """Look-back positions up to and including the block."""
    kinds: list[str] = field(default_factory=list)
    """The block's type as the wire names it."""
    refusals: list[str] = field(default_factory=list)
    """Why no breakpoint may be placed on the block; empty if it may."""
    size: int = 0
    """Bytes that were read so far, encoded images and documents included."""
    wanted: Container[int] = ()
    """Positions whose contents are wanted, for as long as these columns live."""
    contents: dict[int, bytes] = field(default_factory=dict)
    """The contents of those; nothing else here is text."""

    def add(
        self,
        content: bytes,
        size: int,
        kind: str,
        refusal: str = "",
        *,
        opening: bytes = b"",
        joins: bool = False,
    ) -> None:
        """Append a block.

        Args:
            content: What tells this block from another one, markers left out.
            size: Bytes of prompt that it adds.
            kind: Its type as the wire names it.
            refusal: Why it may not carry a breakpoint, if it may not.
            opening: What opens the message that it is the first block of.
            joins: It shares the look-back position of the block before it.
        """
        if self.digests:
            before, tokens, units = self.digests[-1], self.tokens[-1], self.units[-1]
        else:
            before, tokens, units = self.root, 0, 0
        digest = blake2b(before + opening + content, digest_size=DIGEST_BYTES)
        if self.wanted and len(self.digests) in self.wanted:
            self.contents[len(self.digests)] = content
        self.digests.append(digest.digest())
        self.size += len(content)
        self.tokens.append(tokens - -size // BYTES_PER_TOKEN)
        self.units.append(units if joins else units + 1)
        self.kinds.append(kind)
        self.refusals.append(refusal)

    def add_trail(self, trail: "Trail") -> None:
        """Begin with what the provider puts before the request."""
        self.digests.append(trail.digest)
        self.tokens.append(trail.tokens)
        self.units.append(1)
        self.kinds.append("trail")
        self.refusals.append("trail")

    def add_unseen(self, *, kind: str, refusal: str) -> None:
        """Append a block that the request carries but the prompt does not."""
        self.digests.append(self.digests[-1] if self.digests else self.root)
        self.tokens.append(self.tokens[-1] if self.tokens else 0)
        self.units.append(self.units[-1] if self.units else 0)
        self.kinds.append(kind)
        self.refusals.append(refusal)

    def first(self, length: int) -> "Blocks":
        """Return columns that hold the first `length` blocks and may be added to.

        The same columns, if they hold no more than that: nobody else has appended.
        """
        if len(self.digests) == length:
            return self
        return Blocks(
            self.root,
            self.digests[:length],
            self.tokens[:length],
            self.units[:length],
            self.kinds[:length],
            self.refusals[:length],
            self.size,
        )


@dataclass(frozen=True, slots=True)
class Trail:
    """What a provider itself puts before a request: an earlier one and its answer."""

    digest: bytes
    """Of the earlier request's whole prefix."""
    tokens: int
    """Its estimated tokens."""
    key: str | None = None
    """The cache key that it was sent with."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A request read as ordered blocks; a position is a block's number in it."""

    blocks: Blocks
    """May hold more than `length` blocks, if a later outline grew from this one."""
    length: int
    tools_end: int
    """Blocks up to the end of the tools."""
    system_end: int
    """Blocks up to the end of the system prompt."""
    starts: tuple[int, ...]
    """Position of the first block of each message."""
    roles: tuple[str, ...]
    """Role of each message."""
    markers: Mapping[int, Ttl]
    """The caller's own breakpoints that stand where one may."""
    illegal: tuple[Place, ...] = ()
    """Where the caller put markers that the provider would refuse."""
    automatic: Ttl | None = None
    """Lifetime of the caller's automatic caching, if that is on."""
    automatic_illegal: bool = False
    """The caller's automatic caching has a form that the provider would refuse."""
    forced: bool = False
    """The form of the answer is forced, so this is a single answer, hardly a loop."""
    warms: bool = False
    """Nothing is to be answered: the request only writes, for others to read."""
    implicit: int = -1
    """Where the provider places a breakpoint itself unless told not to; -1: nowhere."""
    mode: Mode | None = None
    """What the caller says of that; None if nothing."""
    has_options: bool = False
    """The caller says something of caching for the request as a whole."""
    illegal_options: tuple[str, ...] = ()
    """The caller's options of caching that have a value no provider takes."""
    head_key: bytes = b""
    """Digest of what the head begins with, the same in every process; empty if there
    is no head. Requests that can share a prefix have the same."""
    trail: Trail | None = None
    """What the provider puts before the request."""
    names_cached: bool = False
    """The caller names a cached content that stands before the request."""

    @property
    def has_tools(self) -> bool:
        """Whether the request offers tools."""
        return self.tools_end > 0

    @property
    def has_answers(self) -> bool:
        """Whether the conversation holds a turn of the model."""
        return "assistant" in self.roles

    @property
    def opening_digest(self) -> bytes:
        """Digest of the prefix up to the first turn, which a conversation keeps."""
        if self.trail is not None:
            return self.trail.digest
        for message, start in enumerate(self.starts):
            if start >= self.system_end:
                return self.digest_before(self.message_end(message) + 1)
        return self.digest_before(self.length)

    @property
    def total_tokens(self) -> int:
        """Estimated tokens of the whole prompt."""
        return self.blocks.tokens[self.length - 1] if self.length else 0

    def digest_before(self, position: int) -> bytes:
        """Return the digest of the prefix that ends before a block."""
        return self.blocks.digests[position - 1] if position else self.blocks.root

    def place(self, position: int) -> Place:
        """Return where a block stands in the request."""
        if position < self.tools_end:
            return Place(Section.TOOLS, position)
        if position < self.system_end:
            return Place(Section.SYSTEM, position - self.tools_end)
        message = bisect_right(self.starts, position) - 1
        return Place(Section.MESSAGES, message, position - self.starts[message])

    def position(self, place: Place) -> int:
        """Return the number of the block that stands at a place."""
        if place.section is Section.TOOLS:
            return place.index
        if place.section is Section.SYSTEM:
            return self.tools_end + place.index
        return self.starts[place.index] + (place.block or 0)

    def message_end(self, message: int) -> int:
        """Return the position of the last block of a message; -1 if there is none."""
        if message < 0:
            return -1
        if message + 1 < len(self.starts):
            return self.starts[message + 1] - 1
        return self.length - 1
