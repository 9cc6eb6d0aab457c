"""One request and the cached content that it names, or the one it might name.

Rule 1: nothing here waits; what creates, extends or deletes is the keeper's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptcache.outline import Outline
from promptcache.providers.gemini import wire
from promptcache.providers.gemini.accounts import Account, Sight
from promptcache.providers.gemini.facts import ModelFacts
from promptcache.providers.gemini.handles import Creation
from promptcache.providers.gemini.life import LONGEST_SECONDS, Life
from promptcache.providers.gemini.remote import Remote
from promptcache.providers.gemini.returns import Cut
from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.receipt import Receipt
from promptcache.state.stores import Handle
from promptcache.ttl import TTL_SECONDS

if TYPE_CHECKING:
    from promptcache.prepared import Prepared

__all__ = ["Placed", "cuts_of"]


@dataclass(slots=True)
class Placed:
    """What is known of a request until it is answered."""

    prepared: "Prepared"
    outline: Outline
    remote: Remote
    row: ModelFacts
    terms: Terms | None
    account: Account
    sight: Sight
    """What came before, as it was when this was sent."""
    told: list[Callable[["Placed", Receipt], None]] = field(default_factory=list)
    """Told of the receipt, one after another."""
    handle: Handle | None = None
    """What it names; None if it goes out in full."""
    standing: int | None = None
    """Which of its prefixes that holds; None for one that holds documents."""
    saved: float | None = None
    """US dollars that naming it saved, storage left out; None if that is not known."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The whole body, as it would be sent without us."""
        return self.prepared.whole

    @property
    def held(self) -> int:
        """Tokens that it reads by name."""
        return 0 if self.handle is None else self.handle.tokens or 0

    @property
    def entry(self) -> tuple[int, float] | None:
        """The last block that it reads by name, and the seconds that this lives on."""
        if self.handle is None or self.standing is None:
            return None
        cut = self.sight.seen[self.standing].cut
        position = wire.end_of(self.outline, cut.contents) - 1
        return position, self.handle.expires_at - self.prepared.started

    def seconds(self, life: Life) -> float:
        """Return how long a handle lives on after a use: as the caller said, if at all.

        Args:
            life: What would pay best.
        """
        said = self.prepared.options.ttl
        return life.seconds if said is None else float(TTL_SECONDS[said])

    def name(self, index: int, handle: Handle) -> None:
        """Name a handle that holds one of the prefixes, and send only what follows."""
        cut = self.sight.seen[index].cut
        self.prepared.body = wire.rest(self.body, cut.contents, handle.name)
        self.handle, self.standing = handle, index
        last = self.outline.place(wire.end_of(self.outline, cut.contents) - 1)
        self.prepared.breakpoints = (f"{last} in {handle.name}",)

    def send_whole(self) -> None:
        """Send the whole body after all."""
        self.handle = self.standing = None
        self.prepared.body = self.body
        self.prepared.breakpoints = ()

    def creation(self, cut: Cut, life: Life) -> Creation:
        """Return what to create for a prefix."""
        return Creation(
            remote=self.remote,
            model=self.prepared.request.model,
            members=wire.members(self.body, cut.contents),
            tokens=cut.tokens,
            seconds=min(self.seconds(life), LONGEST_SECONDS),
            terms=self.terms,
            tenant=self.prepared.options.tenant,
        )

    def settled(self, receipt: Receipt) -> None:
        """Take note of what the request read."""
        if self.handle is not None and self.standing is not None:
            self.saved = self._saved_usd(receipt)
        for tell in self.told:
            tell(self, receipt)

    def _saved_usd(self, receipt: Receipt) -> float | None:
        read = receipt.usage.read_tokens
        if self.terms is None or read is None:
            return None
        return (read - self.sight.expected.there) * (self.terms.input - self.terms.read)


def cuts_of(body: Mapping[str, Any], outline: Outline) -> list[Cut]:
    """Return where a request may be cut, shortest prefix first."""
    found = []
    for n in wire.cuts(body):
        length = wire.end_of(outline, n)
        tokens = outline.blocks.tokens[length - 1] if length else 0
        found.append(Cut(n, outline.digest_before(length), tokens))
    return found
