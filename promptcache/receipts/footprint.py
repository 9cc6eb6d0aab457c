"""What a request leaves behind that later ones are compared with.

Rule 1: digests, sizes and times; neither text nor a name.
Rule 2: every digest is the tenant's own, so footprints of two tenants share none.

A footprint has two digests of each block: of the whole prefix that ends with it, and of
the block alone. The first says where two prompts part; the second, which of their
blocks are the same although what stands before them is not.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace

from promptcache.outline import Outline, Section
from promptcache.receipts.sketch import DIGEST_BYTES, digest_of
from promptcache.receipts.usage import Usage

__all__ = ["Footprint", "footprint_of", "goes_on_from", "parted"]

_UNKNOWN = bytes(DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class Footprint:
    """One request that was answered, as far as caches are concerned."""

    root: bytes
    """Digest of what stands before the first block: model, tenant, settings."""
    prefixes: bytes
    """Digest of the prefix that ends with each block, one after another."""
    tokens: "array[int]"
    """Estimated tokens of each of these prefixes."""
    tools_end: int
    system_end: int
    opening: int
    """Blocks up to the end of the first message."""
    last: int
    """The first block of the last message."""
    answered: int
    """The first block of the first answer of the model; `length` if there is none."""
    salt: bytes
    """The tenant's."""
    entries: tuple[tuple[int, float], ...]
    """Blocks that prefixes were marked to be kept to, and the seconds of their lives;
    empty too where the provider needs no mark."""
    sent: float
    """When the request was sent, from which lives count, in UTC seconds."""
    readable: float
    """When what it wrote could be read: when its answer began, or was there."""
    numbers: tuple[int, int]
    """The numbers of its sending and its settling among all of this process, which tell
    their order where the clock does not."""
    input_tokens: int | None
    """Tokens of the prompt, as reported."""
    read_tokens: int | None
    cached_tokens: int | None
    """Tokens that were read or written, as reported."""
    conversation: bytes | None = None
    """Digest of the name of its conversation, if it has one."""
    key: bytes | None = None
    """Digest of the key that it was sent under, if that is ours."""
    follows: bool = False
    """The first block stands for an earlier request and its answer, kept there."""
    contents: bytes = b""
    """Digest of each block alone, one after another; zeros where it is not known."""

    @property
    def length(self) -> int:
        """Number of its blocks."""
        return len(self.tokens)

    @property
    def marked_tokens(self) -> int:
        """Estimated tokens of the longest prefix that was marked."""
        return self.tokens[self.entries[-1][0]] if self.entries else 0

    def prefix(self, position: int) -> bytes:
        """Return the digest of the prefix that ends with a block."""
        return _at(self.prefixes, position)

    def content(self, position: int) -> bytes | None:
        """Return the digest of a block alone, or None if it is not known."""
        digest = _at(self.contents, position)
        return digest if digest and digest != _UNKNOWN else None

    def weight(self, position: int) -> int:
        """Return the estimated tokens of a block alone."""
        before = self.tokens[position - 1] if position else 0
        return self.tokens[position] - before

    def estimate(self, position: int) -> int:
        """Return the tokens of the prefix that ends with a block.

        Estimated, but to the scale of what was reported of this request.
        """
        tokens = self.tokens[position]
        if self.cached_tokens and self.marked_tokens:
            return round(tokens * self.cached_tokens / self.marked_tokens)
        if self.input_tokens and self.tokens[-1]:
            return round(tokens * self.input_tokens / self.tokens[-1])
        return tokens

    def section(self, position: int) -> Section:
        """Return the section that a block stands in."""
        if position < self.tools_end:
            return Section.TOOLS
        return Section.SYSTEM if position < self.system_end else Section.MESSAGES

    def could_read(self, other: "Footprint") -> bool:
        """Tell whether what another request wrote was there when this one was sent."""
        if other.readable == self.sent:
            return other.numbers[1] <= self.numbers[0]
        return other.readable < self.sent

    def with_contents(self, contents: Mapping[int, bytes]) -> "Footprint":
        """Return it with the digests of blocks alone.

        Args:
            contents: These digests, by position.
        """
        known = (contents.get(it) or _UNKNOWN for it in range(self.length))
        return replace(self, contents=b"".join(known))


def footprint_of(
    outline: Outline,
    *,
    tenant: str | None,
    conversation: str | None,
    key: str | None = None,
    entries: tuple[tuple[int, float], ...],
    usage: Usage,
    sent: float,
    readable: float,
    numbers: tuple[int, int] = (0, 0),
) -> Footprint:
    """Return the footprint of a request.

    Args:
        outline: The request.
        tenant: Whose it is.
        conversation: The conversation that it is said to continue.
        key: Our key that it was sent under, if it has one.
        entries: What was marked, in the order of the prompt, and for how many seconds.
        usage: What its answer reported.
        sent: When it was sent, in UTC seconds.
        readable: When its answer began, in UTC seconds.
        numbers: Those of its sending and its settling.
    """
    length, starts = outline.length, outline.starts
    salt = digest_of(repr(tenant).encode("utf-8", "surrogatepass"))
    named = None
    if conversation is not None:
        named = digest_of(conversation.encode("utf-8", "surrogatepass"), salt)
    in_messages = [it for it in starts if it >= outline.system_end]
    answers = (
        start
        for start, role in zip(starts, outline.roles, strict=True)
        if role == "assistant"
    )
    read, written = usage.read_tokens, usage.written_tokens
    return Footprint(
        root=outline.blocks.root[:DIGEST_BYTES],
        prefixes=b"".join(it[:DIGEST_BYTES] for it in outline.blocks.digests[:length]),
        tokens=array("I", outline.blocks.tokens[:length]),
        tools_end=outline.tools_end,
        system_end=outline.system_end,
        opening=in_messages[1] if len(in_messages) > 1 else length,
        last=in_messages[-1] if in_messages else length,
        answered=next(answers, length),
        salt=salt,
        entries=entries,
        sent=sent,
        readable=readable,
        numbers=numbers,
        input_tokens=usage.input_tokens,
        read_tokens=read,
        cached_tokens=None if read is None or written is None else read + written,
        conversation=named,
        key=None if key is None else digest_of(key.encode()),
        follows=outline.trail is not None,
    )


def parted(one: Footprint, other: Footprint) -> int:
    """Return how many blocks of the other request stand before all that is in one.

    All of them, where one goes on from its answer by name.
    """
    if one.root != other.root:
        return 0
    if goes_on_from(one, other):
        return other.length
    low, high = 0, min(one.length, other.length)
    while low < high:
        middle = (low + high) // 2
        if one.prefix(middle) == other.prefix(middle):
            low = middle + 1
        else:
            high = middle
    return low


def goes_on_from(one: Footprint, other: Footprint) -> bool:
    """Tell whether the provider itself puts the other request before one."""
    whole = other.prefix(other.length - 1) if other.length else b""
    return one.follows and one.prefix(0) == whole


def _at(digests: bytes, position: int) -> bytes:
    return digests[position * DIGEST_BYTES : (position + 1) * DIGEST_BYTES]
