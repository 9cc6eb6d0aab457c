"""`explain`: what would be decided on requests and why, with nothing sent."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from promptcache.analysis.explain.bodies import Asked, asked
from promptcache.analysis.explain.books import Books
from promptcache.analysis.explain.explanation import Explained, Explanation, Place
from promptcache.analysis.explain.notes import notes_on, options_of
from promptcache.analysis.explain.weighing import Spent, choices, spent, stretches
from promptcache.errors import OptionError, UnreadableBodyError
from promptcache.factsfile import read_facts
from promptcache.options import CallOptions
from promptcache.outline import Outline
from promptcache.planner import Planner
from promptcache.planning.past import Past
from promptcache.planning.plan import Plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.planning.writing import context_of
from promptcache.prepared import Prepared
from promptcache.providers import Facts, Request
from promptcache.receipts.fixed_prices import read_prices
from promptcache.receipts.prices import Prices
from promptcache.receipts.usage import Usage
from promptcache.state.probed import recalled
from promptcache.ttl import read_ttl

__all__ = ["explain"]

_WRITES = ("lookback", "marked")
"""Ways to find a prefix under which writing is decided on, and has a price."""

_TEXT = 60
"""Characters of a block that are shown, where that is asked for."""


def explain(
    requests: Any,
    *,
    model: str | None = None,
    host: str | None = None,
    ttl: str | timedelta | None = None,
    policy: Policy | str = "auto",
    tenant: str | None = None,
    prices: Prices | Mapping[str, Any] | None = None,
    facts: Facts | None = None,
    text: bool = False,
) -> Explanation:
    """Return what would be decided on requests, and why.

    Nothing is sent, and what is learned from these requests is forgotten. Later ones
    are planned by what the earlier ones have shown; each is taken to be answered as
    its plan expects.

    Args:
        requests: A request body of Anthropic, OpenAI or Gemini, or a list of these and
            of OpenAI-style `messages`; each with its time in seconds as `at`, else a
            minute after the one before. `messages` that end with an answer are a
            conversation, with a request for each of its answers.
        model: What is asked, for bodies that do not say it, or instead of what they
            say.
        host: The platform; else the provider's own.
        ttl: Lifetime of what is placed; else what is worth its price.
        policy: One that decides by what it has seen, such as `Policy.auto("5m")`.
        tenant: Whose requests they are.
        prices: As `PromptCache` takes them.
        facts: Provider rules by model, as `PromptCache` takes them.
        text: Show how the blocks begin at which breakpoints stand.

    Raises:
        OptionError: A value is not allowed, or a body is of no known shape.
    """
    rows = {**read_facts(os.environ.get("PROMPTCACHE_FACTS")), **(facts or {})}
    options = CallOptions(ttl=None if ttl is None else read_ttl(ttl), tenant=tenant)
    chosen = Policy.named(policy)
    if chosen.name != "auto":
        raise OptionError("policy", chosen.name, "'auto' or a `Policy.auto(...)`")
    reading = _Reading(chosen, rows, options, read_prices(prices), shows_text=text)
    found = tuple(
        reading.explained(it) for it in asked(requests, model=model, host=host)
    )
    if not found:
        raise OptionError("requests", requests, "at least one request")
    return Explanation(found)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A request with its plan, and what that was made from."""

    asked: Asked
    prepared: Prepared
    outline: Outline
    rules: Rules
    past: Past
    terms: Terms

    @property
    def plan(self) -> Plan:
        """What was decided."""
        return self.prepared.plan

    @property
    def writes(self) -> bool:
        """Whether writing is decided on here, and has a price."""
        return self.rules.matching in _WRITES


@dataclass(slots=True)
class _Reading:
    """Requests in their order, and what they have shown so far."""

    policy: Policy
    facts: Facts
    options: CallOptions
    prices: Prices
    shows_text: bool
    books: Books = field(default_factory=Books)
    planner: Planner = field(init=False)

    def __post_init__(self) -> None:
        self.planner = Planner(
            self.policy, facts=self.facts, diagnose=False, tell=_untold
        )
        for where, keeps in recalled().items():
            self.planner.history.know(where, keeps=keeps)

    def explained(self, it: Asked) -> Explained:
        try:
            made = self._planned(it)
        except UnreadableBodyError as error:
            raise OptionError(it.name, error.why, "a body that can be read") from error
        sent = made.prepared.sent
        live = made.past.entry if sent is None else sent.expected
        expected = spent(made.outline, made.plan, made.rules, live=live)
        self.planner.learn(made.prepared, _usage(expected))
        return self._told(made, expected)

    def _planned(self, it: Asked) -> _Planned:
        """Plan a request, and note what was known of it before."""
        planner = self.planner
        request = Request(it.provider, it.body, it.host, deployment=it.model)
        prepared = Prepared(request, it.body, self.options, "auto", it.at)
        read, terms, past = planner.look(prepared)
        planner.plan(prepared)
        return _Planned(it, prepared, read.outline, read.rules, past, terms)

    def _told(self, made: _Planned, expected: Spent) -> Explained:
        it, outline, terms, writes = made.asked, made.outline, made.terms, made.writes
        cost = expected.cost(terms)
        if writes:
            self.books.enter(outline, terms, planned=cost, now=it.at)
        parts = stretches(outline, made.past, made.plan, terms) if writes else ()
        return Explained(
            at=it.at,
            provider=it.provider.name,
            model=it.model,
            host=it.host,
            is_known=made.prepared.facts_known,
            tokens=outline.total_tokens,
            blocks=outline.length,
            breakpoints=tuple(self._places(made)),
            options=options_of(made.plan),
            expected_read=expected.read,
            cost=cost if writes else None,
            way=made.past.way,
            by_books=writes and context_of(outline) in ("agent", "tools"),
            parts=parts,
            choices=choices(outline, made.past, parts, terms) if parts else (),
            books=self.books.shown(terms) if writes else {},
            notes=tuple(
                notes_on(outline, made.past, made.plan, rules=made.rules, parts=parts)
            ),
            short=terms.short if writes else None,
            long=terms.long if writes else None,
            token_usd=self._token_usd(it, outline.total_tokens),
        )

    def _places(self, made: _Planned) -> Iterator[Place]:
        outline, decided = made.outline, made.plan
        tokens = outline.blocks.tokens
        reasons = {it.position: it.reason for it in decided.breakpoints}
        before = tokens[made.past.entry] if made.past.entry >= 0 else 0
        texts = self._texts(made, {position for position, _ in decided.entries})
        for position, ttl in decided.entries:
            writes = max(tokens[position] - before, 0)
            before = max(before, tokens[position])
            yield Place(
                str(outline.place(position)),
                ttl,
                reasons.get(position, decided.automatic_reason),
                tokens[position],
                writes,
                texts.get(position),
            )

    def _texts(self, made: _Planned, wanted: set[int]) -> dict[int, str]:
        if not self.shows_text:
            return {}
        request = made.prepared.request
        outline = request.provider.outline(
            made.prepared.read,
            model=request.model,
            host=request.host,
            tenant=self.options.tenant,
            wanted=wanted,
        )
        return {
            position: " ".join(it.decode(errors="replace").split())[:_TEXT].rstrip()
            for position, it in outline.blocks.contents.items()
        }

    def _token_usd(self, it: Asked, tokens: int) -> float | None:
        usage = replace(Usage.zero(), input_tokens=max(tokens, 1))
        cost = self.prices.cost(it.provider.name, it.model, usage)
        return None if cost is None else cost.usd / max(tokens, 1)


def _untold(event: object) -> None:
    """Tell nobody: nothing happens here."""


def _usage(expected: Spent) -> Usage:
    """Return the usage that a provider reports if all goes as planned."""
    return replace(
        Usage.zero(),
        input_tokens=expected.total,
        read_tokens=expected.read,
        written_tokens=sum(expected.written.values()),
        written_1h_tokens=expected.written.get("1h", 0),
        written_12h_tokens=expected.written.get("12h", 0),
    )
