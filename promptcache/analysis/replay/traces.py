"""Recorded requests, as a replay reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from promptcache.analysis.replay.billing import Billed
from promptcache.errors import PromptCacheError
from promptcache.outline import Blocks, Outline

__all__ = [
    "Asked",
    "BlockTrace",
    "Body",
    "Session",
    "UnreadableTraceError",
    "of_tenant",
]

STABLE_BLOCKS = 3
"""Blocks at the end of a recorded request that the next one may not repeat."""

Body: TypeAlias = Mapping[str, Any]


class UnreadableTraceError(PromptCacheError):
    """A file does not hold what its format says; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    at: float
    """Seconds since the session began."""
    prompt: Outline | Body
    """Its blocks, where only digests were recorded; else the body that was sent."""
    total_tokens: int = 0
    """All that it sends, also what is in no whole block; 0 if its body tells."""
    conversation: str | None = None
    """What it goes on with; None if the trace does not say."""
    stop: str | None = None
    """Why the model stopped after it, if that is known."""
    tenant: str | None = None
    recorded: Billed | None = None
    """What it was billed, if that is known."""

    @property
    def outline(self) -> Outline:
        """Return its blocks."""
        if not isinstance(self.prompt, Outline):
            raise TypeError("a body has no blocks of a trace")
        return self.prompt

    @property
    def body(self) -> Body:
        """Return its body."""
        if isinstance(self.prompt, Outline):
            raise TypeError("digests have no body")
        return self.prompt


@dataclass(frozen=True, slots=True)
class Session:
    """Requests of one conversation with its sub-agents, or of a whole service."""

    name: str
    requests: Iterable[Asked]
    """In the order of their times."""
    is_service: bool = False
    """It holds the requests of many users, each of which counts by itself."""


class BlockTrace:
    """Columns that the outlines of a trace share: all blocks have one size."""

    def __init__(self, block_tokens: int) -> None:
        """Begin with no block.

        Args:
            block_tokens: Tokens of each block.
        """
        self._size = block_tokens
        self._columns = Blocks(b"")

    def outline(
        self,
        digests: list[bytes],
        *,
        root: bytes,
        tools: int = 0,
        system: int = 0,
        answered: bool = False,
    ) -> Outline:
        """Return a request of blocks.

        Args:
            digests: The prefix that ends with each block.
            root: What no prefix is shared across, such as the tenant.
            tools: How many blocks the tools have.
            system: How many the system prompt has.
            answered: The conversation has an answer of the model.
        """
        length = len(digests)
        self._lengthen(length)
        columns = self._columns
        tools, head = min(tools, length), min(tools + system, length)
        last = max(length - STABLE_BLOCKS, head)
        turns = (head, last) if head < last else (head,)
        starts = tuple(it for it in turns if it < length)
        roles = ("user", "assistant", "user") if answered else ("user",)
        return Outline(
            Blocks(
                root,
                digests,
                columns.tokens,
                columns.units,
                columns.kinds,
                columns.refusals,
            ),
            length,
            tools,
            head,
            starts,
            roles[-len(starts) :] if starts else roles[:0],
            {},
        )

    def _lengthen(self, length: int) -> None:
        columns = self._columns
        known = len(columns.tokens)
        if known >= length:
            return
        fresh = range(known + 1, 2 * length + 1)
        columns.tokens += [self._size * it for it in fresh]
        columns.units += fresh
        columns.kinds += ["block"] * len(fresh)
        columns.refusals += [""] * len(fresh)


def of_tenant(outline: Outline, tenant: str | None) -> Outline:
    """Return an outline whose traffic is a tenant's own.

    Args:
        outline: The blocks.
        tenant: Whose they are; None leaves them as they are.
    """
    if tenant is None:
        return outline
    blocks = outline.blocks
    return Outline(
        Blocks(
            blocks.root + b"\0" + tenant.encode(),
            blocks.digests,
            blocks.tokens,
            blocks.units,
            blocks.kinds,
            blocks.refusals,
        ),
        outline.length,
        outline.tools_end,
        outline.system_end,
        outline.starts,
        outline.roles,
        outline.markers,
    )
