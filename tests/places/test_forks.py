"""Processes that fork after use, as preloading servers and task queues do."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import anthropic
import pytest
from faulty_asked import CLAUDE
from faulty_subjects import NAMED, SUBJECTS
from faulty_twins import ended
from places_forks import child, held, locks_of_ours, returned

from langchain_promptcache import PromptCacheCallbackHandler
from promptcache import JsonlReceipts, Limits, Policy, PromptCache
from promptcache.receipts.events import CacheCreated, Settled
from promptcache.state import forks

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this platform has no fork"
)

QUESTIONS = ["Who built it?", "It was built in 1911.", "And where?"]
FAMILIES = ("langchain.anthropic", "langchain.openai", "langchain.google")


def ask(cache, emulator, names=FAMILIES, talk=QUESTIONS[:1], *, twice=False):
    """Ask new models, as one of a child's own; return the text of each answer."""

    async def asked():
        texts = []
        for name in names:
            subject = NAMED[name]
            model = subject.make(emulator.url, "forked", cache, 60.0, 0)
            ways = list(subject.ways.values())[: 2 if twice else 1]
            texts += [await ended(way, model, talk) for way in ways]
            await subject.close(model)
        return texts

    return asyncio.run(asked())


def answers(texts):
    return {kind for kind, *_ in texts}


def test_locks_that_another_thread_holds(make, emulator, monkeypatch, tmp_path):
    """Whichever lock of ours a thread holds at a fork, the child does its work.

    A fork waits for those who hold one; here it does not, as beneath servers that fork
    without Python's knowledge.
    """
    handler = PromptCacheCallbackHandler()
    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    cache = make(store="memory")
    cache.listen(receipts)
    cache.listen(lambda event: None)
    every = [it.name for it in SUBJECTS]
    assert answers(ask(cache, emulator, every)) == {"answer"}
    assert cache.keeper.idle()

    for kind in {type(it) for it in forks._forks._things}:
        monkeypatch.setattr(kind, "pause", lambda self: False)

    def work():
        texts = ask(cache, emulator, every, twice=True)
        model = NAMED["langchain.anthropic"].make(emulator.url, "h", cache, 60.0, 0)
        model.invoke("hello", config={"callbacks": [handler]})
        cache.keeper.idle(5)
        cache.warming.tend()
        cache.close()
        rows = cache.report().to_dict()["total"]["requests"]
        return [sorted(answers(texts)), rows, len(handler.calls)]

    known = locks_of_ours()
    with held(known) as names:
        started = child(work)
    assert len(names) == len(known)
    assert {"promptcache.state.history.History._lock"} <= set(names)
    kinds, rows, calls = returned(started)

    assert kinds == ["answer"]
    assert rows == len(every) * 3 + 1
    assert calls == 1
    assert answers(ask(cache, emulator)) == {"answer"}
    receipts.close()


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_what_the_parent_keeps_is_its_own(make, emulator, store, events):
    """A child uses a cached content of its parent, and deletes or extends nothing."""
    cache = make(store)
    google = ["langchain.google"]
    for number in range(4):
        ask(cache, emulator, google, [f"Question {number}"])
        assert cache.keeper.idle()
        emulator.clock.advance(10)
    (created,) = [it for it in events if isinstance(it, CacheCreated)]

    def work():
        mine = len(events)
        ask(cache, emulator, google, ["From the child"])
        receipts = [it.receipt for it in events[mine:] if isinstance(it, Settled)]
        # The clock is a copy: what is due now is due in here alone.
        emulator.clock.advance(100)
        cache.keeper.tend()
        cache.close()
        return [len(it.breakpoints) for it in receipts]

    assert returned(child(work)) == [1]
    assert [it.name for it in emulator.caches] == [created.name]
    assert not done(emulator, "DELETE", "PATCH")
    ask(cache, emulator, google, ["From the parent"])
    assert emulator.ledger[-1].hit is not None
    cache.close()
    assert len(done(emulator, "DELETE")) == 1
    assert not any(it.live for it in emulator.caches)


def done(emulator, *methods):
    return [row for row in emulator.ledger if row.method in methods]


def test_pings_are_the_parents(emulator, events):
    """What a parent keeps warm is pinged once, and by no child."""
    cache = PromptCache(
        Policy.auto(keep_warm=True),
        listeners=[events.append],
        limits=Limits(ping_usd_per_hour=1.0),
        # At such prices a silence of any kind is worth a ping.
        facts={CLAUDE: {"read": 0.025}},
        prices={CLAUDE: {"input": 3, "read": 0.075, "written": 3.75, "output": 15}},
        clock=emulator.clock,
    )
    sdk = NAMED["sdk.anthropic"]
    clients = sdk.make(emulator.url, "pinged", cache, 60.0, 0)

    def say(text):
        assert asyncio.run(ended(sdk.ways["create"], clients, [text]))[0] == "answer"

    def pass_by():
        emulator.clock.advance(290)
        cache.warming.tend()
        assert cache.warming.idle(10)

    def pinged():
        rows = [str(row.body) for row in emulator.ledger if not row.output_tokens]
        return [text for row in rows for text in ("parent", "child") if text in row]

    def work():
        say("I am the child")
        pass_by()
        cache.close()

    say("I am the parent")
    returned(child(work))
    assert pinged() == ["child"]
    pass_by()
    assert pinged() == ["child", "parent"]
    cache.close()
    asyncio.run(sdk.close(clients))


def test_a_creation_that_the_parent_had_begun(make, emulator):
    """What a parent was about to create at the fork, a child with no store may."""
    cache = make("memory")
    keeper = cache.keeper
    stuck, go_on = threading.Event(), threading.Event()
    google = ["langchain.google"]
    ask(cache, emulator, google, ["The first question"])
    assert keeper.idle()
    keeper._background.submit(lambda: (stuck.set(), go_on.wait()))
    stuck.wait()
    for number in range(4):
        emulator.clock.advance(10)
        ask(cache, emulator, google, [f"Question {number}"])
    wanted = set(keeper._wanted)

    def work():
        for number in range(4, 7):
            ask(cache, emulator, google, [f"Question {number}"])
            cache.keeper.idle()
            emulator.clock.advance(10)
        found = len(cache.keeper.handles._shelf.owned())
        cache.close()
        return found

    try:
        assert wanted
        assert returned(child(work)) == 1
    finally:
        go_on.set()


def test_files_are_closed_at_a_fork(make, emulator, tmp_path):
    """No descriptor of the store crosses a fork, and both sides open their own."""
    cache = make("sqlite")
    ask(cache, emulator)
    assert cache.keeper.idle()
    cache.store.handles(now=emulator.clock.now())
    assert opened(tmp_path)

    def work():
        before = opened(tmp_path)
        ask(cache, emulator)
        cache.store.handles(now=emulator.clock.now())
        after = opened(tmp_path)
        cache.close()
        return [before, bool(after), opened(tmp_path)]

    started = child(work)
    cache.store.handles(now=emulator.clock.now())
    assert returned(started) == [[], True, []]
    assert opened(tmp_path)


def opened(folder):
    """Return which files of a folder this process has open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this platform does not tell what a process has open")
    names = []
    for entry in descriptors.iterdir():
        # The one of this very listing is closed by now.
        with suppress(OSError):
            names.append(str(entry.readlink()))
    return sorted(name for name in names if name.startswith(str(folder)))


def test_forks_among_busy_threads(make, emulator, tmp_path):
    """Threads go on in the parent, each child ends, and every request has one line."""
    cache = make("sqlite")
    path = tmp_path / "receipts.jsonl"
    receipts = JsonlReceipts(path)
    cache.listen(receipts)
    stop, first = threading.Event(), threading.Barrier(len(FAMILIES) + 1)
    ends = []

    def busily(name):
        # Made once: Python below 3.12 has a lock where LangChain makes its clients.
        model = NAMED[name].make(emulator.url, "busy", cache, 60.0, 0)
        ends.append(model.invoke("hello").text)
        first.wait()
        while not stop.is_set():
            ends.append(model.invoke("hello").text)
        asyncio.run(NAMED[name].close(model))

    threads = [threading.Thread(target=busily, args=(name,)) for name in FAMILIES]
    for thread in threads:
        thread.start()
    first.wait()
    children = [child(lambda: answered(cache, emulator)) for _ in range(3)]
    told = [returned(one) for one in children]
    stop.set()
    for thread in threads:
        thread.join()
    receipts.close()

    assert told == [["answer"]] * 3
    assert all(ends)
    lines = path.read_bytes().splitlines()
    billed = [row for row in emulator.ledger if row.output_tokens]
    assert len(lines) == len(set(lines)) == len(billed)


def answered(cache, emulator):
    said = ask(cache, emulator)
    cache.close()
    return sorted(answers(said))


def test_a_handler_that_was_told_of_a_call(emulator):
    """A handler goes on in a child with the calls that it has seen."""
    handler = PromptCacheCallbackHandler()
    cache = PromptCache(clock=emulator.clock)

    def call():
        model = NAMED["langchain.anthropic"].make(emulator.url, "h", cache, 60.0, 0)
        model.invoke("hello", config={"callbacks": [handler]})
        return len(handler.calls)

    assert call() == 1
    ours = [it for it in locks_of_ours() if it[0].startswith("langchain")]
    with held(ours) as names:
        started = child(call)
    assert names
    assert returned(started) == 2
    assert call() == 2


PRELOADING = """
import os, sys, warnings
import anthropic
from promptcache import PromptCache

cache = PromptCache()
client = cache.attach(anthropic.Anthropic(api_key="any", base_url=sys.argv[1]))
assert "genai_prices.data" not in sys.modules
with warnings.catch_warnings():
    # Newer Pythons warn of every fork beside threads.
    warnings.simplefilter("ignore")
    pid = os.fork()
asked = {"model": "claude-sonnet-4-6", "max_tokens": 9}
with cache.collect() as receipts:
    client.with_options(max_retries=0).messages.create(
        messages=[{"role": "user", "content": str(pid)}], **asked
    )
assert receipts[0].cost_usd > 0
if pid:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    print("both have ended")
"""


def test_a_fork_right_after_a_client_was_attached(emulator):
    """The price list, which a thread reads then, is there on both sides of the fork."""
    done = subprocess.run(
        [sys.executable, "-c", PRELOADING, emulator.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "both have ended\n"


def test_prewarmed_before_the_workers_are_forked(make, emulator):
    """What a preloading server has written, its workers read at their first request."""
    cache = make("memory")
    system = "You are a careful clerk of a railway museum. " * 180

    def client():
        return cache.attach(anthropic.Anthropic(api_key="any", base_url=emulator.url))

    asked = {"model": "claude-sonnet-4-6", "system": system}
    with client() as opened_client:
        cache.prewarm(opened_client, **asked)
    said = {**asked, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}

    def work():
        with cache.collect() as receipts, client() as worker:
            worker.messages.create(**said)
        return receipts[0].usage.read_tokens

    assert all(returned(one) > 1000 for one in [child(work), child(work)])
