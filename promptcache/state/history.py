"""What the requests of a process have shown, and what that says of the next one.

Rule 1: a history holds digests, times and counts; no text, no names.
Rule 2: it is bounded: what was used least recently goes first.
Rule 3: it learns from every request that is sent, whether or not it was cached.

Digests contain the model and the tenant, so prefixes of two tenants never meet.
"""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

from promptcache.outline import Outline
from promptcache.planning.past import Past
from promptcache.planning.plan import Plan
from promptcache.planning.terms import Terms
from promptcache.planning.ways import ways_of
from promptcache.state.caution import within_room
from promptcache.state.forks import let_go_at_forks
from promptcache.state.gate import ALLOWANCE, Gate
from promptcache.state.habits import Habits
from promptcache.state.ledger import Ledger
from promptcache.state.paths import Lineage, Path
from promptcache.state.pools import Pools
from promptcache.state.prefixes import Prefixes
from promptcache.state.readings import Readings
from promptcache.state.reuse import Reuse
from promptcache.state.sent import Sent
from promptcache.state.sights import (
    chances_of,
    follow,
    keys_of,
    note,
    see,
    windows_of,
)
from promptcache.state.written import (
    alive,
    found,
    mark,
    premium,
    promise,
    rewrite,
)
from promptcache.ttl import Ttl

__all__ = ["DEFAULT_NODES", "History"]

DEFAULT_NODES = 500_000

_KEPT, _LOST = 0.8, 0.5
"""Of what was to be read: from which part on it was kept, up to which it was lost."""

TERMS = Terms()

_PAUSE_SECONDS = 1.0


class History:
    """What the requests of this process have shown; safe from many threads."""

    def __init__(
        self,
        max_nodes: int = DEFAULT_NODES,
        *,
        allowance: float = ALLOWANCE,
        pings: bool = False,
        pools: Pools | None = None,
    ) -> None:
        """Start empty.

        Args:
            max_nodes: Blocks of prompts to remember.
            allowance: What learning may cost a tenant on a model, in input tokens.
            pings: Prefixes may be kept alive by pings.
            pools: What is learned here and by others; None if nothing is shared.
        """
        self._pings = pings
        self._pools = pools
        self._lock = Lock()
        self._prefixes = Prefixes(max_nodes)
        self._habits = Habits(self._prefixes)
        self._reuse: dict[tuple[float, ...], Reuse] = {}
        self._ledger = Ledger(None if pools is None else pools.books)
        self._readings = Readings(None if pools is None else pools.readings)
        self._gate = Gate(allowance)
        let_go_at_forks(self)

    def __len__(self) -> int:
        return len(self._prefixes)

    def know(self, where: object, *, keeps: bool) -> None:
        """Take for granted whether a provider keeps promoted prefixes somewhere."""
        with self._lock:
            self._readings.know(where, keeps=keeps)

    def past(
        self,
        outline: Outline,
        *,
        now: float,
        terms: Terms = TERMS,
        where: object = None,
        tenant: str | None = None,
    ) -> Past:
        """Return what is known of a request that is about to be sent.

        Args:
            outline: The request.
            now: The start of the request.
            terms: What the provider asks for.
            where: The provider, the host and the model.
            tenant: Whose request it is.
        """
        with self._lock:
            reuse = self._reuse_of(terms)
            reuse.close(now)
            path = self._prefixes.path(outline)
            volatile = self._habits.volatile(outline)
            firmly = not self._readings.trusts(where, now=now)
            entry, held, is_firm = alive(path, now, terms, firmly=firmly)
            lineage = self._lineage(outline, path, now)
            keys = keys_of(outline, path, lineage, volatile)
            total = outline.total_tokens
            past = Past(
                shared=path.shared,
                entry=entry,
                held=held,
                is_firm=is_firm,
                volatile=volatile,
                chances=chances_of(reuse, outline, path, keys, lineage, terms=terms),
                way=self._ledger.way(
                    outline,
                    lineage,
                    ways_of(terms, promotes=not firmly, pings=self._pings),
                    now=now,
                ),
                pauses=self._ledger.pauses(outline, lineage),
                gaps=lineage.gaps,
                room=self._gate.room((where, tenant), total, now=now),
            )
        return within_room(past, outline, terms)

    def record(
        self,
        outline: Outline,
        plan: Plan,
        past: Past,
        *,
        now: float,
        terms: Terms = TERMS,
        where: object = None,
        tenant: str | None = None,
        built: Outline | None = None,
        reach: int | None = None,
    ) -> Sent:
        """Remember a request that is being sent.

        Args:
            outline: The request.
            plan: Its breakpoints, which write or refresh entries.
            past: What `past` said of it.
            now: The start of the request, from which lifetimes count.
            terms: What the provider asks for.
            where: The provider, the host and the model.
            tenant: Whose request it is.
            built: The request before a block of its head was moved; what changes is
                counted in that, so that it stays moved as long as it changes.
            reach: Look-back positions that the provider searches from a breakpoint;
                None: all.
        """
        entries = plan.entries
        with self._lock:
            self._habits.count(outline if built is None else built)
            if built is not None:
                self._habits.know(built)
            path = self._prefixes.path(outline)
            firmly = not self._readings.trusts(where, now=now)
            read = found(outline, path, entries, now, firmly=firmly, reach=reach)
            promised = promise(path, read, now, terms)
            note(path, now)
            lineage = self._lineage(outline, path, now)
            keys = keys_of(outline, path, lineage, past.volatile)
            reuse = self._reuse_of(terms)
            follow(lineage, path, reuse.windows, now)
            self._ledger.note(outline, path, lineage, terms, now=now)
            grown = self._prefixes.grow(outline, path, now, lineage)
            see(reuse, keys, outline, grown, past, lineage=lineage, now=now)
            mark(grown, entries, read, now, firmly=firmly)
            most = premium(outline, entries, terms)
            passed = self._gate.plan((where, tenant), most, now=now)
        longs = [position for position, ttl in entries if ttl == terms.long]
        # What was to live long, and was written short before, is kept by pings.
        is_short = past.entry >= 0 and not past.is_firm
        pings = past.way == "pings" or (past.way == "long" and is_short)
        return Sent(
            outline,
            entries,
            now,
            terms,
            passed,
            read,
            promised,
            pings=pings and self._pings,
            held=max(past.held, *longs, -1),
        )

    def withdraw(self, sent: Sent, *, where: object = None) -> Sent:
        """Note that a request is sent without its breakpoints after all."""
        with self._lock:
            path = self._prefixes.path(sent.outline)
            firmly = not self._readings.trusts(where, now=sent.now)
            rewrite(path, (), sent.now, firmly=firmly)
        return replace(sent, entries=(), expected=-1, promise=-1)

    def assume(self, sent: Sent) -> None:
        """Take a request that was answered, without a word on its usage, as planned."""
        outline, terms, read = sent.outline, sent.terms, sent.expected
        written = premium(outline, sent.entries, terms, read=read)
        saved = (1 - terms.read) * (outline.blocks.tokens[read] if read >= 0 else 0)
        with self._lock:
            self._gate.settle(
                sent.passed, tokens=outline.total_tokens, excess=written - saved
            )

    def settle(
        self,
        sent: Sent,
        *,
        tokens: float,
        read: float,
        written: Mapping[Ttl, float],
        where: object = None,
        tenant: str | None = None,  # noqa: ARG002 - callers name whose it is
    ) -> None:
        """Learn from what a request has read and written, by its provider's count.

        Args:
            sent: The request.
            tokens: Those of its prompt.
            read: Those that were read.
            written: Those that were written, by lifetime.
            where: The provider, the host and the model.
            tenant: Whose request it is.
        """
        excess = sent.terms.excess(read=read, written=written)
        # Tokens of an outline are estimates, so shares are compared.
        share = read / tokens if tokens else 0.0
        with self._lock:
            self._gate.settle(sent.passed, tokens=tokens, excess=excess)
            if sent.expected < 0:
                return
            if sent.promise >= 0:
                kept = share >= _KEPT * sent.share(sent.promise)
                self._readings.note(where, kept=kept, now=sent.now)
            if share < _LOST * sent.share(sent.expected):
                path = self._prefixes.path(sent.outline)
                firmly = not self._readings.trusts(where, now=sent.now)
                rewrite(path, sent.entries, sent.now, firmly=firmly)

    def stopped(self, sent: Sent, stop: str | None) -> None:
        """Note why the model stopped, for the books of pings.

        Args:
            sent: The request that it answered.
            stop: As the provider says it; None if it is not known.
        """
        with self._lock:
            path = self._prefixes.path(sent.outline)
            if path.runs:
                self._ledger.stopped(path.runs[0][0].lineage, stop, sent.terms)

    def warmed(
        self,
        sent: Sent,
        *,
        read: float,
        written: float,
        now: float,
        where: object = None,
        tenant: str | None = None,
    ) -> None:
        """Note that a ping has read what a request wrote, so that it lives on.

        Args:
            sent: The request.
            read: Tokens that the ping read, by the provider's count.
            written: Tokens that it wrote instead.
            now: When it was sent.
            where: The provider, the host and the model.
            tenant: Whose request it is.
        """
        terms = sent.terms
        cost = terms.read * read + terms.write(terms.short) * written
        with self._lock:
            passed = self._gate.plan((where, tenant), cost, now=now)
            self._gate.settle(passed, tokens=0.0, excess=cost)
            last = max((it for it, _ in sent.entries), default=-1)
            for position, it in self._prefixes.path(sent.outline).marks():
                if position <= last:
                    it.used = max(it.used, now)

    def pause(self) -> bool:
        """Wait for other threads and lock, before a fork."""
        return self._lock.acquire(timeout=_PAUSE_SECONDS)

    def resume(self) -> None:
        """Unlock after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Go on in the child of a fork."""
        self._lock = Lock()

    def _reuse_of(self, terms: Terms) -> Reuse:
        windows = windows_of(terms)
        if windows not in self._reuse:
            pools = self._pools
            self._reuse[windows] = Reuse(
                windows, None if pools is None else pools.reuse
            )
        return self._reuse[windows]

    def _lineage(self, outline: Outline, path: Path, now: float) -> Lineage:
        """Return what a request belongs to: what it grew from, if it did.

        What shares the head alone is another conversation, however long its head is.
        """
        if path.runs and path.shared >= outline.system_end:
            lineage = path.runs[0][0].lineage
            tokens = outline.blocks.tokens[path.shared]
            if 2 * tokens >= lineage.size and not lineage.is_over(now):
                return lineage
        return Lineage()
