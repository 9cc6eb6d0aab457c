"""What each way to write would have cost a conversation, beside its plans."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from promptcache.outline import Outline
from promptcache.planning.terms import Terms
from promptcache.planning.ways import WAYS, Sizes, Way, bills

__all__ = ["Books"]


@dataclass(slots=True)
class _Conversation:
    at: float
    promoted: float = 0.0
    gaps: int = 0
    pauses: int = 0


@dataclass(slots=True)
class Books:
    """The books of all requests so far, in input tokens."""

    costs: dict[Way, float] = field(default_factory=lambda: dict.fromkeys(WAYS, 0.0))
    """By way; of `promote`, if the provider keeps what is promoted."""
    planned: float = 0.0
    """What the plans cost, if all goes as planned."""
    _used: dict[bytes, float] = field(default_factory=dict)
    _conversations: dict[bytes, _Conversation] = field(default_factory=dict)

    def enter(
        self, outline: Outline, terms: Terms, *, planned: float, now: float
    ) -> None:
        """Enter a request.

        Args:
            outline: The request.
            terms: What the provider asks for.
            planned: What its plan costs.
            now: When it is sent, in seconds.
        """
        talk = self._conversation(outline, terms, now)
        sizes = Sizes(
            outline.total_tokens,
            self._live(outline, now - terms.short_seconds),
            self._live(outline, now - terms.long_seconds),
        )
        costs, talk.promoted = bills(
            sizes, talk.promoted, pauses=talk.pauses, gaps=talk.gaps, terms=terms
        )
        for way, cost in zip(WAYS, costs, strict=True):
            self.costs[way] += cost
        self.planned += planned
        digests = outline.blocks.digests[: outline.length]
        self._used.update(dict.fromkeys(digests, now))

    def shown(self, terms: Terms) -> Mapping[str, float]:
        """Return what each way that the provider has would have cost, and the plans."""
        ways = WAYS[:4] if terms.long is not None else WAYS[:2]
        return {**{way: self.costs[way] for way in ways}, "planned": self.planned}

    def _conversation(
        self, outline: Outline, terms: Terms, now: float
    ) -> "_Conversation":
        opening = outline.opening_digest
        talk = self._conversations.get(opening)
        if talk is None or now - talk.at >= terms.long_seconds:
            talk = self._conversations[opening] = _Conversation(now)
            return talk
        talk.gaps += 1
        talk.pauses += terms.short_seconds < now - talk.at
        talk.at = now
        return talk

    def _live(self, outline: Outline, since: float) -> int:
        """Return the tokens of the longest prefix that was used since some time."""
        for position in range(outline.length - 1, -1, -1):
            used = self._used.get(outline.blocks.digests[position])
            if used is not None and used > since:
                return outline.blocks.tokens[position]
        return 0
