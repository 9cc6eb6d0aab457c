"""The keeper of Gemini's cached contents: created, named, extended and let go.

Rule 1: a request waits for no creation unless `Limits` says how long it may.
Rule 2: whatever goes wrong here, the request goes out in full.
"""

import logging
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from promptcache.errors import StoreError
from promptcache.flow import Aside, Flow
from promptcache.interrupts import undisturbed
from promptcache.providers.gemini import facts, wire
from promptcache.providers.gemini.accounts import Account, Wish
from promptcache.providers.gemini.background import Background
from promptcache.providers.gemini.handles import Creation, Handles
from promptcache.providers.gemini.handles.holds import Holds
from promptcache.providers.gemini.life import next_expiry
from promptcache.providers.gemini.placement import Placed, cuts_of
from promptcache.providers.gemini.refusals import names_cache
from promptcache.providers.gemini.remote import Remote, RemoteError
from promptcache.providers.gemini.residents import ResidentDocuments
from promptcache.providers.gemini.residing import Residing
from promptcache.providers.gemini.returns import Cut
from promptcache.providers.gemini.sweep import Sweeper
from promptcache.providers.gemini.tending import Tended, Tending
from promptcache.providers.gemini.terms import terms_of
from promptcache.receipts.events import CacheLost
from promptcache.receipts.receipt import Receipt
from promptcache.state.forks import let_go_at_forks
from promptcache.state.stores import Handle

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["Keeper"]

_LOGGER = logging.getLogger(__name__)

_MARGIN_SECONDS = 5.0
"""Life that a handle must have left for a request to name it."""

_HOUR = 3600.0
_START_SECONDS = 1.0
"""How long the first request waits for the store."""

_PAUSE_SECONDS = 1.0
_MAX_ACCOUNTS = 1_000


class Keeper:
    """The handles of one cache, and the requests that name them.

    Safe from many threads, event loops and forks.
    """

    def __init__(self, cache: "PromptCache") -> None:
        """Keep what a cache's requests ask for; nothing is opened or sent yet."""
        self._cache = cache
        self.handles = Handles(
            cache.store,
            clock=cache.clock,
            limits=cache.limits,
            tell=cache.tell,
            secret=cache.secret,
        )
        self._lock = Lock()
        self._accounts: dict[tuple[str | None, str, str], Account] = {}
        self._wanted: set[bytes] = set()
        self._tending = Tending(self.handles, clock=cache.clock)
        self._background = Background(self.tend)
        self._residing = Residing(
            self.handles,
            create=self.create,
            tending=self._tending,
            background=self._background,
        )
        self._remotes: WeakSet[Remote] = WeakSet()
        self._swept: set[str] = set()
        self._holds = Holds(cache.store, clock=cache.clock, tell=cache.tell)
        self._has_started = False
        let_go_at_forks(self)

    def place(self, prepared: "Prepared", remote: Remote) -> Flow[None]:
        """Have a request name the longest prefix that is in a cached content.

        Where another one would pay it is created beside the request, or before it if
        the limits allow it to wait.
        """
        if not self._has_started:
            yield Aside(self._start)
        with undisturbed():
            placed = self._placed(prepared, remote)
            if placed is None:
                return
            prepared.placement = placed
            has_documents = self._residing.place(placed)
            placed.told.append(self._settled)
            if has_documents:
                return
            if not self.handles.has_secret:
                # Its tick reads it; a store that is slow or gone holds no request up.
                self._background.watch()
                prepared.notes.append("no cached content: the store was not read yet")
                return
            self._name_longest(placed)
            wish = self._wish(placed)
        if wish is None:
            return
        create = partial(self._create, placed, wish, old=placed.handle)
        seconds = self._cache.limits.wait_seconds
        if not seconds or placed.handle is not None:
            self._once(placed, wish, create)
            return
        handle = yield Aside(partial(self._awaited, placed, wish, create))
        if handle is not None:
            index = placed.sight.seen.index(wish.seen)
            placed.name(index, handle)

    def lost(self, prepared: "Prepared", status: int, message: str) -> bool:
        """Take note of a refusal; tell whether it is about the handle that was named.

        If so, the request has its whole body again.
        """
        placed = prepared.placement
        if not isinstance(placed, Placed) or placed.handle is None:
            return False
        if not names_cache(status, message):
            return False
        handle = placed.handle
        self.handles.forget(handle)
        self._tending.drop(handle.name)
        placed.send_whole()
        prepared.notes.append("sent again in full: its cached content was gone")
        name, model = prepared.request.provider.name, prepared.request.model
        self._cache.tell(CacheLost(name, model, handle.name, status))
        return True

    def tend(self) -> bool:
        """Do what is due now: extend, delete, write uses, read what others created.

        Returns:
            Whether there is anything left to watch over.
        """
        self.handles.refresh()
        return self._tending.tend()

    def idle(self, seconds: float = 30.0) -> bool:
        """Wait until nothing runs in the background; False if that takes longer."""
        return self._background.idle(seconds)

    def know(self, documents: ResidentDocuments) -> None:
        """Look for a retriever's documents in requests, as long as that lives."""
        self._residing.add(documents)

    def create(self, key: bytes, creation: Creation) -> Handle | None:
        """Return the handle of a key, created if nobody has; this blocks.

        The first time, what died workers have left at the provider is seen to.
        """
        self._sweep(creation.remote)
        return self.handles.create(key, creation)

    def hold(self, tended: Tended) -> None:
        """Keep a handle alive until it is released as often as it was held."""
        self._holds.add(tended.handle)
        self._tending.keep(tended)
        self._background.watch()

    def release(self, handle: Handle, remote: Remote, *, delete: bool) -> None:
        """Stop keeping a handle alive.

        Args:
            handle: The handle.
            remote: Where it is.
            delete: Whether the last one to release it deletes it, if this process has
                created it.
        """
        here, anywhere = self._holds.remove(handle)
        if here:
            return
        self._tending.drop(handle.name)
        if delete and not anywhere and handle.owner == self.handles.owner:
            self.handles.delete(handle, remote)

    def close(self) -> None:
        """Finish what runs; delete what this process created and nobody else uses."""
        self._background.stop()
        self.handles.close(delete=True)
        for remote in self._remotes:
            remote.close()

    def pause(self) -> bool:
        """Stand still before a fork."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Go on in the child of a fork: its parent creates what it was asked for."""
        self._lock = Lock()
        self._wanted = set()

    def _start(self) -> None:
        """Read the store once, aside; the first request waits a little for that."""
        if self._has_started:
            return
        limits = self._cache.limits
        _LOGGER.info(
            "Gemini requests may create cached contents: at most %d alive and $%.2f an "
            "hour; gemini_caches=False turns that off.",
            limits.live_caches,
            limits.usd_per_hour,
        )
        self._has_started = True
        self._background.submit(self.handles.refresh)
        self._background.idle(_START_SECONDS)

    def _sweep(self, remote: Remote) -> None:
        """Adopt or delete what died workers have left, once for each key or project."""
        with undisturbed(), self._lock:
            if remote.scope in self._swept:
                return
            self._swept.add(remote.scope)
        cache = self._cache
        sweeper = Sweeper(
            cache.store,
            remote,
            clock=cache.clock,
            secret=cache.secret,
            owner=self.handles.owner,
        )
        try:
            sweeper.sweep()
        except (RemoteError, StoreError) as error:
            _LOGGER.warning("What died workers left was not seen to: %s", error)

    def _placed(self, prepared: "Prepared", remote: Remote) -> Placed | None:
        """Return what is known of a request, which counts from now on."""
        outline, request, now = prepared.outline, prepared.request, prepared.started
        row = facts.model_facts(request.model, self._cache.facts)
        if outline is None or not row.explicit:
            return None
        total = outline.total_tokens
        terms = terms_of(self._cache.prices, request.model, row, tokens=total, at=now)
        account = self._account(prepared, remote)
        with self._lock:
            sight = account.see(
                cuts_of(prepared.read, outline),
                (outline.digest_before(outline.length), total),
                minimum=row.implicit_minimum,
                terms=terms,
                now=now,
            )
        return Placed(prepared, outline, remote, row, terms, account, sight)

    def _account(self, prepared: "Prepared", remote: Remote) -> Account:
        model = wire.bare(prepared.request.model)
        self._remotes.add(remote)
        key = (prepared.options.tenant, model, remote.scope)
        with self._lock:
            account = self._accounts.get(key)
            if account is None:
                while len(self._accounts) >= _MAX_ACCOUNTS:
                    del self._accounts[next(iter(self._accounts))]
                account = self._accounts[key] = Account()
            return account

    def _name_longest(self, placed: Placed) -> None:
        """Name the longest prefix in a cached content, if there is one worth it."""
        sight, now = placed.sight, placed.prepared.started
        for index in range(len(sight.seen) - 1, -1, -1):
            cut = sight.seen[index].cut
            handle = self.handles.known(self._key(placed, cut))
            if handle is None or handle.expires_at <= now + _MARGIN_SECONDS:
                continue
            # One that holds less than what is read unasked would cost that.
            if (handle.tokens or cut.tokens) > sight.expected.there:
                placed.name(index, handle)
                self._live_on(placed, handle, index)
                return

    def _live_on(self, placed: Placed, handle: Handle, index: int) -> None:
        """Have a handle that is used now live on as long as that is worth it."""
        terms, now = placed.terms, placed.prepared.started
        if terms is None:
            return
        idle = placed.sight.seen[index].idle or 0.0
        with self._lock:
            stored_usd = (handle.tokens or 0) * terms.storage * idle / _HOUR
            placed.account.books.spent += stored_usd
            life = placed.account.life(placed.sight, index, terms)
        seconds = placed.seconds(life)
        is_due = next_expiry(handle.expires_at, seconds, now=now) is not None
        until = now + seconds
        self._tending.use(Tended(handle, placed.remote, until, is_due=is_due))
        if is_due:
            self._background.submit(self._tending.tend)
        else:
            self._background.watch()

    def _wish(self, placed: Placed) -> Wish | None:
        """Return what to create now, and say in the notes why not otherwise."""
        terms, notes = placed.terms, placed.prepared.notes
        if terms is None:
            notes.append("no cached content: a price is not known")
            return None

        def allowed(cut: Cut) -> bool:
            key = self._key(placed, cut)
            return key not in self._wanted and not self.handles.backed_off(key)

        minimum = placed.row.explicit_minimum_on(placed.remote.host)
        with self._lock:
            wish = placed.account.wish(
                placed.sight,
                terms,
                standing=placed.standing,
                held=placed.held,
                minimum=minimum,
                allowed=allowed,
            )
            if wish is None:
                return None
            pays = wish.pays and placed.account.may_spend(wish, terms)
        if pays:
            notes.append(f"creating a cached content: {wish}")
            return wish
        if placed.handle is None:
            notes.append(f"no cached content: {wish}")
        return None

    def _once(self, placed: Placed, wish: Wish, create: partial[None]) -> None:
        """Have a creation done in the background, unless that was asked for already."""
        key = self._key(placed, wish.seen.cut)
        with undisturbed(), self._lock:
            if key in self._wanted:
                return
            self._wanted.add(key)
        if not self._background.submit(create):
            self._wanted.discard(key)

    def _awaited(
        self, placed: Placed, wish: Wish, create: partial[None]
    ) -> Handle | None:
        """Have it created, and wait for that, or for whoever does, for a while."""
        seconds, key = self._cache.limits.wait_seconds, self._key(placed, wish.seen.cut)
        self._once(placed, wish, create)
        if not self._background.idle(seconds):
            return None
        if self.handles.backed_off(key):
            return None
        return self.handles.known(key) or self.handles.await_handle(key, seconds)

    def _create(self, placed: Placed, wish: Wish, *, old: Handle | None) -> None:
        key = self._key(placed, wish.seen.cut)
        try:
            handle = self.create(key, placed.creation(wish.seen.cut, wish.life))
        finally:
            self._wanted.discard(key)
        if handle is None:
            return
        is_ours = handle.owner == self.handles.owner
        if is_ours:
            with undisturbed(), self._lock:
                placed.account.books.spent += wish.life.cost_usd
        until = handle.created_at + placed.seconds(wish.life)
        self._tending.use(Tended(handle, placed.remote, until))
        standing = placed.standing
        if old and standing is not None and placed.sight.seen[standing].alone:
            # A conversation has rolled on from a handle that only it has used.
            self._tending.leave(old, placed.remote)

    def _key(self, placed: Placed, cut: Cut) -> bytes:
        return self.handles.key(placed.remote.scope, cut.digest)

    def _settled(self, placed: Placed, receipt: Receipt) -> None:
        handle, read = placed.handle, receipt.usage.read_tokens
        account = placed.account
        if handle is not None:
            self.handles.used(handle, saved_usd=placed.saved)
            if placed.standing is not None:
                with self._lock:
                    account.books.saved += placed.saved or 0.0
        elif read is not None:
            expected, at = placed.sight.expected, receipt.at
            with self._lock:
                account.implicit.measure(expected, read, now=at)
