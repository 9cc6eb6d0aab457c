"""Explanations in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from promptcache.planning.chances import Chance
from promptcache.planning.reasons import Reason
from promptcache.planning.worth import DOUBT

if TYPE_CHECKING:
    from promptcache.analysis.explain.explanation import Explained, Place

__all__ = ["BECAUSE", "books_told", "told"]

BECAUSE: Mapping[Reason, str] = {
    "tools": "the tools end here, which other conversations begin with, too",
    "system": "the head ends here, which other conversations begin with, too",
    "tail": "the request ends here, which the next one will repeat",
    "stable": "the turns before the last one end here, should that be another one",
    "previous": "an earlier request wrote up to here, which the others do not find",
    "held": "what lives for the long lifetime ends here",
    "part": "a text that is said to come again, or a document, ends here",
    "shared": "up to here an earlier request was the same, so others may be",
    "spaced": "a look-back from the next one, so that a long new stretch is found",
    "fixed": "the caller's own",
}
"""Why a breakpoint stands where it does."""

_PARTS: Mapping[str, str] = {
    "head": "tools, system",
    "seen": "seen before",
    "turns": "new turns",
    "last": "last turn",
}
_WAYS: Mapping[str, str] = {
    "none": "write nothing new",
    "short": "write it all for {short}",
    "long": "write it all for {long}",
    "promote": "promote",
    "pings": "write it all for {short}, and keep it alive by pings",
}
_BOOKS: Mapping[str, str] = {
    "none": "no caching",
    "short": "all for {short}",
    "long": "all for {long}",
    "promote": "promote",
    "pings": "all for {short}, with pings",
    "planned": "these plans",
}


def told(row: "Explained", number: int, count: int) -> Iterator[str]:
    """Yield the lines of one request.

    Args:
        row: What is explained of it.
        number: Which request it is, from 1.
        count: How many there are.
    """
    yield (
        f"Request {number} of {count}, at {row.at:g} s: {row.model} on {row.host}, "
        f"about {row.tokens:,} tokens in {row.blocks} blocks"
    )
    if not row.is_known:
        yield "  The model is not known: the most cautious rules stand in."
    if row.expected_read:
        yield f"  Reads about {row.expected_read:,} tokens that live."
    yield from _placed(row)
    for name, value in row.options.items():
        yield f"  {name}: {value}"
    yield from _parts(row)
    yield from _choices(row)
    if row.notes:
        yield "  Decided against"
        yield from (f"    {note}" for note in row.notes)


def books_told(row: "Explained") -> Iterator[str]:
    """Yield the lines of what each way would have cost all requests up to one."""
    if not row.books:
        return
    yield "All requests, if all goes as planned"
    rows = [("", "input tokens", "of no caching", "USD")]
    plain = row.books["none"]
    for way, cost in row.books.items():
        share = f"{cost / plain:.3f}" if plain else ""
        name = _BOOKS[way].format(short=row.short, long=row.long)
        rows.append((name, f"{cost:,.0f}", share, row.dollars(cost)))
    yield from _table(rows, "  ")
    if "promote" in row.books:
        yield "  Promoting is reckoned as if the provider keeps what is promoted."


def _placed(row: "Explained") -> Iterator[str]:
    if row.breakpoints:
        yield "  Breakpoints"
    for point in row.breakpoints:
        yield f"    {point.place} {point.ttl} {point.reason}: {_does(point)}"
        if point.text is not None:
            yield f"      {point.text}"


def _does(point: "Place") -> str:
    writes = f"writes about {point.writes:,} tokens"
    what = writes if point.writes else "what it ends lives, so it writes nothing"
    return f"{BECAUSE[point.reason]}; {what}"


def _parts(row: "Explained") -> Iterator[str]:
    if not row.parts:
        return
    yield "  What is not alive"
    rows = [("", "tokens", "comes again", "break-even", "written")]
    for part in row.parts:
        again, even = f"{_likely(part.short)} in {row.short}", f"{part.even_short:.0%}"
        if row.long is not None:
            again += f", {_likely(part.long)} in {row.long}"
            even += f", {part.even_long:.0%}"
        tokens = f"{part.tokens:,}"
        rows.append((_PARTS[part.name], tokens, again, even, part.ttl or "no"))
    yield from _table(rows, "    ")


def _likely(chance: Chance) -> str:
    return f"{chance.mean:.0%} +- {DOUBT * chance.error:.0%}"


def _choices(row: "Explained") -> Iterator[str]:
    if not row.choices:
        return
    yield "  Choices, in input tokens and in USD"
    rows: list[Sequence[str]] = [
        ("", "now", "saved later", "in all", "now", "saved later", "in all")
    ]
    for it in row.choices:
        amounts = (it.cost, it.later, it.net)
        rows.append(
            (
                _WAYS[it.way].format(short=row.short, long=row.long),
                *(f"{amount:,.0f}" for amount in amounts),
                *(row.dollars(amount) for amount in amounts),
            )
        )
    yield from _table(rows, "    ")
    cost = f"    The plan costs {row.cost:,.0f} now"
    if not row.by_books:
        yield f"{cost}: what is worth most of each part."
        return
    way = _BOOKS[row.way].format(short=row.short, long=row.long)
    yield f"{cost}: an agent's turns come again, so the books decide how long"
    yield f"    they live, and by those of its traffic the cheapest way is: {way}."


def _table(rows: Sequence[Sequence[str]], indent: str) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"{indent}{'  '.join([first, *rest])}".rstrip()
