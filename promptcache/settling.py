"""What a receipt says of its request beside the figures: whose doing, and why not.

Rule 1: everything here happens once the answer is there; sending waits for none of it.
Rule 2: what is kept beyond the settling are digests, sizes and times. The text of the
blocks that are new is read once more from the request itself, and let go at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from promptcache.outline import Outline
from promptcache.planning.reasons import FIXED
from promptcache.planning.slots import Rules
from promptcache.prepared import Answer, Prepared, next_number, receipt_for
from promptcache.receipts.credits import credits_of
from promptcache.receipts.events import Event, PlanningFailed
from promptcache.receipts.footprint import Footprint, footprint_of, parted
from promptcache.receipts.miss import Miss
from promptcache.receipts.prices import Cost, Prices
from promptcache.receipts.receipt import Credit, Receipt
from promptcache.receipts.sketch import Sketch, digest_of
from promptcache.receipts.toolset import tools_note
from promptcache.receipts.usage import Usage
from promptcache.receipts.why import why
from promptcache.state.footprints import Footprints
from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["Settling"]

_MOST_BYTES = 1 << 20
"""Bytes of new blocks that are sketched for one request, some 20 ms of work at most.
What is more, long images and files above all, is only digested."""

_LIFETIMES = ("12h", "1h", "30m", "5m")
"""Of what is written, in the order in which it stands in a prompt: longest first."""

Mark = tuple[int, Ttl, Credit]
"""Where a prefix that is kept ends, for how long, and who asked for that."""


class Settling:
    """Compares what is answered with what came before; safe from many threads."""

    def __init__(self, *, tell: Callable[[Event], None]) -> None:
        """Know nothing yet.

        Args:
            tell: Told of what failed.
        """
        self.footprints = Footprints()
        self._tell = tell

    def receipt(
        self, prepared: Prepared, answer: Answer, *, prices: Prices, now: float
    ) -> Receipt:
        """Return the receipt of a request that was answered.

        Args:
            prepared: The request.
            answer: What was answered.
            prices: What tokens cost.
            now: When the answer was complete, in UTC seconds.
        """
        name, model = prepared.request.provider.name, prepared.request.model

        def cost(usage: Usage) -> Cost | None:
            return prices.cost(
                name,
                answer.model or model,
                usage,
                tier=answer.tier,
                at=prepared.started,
            )

        miss, whose = None, tuple[Credit, ...]()
        paid = cost(answer.usage)
        try:
            miss, whose = self._reasons(prepared, answer, now=now)
            if miss is not None:
                miss = replace(miss, cost_usd=_lost_usd(miss, answer.usage, paid, cost))
        except Exception as error:  # noqa: BLE001 - the receipt survives its reasons
            self._tell(PlanningFailed.of(name, model, error))
        return receipt_for(prepared, answer, paid, now=now, miss=miss, whose=whose)

    def _reasons(
        self, prepared: Prepared, answer: Answer, *, now: float
    ) -> tuple[Miss | None, tuple[Credit, ...]]:
        """Return why it read less than it could, and whose doing a read is."""
        outline, rules = prepared.outline, prepared.rules
        if outline is None or rules is None:
            return None, ()
        marks = _marks(prepared, outline, rules)
        left = footprint_of(
            outline,
            tenant=prepared.options.tenant,
            conversation=prepared.options.conversation,
            key=prepared.plan.key if prepared.is_planned else None,
            entries=_entries(prepared, marks),
            usage=answer.usage,
            sent=prepared.started,
            readable=now if prepared.first_token is None else prepared.first_token,
            numbers=(prepared.number, next_number()),
        )
        asked, fresh = self._completed(left, prepared, outline)
        named = _named(prepared, outline, rules)
        near = self.footprints.near(asked)
        miss = why(
            asked,
            near,
            rules=rules,
            sketches=lambda it: fresh.get(it) or self.footprints.sketch(it),
            place=outline.place,
            reads_named=named is not None,
            told=answer.missed,
        )
        tools = tools_note(asked, near)
        if tools is not None:
            prepared.notes.append(tools)
        self.footprints.note(asked)
        self.footprints.keep_sketches(fresh)
        self.footprints.touch_sketches(_contents(asked, asked.opening))
        return miss, credits_of(asked, [whose for _, _, whose in marks], named=named)

    def _completed(
        self, left: Footprint, prepared: Prepared, outline: Outline
    ) -> tuple[Footprint, dict[bytes, Sketch]]:
        """Return the footprint with what each block says, and sketches of new ones."""
        known, contents = 0, dict[int, bytes]()
        for it in self.footprints.near(left) if not left.follows else ():
            shared = parted(left, it)
            if shared > known:
                known = shared
                contents = dict(enumerate(_contents(it, shared)))
        fresh: dict[bytes, Sketch] = {}
        most = _MOST_BYTES
        for position, content in _read_again(
            prepared, outline, range(known, left.length)
        ):
            digest = contents[position] = digest_of(content, left.salt)
            is_new = digest not in fresh and self.footprints.sketch(digest) is None
            if is_new and len(content) <= most:
                most -= len(content)
                fresh[digest] = Sketch.of(content)
        return left.with_contents(contents), fresh


def _lost_usd(
    miss: Miss,
    usage: Usage,
    paid: Cost | None,
    cost: Callable[[Usage], Cost | None],
) -> float | None:
    """Return the US dollars that reading what was missed would have saved."""
    if miss.tokens is None or paid is None:
        return None
    if not miss.tokens:
        return 0.0
    cheaper = cost(_as_if_read(usage, miss.tokens))
    return None if cheaper is None else paid.usd - cheaper.usd


def _as_if_read(usage: Usage, tokens: int) -> Usage:
    """Return a usage with some tokens read that were not.

    They stood at the beginning, so they are of those written first, as far as there
    were any.
    """
    read, written = usage.read_tokens or 0, usage.written_tokens
    room = tokens if usage.input_tokens is None else usage.input_tokens - read
    tokens = rest = max(min(tokens, room), 0)
    fewer: dict[str, int | None] = {}
    for life in _LIFETIMES:
        name = f"written_{life}_tokens"
        there = getattr(usage, name)
        if there:
            fewer[name] = there - min(rest, there)
            rest -= min(rest, there)
    if written is not None:
        fewer["written_tokens"] = max(written - tokens, 0)
    return replace(usage, read_tokens=read + tokens, **fewer)


def _marks(prepared: Prepared, outline: Outline, rules: Rules) -> list[Mark]:
    """Return where what is kept of a request ends, as it was sent in the end."""
    if rules.matching in ("named", "prefix"):
        return []
    unasked: Credit = "implicit" if rules.matching == "marked" else "fixed"
    decided = prepared.plan
    if prepared.is_planned:
        marks: list[Mark] = [
            (it.position, it.ttl, "fixed" if it.reason == FIXED else "placed")
            for it in decided.breakpoints
        ]
        if decided.automatic is not None and decided.automatic_position >= 0:
            marks.append((decided.automatic_position, decided.automatic, unasked))
        return sorted(marks)
    marks = [(it, ttl, "fixed") for it, ttl in outline.markers.items()]
    if rules.matching == "lookback":
        refusals = outline.blocks.refusals[: outline.length]
        free = [it for it, why_not in enumerate(refusals) if not why_not]
        if outline.automatic is not None and free:
            marks.append((free[-1], outline.automatic, unasked))
    elif outline.mode != "explicit" and outline.implicit >= 0:
        marks.append((outline.implicit, outline.automatic or rules.ttls[0], unasked))
    return sorted(marks)


def _entries(prepared: Prepared, marks: list[Mark]) -> tuple[tuple[int, float], ...]:
    """Return where what is kept of a request ends, and for how many seconds."""
    if prepared.placement is not None and prepared.placement.entry is not None:
        return (prepared.placement.entry,)
    return tuple((it, float(TTL_SECONDS[ttl])) for it, ttl, _ in marks)


def _named(prepared: Prepared, outline: Outline, rules: Rules) -> Credit | None:
    """Return who put the name of a cached content into a request, if anybody did."""
    if rules.matching != "named":
        return None
    if prepared.is_planned:
        return "placed"
    return "fixed" if outline.names_cached else None


def _read_again(
    prepared: Prepared, outline: Outline, wanted: range
) -> Iterator[tuple[int, bytes]]:
    """Yield what blocks say, as long as the request still says what it did."""
    if not wanted:
        return
    request = prepared.request
    again = request.provider.outline(
        prepared.read,
        model=request.model,
        host=request.host,
        tenant=prepared.options.tenant,
        trail=outline.trail,
        wanted=wanted,
    )
    for position, content in again.blocks.contents.items():
        digest = outline.blocks.digests[position] if position < outline.length else b""
        if again.blocks.digests[position] == digest:
            yield position, content


def _contents(it: Footprint, length: int) -> Iterator[bytes]:
    """Yield the digests of the first blocks; one that is not known is empty."""
    for position in range(min(length, it.length)):
        yield it.content(position) or b""
