"""Texts as a process remembers them, and where they stand in a string.

Rule 1: what is remembered is a length, hashes and a kind; no text is.
Rule 2: what is found never overlaps, and longer texts are found before shorter ones.
Rule 3: everything here is bounded: the least recently used goes first.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from secrets import token_bytes
from typing import TypeAlias

from promptcache.planning.volatile import Kind, Span
from promptcache.state.forks import ForkSafeLock

__all__ = [
    "HEAD",
    "MAX_READ",
    "Given",
    "Group",
    "Notes",
    "Reading",
    "Readings",
    "Text",
    "Whose",
]

HEAD = 16
"""Characters at either end of a text by which it is looked for."""

MAX_READ = 4_096
"""Strings whose readings are kept, so that none is read on every call."""

_MOST_DIGESTED = 1 << 22
"""Characters that are digested for one string, so that one of a single letter, where
every place looks right, cannot hold a request up."""

_KEY = token_bytes(16)
"""Of the digests: they are of use to this process only."""

_versions = count()


@dataclass(frozen=True, slots=True)
class Text:
    """What is kept of a text that was given out."""

    length: int
    head: int
    """Hash of its first characters."""
    end: int
    """Hash of its last ones."""
    digest: bytes

    @classmethod
    def of(cls, text: str) -> "Text":
        """Return what is kept of a text."""
        return cls(len(text), hash(text[:HEAD]), hash(text[-HEAD:]), _digest(text))

    def stands_at(self, text: str, start: int) -> bool:
        """Tell whether it seems to, before a digest tells for sure."""
        end = start + self.length
        if end > len(text) or hash(text[max(start, end - HEAD) : end]) != self.end:
            return False
        return self.length >= HEAD or _is_apart(text, start, end)


Group: TypeAlias = tuple[Text, ...]
"""Texts that were given out together, in the order in which they are to stand."""

Notes: TypeAlias = dict[tuple[Group, str], str]
"""Notes, by the texts that they are about and what of them they say."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a string."""

    spans: tuple[Span, ...] = ()
    noted: Group = ()
    """Texts that a note is about, in the order of the string; they may overlap."""


class Given:
    """A bounded number of texts, and of notes about them; safe from many threads."""

    def __init__(self, most: int) -> None:
        """Remember nothing yet.

        Args:
            most: How many texts there may be, and how many notes.
        """
        self._most = most
        self._lock = ForkSafeLock()
        self._kinds: OrderedDict[tuple[str | None, Text], Kind] = OrderedDict()
        self._notes: OrderedDict[tuple[str | None, Group, str], str] = OrderedDict()
        self.version = next(_versions)
        """Another one after every change, and in every registry."""

    def __len__(self) -> int:
        """Return how many texts are remembered."""
        return len(self._kinds)

    @property
    def has_notes(self) -> bool:
        """Whether there is a note."""
        return bool(self._notes)

    def add(self, text: Text, kind: Kind, tenant: str | None) -> None:
        """Remember a text, and that it is a tenant's; None is nobody's."""
        key = (tenant, text)
        with self._lock:
            if self._kinds.get(key) != kind:
                self.version = next(_versions)
            self._kinds[key] = kind
            self._kinds.move_to_end(key)
            while len(self._kinds) > self._most:
                self._kinds.popitem(last=False)

    def note(
        self, group: Group, what: str, note: str | None, tenant: str | None
    ) -> None:
        """Remember a note in place of the one before; None takes that away."""
        key = (tenant, group, what)
        with self._lock:
            if note is None:
                self._notes.pop(key, None)
                return
            if key not in self._notes:
                self.version = next(_versions)
            self._notes[key] = note
            self._notes.move_to_end(key)
            while len(self._notes) > self._most:
                self._notes.popitem(last=False)

    def use(self, texts: Iterable[Text], tenant: str | None) -> None:
        """Note that texts were found: they are forgotten after others."""
        with self._lock:
            for key in [(whose, it) for it in texts for whose in {None, tenant}]:
                if key in self._kinds:
                    self._kinds.move_to_end(key)

    def kinds(self, tenant: str | None) -> dict[Text, Kind]:
        """Return the kinds of a tenant's texts, and of nobody's; the latest last."""
        with self._lock:
            return {
                text: kind
                for (whose, text), kind in self._kinds.items()
                if whose in (None, tenant)
            }

    def is_volatile(self, text: Text, tenant: str | None) -> bool:
        """Tell whether a text was given out as volatile."""
        with self._lock:
            keys = ((whose, text) for whose in (None, tenant))
            return any(self._kinds.get(key) == "volatile" for key in keys)

    def notes(self, tenant: str | None) -> Notes:
        """Return the notes about a tenant's texts, and nobody's; the latest last."""
        with self._lock:
            return {
                (group, what): note
                for (whose, group, what), note in self._notes.items()
                if whose in (None, tenant)
            }

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._kinds.clear()
            self._notes.clear()
            self.version = next(_versions)


Whose: TypeAlias = tuple[Given, str | None]
"""Texts to look for, and the tenant that they are looked for as."""

_Key: TypeAlias = tuple[int, int, str | None]
"""Length and hash of a string, and whose it is."""


class Readings:
    """What was found in the strings that were read; safe from many threads."""

    def __init__(self) -> None:
        """Have read nothing yet."""
        self._lock = ForkSafeLock()
        self._known: OrderedDict[_Key, tuple[tuple[int, ...], Reading]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many strings are known."""
        return len(self._known)

    def reading(
        self, text: str, known: list[Whose], *, tenant: str | None, lasting: bool
    ) -> Reading:
        """Return what stands in a string.

        Args:
            text: The string.
            known: What to look for; of two kinds of one text the later counts.
            tenant: Whose the string is.
            lasting: What was found in it before is found again.
        """
        key = (len(text), hash(text), tenant)
        versions = tuple(given.version for given, _ in known)
        with self._lock:
            before = self._known.get(key)
            if before is not None and (lasting or before[0] == versions):
                self._known.move_to_end(key)
                return before[1]
        reading = _read(text, known)
        with self._lock:
            self._known[key] = (versions, reading)
            self._known.move_to_end(key)
            while len(self._known) > MAX_READ:
                self._known.popitem(last=False)
        return reading

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._known.clear()


def _read(text: str, known: list[Whose]) -> Reading:
    kinds: dict[Text, Kind] = {}
    noted: set[Text] = set()
    for given, whose in known:
        kinds.update(given.kinds(whose))
        noted.update(it for group, _ in given.notes(whose) for it in group)
    spans: list[tuple[Span, Text]] = []
    has: list[tuple[int, int, Text]] = []
    taken = bytearray(len(text))
    for it, start in _places(text, {*kinds, *noted}, noted, taken):
        end = start + it.length
        if it in noted:
            has.append((start, -it.length, it))
        if it in kinds and not (taken[start] or taken[end - 1]):
            taken[start:end] = b"\1" * it.length
            spans.append((Span(start, end, kinds[it]), it))
    for given, whose in known:
        given.use([it for _, it in spans], whose)
    return Reading(
        tuple(sorted((it for it, _ in spans), key=lambda it: it.start)),
        tuple(it for *_, it in sorted(has, key=lambda it: it[:2])),
    )


def _places(
    text: str, wanted: set[Text], noted: set[Text], taken: bytearray
) -> Iterator[tuple[Text, int]]:
    """Yield each text that stands in a string, and where, the longest first.

    Args:
        text: The string.
        wanted: What is looked for.
        noted: What of it is looked for inside of longer texts, too.
        taken: What was found so far; whoever is told of a place fills it in.
    """
    starts = _starts(text, wanted)
    budget = _MOST_DIGESTED
    for it in sorted(wanted, key=lambda it: -it.length):
        free = 0
        for start in starts.get((min(it.length, HEAD), it.head), ()):
            end = start + it.length
            if start < free or not it.stands_at(text, start):
                continue
            if it not in noted and (taken[start] or taken[end - 1]):
                continue
            budget -= it.length
            if budget < 0:
                return
            if _digest(text[start:end]) == it.digest:
                free = end
                yield it, start


def _starts(text: str, wanted: Iterable[Text]) -> dict[tuple[int, int], list[int]]:
    """Return where a text may begin, by the length and the hash of its head."""
    heads: dict[int, set[int]] = {}
    for it in wanted:
        if it.length <= len(text):
            heads.setdefault(min(it.length, HEAD), set()).add(it.head)
    starts: dict[tuple[int, int], list[int]] = {}
    for length, hashes in heads.items():
        places = range(len(text) - length + 1)
        for start in [i for i in places if hash(text[i : i + length]) in hashes]:
            head = hash(text[start : start + length])
            starts.setdefault((length, head), []).append(start)
    return starts


def _is_apart(text: str, start: int, end: int) -> bool:
    """Tell whether no word goes on over either end: few characters are in many."""
    before = start and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not (before or after)


def _digest(text: str) -> bytes:
    said = text.encode("utf-8", "surrogatepass")
    return blake2b(said, digest_size=16, key=_KEY).digest()
