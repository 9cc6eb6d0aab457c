"""The requests that show what a breakpoint for an hour keeps, and what they cost.

A prefix is written for five minutes; the next request adds a message and marks its end
for an hour, which reads the prefix and writes only what is new. After six minutes what
was written for five is gone. Is all of it read then, the hour keeps what is before its
breakpoint, too (`ent`); else only what it wrote itself, which nothing finds (`seg`).

Rule 1: a second prefix that nothing promotes is asked for last: if that is read, too,
five minutes were longer than they say, and nothing is shown.
Rule 2: the costs that are stated are the most that it can come to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from promptcache.providers.anthropic.facts import model_facts
from promptcache.receipts.prices import Prices
from promptcache.receipts.usage import Usage
from promptcache.ttl import TTL_SECONDS

__all__ = ["REQUESTS", "WAIT_SECONDS", "Sequence", "most_usd"]

WAIT_SECONDS = TTL_SECONDS["5m"] + 60.0

REQUESTS = 5

_BYTES_PER_MINIMUM = 5
"""Bytes of text for each token of the minimum: English has about four a token."""

_LEAST_BYTES = 3
"""Bytes that a token of it has at the least, for the most that it can cost."""

_EXTRA_TOKENS = 100
"""What a request has besides, at the most."""

_WORDS = (
    "the river carries a small boat past the old mill while a child on the bank "
    "counts every stone that the water has left behind since the spring "
)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Bodies for one question, all with texts of their own."""

    model: str
    nonce: str
    """What no prefix has begun with before."""

    @property
    def size(self) -> int:
        """Return the bytes of its prefix."""
        return _BYTES_PER_MINIMUM * model_facts(self.model).minimum_tokens

    @property
    def most_tokens(self) -> int:
        """Return the most tokens that one of its requests can have."""
        return self.size // _LEAST_BYTES + _EXTRA_TOKENS

    def first(self) -> dict[str, Any]:
        """Return what writes the prefix for five minutes."""
        return self._body(f"{self.nonce} a", [_marked("Say yes.", "5m")])

    def promoting(self) -> dict[str, Any]:
        """Return what adds a message, and marks its end for an hour."""
        return self._body(f"{self.nonce} a", [*_ANSWERED, _marked("Say no.", "1h")])

    def again(self) -> dict[str, Any]:
        """Return what asks for the same prefix once more."""
        return self._body(f"{self.nonce} a", [*_ANSWERED, _marked("Say no.", "5m")])

    def beside(self) -> dict[str, Any]:
        """Return what writes, and later asks for, a prefix that nothing promotes."""
        return self._body(f"{self.nonce} b", [_marked("Say yes.", "5m")])

    def _body(self, opening: str, messages: list[Mapping[str, Any]]) -> dict[str, Any]:
        text = (_WORDS * (self.size // len(_WORDS) + 1))[: self.size]
        return {
            "model": self.model,
            "max_tokens": 1,
            "system": [{"type": "text", "text": f"{opening}\n{text}"}],
            "messages": messages,
        }


_ANSWERED: tuple[Mapping[str, Any], ...] = (
    {"role": "user", "content": [{"type": "text", "text": "Say yes."}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
)


def most_usd(sequence: Sequence, prices: Prices) -> float | None:
    """Return the most that all requests can cost; None if a price is not known."""
    size = sequence.most_tokens
    asked = replace(Usage.zero(), input_tokens=size, output_tokens=1)
    writes = replace(asked, written_tokens=size, written_5m_tokens=size)
    anew = replace(asked, written_tokens=size, written_1h_tokens=size)
    added = min(size, _EXTRA_TOKENS)
    adds = replace(
        asked,
        read_tokens=size - added,
        written_tokens=added,
        written_1h_tokens=added,
    )
    reads = replace(asked, read_tokens=size)
    # Where a breakpoint writes all anew, that is the answer, and the last request.
    ends = ([writes, anew], [writes, adds, writes, writes, reads])
    costs = [
        [prices.cost("anthropic", sequence.model, it) for it in end] for end in ends
    ]
    if any(cost is None for end in costs for cost in end):
        return None
    return max(sum(cost.usd for cost in end if cost is not None) for end in costs)


def _marked(text: str, ttl: str) -> dict[str, Any]:
    marker = {"type": "ephemeral", "ttl": ttl}
    block = {"type": "text", "text": text, "cache_control": marker}
    return {"role": "user", "content": [block]}
