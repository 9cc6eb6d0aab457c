"""Requests with resident documents: the handle that holds them, and what stays.

Rule 1: text is left out only of a request that names the very handle that holds it.
Rule 2: a document that was changed or deleted takes its handle with it.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from weakref import WeakSet, ref

from promptcache.interrupts import undisturbed
from promptcache.outline import BYTES_PER_TOKEN, DIGEST_BYTES
from promptcache.providers.gemini import residents, wire
from promptcache.providers.gemini.background import Background
from promptcache.providers.gemini.handles import Creation, Handles
from promptcache.providers.gemini.implicit import Expected, Implicit
from promptcache.providers.gemini.life import LONGEST_SECONDS, Books, next_expiry
from promptcache.providers.gemini.placement import Placed
from promptcache.providers.gemini.residency import Choice, Residency, Standing
from promptcache.providers.gemini.residents import Found, ResidentDocuments
from promptcache.providers.gemini.tending import Tended, Tending
from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.receipt import Receipt
from promptcache.state.forks import ForkSafeLock
from promptcache.state.stores import Handle

__all__ = ["Residing"]

_MAX_ACCOUNTS = 1_000
_MARGIN_SECONDS = 5.0
_HOUR = 3600.0
_IN_INSTRUCTION = (
    "documents stand in the system instruction, which a cached content would have to "
    "hold"
)


@dataclass(slots=True)
class _Account:
    """What the requests with one head did so far with the documents of a retriever."""

    documents: "ref[ResidentDocuments]"
    """Not held here: they go with their retriever."""
    residency: Residency
    implicit: Implicit = field(default_factory=Implicit)
    books: Books = field(default_factory=Books)
    standing: Standing | None = None
    handle: Handle | None = None
    stored_until: float = 0.0
    """Up to when its storage is in the books."""
    is_creating: bool = False


class Residing:
    """The resident documents of one keeper; safe from many threads."""

    def __init__(
        self,
        handles: Handles,
        *,
        create: Callable[[bytes, Creation], Handle | None],
        tending: Tending,
        background: Background,
    ) -> None:
        """Know no documents yet."""
        self._handles = handles
        self._creates = create
        self._tending = tending
        self._background = background
        self._lock = ForkSafeLock()
        self._known: WeakSet[ResidentDocuments] = WeakSet()
        self._accounts: OrderedDict[tuple[object, ...], _Account] = OrderedDict()

    def add(self, documents: ResidentDocuments) -> None:
        """Look for a retriever's documents in requests, as long as that lives."""
        with undisturbed(), self._lock:
            self._known.add(documents)

    def place(self, placed: Placed) -> bool:
        """Have a request name what holds its documents; False if it names nothing."""
        terms = placed.terms
        with self._lock:
            known = list(self._known)
        if terms is None or not known:
            return False
        documents, found = _most_found(placed, known)
        if documents is None:
            if _are_instruction(placed, known):
                placed.prepared.notes.append(_IN_INSTRUCTION)
            return False
        account = self._account(documents, placed)
        with self._lock:
            self._drop_stale(account, documents, placed)
            expected = self._see(account, placed, found, terms)
            choice = self._choice(account, placed, terms)
            standing, handle = account.standing, account.handle
            if choice is not None:
                account.is_creating = True
        placed.told.append(partial(self._settled, account, expected, terms))
        if choice is not None:
            create = partial(self._create, account, documents, placed, choice)
            if not self._background.submit(create):
                account.is_creating = False
        if standing is None or handle is None:
            return False
        there = [it for it in found if it.document.digest in standing.documents]
        if not there:
            return False
        self._name(placed, handle, there, of=len(found))
        self._live_on(account, placed, handle, standing, terms)
        return True

    def _account(self, documents: ResidentDocuments, placed: Placed) -> _Account:
        request = placed.prepared
        key = (
            id(documents),
            request.options.tenant,
            wire.bare(request.request.model),
            placed.remote.scope,
            _head(placed),
        )
        with self._lock:
            account = self._accounts.get(key)
            if account is None or account.documents() is not documents:
                residency = Residency(documents.mode, hot_tokens=documents.hot_tokens)
                account = self._accounts[key] = _Account(ref(documents), residency)
            self._accounts.move_to_end(key)
            while len(self._accounts) > _MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
            account.residency.know(documents.corpus)
            return account

    def _see(
        self, account: _Account, placed: Placed, found: Sequence[Found], terms: Terms
    ) -> Expected:
        now = placed.prepared.started
        expected = account.implicit.expect(
            _prefixes(placed, found), minimum=placed.row.implicit_minimum, now=now
        )
        sizes = {it.document.digest: it.document.tokens for it in found}
        account.residency.see(sizes.items(), anyway=expected.tokens, now=now)
        account.books.input += placed.outline.total_tokens * terms.input
        return expected

    def _choice(self, account: _Account, placed: Placed, terms: Terms) -> Choice | None:
        head = _head_tokens(placed)
        standing = account.standing
        if standing is not None and not account.residency.pays(
            standing, terms, head=head
        ):
            if account.handle is not None:
                self._tending.leave(account.handle, placed.remote)
            standing = account.standing = account.handle = None
        if account.is_creating:
            return None
        return account.residency.wanted(
            standing,
            terms,
            account.books,
            head=head,
            minimum=placed.row.explicit_minimum_on(placed.remote.host),
            is_luck_known=account.implicit.is_known,
        )

    def _drop_stale(
        self, account: _Account, documents: ResidentDocuments, placed: Placed
    ) -> None:
        """Let go what has expired, or holds a document that is not so any more."""
        standing, handle = account.standing, account.handle
        if standing is None or handle is None:
            return
        if documents.is_stale(standing.documents):
            for digest in standing.documents:
                if documents.is_stale((digest,)):
                    account.residency.forget(digest)
            self._let_go(account, placed)
            return
        alive = self._handles.known(handle.key)
        now = placed.prepared.started
        if alive is None or alive.expires_at <= now + _MARGIN_SECONDS:
            account.standing = account.handle = None
        else:
            account.handle = alive

    def _let_go(self, account: _Account, placed: Placed) -> None:
        handle = account.handle
        account.standing = account.handle = None
        if handle is not None:
            self._tending.drop(handle.name)
            if handle.owner == self._handles.owner:
                delete = partial(self._handles.delete, handle, placed.remote)
                self._background.submit(delete)

    def _create(
        self,
        account: _Account,
        documents: ResidentDocuments,
        placed: Placed,
        choice: Choice,
    ) -> None:
        try:
            texts = documents.texts(choice.documents)
            unknown = choice.documents - {each.digest for each in texts}
            if unknown:
                # Changed since, or not retrieved for so long that its text is gone.
                with undisturbed(), self._lock:
                    for gone in unknown:
                        account.residency.forget(gone)
                return
            digest = blake2b(_head(placed), digest_size=DIGEST_BYTES)
            for each in texts:
                digest.update(each.digest)
            key = self._handles.key(placed.remote.scope, digest.digest())
            members = wire.members(placed.body, 0)
            members["contents"] = [residents.held(texts)]
            creation = Creation(
                remote=placed.remote,
                model=placed.prepared.request.model,
                members=members,
                tokens=choice.tokens,
                seconds=min(placed.seconds(choice.life), LONGEST_SECONDS),
                terms=placed.terms,
                tenant=placed.prepared.options.tenant,
            )
            handle = self._creates(key, creation)
        finally:
            account.is_creating = False
        if handle is None:
            return
        with undisturbed(), self._lock:
            old = account.handle
            if handle.owner == self._handles.owner:
                account.books.spent += choice.life.cost_usd
            tokens = handle.tokens or choice.tokens
            account.standing = Standing(choice.documents, tokens)
            account.handle = handle
            account.stored_until = handle.created_at
        until = handle.created_at + placed.seconds(choice.life)
        self._tending.use(Tended(handle, placed.remote, until))
        if old is not None and old.name != handle.name:
            self._tending.leave(old, placed.remote)

    @staticmethod
    def _name(
        placed: Placed, handle: Handle, there: Sequence[Found], *, of: int
    ) -> None:
        body = wire.rest(placed.body, 0, handle.name)
        body["contents"] = residents.referring(placed.body, there)
        placed.prepared.body = body
        placed.handle = handle
        placed.prepared.breakpoints = (f"{len(there)} documents in {handle.name}",)
        placed.prepared.notes.append(
            f"{len(there)} of {of} documents sent by reference"
        )

    def _live_on(
        self,
        account: _Account,
        placed: Placed,
        handle: Handle,
        standing: Standing,
        terms: Terms,
    ) -> None:
        now = placed.prepared.started
        with self._lock:
            stored = max(now - account.stored_until, 0.0) * standing.tokens / _HOUR
            account.books.spent += stored * terms.storage
            account.stored_until = now
            life = account.residency.life(standing, terms, head=_head_tokens(placed))
        seconds = placed.seconds(life)
        is_due = next_expiry(handle.expires_at, seconds, now=now) is not None
        until = now + seconds
        self._tending.use(Tended(handle, placed.remote, until, is_due=is_due))
        if is_due:
            self._background.submit(self._tending.tend)
        else:
            self._background.watch()

    def _settled(
        self,
        account: _Account,
        expected: Expected,
        terms: Terms,
        placed: Placed,
        receipt: Receipt,
    ) -> None:
        usage = receipt.usage
        if usage.input_tokens is None or usage.read_tokens is None:
            return
        if placed.handle is None:
            with undisturbed(), self._lock:
                account.implicit.measure(expected, usage.read_tokens, now=receipt.at)
            return
        if account.handle is None or placed.handle.name != account.handle.name:
            return
        total = placed.outline.total_tokens
        whole = total * terms.input - expected.there * (terms.input - terms.read)
        fresh = usage.input_tokens - usage.read_tokens
        saved = whole - fresh * terms.input - usage.read_tokens * terms.read
        placed.saved = saved
        with undisturbed(), self._lock:
            account.books.saved += saved


def _most_found(
    placed: Placed, known: Sequence[ResidentDocuments]
) -> tuple[ResidentDocuments | None, list[Found]]:
    """Return the retriever most of whose documents stand in a request, and where."""
    best: tuple[ResidentDocuments | None, list[Found]] = (None, [])
    for documents in known:
        found = residents.find(placed.body, documents.recent())
        if len(found) > len(best[1]):
            best = (documents, found)
    return best


def _are_instruction(placed: Placed, known: Sequence[ResidentDocuments]) -> bool:
    return any(residents.is_instruction(placed.body, it.recent()) for it in known)


def _head(placed: Placed) -> bytes:
    """Return the digest of instruction and tools, which a handle has to hold."""
    return placed.outline.digest_before(placed.outline.system_end)


def _head_tokens(placed: Placed) -> int:
    end = placed.outline.system_end
    return placed.outline.blocks.tokens[end - 1] if end else 0


def _prefixes(placed: Placed, found: Sequence[Found]) -> list[tuple[bytes, int]]:
    """Return the prefixes of a request in full that end where a document does."""
    digest = blake2b(_head(placed), digest_size=DIGEST_BYTES)
    tokens = _head_tokens(placed)
    prefixes = [(digest.digest(), tokens)]
    ends: dict[tuple[int, int], list[int]] = {}
    for it in found:
        ends.setdefault((it.content, it.part), []).append(it.end)
    for content, part, text in residents.texts_of(placed.body):
        begin = 0
        for end in (*ends.get((content, part), ()), len(text)):
            piece = text[begin:end].encode("utf-8", "surrogatepass")
            digest.update(b"%d\0" % content + piece)
            tokens += -(-len(piece) // BYTES_PER_TOKEN)
            prefixes.append((digest.digest(), tokens))
            begin = end
    return prefixes
