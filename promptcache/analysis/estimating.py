"""What a prefix that many requests begin with costs, cached and not.

Rule 1: what has no known price, or no known rule, is `None`, never zero.
Rule 2: it is arithmetic on one price list and the facts: nothing is asked, or measured.
"""

from dataclasses import dataclass, fields, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from promptcache.analysis.offers import Offer, Provider
from promptcache.receipts.prices import Prices
from promptcache.receipts.usage import Usage

__all__ = ["Estimate", "Load", "estimated", "unestimated"]

_PLACES = 12
"""Decimal places of a dollar: what is left of exact prices after a float."""

_HOUR = Decimal(3600)
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that are alike, one after the other."""

    model: str
    provider: Provider | None
    prefix_tokens: int
    tail_tokens: int
    output_tokens: int
    requests: int
    every_seconds: float | None = None
    """Time from one request to the next; None: soon enough, each of them."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the prompt of one request."""
        return self.prefix_tokens + self.tail_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What requests with a common prefix cost, in US dollars; None is not known.

    `with_usd` is the sum of the five parts. What is below the least that a model
    caches costs the same either way, and a note says so.
    """

    model: str
    provider: str | None
    """Whose model it is; None if its name does not tell."""
    prefix_tokens: int
    tail_tokens: int
    output_tokens: int
    requests: int
    ttl_seconds: float | None
    """How long the prefix surely lives: since its creation on Gemini, since its last
    use elsewhere."""
    every_seconds: float | None
    """Time from one request to the next; None: each comes while the prefix lives."""
    writes: int | None
    """How often the prefix is written, or created: once, and after each expiry."""
    with_usd: float | None
    """All of it with prompt caching."""
    without_usd: float | None
    """All of it with the whole prompt at the plain input price."""
    break_even: int | None
    """The fewest requests with which caching is cheaper; None if it never is, or that
    is not known."""
    written_usd: float | None = None
    """The prefix, as often as it is written or created."""
    read_usd: float | None = None
    """The prefix, as often as it is read."""
    input_usd: float | None = None
    """What is neither written nor read."""
    output_usd: float | None = None
    """The answers."""
    storage_usd: float | None = None
    """Cached contents by the hour; 0 where a provider does not bill that."""
    words: tuple[str, ...] = ()
    """The parts in words: what is written, read and stored, and how often."""
    notes: tuple[str, ...] = ()
    """What is not known, or has to be known beside it."""

    @property
    def saved_usd(self) -> float | None:
        """What caching saves; negative if it costs more."""
        if self.with_usd is None or self.without_usd is None:
            return None
        return round(self.without_usd - self.with_usd, _PLACES)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields flat, and `saved_usd`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "saved_usd": self.saved_usd}

    def __str__(self) -> str:
        """Return a small block: the parts, both sums, and from when on it pays."""
        saved, plain = self.saved_usd, self.without_usd
        share = "" if saved is None or not plain else f" ({saved / plain:.0%})"
        begins = "never" if self.with_usd is not None else "?"
        if self.break_even is not None:
            begins = f"{self.break_even:,} requests"
        rows = (
            ("written", _dollars(self.written_usd)),
            ("read", _dollars(self.read_usd)),
            ("other input", _dollars(self.input_usd)),
            ("output", _dollars(self.output_usd)),
            ("storage", _dollars(self.storage_usd)),
            ("with caching", _dollars(self.with_usd)),
            ("without", _dollars(plain)),
            ("saved", _dollars(saved) + share),
            ("break-even", begins),
        )
        head = (
            f"{self.model}: {self.requests:,} requests of {self.prefix_tokens:,} + "
            f"{self.tail_tokens:,} tokens, {self.output_tokens:,} of answer"
        )
        lines = [f"  {name:<13}{text}" for name, text in rows]
        return "\n".join([head, *lines, *(f"  {it}" for it in self._said())])

    def _said(self) -> tuple[str, ...]:
        return (*self.words, *(f"note: {note}" for note in self.notes))


@dataclass(frozen=True, slots=True)
class _Costs:
    """US dollars of single requests; None is not known."""

    plain: Decimal | None
    """One that sends its whole prompt at the plain price."""
    answer: Decimal | None
    """The output of one."""
    tail: Decimal | None
    """What one sends beside the prefix."""
    writing: Decimal | None
    """The prefix, written or created once."""
    reading: Decimal | None
    """The prefix, read once."""
    storage: Decimal | None
    """Keeping it for one life."""


def unestimated(load: Load, *notes: str) -> Estimate:
    """Return an estimate that knows nothing but what was asked.

    Args:
        load: The requests.
        *notes: Why.
    """
    return _of(load, None, notes=notes)


def estimated(load: Load, offer: Offer, prices: Prices, *, at: float) -> Estimate:
    """Return what a load costs.

    Args:
        load: The requests, of a provider that is known.
        offer: What its provider offers for the prefix.
        prices: What tokens cost.
        at: When they are sent, in UTC seconds, since prices change.
    """
    costs = _costs(load, offer, prices, at)
    if costs.plain is None or costs.answer is None:
        what = "the price" if costs.tail is None else "the price of output"
        return _of(load, offer, notes=(f"{what} of {load.model} is not known",))
    plain, answers = load.requests * costs.plain, load.requests * costs.answer
    reason = _uncached(load, offer)
    if reason is not None:
        zero = Decimal(0) if offer.known else None
        return _of(
            load,
            offer,
            plain=plain,
            parts=(zero, zero, plain - answers, answers, zero),
            writes=0 if offer.known else None,
            notes=(reason, *_notes(offer)),
        )
    uses = _uses(load, offer)
    writes = 1 if uses is None else -(-load.requests // uses)
    reads = load.requests if offer.way == "content" else load.requests - writes
    parts = (
        _times(writes, costs.writing),
        _times(reads, costs.reading),
        _times(load.requests, costs.tail),
        answers,
        _times(writes, costs.storage),
    )
    return _of(
        load,
        offer,
        plain=plain,
        parts=parts,
        writes=writes,
        break_even=_break_even(costs, offer, uses),
        words=_words(load, offer, writes, reads),
        notes=(*_missing(costs, offer, reads), *_notes(offer)),
    )


def _of(
    load: Load,
    offer: Offer | None,
    *,
    plain: Decimal | None = None,
    parts: tuple[Decimal | None, ...] = (None,) * 5,
    writes: int | None = None,
    break_even: int | None = None,
    words: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Estimate:
    known = [part for part in parts if part is not None]
    written, read, given, output, storage = map(_usd, parts)
    return Estimate(
        model=load.model,
        provider=load.provider,
        prefix_tokens=load.prefix_tokens,
        tail_tokens=load.tail_tokens,
        output_tokens=load.output_tokens,
        requests=load.requests,
        ttl_seconds=offer.seconds or None if offer is not None else None,
        every_seconds=load.every_seconds,
        writes=writes,
        with_usd=_usd(sum(known, Decimal(0))) if len(known) == len(parts) else None,
        without_usd=_usd(plain),
        break_even=break_even,
        written_usd=written,
        read_usd=read,
        input_usd=given,
        output_usd=output,
        storage_usd=storage,
        words=words,
        notes=notes,
    )


def _uncached(load: Load, offer: Offer) -> str | None:
    """Return why nothing is cached, or why that is not known; None if it is."""
    if offer.way == "none":
        return "nothing is cached" if offer.known else "what is cached is not known"
    if load.prefix_tokens < offer.minimum:
        if not offer.known:
            least = f"the minimum may be up to {offer.minimum:,} tokens"
            return f"whether anything is cached is not known: {least}"
        least = f"the minimum of {offer.minimum:,} for {load.model}"
        return f"nothing is cached: {load.prefix_tokens:,} tokens are below {least}"
    return None if offer.read else "nothing is cached"


def _uses(load: Load, offer: Offer) -> int | None:
    """Return how many requests one life of the prefix serves; None is all of them."""
    every = load.every_seconds
    if every is None or (offer.is_refreshed and every < offer.seconds):
        return None
    if offer.is_refreshed:
        return 1
    # It dies at the very end of its life, so a request that comes then is too late.
    return int(-(-offer.seconds // every))


def _costs(load: Load, offer: Offer, prices: Prices, at: float) -> _Costs:
    """Return what single requests cost; a price may depend on their size."""
    size, prefix = load.input_tokens, load.prefix_tokens

    def cost(**tokens: int) -> Decimal | None:
        usage = replace(Usage.zero(), **tokens)
        found = prices.cost(str(load.provider), load.model, usage, at=at)
        return None if found is None else Decimal(str(found.usd))

    plain = cost(input_tokens=size, output_tokens=load.output_tokens)
    prompt = cost(input_tokens=size)
    if prompt is None:
        return _Costs(*[None] * 6)
    answer = None if plain is None else plain - prompt
    left = prompt * (size - offer.read) / size if size else Decimal(0)
    tail = prompt * load.tail_tokens / size if size else Decimal(0)
    reading = _less(cost(input_tokens=size, read_tokens=offer.read), left)
    if offer.way == "unasked" and reading is not None:
        # What stands between the last end of a prefix and the tail is sent each time.
        reading += left - tail
    storage: Decimal | None = Decimal(0)
    if offer.way == "content":
        writing = cost(input_tokens=prefix)
        price = offer.storage_price
        hours = Decimal(str(offer.seconds)) / _HOUR
        storage = (
            None if price is None else prefix * Decimal(str(price)) * hours / _MILLION
        )
    elif offer.lifetime is None:
        writing = prompt - tail
    else:
        tokens = {"written_tokens": prefix, f"written_{offer.lifetime}_tokens": prefix}
        writing = _less(cost(input_tokens=size, **tokens), tail)
    return _Costs(plain, answer, tail, writing, reading, storage)


def _break_even(costs: _Costs, offer: Offer, uses: int | None) -> int | None:
    """Return the fewest requests with which caching is cheaper, if there are any."""
    parts = (costs.plain, costs.answer, costs.tail, costs.writing, costs.reading)
    if any(part is None for part in parts) or costs.storage is None:
        return None
    plain, answer, tail, writing, reading = (part or Decimal(0) for part in parts)
    sent = plain - answer - tail
    saving = sent - reading
    # Where a request writes the prefix, it does not read it.
    spent = writing + costs.storage if offer.way == "content" else writing - reading
    if saving <= 0:
        return None
    count = max(int((spent / saving).to_integral_value(ROUND_FLOOR)), 0) + 1
    return count if uses is None or count <= uses else None


def _missing(costs: _Costs, offer: Offer, reads: int) -> tuple[str, ...]:
    notes = []
    if costs.writing is None:
        notes.append(f"the price of writing for {offer.lifetime} is not known")
    if costs.reading is None and reads:
        notes.append("the price of reading is not known")
    if costs.storage is None:
        notes.append("the price of storage is not known")
    return tuple(notes)


def _notes(offer: Offer) -> tuple[str, ...]:
    notes = [] if offer.note is None else [offer.note]
    if not offer.known:
        notes.append("the rules of this model are not known; give `facts`")
    return tuple(notes)


def _words(load: Load, offer: Offer, writes: int, reads: int) -> tuple[str, ...]:
    """Return what is written, read and stored, and how often."""
    life = _time(offer.seconds)
    if offer.way == "content":
        verb, kept = "created", f"and live for {life}"
    else:
        verb, kept = "written", f"and kept for {life} after each use"
    if offer.way == "unasked":
        verb = "sent in full"
    said = [
        f"{load.prefix_tokens:,} tokens are {verb} {_often(writes)}, {kept}",
        f"{offer.read:,} tokens are read {_often(reads)}",
    ]
    if offer.way == "content":
        stored = writes * load.prefix_tokens * offer.seconds / float(_HOUR)
        said.append(f"{stored:,.0f} token-hours are stored")
    if load.every_seconds is not None:
        gone = ", when it has expired" if writes > 1 else ""
        said.append(f"a request comes every {_time(load.every_seconds)}{gone}")
    return tuple(said)


def _less(cost: Decimal | None, part: Decimal) -> Decimal | None:
    return None if cost is None else cost - part


def _times(count: int, cost: Decimal | None) -> Decimal | None:
    if not count:
        return Decimal(0)
    return None if cost is None else count * cost


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), _PLACES)


def _dollars(usd: float | None) -> str:
    if usd is None:
        return "?"
    text = f"{abs(usd):,.8f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"{'-' if usd < 0 else ''}${whole}.{places:0<2}"


def _often(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g} s"
