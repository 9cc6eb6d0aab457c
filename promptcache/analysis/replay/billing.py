"""What one request was billed for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from promptcache.planning.terms import Terms
from promptcache.ttl import Ttl

__all__ = ["Billed"]


@dataclass(frozen=True, slots=True)
class Billed:
    """Input tokens of one request by how they are billed."""

    total: float
    read: float = 0.0
    written: Mapping[Ttl, float] = field(default_factory=dict)

    def cost(self, terms: Terms) -> float:
        """Return its bill in input tokens."""
        return self.total + terms.excess(read=self.read, written=self.written)
