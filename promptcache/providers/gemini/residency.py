"""Which documents should live in a cached content: all, the hot ones, or none.

Rule 1: what is chosen follows from what was retrieved, what it costs, and nothing else.
Rule 2: documents are digests and sizes here; their text is the seam's.
Rule 3: a cached content is read as a whole each time, so a document has to earn its
place: it is needed often enough to pay for being read when it is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from promptcache.providers.gemini.gaps import Gaps
from promptcache.providers.gemini.life import Books, Life, Prospect, best_life
from promptcache.providers.gemini.terms import Terms

__all__ = ["HOT_TOKENS", "Choice", "Residency", "Residents", "Standing"]

Residents = Literal["auto", "corpus", "hot"]
"""What is to be resident: what pays, all documents, or those retrieved most."""

HOT_TOKENS = 16_384
"""Tokens of documents that `hot` keeps if nothing is said."""

_FADING = 0.999
_RECENT = 0.98
_DOUBT = 8.0
"""Requests without a document that are added to those seen, before it counts as one
that is needed often."""

_LOOK_AGAIN = 0.05
"""Part by which what is known has to grow before the choice is made anew."""

_ALMOST = 0.9
"""Part of the best choice's use from which on what stands is left as it is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Documents that belong together into a cached content, and what that gains."""

    documents: frozenset[bytes]
    tokens: int
    """With the head that goes before them."""
    life: Life


@dataclass(frozen=True, slots=True)
class Standing:
    """The cached content that is alive."""

    documents: frozenset[bytes]
    tokens: int


class Residency:
    """The documents of one retriever, for requests with one head and one model."""

    def __init__(
        self,
        mode: Residents = "auto",
        *,
        hot_tokens: int = HOT_TOKENS,
        corpus: Mapping[bytes, int] | None = None,
    ) -> None:
        """Start knowing nothing.

        Args:
            mode: What is to be resident.
            hot_tokens: Tokens of documents that `hot` keeps.
            corpus: Tokens of every document by digest, where that is known.
        """
        self.mode = mode
        self.hot_tokens = hot_tokens
        self.corpus = dict(corpus or {})
        self.gaps = Gaps()
        self._sizes: dict[bytes, int] = {}
        self._counts: dict[bytes, float] = {}
        self._requests = 0.0
        self._seen = 0
        self._anyway = 0.0
        self._recent = 0.0
        self._last: float | None = None
        self._missed = 0.0
        self._has_paid = False
        self._best: tuple[float, Choice | None] = (0.0, None)

    def see(
        self, documents: Iterable[tuple[bytes, int]], *, anyway: float, now: float
    ) -> None:
        """Take note of a request.

        Args:
            documents: Digest and tokens of each document in it.
            anyway: Tokens that it reads, or would read, without a cached content.
            now: When it is sent.
        """
        if self._last is not None:
            self.gaps.add(max(now - self._last, 0.0))
        self._last = now
        self._seen += 1
        self._requests = self._requests * _FADING + 1.0
        self._anyway = self._anyway * _RECENT + anyway
        self._recent = self._recent * _RECENT + 1.0
        # Counts grow in place of fading: all of them would have to be touched.
        weight = _FADING ** -(self._seen % 4096)
        if self._seen % 4096 == 0:
            shrink = _FADING**4096
            self._counts = {it: count * shrink for it, count in self._counts.items()}
        for digest, tokens in dict(documents).items():
            self._sizes[digest] = tokens
            self._counts[digest] = self._counts.get(digest, 0.0) + weight

    def know(self, corpus: Mapping[bytes, int]) -> None:
        """Take over the tokens of every document, which may be others than before."""
        if corpus != self.corpus:
            self.corpus = dict(corpus)
            self._best = (0.0, None)

    def forget(self, digest: bytes) -> None:
        """Let a document go that was changed or deleted."""
        for table in (self.corpus, self._sizes, self._counts):
            table.pop(digest, None)
        self._best = (0.0, None)

    def wanted(
        self,
        standing: Standing | None,
        terms: Terms,
        books: Books,
        *,
        head: int,
        minimum: int,
        is_luck_known: bool,
    ) -> Choice | None:
        """Return what to create now, or None to leave everything as it is.

        What pays is created when it would have paid for itself since it began to, and
        at once if it only ran out.

        Args:
            standing: What is alive and named.
            terms: What a token costs.
            books: What was spent and saved so far.
            head: Tokens of instruction and tools, which go before the documents.
            minimum: Tokens below which nothing is created.
            is_luck_known: Whether it was measured what is read anyway.
        """
        best = self._choice(terms, head=head, minimum=minimum)
        if best is None:
            return None
        if self.mode != "auto":
            return None if self._is_as_good(standing, best) else best
        if standing is not None and standing.documents == best.documents:
            return None
        use = 0.0
        if standing is not None:
            use = self.life(standing, terms, head=head).use_usd
        self._missed = max(self._missed + best.life.use_usd - use, 0.0)
        cost = best.life.cost_usd
        may_spend = is_luck_known and books.allows(cost, terms)
        if best.life.gain_usd <= 0 or not may_spend:
            return None
        ran_out = standing is None and self._has_paid
        if self._missed < cost and not ran_out:
            return None
        self._missed = 0.0
        self._has_paid = True
        return best

    def pays(self, standing: Standing, terms: Terms, *, head: int) -> bool:
        """Tell whether requests should go on naming what stands; else let it go."""
        if self.mode != "auto":
            return True
        if self.life(standing, terms, head=head).use_usd > 0:
            return True
        self._has_paid = False
        return False

    def life(self, standing: Standing, terms: Terms, *, head: int) -> Life:
        """Return the life that what stands should have from now on."""
        documents = [it for it in standing.documents if it in self._sizes]
        held = standing.tokens
        return best_life(self._prospect(documents, head=head, held=held), terms)

    def _choice(self, terms: Terms, *, head: int, minimum: int) -> Choice | None:
        at, known = self._best
        if known is not None and self._requests < at * (1 + _LOOK_AGAIN):
            settled = self._requests > 1 / (1 - _FADING) * (1 - _LOOK_AGAIN)
            if not settled or self._seen % 64:
                return known
        documents = self._documents(terms, head=head, minimum=minimum)
        tokens = head + sum(self._size(it) for it in documents)
        best = None
        if tokens >= minimum:
            prospect = self._prospect(documents, head=head, held=tokens)
            best = Choice(frozenset(documents), tokens, best_life(prospect, terms))
        self._best = (self._requests, best)
        return best

    def _documents(self, terms: Terms, *, head: int, minimum: int) -> Sequence[bytes]:
        if self.mode == "corpus":
            return list(self.corpus or self._sizes)
        ranked = sorted(self._counts, key=lambda it: -self._counts[it])
        if self.mode == "hot":
            return self._fitting(ranked, self.hot_tokens)
        # What keeping a token costs between two requests, as it is kept now.
        between = self.gaps.mean_within(3600.0) * terms.storage / 3600
        least = (terms.read + between) / terms.input
        chosen, tokens = [], head
        for digest in ranked:
            if self._share(digest) < least and tokens >= minimum:
                break
            chosen.append(digest)
            tokens += self._size(digest)
        return chosen

    def _fitting(self, ranked: Iterable[bytes], tokens: int) -> list[bytes]:
        chosen = []
        for digest in ranked:
            if self._size(digest) <= tokens:
                chosen.append(digest)
                tokens -= self._size(digest)
        return chosen

    def _prospect(
        self, documents: Sequence[bytes], *, head: int, held: int
    ) -> Prospect:
        needed = sum(self._share(it) * self._size(it) for it in documents)
        anyway = self._anyway / max(self._recent, 1.0)
        read = head + needed
        return Prospect(
            tokens=held,
            gained=read - anyway,
            returns=float(max(self._seen - 1, 0)),
            gaps=self.gaps,
            wasted=max(held - read, 0.0),
        )

    def _is_as_good(self, standing: Standing | None, best: Choice) -> bool:
        if standing is None:
            return False
        if self.mode == "corpus":
            # Else each document that is added would have all of them created again.
            there = sum(map(self._size, standing.documents & best.documents))
            return there >= _ALMOST * sum(map(self._size, best.documents))
        return self._needed(standing.documents) >= _ALMOST * self._needed(
            best.documents
        )

    def _needed(self, documents: Iterable[bytes]) -> float:
        return sum(self._share(it) * self._size(it) for it in documents)

    def _share(self, digest: bytes) -> float:
        """Return the part of the requests to come that need a document."""
        weight = _FADING ** (self._seen % 4096)
        count = self._counts.get(digest, 0.0) * weight
        return count / (self._requests + _DOUBT)

    def _size(self, digest: bytes) -> int:
        return self._sizes.get(digest, 0) or self.corpus.get(digest, 0)
