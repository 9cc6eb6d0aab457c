"""Workers that learn together through a store."""

from promptcache.planning.plan import Plan
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.sharing import EVERY_SECONDS, Sharing
from promptcache.state.history import History

START = 1_795_000_000.0
DAY = 86_400


class HandClock:
    """A clock that the test moves."""

    def __init__(self, time=START):
        self.time = time

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds


class Worker:
    """A history, and what flushes it; nothing happens beside the test's thread."""

    def __init__(self, store, clock, *, secret=None):
        self.store, self.clock, self.events = store, clock, []
        self.sharing = Sharing(
            store, clock=clock, secret=secret, tell=self.events.append
        )
        self.pools = self.sharing.pools
        self.history = History(pools=self.pools)

    def send(self, outline, *, tenant=None):
        """Send a request without breakpoints."""
        past = self.history.past(outline, now=self.clock.time, tenant=tenant)
        self.history.record(outline, Plan(), past, now=self.clock.time, tenant=tenant)

    def past(self, outline):
        return self.history.past(outline, now=self.clock.time)

    def chance(self, outline, part="last"):
        """Return how likely a part of a request is taken to come again."""
        return self.past(outline).chances[part].short

    def flush(self):
        """Exchange with the store, once that is due."""
        self.clock.wait(EVERY_SECONDS)
        self.sharing.flush()


def outline_of(*texts, tenant=None, **fields):
    """Read a request of one user's turns and the model's."""
    roles = ("user", "assistant")
    # Much longer than the head: another question is another conversation.
    messages = [
        {"role": roles[number % 2], "content": f"{text} {'w ' * 4_000}"}
        for number, text in enumerate(texts)
    ]
    body = {"model": "m", "system": "s", "messages": messages, **fields}
    return ANTHROPIC.outline(body, host="anthropic", tenant=tenant)


def stored(store, *, now=START):
    """Return all sums of a store by namespace, of the days around now."""
    found = {}
    for pool in Sharing(store, clock=HandClock(), secret=b"x", tell=print).pools:
        for day in range(int(now // DAY) - 12, int(now // DAY) + 12):
            for namespace in pool.namespaces(day):
                sums = store.counts(namespace, now=now)
                if sums:
                    found[namespace] = sums
    return found
