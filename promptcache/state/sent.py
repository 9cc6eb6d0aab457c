"""A request that was sent, as what its answer shows is learnt from."""

from dataclasses import dataclass

from promptcache.outline import Outline
from promptcache.planning.terms import Terms
from promptcache.state.gate import Pass
from promptcache.state.written import Entries

__all__ = ["Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent, for what its answer shows."""

    outline: Outline
    entries: Entries
    now: float
    terms: Terms
    passed: Pass
    """What the gate has of it."""
    expected: int
    """The last block of what it was to read; -1 if that was nothing."""
    promise: int
    """The last block that is read if a promoted prefix was kept; -1 if that is not
    what its reading tells."""
    pings: bool = False
    """By the books, pings are to keep it alive."""
    held: int = -1
    """The last block that lives for the long lifetime once it is answered."""

    def share(self, position: int) -> float:
        """Return the part of it that the prefix up to a block is."""
        total = self.outline.total_tokens
        return self.outline.blocks.tokens[position] / total if total else 0.0
