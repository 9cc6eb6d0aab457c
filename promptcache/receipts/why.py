"""Why a request read less than it could have, from what it and those before it were.

Rule 1: nothing here knows a text, a clock or a provider.
Rule 2: what the prompts show comes first, then the time between them, and last what the
provider says of itself, which counts where the first two show nothing.
Rule 3: a request could only have read what was written when it was sent: those that go
out together have all seen nothing yet.

How the cause is found, in this order:

* nothing is said of a request that does not report what it read, or that read the
  cached content that it names;
* a prompt that is shorter than what the model caches is `below_minimum`;
* of the requests with the same model and settings, the one that parts from this one
  last, and at a block that is the same thing changed (`likeness` says when), makes it
  `prefix_changed`, if more had been cached of that one than was read. One that parts
  earlier does so only if what follows agrees, and if no other comes again whole;
* if the blocks of a request with another model or other settings are the same, to the
  end of the system section or of the first message, it is `model_or_settings_changed`;
* what was marked and is unchanged, and was not read, is `expired` after its lifetime,
  `not_marked` if no breakpoint of this request can find it, else
  `evicted_or_unknown`;
* what comes again, head or whole, and was not marked, is `not_marked`;
* a request that read something has read all that it could: no miss;
* everything else is `first_seen`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from promptcache.outline import Place, Section
from promptcache.planning.slots import Rules
from promptcache.receipts.footprint import Footprint, goes_on_from, parted
from promptcache.receipts.likeness import Sketches, likeness
from promptcache.receipts.miss import Cause, Miss

__all__ = ["why"]

_AUTOMATIC = ("named", "prefix")
"""Ways of matching that need no mark."""

_ESTIMATED = 0.75
"""Share of an estimate that is taken for all of it."""

_SETTINGS = frozenset(
    {
        "model_changed",
        "prompt_cache_key_changed",
        "reasoning_effort_changed",
        "service_tier_changed",
        "text_format_changed",
        "verbosity_changed",
    }
)
_SECTIONS = {
    "context_compacted": "messages",
    "input_changed": "messages",
    "messages_changed": "messages",
    "system_changed": "system",
    "tools_changed": "tools",
}
"""Where the provider found the change, by its word for it."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What an earlier request had cached, as far as a later one begins with it."""

    tokens: int
    least: float
    """Whoever reads fewer has not read all of it."""
    position: int
    """The block that it ends with."""
    until: float
    """The end of its life, in UTC seconds, if nobody else used it."""
    is_sure: bool = True
    """Whether it was kept because somebody asked for that."""


def why(
    asked: Footprint,
    earlier: Sequence[Footprint],
    *,
    rules: Rules,
    sketches: Sketches,
    place: Callable[[int], object],
    reads_named: bool = False,
    told: str | None = None,
) -> Miss | None:
    """Return why a request read less than it could have; None if it did not.

    Its cost is left out: it takes prices.

    Args:
        asked: The request.
        earlier: Those before it that it may have something in common with.
        rules: What its provider caches, and how.
        sketches: Where the sketches of blocks are.
        place: Returns where a block of the request stands.
        reads_named: Whether it names a cached content, and so reads that.
        told: The provider's own reason, in its word, if it was asked.
    """
    read = asked.read_tokens
    if read is None or (reads_named and read):
        return None
    total = asked.input_tokens
    if not read and total is not None and total < rules.minimum_tokens:
        return Miss("below_minimum", "outline", tokens=0)
    past = [it for it in earlier if asked.could_read(it)]
    finding = _Finding(asked, past, rules, sketches, place, read)
    miss = finding.changed() or finding.lost() or finding.unmarked()
    if miss is None and not read:
        miss = Miss("first_seen", "outline", tokens=0)
    return miss if miss is None else _stronger(miss, told)


@dataclass(frozen=True, slots=True)
class _Finding:
    asked: Footprint
    past: Sequence[Footprint]
    rules: Rules
    sketches: Sketches
    place: Callable[[int], object]
    read: int

    def changed(self) -> Miss | None:
        """Return the miss of a request that is an earlier one changed."""
        best: tuple[tuple[int, ...], Miss] | None = None
        alike = [*self._alike()]
        most = max((shared for _, shared in alike), default=0)
        continued = max(
            (shared for it, shared in alike if shared >= it.length), default=0
        )
        for it, shared in alike:
            is_over = shared >= min(it.length, self.asked.length)
            if is_over or shared < continued:
                continue
            found = self._change(it, shared, is_nearest=shared == most)
            if found is not None and (best is None or found[0] >= best[0]):
                best = found
        settings = self._settings()
        if settings is not None and (best is None or settings[0] > best[0][0]):
            return settings[1]
        return None if best is None else best[1]

    def lost(self) -> Miss | None:
        """Return the miss of a request that did not read what was there."""
        held = [
            found
            for it, shared in self._alike()
            if not self._is_apart(it)
            and (found := self._held(it, shared))
            and self.read < found.least
        ]
        if not held:
            return None
        # What was promised comes before what a provider may keep unasked.
        held = [it for it in held if it.is_sure] or held
        most = max(held, key=lambda it: (it.tokens, it.until))
        until = max(it.until for it in held if it.tokens >= _ESTIMATED * most.tokens)
        tokens = most.tokens - self.read
        if until <= self.asked.sent:
            return Miss("expired", "clock", tokens=tokens)
        cause: Cause = "evicted_or_unknown"
        if not self._reaches(most.position):
            return Miss("not_marked", "outline", tokens=tokens)
        return Miss(cause, "clock", tokens=tokens)

    def unmarked(self) -> Miss | None:
        """Return the miss of a request that comes again, but had not been marked."""
        if self.read or self.rules.matching in _AUTOMATIC:
            return None
        most, is_short = 0, False
        for it, shared in self._alike():
            has_head = self.asked.system_end > self.asked.tools_end
            is_again = has_head and shared >= self.asked.system_end
            if shared and (shared >= it.length or is_again):
                tokens = it.estimate(shared - 1)
                most = max(most, tokens)
                is_short = is_short or shared >= it.length
        if most >= self.rules.minimum_tokens:
            return Miss("not_marked", "outline", tokens=most)
        return Miss("below_minimum", "outline", tokens=0) if is_short else None

    def _is_apart(self, it: Footprint) -> bool:
        """Tell whether what a request left cannot be read, whatever it says."""
        # Where breakpoints are matched, each key has caches of its own.
        parts = self.rules.matching == "marked"
        asked = self.asked
        return it.root != asked.root or (parts and it.key != asked.key)

    def _alike(self) -> Iterator[tuple[Footprint, int]]:
        """Yield those with the same model and settings, and the blocks in common."""
        for it in self.past:
            if it.root == self.asked.root:
                yield it, parted(self.asked, it)

    def _change(
        self, it: Footprint, shared: int, *, is_nearest: bool
    ) -> tuple[tuple[int, ...], Miss] | None:
        tokens = self._would_read(it, shared)
        lost = None if tokens is None else self._short_of(tokens)
        if lost is None or self._is_same_block(it, shared):
            return None
        like = likeness(self.asked, it, shared, self.sketches)
        if like is None or (self.read and not like.strong):
            return None
        if not (is_nearest or like.follows):
            return None
        miss = Miss(
            cause="prefix_changed",
            proof="outline",
            place=str(self._place(it, shared)),
            near=like.near,
            form=like.form,
            tokens=lost,
        )
        return (shared, *like.rank), miss

    def _place(self, it: Footprint, position: int) -> object:
        """Return where two requests part: in the earlier section of both."""
        section = it.section(position)
        if section >= self.asked.section(position):
            return self.place(position)
        # A tool or a block of the system section that there was is gone.
        first = it.tools_end if section is Section.SYSTEM else 0
        return Place(section, position - first)

    def _settings(self) -> tuple[int, Miss] | None:
        """Return the miss of other settings, and the blocks that are the same."""
        best: tuple[int, Miss] | None = None
        own = [shared for it, shared in self._alike() if not self._is_apart(it)]
        most = max(own, default=0)
        for it in self.past:
            common = self._common(it)
            if common <= most or not self._is_whole(common):
                continue
            if self.read and self._is_apart(it) and common < it.length:
                continue
            held = self._held(it, common)
            if held is None or self.read >= held.least:
                continue
            if best is None or common >= best[0]:
                tokens = held.tokens - self.read
                miss = Miss("model_or_settings_changed", "outline", tokens=tokens)
                best = (common, miss)
        return best

    def _common(self, it: Footprint) -> int:
        """Return how many blocks are the same, whatever stands before them."""
        asked, common = self.asked, 0
        if goes_on_from(asked, it):
            return it.length
        for position in range(min(asked.length, it.length)):
            content = asked.content(position)
            if content != it.content(position):
                break
            # A block that no prompt has, such as a deferred tool, says nothing.
            if content is None and (asked.weight(position) or it.weight(position)):
                break
            common = position + 1
        if (asked.tools_end, asked.system_end) != (it.tools_end, it.system_end):
            return min(common, asked.tools_end, it.tools_end)
        return common

    def _is_same_block(self, it: Footprint, position: int) -> bool:
        content = self.asked.content(position)
        return content is not None and content == it.content(position)

    def _is_whole(self, common: int) -> bool:
        """Tell whether so many blocks are more than tools that prompts share."""
        asked = self.asked
        has_head = asked.system_end > asked.tools_end
        return common >= (asked.system_end if has_head else asked.opening)

    def _would_read(self, it: Footprint, shared: int) -> int | None:
        """Return the tokens that an earlier request had cached beyond a block."""
        if self._needs_no_mark(it):
            tokens = it.estimate(it.length - 1)
            return tokens if tokens >= self.rules.minimum_tokens else None
        if not it.entries or it.entries[-1][0] < shared or it.cached_tokens == 0:
            return None
        return it.estimate(it.entries[-1][0])

    def _needs_no_mark(self, it: Footprint) -> bool:
        """Tell whether a request leaves all of its prompt to be read, unasked.

        One that named a cached content did not say where another one is to end.
        """
        return self.rules.matching in _AUTOMATIC and not it.entries

    def _short_of(self, tokens: int) -> int | None:
        """Return how many fewer were read, if that is more than rounding."""
        if self.asked.input_tokens is not None:
            tokens = min(tokens, self.asked.input_tokens)
        lost = tokens - self.read
        return lost if lost > self.rules.step else None

    def _held(self, it: Footprint, shared: int) -> _Held | None:
        """Return what a request had cached of its first `shared` blocks."""
        if not shared:
            return None
        rules = self.rules
        if self._needs_no_mark(it):
            tokens = it.estimate(shared - 1)
            least = _ESTIMATED * tokens - rules.step
            if shared >= it.length and it.read_tokens:
                least = max(least, it.read_tokens - rules.step)
            until = it.sent + rules.unmarked_seconds
            found = _Held(tokens, max(least, 1), shared - 1, until, is_sure=False)
        else:
            inside = [entry for entry in it.entries if entry[0] < shared]
            if not inside or it.cached_tokens == 0:
                return None
            position, seconds = inside[-1]
            tokens = it.estimate(position)
            if position == it.entries[-1][0] and it.cached_tokens is not None:
                least = float(tokens - rules.step)
            else:
                # Nearer to the entry before than to this one.
                lower = it.estimate(inside[-2][0]) if len(inside) > 1 else 0
                least = (tokens + lower) / 2
            found = _Held(tokens, max(least, 1), position, it.sent + seconds)
        return found if found.tokens >= rules.minimum_tokens else None

    def _reaches(self, position: int) -> bool:
        """Tell whether a breakpoint of the request finds an entry at a block."""
        if self.rules.matching in _AUTOMATIC or self.asked.follows:
            return True
        if self.rules.matching == "marked":
            # Whether earlier endings are looked up depends on the provider's mode.
            return bool(self.asked.entries)
        window = self.rules.lookback
        return any(0 <= it - position < window for it, _ in self.asked.entries)


def _stronger(miss: Miss, told: str | None) -> Miss:
    """Return what the provider says where the digests and the clock show nothing."""
    if told is None or miss.cause not in ("first_seen", "evicted_or_unknown"):
        return miss
    word, _, rest = told.partition(", about ")
    number = rest.partition(" ")[0]
    tokens = int(number) if number.isdecimal() else None
    if word in _SETTINGS:
        return Miss("model_or_settings_changed", "provider", tokens=tokens)
    if word in _SECTIONS:
        found = Miss("prefix_changed", "provider", place=_SECTIONS[word])
        return replace(found, tokens=tokens)
    return miss
