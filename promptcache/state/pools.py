"""What the workers of one store have counted together.

Rule 1: planning adds to a log and looks into a table, both in memory. One flush at a
time empties the log and puts a new table in the place of the old one. No lock is needed
for that, so a flush that waits for its store is in nobody's way.
Rule 2: what others have counted is what the store holds less what was added here. What
was counted here is known here already.
Rule 3: nothing is added twice. What a store may have taken counts as taken, and what a
process had not added yet when it forked is its parent's to add.
Rule 4: what leaves this process is keyed digests and whole numbers.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from math import isfinite

from promptcache.state.bounds import COUNT_LIMIT, summed
from promptcache.state.paths import Key

__all__ = ["DAY_SECONDS", "Pool", "Pools"]

FORM = 1
"""Of the numbers and their keys; another form has other namespaces."""

DAY_SECONDS = 86_400

MAX_LOG = 20_000
"""What is added between two flushes; of more the oldest goes first."""

MAX_KEYS = 10_000
"""Keys that are added to one namespace, and that wait for more sights."""

MAX_DIGESTS = 40_000

_DIGEST_BYTES = 16
_PLAIN = frozenset({bytes, str, int, float, bool, type(None)})
_EPOCH = date(1970, 1, 1).toordinal()

_Sums = dict[bytes, tuple[int, ...]]


class Pool:
    """Numbers of one kind: those added here, and those that others have added."""

    def __init__(
        self, kind: str, *, days: int = 2, daily: bool = True, least: int = 1
    ) -> None:
        """Begin without numbers.

        Args:
            kind: What is counted.
            days: How many UTC days numbers count, the one they are added on included.
            daily: Each day has a namespace of its own; else the keys tell the day.
            least: What one of its numbers must reach before a key is told to others.
                What is seen once only would fill a store and says nothing.
        """
        self.seconds = float(days * DAY_SECONDS)
        """How long a store remembers what was added."""
        self._kind = kind
        self._days = days if daily else 0
        self._least = least
        self._log: deque[tuple[Key, Sequence[float]]] = deque(maxlen=MAX_LOG)
        self._digests = _Digests(kind, b"")
        self._others: Mapping[bytes, tuple[int, ...]] = {}
        # The rest is the flush's alone.
        self._held: dict[Key, Sequence[float]] = {}
        self._inherited: dict[Key, Sequence[float]] = {}
        self._own: dict[str, _Sums] = {}

    def add(self, key: Key, numbers: Sequence[float]) -> None:
        """Add numbers to those of a key, place by place."""
        self._log.append((key, numbers))

    def others(self, key: Key, places: int) -> tuple[int, ...] | None:
        """Return the numbers of a key that others have added, if any are known.

        Args:
            key: What they are added to.
            places: How many there are; what has another form is not known.
        """
        others = self._others
        if not others:
            return None
        digest = self._digests.of(key)
        numbers = None if digest is None else others.get(digest)
        return None if numbers is None or len(numbers) != places else numbers

    @property
    def has_news(self) -> bool:
        """Whether something was added that is not told yet."""
        return bool(self._log or self._held)

    def namespaces(self, day: int) -> tuple[str, ...]:
        """Return where the numbers are on a day since 1970: to add to is the first."""
        name = f"history/{FORM}/{self._kind}"
        if not self._days:
            return (name,)
        days = range(day, day - self._days, -1)
        return tuple(f"{name}/{date.fromordinal(_EPOCH + it)}" for it in days)

    def use(self, secret: bytes) -> None:
        """Key the digests; under another secret nothing is known of others."""
        digests = _Digests(self._kind, secret)
        if digests.secret != self._digests.secret:
            # What was added under the old one stays counted: it may come back.
            self._others, self._digests = {}, digests

    def take(self, namespace: str) -> _Sums:
        """Return what is to be added to a namespace, which counts as added from now on.

        Args:
            namespace: Where, of `namespaces`.
        """
        own = self._own.setdefault(namespace, {})
        inherited, self._inherited = self._inherited, {}
        for key, numbers in inherited.items():
            self._note(own, key, numbers)
        self._collect()
        taken: _Sums = {}
        for key, numbers in tuple(self._held.items()):
            digest = self._digests.of(key)
            is_known = digest is not None and digest in own
            if not is_known and max(numbers) < self._least:
                continue
            added = self._note(own, key, numbers)
            if added is not None:
                taken[added[0]] = added[1]
            del self._held[key]
        return taken

    def learn(self, sums: Mapping[str, Mapping[bytes, tuple[int, ...]]]) -> None:
        """Take note of what a store holds.

        Args:
            sums: Those of each namespace of the day.
        """
        others: _Sums = {}
        for namespace, table in sums.items():
            own = self._own.get(namespace, {})
            for digest, numbers in table.items():
                theirs = numbers
                if digest in own:
                    mine = (-it for it in own[digest])
                    theirs = tuple(max(it, 0) for it in summed(numbers, mine))
                if digest in others:
                    theirs = summed(others[digest], theirs)
                others[digest] = theirs
        self._own = {it: own for it, own in self._own.items() if it in sums}
        self._others = others

    def restart(self) -> None:
        """Go on in the child of a fork; what is not told yet, its parent tells."""
        self._collect()
        for key, numbers in self._held.items():
            before = self._inherited.get(key, ())
            self._inherited[key] = _added(before, numbers)
        self._held = {}

    def _collect(self) -> None:
        """Add up what is in the log."""
        for _ in range(len(self._log)):
            key, numbers = self._log.popleft()
            self._held[key] = _added(self._held.pop(key, ()), numbers)
        while len(self._held) > MAX_KEYS:
            del self._held[next(iter(self._held))]

    def _note(
        self, own: _Sums, key: Key, numbers: Sequence[float]
    ) -> tuple[bytes, tuple[int, ...]] | None:
        """Count numbers as added, and return them as a store takes them.

        None for what cannot be told: more keys than a store holds, and what has no
        digest that others would find.
        """
        digest = self._digests.of(key)
        if digest is None or not all(map(isfinite, numbers)):
            return None
        if digest not in own and len(own) >= MAX_KEYS:
            return None
        whole = tuple(max(min(round(it), COUNT_LIMIT), 0) for it in numbers)
        own[digest] = summed(own.get(digest, ()), whole)
        return digest, whole


class Pools:
    """All that workers tell each other; requests and their text are not part of it."""

    def __init__(self) -> None:
        """Begin without numbers."""
        self.reuse = Pool("reuse", least=2)
        """How often something came again, and of how many times."""
        self.books = Pool("books")
        """What conversations cost in each way, and how they pause."""
        self.readings = Pool("readings", days=9, daily=False)
        """Promoted prefixes that were kept, and that were lost."""

    def __iter__(self) -> Iterator[Pool]:
        yield from (self.reuse, self.books, self.readings)


class _Digests:
    """Keyed digests of one kind; each is computed once."""

    def __init__(self, kind: str, secret: bytes) -> None:
        self.secret = blake2b(secret, person=b"history").digest()
        self._begun = blake2b(
            _encoded((kind,)), key=self.secret, digest_size=_DIGEST_BYTES
        )
        self._known: dict[Key, bytes | None] = {}

    def of(self, key: Key) -> bytes | None:
        """Return the digest of a key; None if it has parts that others do not have."""
        try:
            return self._known[key]
        except KeyError:
            pass
        try:
            digest = self._begun.copy()
            digest.update(_encoded(key))
            found = digest.digest()
        except TypeError:
            found = None
        if len(self._known) >= MAX_DIGESTS:
            self._known = {}
        self._known[key] = found
        return found


def _encoded(key: Key) -> bytes:
    """Return bytes that are the same in every process, and of no other key.

    Raises:
        TypeError: There are none, as of an object that is told by its place in memory.
    """
    if not _is_plain(key):
        raise TypeError(type(key).__name__)
    # What `repr` escapes is another matter in another version of Python.
    return ascii(key).encode()


def _is_plain(key: Key) -> bool:
    for part in key:
        if type(part) is tuple:
            if not _is_plain(part):
                return False
        elif type(part) not in _PLAIN:
            return False
    return True


def _added(first: Sequence[float], second: Sequence[float]) -> Sequence[float]:
    if len(first) != len(second):
        return second
    return [one + other for one, other in zip(first, second, strict=True)]
