"""What one model's requests did so far, and what follows for the next one.

Rule 1: nothing here reads a clock or does I/O: times and prices are arguments.
Rule 2: an account is of one tenant, one model and one place at the provider.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promptcache.providers.gemini.implicit import Expected, Implicit
from promptcache.providers.gemini.life import Books, Life, Prospect, best_life
from promptcache.providers.gemini.returns import Cut, Returns, Seen
from promptcache.providers.gemini.terms import Terms

__all__ = ["Account", "Sight", "Wish"]

_SLACK = 0.85
"""Sizes are estimates: a prefix within 15 % of the minimum is taken to reach it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One request, as what came before shows it."""

    seen: tuple[Seen, ...]
    """Its prefixes, shortest first."""
    expected: Expected
    """What it would read in full."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A prefix that ought to be in a cached content, or the one that came nearest."""

    seen: Seen
    life: Life

    @property
    def pays(self) -> bool:
        """Whether creating it is expected to gain anything."""
        return self.life.gain_usd > 0

    def __str__(self) -> str:
        """Return what is expected of it, in words."""
        times = f"{self.seen.returns:.3g}"
        verb = "gains" if self.pays else "would lose"
        return (
            f"{self.seen.cut.tokens} tokens expected again {times} times: a cached "
            f"content {verb} ${abs(self.life.gain_usd):.2g}"
        )


class Account:
    """What was seen, spent and saved; one thread at a time."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self.returns = Returns()
        self.implicit = Implicit()
        self.books = Books()

    def see(
        self,
        cuts: Sequence[Cut],
        whole: tuple[bytes, int],
        *,
        minimum: int,
        terms: Terms | None,
        now: float,
    ) -> Sight:
        """Take note of a request that is about to be sent.

        Args:
            cuts: Where it may be cut.
            whole: Digest and tokens of all of it.
            minimum: Tokens below which nothing is read without a cached content.
            terms: What a token costs, if that is known.
            now: When it is sent.
        """
        prefixes = [(cut.digest, cut.tokens) for cut in cuts]
        expected = self.implicit.expect([*prefixes, whole], minimum=minimum, now=now)
        if terms is not None:
            self.books.input += whole[1] * terms.input
        return Sight(tuple(self.returns.see(cuts, now=now)), expected)

    def wish(
        self,
        sight: Sight,
        terms: Terms,
        *,
        standing: int | None,
        held: int,
        minimum: int,
        allowed: Callable[[Cut], bool],
    ) -> Wish | None:
        """Return the prefix whose cached content is expected to gain most.

        Args:
            sight: The request.
            terms: What a token costs.
            standing: Which of its prefixes is in a cached content that is alive.
            held: Tokens of that.
            minimum: Tokens below which the provider creates none.
            allowed: Tells whether one may be created now.

        Returns:
            None if there is no prefix that might be created.
        """
        first, last = 0 if standing is None else standing + 1, len(sight.seen) - 1
        best: Wish | None = None
        for index in range(first, last + 1):
            seen = sight.seen[index]
            # Within one conversation what pays at all pays most at its end.
            if seen.alone and index < last:
                continue
            if seen.cut.tokens < minimum * _SLACK or not allowed(seen.cut):
                continue
            # What a conversation of its own leaves behind is not kept beside it.
            left = 0
            if standing is not None and sight.seen[standing].alone:
                left = held
            covered = max(held, min(sight.expected.tokens, seen.cut.tokens))
            wish = Wish(seen, self._life(seen, terms, covered=covered, left=left))
            if best is None or wish.life.gain_usd > best.life.gain_usd:
                best = wish
        return best

    def may_spend(self, wish: Wish, terms: Terms) -> bool:
        """Tell whether a creation fits into what may be lost at most."""
        return self.books.allows(wish.life.cost_usd, terms)

    def life(self, sight: Sight, standing: int, terms: Terms) -> Life:
        """Return the life that a cached content should have which is used now."""
        seen = sight.seen[standing]
        covered = min(sight.expected.tokens, seen.cut.tokens)
        return self._life(seen, terms, covered=covered, left=0)

    @staticmethod
    def _life(seen: Seen, terms: Terms, *, covered: float, left: int) -> Life:
        tokens = seen.cut.tokens
        prospect = Prospect(
            tokens=tokens,
            gained=max(tokens - covered, 0.0),
            returns=seen.returns,
            gaps=seen.gaps,
            stored=max(tokens - left, 0),
        )
        return best_life(prospect, terms)
