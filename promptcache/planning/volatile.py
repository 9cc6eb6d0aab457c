"""Strings that texts were found in: where they are split, what is moved out of them.

Rule 1: the pieces of a string, joined, are the string.
Rule 2: no piece is blank, so that every one of them may be a block of its own.
Rule 3: what is left after a move depends on what stood around the text, not on it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from promptcache.outline import Place

__all__ = [
    "BETWEEN",
    "SYSTEM_NOTE",
    "Arranged",
    "Finder",
    "Kind",
    "Piece",
    "Span",
    "Text",
    "ends_of",
    "is_moved",
    "left",
    "parts_of",
    "pieces",
    "renumbered",
    "separated",
]

Kind = Literal["static", "volatile", "document"]

MAX_PIECES = 10
"""Blocks that a content has at most for being split: a provider looks at some twenty
blocks before a breakpoint, and each document would be one."""


SYSTEM_NOTE = "System note, which belongs to the system prompt:\n"
"""Begins a volatile text that had to be put into the user's turn."""

BETWEEN = "\n\n"
"""What stands between texts that are moved together."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a text that was given out stands in a string that holds it."""

    start: int
    end: int
    kind: Kind


class Finder(Protocol):
    """Finds texts that were given out in a string."""

    def __call__(self, text: str, *, lasting: bool = False) -> Sequence[Span]:
        """Return where they stand; if `lasting`, where they were found before."""
        ...


@dataclass(slots=True)
class Arranged:
    """A body whose volatile texts are moved, and whose strings are split."""

    body: Mapping[str, Any]
    """The body so far; the framework's own where nothing was changed."""
    whole: Mapping[str, Any]
    """The body with its volatile texts moved, and no string split."""
    moves: list[str] = field(default_factory=list)
    """What was moved, in words and positions."""
    splits: list[str] = field(default_factory=list)
    """What was split."""
    volatile: list[Place] = field(default_factory=list)
    """Where volatile text stands now, as far as it was to be moved."""
    ends: list[tuple[Place, Kind]] = field(default_factory=list)
    """Blocks of the last turn that end with a static text or a document."""
    adds_turn: bool = False
    """A system message was put between the turns, or behind them."""
    narrows: bool = False
    """The choice of tools leaves some out."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the head without what is volatile in it."""

    kept: str
    """Empty if nothing but white space is left."""
    moved: tuple[str, ...] = ()
    stays: bool = False
    """It is volatile, and stands where it would be moved to."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a string that becomes a block."""

    text: str
    kind: Kind | None = None
    """Of the text that it ends with; None if it ends with none."""


def pieces(
    text: str, spans: Sequence[Span], *, most: int = MAX_PIECES
) -> tuple[Piece, ...]:
    """Return a string as pieces that begin and end where the texts in it do.

    What is blank between two belongs to the latter, so that a prefix that ends with a
    document is the same whatever comes after it.

    Args:
        text: The string.
        spans: What was found in it, in its order; volatile texts split nothing.
        most: How many pieces there may be; then the first ends and the last one count.

    Returns:
        The string as a single piece, if there is nothing to split.
    """
    made: list[Piece] = []
    start = 0
    for end, kind in _ends(text, spans, most - 1):
        made.append(Piece(text[start:end], kind))
        start = end
    if text[start:].strip() or not made:
        made.append(Piece(text[start:]))
    elif start < len(text):
        made[-1] = Piece(made[-1].text + text[start:], made[-1].kind)
    return tuple(made)


def separated(
    texts: Sequence[str | None],
    find: Finder,
    whole: Collection[int] = (),
    *,
    stays: bool,
) -> list[Text]:
    """Return each text of a head without what is volatile in it.

    Args:
        texts: The texts in their order; None for what is no text.
        find: Finds what is volatile.
        whole: Numbers of texts that are volatile as a whole, whatever is found.
        stays: If all that is volatile are whole texts at the end, they stay there, as
            the end of the head is where they would be moved to.
    """
    parted = [
        Text("", (text,)) if text and number in whole else _parted(text, find)
        for number, text in enumerate(texts)
    ]
    first = len(parted)
    while stays and first and parted[first - 1].moved and not parted[first - 1].kept:
        first -= 1
    # What moves takes with it what could have stayed, so that all of it is together.
    if any(it.moved for it in parted[:first]):
        return parted
    standing = [Text(text or "", stays=True) for text in texts[first:]]
    return [*parted[:first], *standing]


def _parted(text: str | None, find: Finder) -> Text:
    if not text:
        return Text("")
    kept, moved = left(text, find(text))
    return Text(kept if kept.strip() else "", moved) if moved else Text(text)


def parts_of(
    texts: Sequence[str | None], find: Finder, *, lasting: bool
) -> list[tuple[Piece, ...]]:
    """Return the pieces of each text; none for what is no text.

    Args:
        texts: The texts in their order; None for what is no text.
        find: Finds the texts that were given out.
        lasting: They were sent before, and keep the form that they had.
    """
    parted = list[tuple[Piece, ...]]()
    # What is split already is not split further for being too much at first.
    most = max(MAX_PIECES + 1 - len(texts), 1)
    for text in texts:
        spans = find(text, lasting=lasting) if text else ()
        parted.append(pieces(text, spans, most=most) if text else ())
        most -= max(len(parted[-1]) - 1, 0)
    return parted


def renumbered(parted: Sequence[tuple[Piece, ...]]) -> list[int]:
    """Return the number that the last piece of each text has, once all are split."""
    numbers, at = [], -1
    for it in parted:
        at += max(len(it), 1)
        numbers.append(at)
    return numbers


def ends_of(parted: Sequence[tuple[Piece, ...]]) -> list[tuple[int, Kind]]:
    """Return the numbers of the blocks that end with a text, and its kind."""
    ends, at = list[tuple[int, Kind]](), 0
    for it in parted:
        ends += [
            (at + number, piece.kind)
            for number, piece in enumerate(it)
            if piece.kind is not None
        ]
        at += max(len(it), 1)
    return ends


def is_moved(text: str | None, find: Finder, *, by_system: bool) -> bool:
    """Tell whether a block of the last turn is volatile text that was moved there.

    Args:
        text: The block's; None if it is no text.
        find: Finds what is volatile.
        by_system: It stands in a system message, which says nothing else then.
    """
    if not text or not (by_system or text.startswith(SYSTEM_NOTE)):
        return False
    kept, moved = left(text, find(text))
    return bool(moved) and not (by_system and kept.strip())


def left(text: str, spans: Sequence[Span]) -> tuple[str, tuple[str, ...]]:
    """Return what is left of a string without its volatile texts, and these.

    One newline rule: a line that held nothing else goes with the text.

    Args:
        text: The string.
        spans: What was found in it, in its order.
    """
    kept, moved, start = "", [], 0
    for span in spans:
        if span.kind != "volatile":
            continue
        kept += text[start : span.start]
        moved.append(text[span.start : span.end])
        start = span.end
        alone = not kept or kept.endswith("\n")
        if alone and text.startswith("\n", start):
            start += 1
        elif alone and start == len(text):
            kept = kept.removesuffix("\n")
    return kept + text[start:], tuple(moved)


def _ends(text: str, spans: Sequence[Span], most: int) -> list[tuple[int, Kind | None]]:
    """Return where pieces end, the last one left out, and what they end with."""
    ends: list[tuple[int, Kind | None]] = []
    start = 0
    for span in spans:
        if span.kind == "volatile":
            continue
        if text[start : span.start].strip():
            ends.append((span.start, None))
        ends.append((span.end, span.kind))
        start = span.end
    # What nothing but white space follows ends the last piece.
    closing = [it for it in ends if not text[it[0] :].strip()][:1]
    inner = [it for it in ends if text[it[0] :].strip()]
    if len(inner) > most:
        inner = [*inner[: most - 1], inner[-1]] if most > 0 else []
    return [*inner, *closing]
