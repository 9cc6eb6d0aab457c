"""Learning together with other workers, through a store that the caller gave.

Rule 1: no request waits for a store. Planning sets a flag; a thread beside it does the
rest, and is there only as long as something is due.
Rule 2: a store that fails changes nothing but what is known of others. It is told of
once, and asked again after a while that grows.
Rule 3: no lock is held while a store is asked.
"""

from collections.abc import Callable
from threading import Lock

from promptcache.clock import Clock, SystemClock
from promptcache.interrupts import undisturbed
from promptcache.receipts.events import Event, StoreFailed
from promptcache.state.forks import let_go_at_forks
from promptcache.state.pools import DAY_SECONDS, Pools
from promptcache.state.stores import Store
from promptcache.ticking import Ticker

__all__ = ["Sharing"]

EVERY_SECONDS = 5.0
"""The time from one flush to the next, while there are requests."""

SELDOM_SECONDS = 600.0
"""How often is read what hardly changes: the secret, and what was added on days before.
Also how long a store that fails is left alone at most."""


class Sharing:
    """The flushes of one cache; safe from many threads, event loops and forks."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        secret: bytes | None,
        tell: Callable[[Event], None],
    ) -> None:
        """Open nothing, and begin no thread, before there is a request.

        Args:
            store: What workers share.
            clock: Where time comes from.
            secret: One to use instead of the store's.
            tell: Told of a store that fails.
        """
        self._store = store
        self.pools = Pools()
        """What is learned here, and what others have."""
        self._clock = clock
        self._secret = secret
        self._tell = tell
        # A clock that may stand still is not waited for: the next request looks at it.
        self._waits = isinstance(clock, SystemClock)
        self._due = 0.0
        self._failures = 0
        self._day = -1
        self._renewed = 0.0
        self._older: dict[str, dict[bytes, tuple[int, ...]]] = {}
        self._is_asked = self._is_flushing = self._is_closed = False
        self._lock = Lock()
        self._ticker = self._new_ticker()
        let_go_at_forks(self)

    def seen(self) -> None:
        """Note that a request was planned or answered."""
        if self._is_asked or self._is_closed:
            return
        if self._waits or self._left(self._clock.now()) <= 0:
            self._is_asked = True
            self._ticker.wake()

    def tick(self) -> float | None:
        """Flush if that is due; return when it is due next, None if nothing is."""
        if not self._is_asked:
            return None
        if self._left(self._clock.now()) > 0 and self._waits:
            return self._due
        # Before the flush: what is added from here on is for the next one.
        self._is_asked = False
        self.flush()
        # Who has asked meanwhile has woken the thread, too.
        return None

    def flush(self, *, pulls: bool = True) -> None:
        """Tell others what was learned here, and read what they have learned.

        Args:
            pulls: False at the end, when nothing more is to be planned.
        """
        with undisturbed(), self._lock:
            if self._is_flushing:
                return
            self._is_flushing = True
        try:
            self._exchange(self._clock.now(), pulls=pulls)
        except Exception as error:  # noqa: BLE001 - a store may be anybody's
            # A store that comes back may have another secret.
            self._failures, self._day = self._failures + 1, -1
            if self._failures == 1:
                self._tell(StoreFailed(f"sharing history: {error}"))
        else:
            self._failures = 0
        finally:
            wait = EVERY_SECONDS * 2.0 ** min(self._failures, 10)
            self._due = self._clock.now() + min(wait, SELDOM_SECONDS)
            self._is_flushing = False

    def close(self) -> None:
        """Tell what is not told yet, and end the thread."""
        self._is_closed = True
        self._ticker.stop()
        if any(pool.has_news for pool in self.pools):
            self.flush(pulls=False)

    def pause(self) -> bool:
        """Stand still before a fork."""
        return self._lock.acquire(timeout=1.0)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Go on in the child of a fork, which is a worker of its own from now on."""
        for pool in self.pools:
            pool.restart()
        self._is_asked = self._is_flushing = False
        self._lock = Lock()
        self._ticker = self._new_ticker()

    def _new_ticker(self) -> Ticker:
        return Ticker(self.tick, clock=self._clock, name="promptcache-sharing")

    def _left(self, now: float) -> float:
        """Return for how long the store is left alone."""
        left = self._due - now
        # A clock that was set back must not end this for ever.
        return left if left <= SELDOM_SECONDS else 0.0

    def _exchange(self, now: float, *, pulls: bool) -> None:
        day = int(now // DAY_SECONDS)
        if day != self._day or not 0 <= now - self._renewed < SELDOM_SECONDS:
            self._renew(now, day)
        for pool in self.pools:
            today = pool.namespaces(day)[0]
            deltas = pool.take(today)
            if deltas:
                self._store.add_counts(today, deltas, seconds=pool.seconds, now=now)
        if not pulls:
            return
        for pool in self.pools:
            today, *before = pool.namespaces(day)
            for namespace in before:
                if namespace not in self._older:
                    self._older[namespace] = self._store.counts(namespace, now=now)
            sums = {it: self._older[it] for it in before}
            pool.learn({**sums, today: self._store.counts(today, now=now)})

    def _renew(self, now: float, day: int) -> None:
        """Read what hardly changes again."""
        secret = self._store.secret() if self._secret is None else self._secret
        for pool in self.pools:
            pool.use(secret)
        self._older = {}
        if day != self._day:
            self._store.sweep(now=now)
        self._day, self._renewed = day, now
