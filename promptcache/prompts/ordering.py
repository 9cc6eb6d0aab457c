"""The order of the documents in a prompt, learned from the orders that were handed out.

Rule 1: documents are put into another order, and one that stands there twice is left
out; nothing else is changed, and nothing at all where caching is off.
Rule 2: what is learned belongs to a `PromptCache`, since frameworks make new objects
for every call; tenants, and prompts of another name, learn nothing of each other.
Rule 3: no text is kept.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import inf
from threading import Lock
from typing import Any, Literal, NamedTuple, get_args
from weakref import WeakKeyDictionary

from promptcache.cache import PromptCache
from promptcache.defaults import read_choice
from promptcache.errors import OptionError
from promptcache.options import CallOptions, current_options
from promptcache.outline import DIGEST_BYTES
from promptcache.planning.order import Orders, Weighed, ranking
from promptcache.prompts.parts import document, noted, volatile
from promptcache.state.forks import let_go_at_forks
from promptcache.switch import is_switched_off
from promptcache.ttl import TTL_SECONDS, Ttl

__all__ = ["DocumentText", "OrderMode", "StableOrder"]

OrderMode = Literal["live", "id"]

_DEFAULT_TTL: Ttl = "5m"
_PAUSE_SECONDS = 1.0


class DocumentText(NamedTuple):
    """A document as an order sees it."""

    text: str
    """All of it that reaches the model."""
    id: str = ""
    """By which it is sorted in the mode `id`; the same on every retrieval."""
    beside: str = ""
    """What tells it from others of its text: the name of an image that goes with it."""


class StableOrder:
    """Puts documents into an order in which prefixes that are cached are read again.

    In the mode `live`, the longest prefix of documents that was handed out and is still
    alive comes first, then the documents that were shared most of late, then those that
    were never seen. In the mode `id`, documents are sorted by their ids, which needs no
    memory and is the same in every process.

    Safe from many threads. What is learned is kept in this process only.
    """

    def __init__(
        self,
        mode: OrderMode = "live",
        *,
        live_seconds: float | None = None,
        name: str = "",
        prompt_cache: Any = None,
    ) -> None:
        """Set an order up.

        Args:
            mode: What the order is made by.
            live_seconds: How long a prefix is taken to be alive after it was handed
                out; else the option `ttl`, else five minutes.
            name: Of the prompt that the documents are for. Only what has one name is
                learned together: documents behind another text share no prefix.
            prompt_cache: What the model is given: a `PromptCache`, a `Policy` or its
                name, a dict of options, True, False or None. None is the cache of this
                process.

        Raises:
            OptionError: An argument is not allowed.
        """
        if mode not in get_args(OrderMode):
            raise OptionError("mode", mode, ", ".join(get_args(OrderMode)))
        if live_seconds is not None and not 0 < live_seconds < inf:
            raise OptionError("live_seconds", live_seconds, "more than 0 seconds")
        self._mode = mode
        self._live_seconds = live_seconds
        self._name = name
        self._cache, self._said = read_choice(prompt_cache)

    def __deepcopy__(self, memo: dict[int, Any]) -> "StableOrder":
        """Return itself: it is not changed by being used."""
        return self

    def arranged(
        self, documents: Sequence[DocumentText], *, tenant: str | None = None
    ) -> list[int]:
        """Return the positions of documents in the order to send them in.

        What is returned is taken to be sent at once. Each text is remembered as
        `document`, so that a prefix can end with it inside of a string, too. What was
        done to the order is in the receipt of a request that has them.

        Args:
            documents: Text and id of each, the most relevant first. One whose text
                another one before it has is left out.
            tenant: Whose request it is, unless an option says that.
        """
        said = current_options().over(self._said)
        if (
            is_switched_off()
            or said.enabled is False
            or self._cache.policy.name == "off"
        ):
            return list(range(len(documents)))
        if self._mode == "id":
            positions = _by_id(documents)
        else:
            positions = self._by_life(documents, said, tenant)
        # Frameworks strip what they join.
        texts = [document(documents[it].text.strip()) for it in positions]
        noted(
            f"documents in stable order ({self._mode})",
            *texts,
            how=_change(positions, len(documents)),
        )
        return positions

    @staticmethod
    def ranking(ranks: Sequence[int]) -> str:
        """Return a line that says which of the documents before it matter most.

        It is another one for each question, so it must stand behind the documents,
        not in them: best beside the question. It is remembered as `volatile`.

        Args:
            ranks: Of each document in the order in which they stand, 1 for the best.

        Returns:
            The line; nothing for less than two documents.
        """
        line = volatile(ranking(ranks))
        noted("relevance restated behind the documents", line)
        return line

    def _by_life(
        self, documents: Sequence[DocumentText], said: CallOptions, tenant: str | None
    ) -> list[int]:
        scope = (said.tenant or tenant or "", self._name)
        weighed = [
            (_digest(*scope, it.text, it.beside), len(it.text)) for it in documents
        ]
        live_seconds = self._live_seconds or TTL_SECONDS[said.ttl or _DEFAULT_TTL]
        now = self._cache.clock.now()
        return _learned(self._cache).arranged(weighed, now, now + live_seconds)


def _change(positions: Sequence[int], given: int) -> str | None:
    """Return what an order did to the documents, in figures; None if nothing."""
    as_given = sorted(positions)
    moved = sum(new != old for new, old in zip(positions, as_given, strict=True))
    doubled = given - len(positions)
    if not (moved or doubled):
        return None
    left = "duplicate" if doubled == 1 else "duplicates"
    said = [f"{moved} of {len(positions)} moved"]
    if doubled:
        said.append(f"{doubled} {left} left out")
    return ", ".join(said)


class _Learned:
    """The orders of one cache, behind a lock; a forked process goes on with a copy."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._orders = Orders()
        let_go_at_forks(self)

    def arranged(
        self, weighed: Sequence[Weighed], now: float, until: float
    ) -> list[int]:
        """Return an order, and note it: two that come at once share what they can."""
        with self._lock:
            positions = self._orders.arranged(weighed, now=now)
            digests = [weighed[position][0] for position in positions]
            self._orders.note(digests, now=now, until=until)
        return positions

    def pause(self) -> bool:
        """Wait for other threads and lock, before a fork."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Unlock after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Go on in the child of a fork."""
        self._lock = Lock()


_learned_by: WeakKeyDictionary[PromptCache, _Learned] = WeakKeyDictionary()


def _learned(cache: PromptCache) -> _Learned:
    found = _learned_by.get(cache)
    # Of two threads that come first at once, both get what was put in first.
    return _learned_by.setdefault(cache, _Learned()) if found is None else found


def _by_id(documents: Sequence[DocumentText]) -> list[int]:
    """Return the positions of documents, sorted by id, each text once.

    A text that goes by several ids stands where the first of these does.
    """
    names: dict[tuple[str, str], str] = {}
    first: dict[tuple[str, str], int] = {}
    for position, it in enumerate(documents):
        alike = (it.text, it.beside)
        names[alike] = min(names.get(alike, it.id), it.id)
        first.setdefault(alike, position)
    return [first[alike] for alike in sorted(first, key=lambda it: (names[it], it))]


def _digest(*pieces: str) -> bytes:
    digest = blake2b(digest_size=DIGEST_BYTES)
    for piece in pieces:
        content = piece.encode("utf-8", "surrogatepass")
        digest.update(b"%d\0" % len(content) + content)
    return digest.digest()
