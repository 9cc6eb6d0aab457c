"""What the latest requests left behind, found by whatever a later one shares with them.

Rule 1: it holds footprints and sketches: digests, sizes and times, no text.
Rule 2: it is bounded: 4,000 footprints, 200,000 blocks in them and 4 MB of sketches,
15 MB in all; what was noted first goes first.
Rule 3: every key is a tenant's own, so tenants never see each other's.

A request is found again by the name of its conversation, by its end, its opening, the
end of its system section and of its tools, and by what stands before all of them; and,
where one of these differs, by the first block of each section. A few requests are kept
for each; of one conversation, the latest two.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

from promptcache.receipts.footprint import Footprint
from promptcache.receipts.sketch import Sketch
from promptcache.state.forks import let_go_at_forks

__all__ = ["Footprints"]

_MAX_FOOTPRINTS = 4_000
_MAX_BLOCKS = 200_000
_MAX_SKETCH_BYTES = 4_000_000

_SKETCH_BYTES = 450
"""What a sketch takes besides its checksums."""

_KEPT = 4
_KEPT_AT_ROOT = 8
"""Requests that are kept for a key; more where all of a model's have the same."""

_APART_SECONDS = 30.0
"""Of requests that come in closer succession, only the latest stays: with many at a
time, some that were answered before this one was sent must remain."""

_PATIENCE_SECONDS = 1.0


@dataclass(slots=True)
class _Kept:
    footprint: Footprint
    keys: tuple[bytes, ...]
    before: int | None
    """The number of the request that it continues."""
    rings: int = 0
    """Keys that it is kept for."""


class Footprints:
    """What the requests of this process left behind; safe from threads and forks."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = Lock()
        self._start()
        let_go_at_forks(self)

    def _start(self) -> None:
        self._number = 0
        self._blocks = 0
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._rings: dict[bytes, list[int]] = {}
        self._sketches: OrderedDict[bytes, Sketch] = OrderedDict()
        self._sketch_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def near(self, asked: Footprint) -> list[Footprint]:
        """Return the requests that share anything with this one, the oldest first."""
        with self._lock:
            found = set(self._rings.get(self._end_within(asked), ()))
            for key in _keys(asked):
                found.update(self._rings.get(key, ()))
            return [self._kept[number].footprint for number in sorted(found)]

    def note(self, footprint: Footprint) -> None:
        """Remember a request that was answered."""
        with self._lock:
            ring = self._rings.get(self._end_within(footprint, besides=1), ())
            before = ring[-1] if ring else None
            self._number += 1
            kept = _Kept(footprint, tuple(_keys(footprint)), before)
            self._kept[self._number] = kept
            self._blocks += footprint.length
            for key in kept.keys:
                self._enter(key, self._number, kept)
            if before is not None and before in self._kept:
                # The two latest of a conversation tell all that the earlier ones do.
                self._forget(self._kept[before].before)
            while len(self._kept) > _MAX_FOOTPRINTS or self._blocks > _MAX_BLOCKS:
                self._forget(next(iter(self._kept)))

    def sketch(self, content: bytes) -> Sketch | None:
        """Return the sketch of a block by its digest, if it is still there."""
        with self._lock:
            return self._sketches.get(content)

    def keep_sketches(self, sketches: Mapping[bytes, Sketch]) -> None:
        """Remember the sketches of blocks, by the digests of these."""
        with self._lock:
            for content, sketch in sketches.items():
                self._drop_sketch(content)
                self._sketches[content] = sketch
                self._sketch_bytes += _size(sketch)
            while self._sketch_bytes > _MAX_SKETCH_BYTES:
                self._drop_sketch(next(iter(self._sketches)))

    def touch_sketches(self, contents: Iterator[bytes]) -> None:
        """Keep the sketches of blocks that came again for longer."""
        with self._lock:
            for content in contents:
                if content in self._sketches:
                    self._sketches.move_to_end(content)

    def pause(self) -> bool:
        """Stand still while this process forks."""
        return self._lock.acquire(timeout=_PATIENCE_SECONDS)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Begin anew in the child: another thread may have been in the middle of it."""
        self._lock = Lock()
        self._start()

    def _end_within(self, asked: Footprint, *, besides: int = 0) -> bytes:
        """Return the key of the longest request that this one continues.

        Args:
            asked: The request.
            besides: Blocks at its end that do not count.
        """
        for position in range(asked.length - 1 - besides, -1, -1):
            key = b"e" + asked.prefix(position)
            if key in self._rings:
                return key
        return b""

    def _enter(self, key: bytes, number: int, kept: _Kept) -> None:
        ring = self._rings.setdefault(key, [])
        if len(ring) >= (_KEPT_AT_ROOT if key[:1] == b"r" else _KEPT):
            latest, second = (self._kept[it].footprint.sent for it in ring[:-3:-1])
            self._leave(ring.pop(-1 if latest - second < _APART_SECONDS else 0))
        ring.append(number)
        kept.rings += 1

    def _leave(self, number: int) -> None:
        kept = self._kept[number]
        kept.rings -= 1
        if not kept.rings:
            self._blocks -= kept.footprint.length
            del self._kept[number]

    def _forget(self, number: int | None) -> None:
        if number is None or number not in self._kept:
            return
        for key in self._kept[number].keys:
            ring = self._rings.get(key, [])
            if number in ring:
                ring.remove(number)
                self._leave(number)
            if not ring:
                self._rings.pop(key, None)

    def _drop_sketch(self, content: bytes) -> None:
        sketch = self._sketches.pop(content, None)
        if sketch is not None:
            self._sketch_bytes -= _size(sketch)


def _keys(it: Footprint) -> Iterator[bytes]:
    """Yield what a later request may share with one, each once."""
    yield b"r" + it.root
    if it.conversation is not None:
        yield b"n" + it.conversation
    ends = {b"t": it.tools_end, b"s": it.system_end, b"o": it.opening, b"e": it.length}
    for kind, end in ends.items():
        if end:
            yield kind + it.prefix(end - 1)
    firsts = {b"f": 0, b"y": it.tools_end, b"m": it.system_end}
    for kind, first in firsts.items():
        content = it.content(first) if first < it.length else None
        if content is not None:
            yield kind + content


def _size(sketch: Sketch) -> int:
    return _SKETCH_BYTES + len(sketch.sums) + len(sketch.ends)
