"""Caches that learn together through a store, beside their requests."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sharing_workers import START, HandClock

from promptcache import PromptCache
from promptcache import sharing as module
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.sharing import EVERY_SECONDS
from promptcache.state.memory import MemoryStore
from promptcache.ticking import Ticker

MODEL = "claude-sonnet-5-5"
SYSTEM = "word " * 4_000
THREAD = "promptcache-sharing"
USAGE = {"input_tokens": 6_000, "output_tokens": 7}


class FlatPrices:
    """Nothing is known of prices."""

    def cost(self, provider, model, usage, *, tier=None, at=None):
        return None


def cache_of(store, clock, **options):
    return PromptCache(store=store, clock=clock, prices=FlatPrices(), **options)


def body_of(text):
    messages = [{"role": "user", "content": f"{text} {'w ' * 9_000}"}]
    return {"model": MODEL, "system": SYSTEM, "messages": messages}


def ask(cache, text):
    """Prepare a request and settle it, as a seam does."""
    prepared = cache.prepare(Request(ANTHROPIC, body_of(text), "anthropic"))
    cache.settle(prepared, USAGE, model=MODEL)
    return prepared


def chance(cache, text="new"):
    outline = ANTHROPIC.outline(body_of(text), host="anthropic", tenant=None)
    past = cache._planner.history.past(outline, now=cache.clock.now())
    return past.chances["last"].short.mean


def threads():
    return [it for it in threading.enumerate() if it.name == THREAD]


def join():
    """Wait for flushes that are on their way."""
    for thread in threads():
        thread.join(10)
        assert not thread.is_alive()


def test_caches_learn_together():
    """A second one knows what the first one's requests have shown."""
    store, clock = MemoryStore(), HandClock()
    one, other, alone = (cache_of(it, clock) for it in (store, store, None))
    for cache in (other, alone):
        ask(cache, "first")
    for number in range(40):
        ask(one, number)
        clock.wait(30)
        join()
    known = [chance(it) for it in (one, other, alone)]
    clock.wait(EVERY_SECONDS)
    ask(one, "last")
    join()
    ask(other, "second")
    join()

    assert known[1] == known[2]
    assert chance(other) == pytest.approx(chance(one), rel=0.1)
    assert chance(other) < known[2] / 2
    assert chance(alone) == known[2]
    assert threads() == []


def test_nothing_is_opened_without_a_store(monkeypatch):
    """History stays in memory, and no thread begins."""
    monkeypatch.setattr(Ticker, "wake", lambda _: pytest.fail("woken"))
    cache = cache_of(None, HandClock())
    ask(cache, "hello")
    cache.close()

    assert cache._sharing is None
    assert cache._holdings._store is None


def test_a_cache_without_requests_opens_nothing(tmp_path):
    """Neither when it is made nor when it is closed."""
    path = tmp_path / "state.db"
    cache = PromptCache(store=f"sqlite:///{path}")
    cache.close()

    assert list(tmp_path.iterdir()) == []


def test_closing_tells_the_rest():
    """What the last requests have shown is in the store once a cache is closed."""
    store, clock = MemoryStore(), HandClock()
    one = cache_of(store, clock)
    ask(one, "a")
    join()
    for number in range(30):
        ask(one, number)
    clock.time += 299.0
    one._sharing._due = clock.time + 100
    clock.time += 1.0
    chance(one)
    one.close()
    other = cache_of(store, clock)
    before = chance(other)
    ask(other, "first")
    join()

    assert chance(other) < before
    ask(one, "still works")
    assert threads() == []


class Elsewhere(MemoryStore):
    """A store that holds whoever asks until it may go on, and notes who that is."""

    def __init__(self):
        super().__init__()
        self.may_go = threading.Event()
        self.asked, self.askers = threading.Event(), set()

    def __getattribute__(self, name):
        if name in {"secret", "counts", "add_counts", "sweep"}:
            self.askers.add(threading.current_thread())
            self.asked.set()
            assert self.may_go.wait(10)
        return super().__getattribute__(name)


def test_no_request_waits_for_a_store():
    """A store that does not answer holds up neither planning nor settling."""
    store, clock = Elsewhere(), HandClock()
    cache = cache_of(store, clock)
    for number in range(5):
        ask(cache, number)
        clock.wait(60)
    assert store.asked.wait(10)
    ask(cache, "while it is asked")
    store.may_go.set()
    join()
    for number in range(20):
        ask(cache, number)
        clock.wait(60)
        join()

    assert store.askers
    assert threading.current_thread() not in store.askers


def test_a_thread_waits_for_the_next_flush(monkeypatch):
    """By the machine's own clock the rest is told soon after the last request."""
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.1)
    store = MemoryStore()
    cache = PromptCache(store=store, prices=FlatPrices())
    ask(cache, "one")
    join()
    ask(cache, "two")
    cache._sharing.pools.books.add(("k",), (3,))
    join()

    sums = store.counts(cache._sharing.pools.books.namespaces(_today())[0], now=0.0)
    assert (3,) in sums.values()
    assert threads() == []


def test_closing_ends_a_thread_that_waits():
    """It is not waited for until the next flush is due."""
    cache = PromptCache(store=MemoryStore(), prices=FlatPrices())
    cache._sharing._due = time.time() + 100
    ask(cache, "one")
    assert threads()
    cache.close()

    assert threads() == []
    assert not cache._sharing.pools.reuse.has_news


def test_requests_wake_no_thread_before_a_flush_is_due(monkeypatch):
    """Most of them set no flag even."""
    woken = []
    clock = HandClock()
    cache = cache_of(MemoryStore(), clock)
    monkeypatch.setattr(
        cache._sharing._ticker, "wake", lambda: woken.append(clock.time)
    )
    for number in range(10):
        ask(cache, number)
    assert woken == [START]
    cache._sharing.tick()
    for number in range(14):
        ask(cache, number)
        clock.wait(1)

    # Whoever waits for a clock would end with it: one look is enough.
    assert woken == [START, START + EVERY_SECONDS]
    cache._sharing.tick()
    assert cache._sharing.tick() is None
    prepared = cache.prepare(Request(ANTHROPIC, body_of("slow"), "anthropic"))
    clock.wait(EVERY_SECONDS)
    cache.settle(prepared, USAGE, model=MODEL)
    assert len(woken) == 3


FORKS = """
import os, sys, threading
sys.path.insert(0, {support!r})
from sharing_workers import HandClock
from promptcache.state.sqlite import SqliteStore
from promptcache.sharing import Sharing

clock = HandClock()
def make():
    return Sharing(SqliteStore({path!r}), clock=clock, secret=None, tell=print)

def others(sharing):
    sharing.flush()
    return sharing.pools.books.others(("k",), 1)

parent = make()
parent.flush()
parent.pools.books.add(("k",), (1,))
parent.flush()
parent.pools.books.add(("k",), (10,))
parent._lock.acquire()
threading.Timer(0.1, parent._lock.release).start()
child = os.fork()
if not child:
    parent.pools.books.add(("k",), (100,))
    clock.wait(5)
    parent.seen()
    for thread in threading.enumerate():
        if thread.name == "promptcache-sharing":
            thread.join()
    assert not parent.pools.books.has_news
    print("child", others(parent), flush=True)
    parent.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", others(parent))
fresh = make()
print("fresh", others(fresh), others(fresh))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_forks(tmp_path):
    """A child goes on by itself: it tells what it learns, and its parent the rest."""
    path = str(tmp_path / "state.db")
    support = str(Path(__file__).parent / "support")
    done = subprocess.run(
        # Newer versions of Python warn of forks beside threads.
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            FORKS.format(path=path, support=support),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    assert done.stderr == ""
    assert done.stdout == "child (0,)\nparent (100,)\nfresh (111,) (111,)\n"


def _today():
    return int(time.time() // 86_400)
